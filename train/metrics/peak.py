"""The peak that MFU is a share of: a GPU's from its data sheet, a CPU's measured and remembered at its best.

A CPU is measured at every start, in FLOPs per second of CPU time: while other processes take the cores, the
wall clock would call a small part of the machine its peak. The best figure of each processor, number of
threads and dtype is kept in ~/.cache/relama/peaks.json ($XDG_CACHE_HOME/relama), which may be deleted.
"""

import json
import math
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

import torch
import torch.distributed as dist

from data import folders
from data.cache.config import user_cache
from train.metrics.hardware import cpu_name, gpu_of
from train.ranks import identity
from train.ranks.together import gather_objects

# Larger matrices are no faster under MKL and OpenBLAS: on up to four threads, and on more.
MATRIX_SIZES, FEW_THREADS = (1024, 2048), 4
MEASURED_SECONDS = 0.5  # where no figure is remembered
CHECKED_SECONDS = 0.1  # where one is: each start may raise it


def peak_flops(device: torch.device, dtype: torch.dtype = torch.float32) -> float | None:
    """FLOP/s of all ranks together, None if unknown. All ranks call it: CPUs are measured all at once.

    `dtype`: what a CPU multiplies; GPUs are rated in bf16, as in the paper.
    """
    if device.type == "cuda":
        gpu = gpu_of(torch.cuda.get_device_name(device))
        mine = gpu.peak if gpu else None
    else:
        dist.barrier()
        seconds = CHECKED_SECONDS if remembered(dtype) else MEASURED_SECONDS
        mine = best_known(measured_peak(torch.get_num_threads(), dtype, seconds), dtype)
    peaks = gather_objects(mine)
    known = [peak for peak in peaks if peak is not None]
    return sum(known) if len(known) == len(peaks) else None


def measured_peak(
    threads: int, dtype: torch.dtype = torch.float32, seconds: float = MEASURED_SECONDS
) -> float:
    """FLOP/s of the best of the square products that fit into `seconds`, on `threads` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        size = MATRIX_SIZES[threads > FEW_THREADS]
        return 2 * size**3 * threads / _least_cpu_seconds(size, dtype, seconds)
    finally:
        torch.set_num_threads(before)


def _least_cpu_seconds(size: int, dtype: torch.dtype, seconds: float) -> float:
    """The least CPU time of one product, over all threads of this process."""
    a, b, out = (torch.ones(size, size, dtype=dtype) for _ in range(3))
    torch.mm(a, b, out=out)  # the first call starts the threads
    least, end = math.inf, time.perf_counter() + seconds
    while True:
        begin = time.process_time()
        torch.mm(a, b, out=out)
        least = min(least, time.process_time() - begin)
        if time.perf_counter() > end:
            return least


def best_known(measured: float, dtype: torch.dtype, file: Path | None = None) -> float:
    """`measured`, or a better figure remembered for this machine; each machine's first rank updates it."""
    file = file or remembered_file()
    best = remembered(dtype, file)
    if measured <= best:
        return best
    if file and identity.local_rank() == 0:
        entry = {"flops": measured, "measured": date.today().isoformat()}
        _write(file, _read(file) | {_here(dtype): entry})
    return measured


def remembered(dtype: torch.dtype, file: Path | None = None) -> float:
    """The best figure so far of this processor, number of processes and threads; 0 if unknown."""
    file = file or remembered_file()
    return _read(file).get(_here(dtype), {}).get("flops", 0.0) if file else 0.0


def _here(dtype: torch.dtype) -> str:
    processes, threads = identity.local_world_size(), torch.get_num_threads()
    return f"{cpu_name()}, {processes} × {threads} threads, {str(dtype).removeprefix('torch.')}"


def remembered_file() -> Path | None:
    """None for a user without a home folder."""
    cache = user_cache()
    return cache / "peaks.json" if cache else None


def _read(file: Path) -> dict[str, dict]:
    """The entries that can be used: a damaged file is measured again."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {key: entry for key, entry in found.items() if 0 < float(entry["flops"]) < math.inf}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(file: Path, entries: dict[str, dict]) -> None:
    """Write the entries; without a writable home, the next start measures again."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with folders.replacing(file, folders.own(file)) as temporary:  # other machines may share the home
            text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
            temporary.write_text(text, encoding="utf-8")
