"""The fastest that this machine multiplies fp32 matrices: what a CPU run's MFU is measured against."""

import time

import torch

SIZE = 2048  # three such matrices (48 MiB) are as good as any size for MKL and OpenBLAS
SECONDS = 0.5


def measured_sgemm_peak(threads: int) -> float:
    """FLOP/s of the best of several square products on `threads` threads, in about half a second."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return 2 * SIZE**3 / _best_seconds()
    finally:
        torch.set_num_threads(before)


def _best_seconds() -> float:
    a, b, out = (torch.ones(SIZE, SIZE) for _ in range(3))
    torch.mm(a, b, out=out)  # the first call starts the threads
    best, end = float("inf"), time.perf_counter() + SECONDS
    while (start := time.perf_counter()) < end:
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return best
