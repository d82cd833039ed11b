"""Which rank is slow: each times the same arithmetic, alone, now and then, and all are compared.

The ranks of a step wait for each other, so their step times are all that of the slowest. A small product of
matrices that nobody waits in tells them apart, and so does the time each waited for its own data.
"""

import os
import statistics
import time

import torch

from train.ranks.setup import gather_objects

SLOW = 1.5  # times the median, for a rank to be named
SIZE = {"cpu": 384, "cuda": 4096}  # of the matrices: about a millisecond


class Stragglers:
    """Compares the ranks every `every` steps (0: never); all ranks make one and call it alike."""

    def __init__(self, every: int, device: torch.device) -> None:
        self._every, self._device = every, device
        self._data = 0.0
        self._matrix: torch.Tensor | None = None

    def after_step(self, step: int, waited_for_data: float) -> dict | None:
        """None, or when it is time the ranks compared: seconds of the probe and of waiting for data.

        {"probe": {"median": …, "worst": …}, "data": {…}, "slow": {"rank 3 (host)": times the median, …}}
        """
        self._data += waited_for_data
        if not self._every or step % self._every:
            return None
        found = gather_objects((os.uname().nodename, self._probe(), self._data))
        self._data = 0.0
        return compare(found)

    def _probe(self) -> float:
        """Seconds of one product, the best of five."""
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
    """(host, seconds of the probe, seconds of waiting for data) of each rank, put side by side."""
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
