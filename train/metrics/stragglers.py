"""Which rank is slow: now and then, each rank times the same arithmetic on its own, and all are compared.

Ranks wait for each other within a step, so every rank's step takes as long as the slowest's. Matrix products
without communication tell them apart, and so does the time that each waited for its own data. The mean
product counts, not the best: a rank whose CPU is throttled or shared is fast in between.
"""

import statistics
import time

import torch

from train.ranks import identity
from train.ranks.together import gather_objects

SLOW = 1.5  # times the other ranks' median, beyond which a rank is named as slow
SIZE = {"cpu": 384, "cuda": 4096}  # matrix size: about a millisecond
SHARE = 0.002  # of the time between two comparisons, which the products may take
LONGEST = 0.5  # seconds for the products
FEWEST = 5  # products
STARVED = 0.05  # share of the time between two comparisons below which waiting for data is not reported


class Stragglers:
    """Compares the ranks every `every` steps (0: never). All ranks construct one and call it alike."""

    def __init__(self, every: int, device: torch.device) -> None:
        self._every, self._device = every, device
        self._data = 0.0
        self._matrix: torch.Tensor | None = None
        self._since = time.perf_counter()

    def after_step(self, step: int, waited_for_data: float) -> dict | None:
        """Every `every` steps, the comparison of all ranks, in seconds; otherwise None.

        {"probe": {"median": …, "worst": …}, "data": {…}, "slow": {"rank 3 (host)": times the median of the
        others, …}, "starved": {"rank 2 (host)": seconds that it waited for data, …}}
        """
        self._data += waited_for_data
        if not self._every or step % self._every:
            return None
        passed = time.perf_counter() - self._since
        found = gather_objects((identity.node(), self._probe(min(LONGEST, SHARE * passed)), self._data))
        self._data, self._since = 0.0, time.perf_counter()
        return compare(found, passed)

    def _probe(self, seconds: float) -> float:
        """Seconds for one product: the mean of as many as fit."""
        if self._matrix is None:
            size = SIZE[self._device.type]
            self._matrix = torch.ones(size, size, device=self._device)
            self._product()  # the first one sets up
        begin, count = time.perf_counter(), 0
        while count < FEWEST or time.perf_counter() - begin < seconds:
            self._product()
            count += 1
        return (time.perf_counter() - begin) / count

    def _product(self) -> None:
        assert self._matrix is not None
        torch.mm(self._matrix, self._matrix)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def compare(found: list[tuple[str, float, float]], passed: float = 0.0) -> dict:
    """Compare each rank's (host, seconds for the probe, seconds waited for data) of `passed` seconds."""
    probes, data = [probe for _, probe, _ in found], [waited for _, _, waited in found]
    names = [f"rank {rank} ({host})" for rank, (host, _, _) in enumerate(found)]
    return {
        "probe": {"median": statistics.median(probes), "worst": max(probes)},
        "data": {"median": statistics.median(data), "worst": max(data)},
        "slow": {
            name: round(times, 2)
            for name, times in zip(names, _times_the_others(probes), strict=True)
            if times > SLOW
        },
        "starved": {
            name: round(waited, 2)
            for name, waited, times in zip(names, data, _times_the_others(data), strict=True)
            if times > SLOW and waited > STARVED * passed
        },
    }


def _times_the_others(values: list[float]) -> list[float]:
    """Each rank's value divided by the median of the other ranks' values; 1 for a single rank."""
    medians = (statistics.median(values[:rank] + values[rank + 1 :] or values) for rank in range(len(values)))
    return [value / max(median, 1e-9) for value, median in zip(values, medians, strict=True)]
