"""What the hardware can do: the one table of GPUs, and what this process measures of its own machine.

A device that the table does not list has no figures: its MFU, memory and energy are reported as unknown.
"""

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

MATRIX_SIZE = 2048  # three such fp32 matrices take 48 MiB; larger ones are no faster under MKL and OpenBLAS
MEASURED_SECONDS = 0.5


@dataclass(frozen=True)
class Gpu:
    """One kind of GPU, by its vendor's data sheet."""

    device: str  # what the name that CUDA reports begins with
    peak: float  # dense bf16 FLOP/s
    watts: int  # board power
    memory: Mapping[str, float]  # GiB as CUDA reports them, by the names that `relama plan gpu=` takes


# Longer names before their own beginnings.
GPUS = (
    Gpu("NVIDIA A100", 312e12, 400, {"a100-40": 39.4, "a100-80": 79.2}),
    Gpu("NVIDIA A800", 312e12, 400, {}),
    Gpu("NVIDIA H100 80GB HBM3", 989e12, 700, {"h100": 79.2}),
    Gpu("NVIDIA H100 PCIe", 756e12, 350, {}),
    Gpu("NVIDIA H200", 989e12, 700, {"h200": 139.8}),
    Gpu("NVIDIA B200", 2250e12, 1000, {"b200": 178.4}),
    Gpu("NVIDIA L40S", 362e12, 350, {"l40s": 44.4}),
    Gpu("NVIDIA GeForce RTX 4090", 165e12, 450, {"4090": 23.5}),
    Gpu("NVIDIA GeForce RTX 3090", 71e12, 350, {"3090": 23.6}),
)
GPU_NAMES = {name: gpu for gpu in GPUS for name in gpu.memory}


def gpu_of(device_name: str) -> Gpu | None:
    """The GPU whose CUDA name this is, or None if the table does not list it."""
    return next((gpu for gpu in GPUS if device_name.startswith(gpu.device)), None)


def peak_memory_gib(device: torch.device) -> float:
    """Peak memory of this rank: the GPU's, or on a CPU the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def measured_sgemm_peak(threads: int) -> float:
    """FLOP/s of the fastest of several square fp32 products on `threads` threads, in about half a second."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return 2 * MATRIX_SIZE**3 / _fastest_seconds()
    finally:
        torch.set_num_threads(before)


def _fastest_seconds() -> float:
    a, b, out = (torch.ones(MATRIX_SIZE, MATRIX_SIZE) for _ in range(3))
    torch.mm(a, b, out=out)  # the first call starts the threads
    fastest, end = float("inf"), time.perf_counter() + MEASURED_SECONDS
    while (start := time.perf_counter()) < end:
        torch.mm(a, b, out=out)
        fastest = min(fastest, time.perf_counter() - start)
    return fastest
