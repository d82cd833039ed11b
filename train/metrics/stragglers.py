"""Which rank is slow: now and then, each rank times the same arithmetic on its own, and all are compared.

Ranks wait for each other within a step, so every rank's step takes as long as the slowest's. A small matrix
product without communication tells them apart, and so does the time that each waited for its own data.
"""

import os
import statistics
import time

import torch

from train.ranks.setup import gather_objects

SLOW = 1.5  # times the median: a slower rank is named
SIZE = {"cpu": 384, "cuda": 4096}  # matrix size: about a millisecond


class Stragglers:
    """Compares the ranks every `every` steps (0: never). All ranks construct one and call it alike."""

    def __init__(self, every: int, device: torch.device) -> None:
        self._every, self._device = every, device
        self._data = 0.0
        self._matrix: torch.Tensor | None = None

    def after_step(self, step: int, waited_for_data: float) -> dict | None:
        """Every `every` steps, the comparison of all ranks, in seconds; otherwise None.

        {"probe": {"median": …, "worst": …}, "data": {…}, "slow": {"rank 3 (host)": times the median, …}}
        """
        self._data += waited_for_data
        if not self._every or step % self._every:
            return None
        found = gather_objects((os.uname().nodename, self._probe(), self._data))
        self._data = 0.0
        return compare(found)

    def _probe(self) -> float:
        """Seconds for one product: the best of five."""
        if self._matrix is None:
            size = SIZE[self._device.type]
            self._matrix = torch.ones(size, size, device=self._device)
        times = []
        for _ in range(5):
            self._wait()
            begin = time.perf_counter()
            self._matrix @ self._matrix
            self._wait()
            times.append(time.perf_counter() - begin)
        return min(times)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def compare(found: list[tuple[str, float, float]]) -> dict:
    """Compare each rank's (host, seconds for the probe, seconds waited for data)."""
    probes, data = [probe for _, probe, _ in found], [waited for _, _, waited in found]
    usual = statistics.median(probes)
    return {
        "probe": {"median": usual, "worst": max(probes)},
        "data": {"median": statistics.median(data), "worst": max(data)},
        "slow": {
            f"rank {rank} ({host})": round(probe / usual, 2)
            for rank, (host, probe, _) in enumerate(found)
            if probe > SLOW * usual
        },
    }
