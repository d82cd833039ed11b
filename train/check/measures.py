"""What one rank measures of its machine and, together with the others, of the network."""

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from train.metrics.peak import measured_peak
from train.ranks import identity

MATRIX = 8192  # on GPUs: three such bf16 matrices take 384 MiB
SIZES = (1 << 10, 1 << 20, 1 << 24)  # bytes that each rank holds
MOVED = 1 << 26  # bytes, to measure memory and the disk
COPIED = 1 << 30  # bytes, to measure a GPU's memory: more than its caches hold
TIMES = 5


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of matrix products in `dtype`, of all ranks at the same time, as in training."""
    dist.barrier()
    if device.type == "cpu":
        return measured_peak(torch.get_num_threads(), dtype)
    a, b = (torch.ones(MATRIX, MATRIX, dtype=dtype, device=device) for _ in range(2))
    return 2 * MATRIX**3 / _seconds(lambda: torch.mm(a, b), device)


def memory_rate(device: torch.device) -> float:
    """Bytes per second read and written by a copy within the device's memory."""
    n_bytes = MOVED if device.type == "cpu" else COPIED
    source = torch.ones(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * n_bytes / _seconds(lambda: target.copy_(source), device, min)


def disk_rates(folder: Path) -> tuple[float, float]:
    """Bytes per second written to a file in `folder`, through to the disk, and read back. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".relama-check-{os.uname().nodename}-{os.getpid()}"
    content = os.urandom(MOVED)
    try:
        begin = time.perf_counter()
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        written = MOVED / (time.perf_counter() - begin)
        with open(path, "rb") as file:
            if hasattr(os, "posix_fadvise"):  # otherwise it may come from memory
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            begin = time.perf_counter()
            back = file.read()
            read = MOVED / (time.perf_counter() - begin)
        if back != content:
            raise OSError(f"{path}: returns other bytes than were written")
        return written, read
    finally:
        path.unlink(missing_ok=True)


def collective_rates(device: torch.device) -> dict[str, dict[int, float]]:
    """By operation and size: bytes of the full tensor per second, over all ranks."""
    world = identity.group_size()
    rates: dict[str, dict[int, float]] = {}
    for size in SIZES:
        part = torch.ones(size // 4, device=device)
        whole = torch.ones(size // 4 * world, device=device)
        for name, work in (
            ("all_reduce", partial(dist.all_reduce, part)),
            ("all_gather", partial(dist.all_gather_single, whole, part)),
            ("reduce_scatter", partial(dist.reduce_scatter_single, part, whole)),
        ):
            moved = size if name == "all_reduce" else size * world
            rates.setdefault(name, {})[size] = moved / _seconds(work, device)
            part.fill_(1.0)
            whole.fill_(1.0)
    return rates


def pair_rates(leaders: list[int], device: torch.device) -> dict[int, float]:
    """Bytes per second between this rank and each of the other `leaders`, in both directions at once.

    All leaders measure in rounds of disjoint pairs, as in a tournament; the other ranks return {}.
    """
    rank, found = identity.group_rank(), {}
    out, into = (torch.ones(SIZES[-1] // 4, device=device) for _ in range(2))
    for pairs in rounds(leaders):
        dist.barrier()
        other = next((a + b - rank for a, b in pairs if rank in (a, b)), None)
        if other is not None:
            found[other] = 2 * SIZES[-1] / _seconds(partial(_exchange, out, into, other), device)
    return found


def rounds(members: list[int]) -> list[list[tuple[int, int]]]:
    """Rounds of disjoint pairs, in which every two members meet once (the circle method)."""
    circle: list[int | None] = [*members, *([None] if len(members) % 2 else [])]
    found = []
    for _ in range(len(circle) - 1):
        half = len(circle) // 2
        pairs = zip(circle[:half], reversed(circle[half:]))
        found.append([(a, b) for a, b in pairs if a is not None and b is not None])
        circle = [circle[0], circle[-1], *circle[1:-1]]
    return found


def clock_offset() -> float:
    """Seconds by which this rank's clock is ahead of the first rank's, to within a message's time.

    The median of several readings: a rank that stalled for a moment must not seem to have the wrong time.
    """
    mine = []
    for _ in range(TIMES):
        dist.barrier()
        mine.append(time.time())
    clocks: list = [None] * identity.group_size()
    dist.all_gather_object(clocks, mine)
    return statistics.median(own - first for own, first in zip(mine, clocks[0], strict=True))


def _exchange(out: Tensor, into: Tensor, other: int) -> None:
    for work in dist.batch_isend_irecv(
        [dist.P2POp(dist.isend, out, other), dist.P2POp(dist.irecv, into, other)]
    ):
        work.wait()


def _seconds(
    work: Callable[[], object], device: torch.device, of: Callable[[list[float]], float] = statistics.median
) -> float:
    """The median or minimum time of `work`, after a first call that is not counted."""
    times = []
    for _ in range(TIMES + 1):
        begin = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - begin)
    return of(times[1:])
