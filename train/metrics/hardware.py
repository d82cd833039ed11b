"""What the hardware is: the one table of GPUs, this machine's processor, and the memory used.

A GPU that the table does not list has no figures: its MFU, memory and energy are reported as unknown.
"""

import platform
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Gpu:
    """One kind of GPU, by its vendor's data sheet."""

    names: tuple[str, ...]  # as CUDA reports them, in full: variants that differ by a word have other figures
    peak: float  # dense bf16 FLOP/s
    watts: int  # board power
    memory: Mapping[str, float]  # GiB as CUDA reports them, by the names that `relama plan gpu=` takes


GPUS = (
    Gpu(("NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB"), 312e12, 400, {"a100-40": 39.4, "a100-80": 79.2}),
    Gpu(("NVIDIA A100 80GB PCIe",), 312e12, 300, {}),
    Gpu(("NVIDIA A100-PCIE-40GB",), 312e12, 250, {}),
    Gpu(("NVIDIA A800-SXM4-80GB",), 312e12, 400, {}),
    Gpu(("NVIDIA A800 80GB PCIe",), 312e12, 300, {}),
    Gpu(("NVIDIA H100 80GB HBM3",), 989e12, 700, {"h100": 79.2}),
    Gpu(("NVIDIA H100 NVL",), 835e12, 400, {}),
    Gpu(("NVIDIA H100 PCIe",), 756e12, 350, {}),
    Gpu(("NVIDIA H200",), 989e12, 700, {"h200": 139.8}),
    Gpu(("NVIDIA H200 NVL",), 835e12, 600, {}),
    Gpu(("NVIDIA B200",), 2250e12, 1000, {"b200": 178.4}),
    Gpu(("NVIDIA L40S",), 362e12, 350, {"l40s": 44.4}),
    Gpu(("NVIDIA GeForce RTX 4090",), 165e12, 450, {"4090": 23.5}),
    Gpu(("NVIDIA GeForce RTX 3090",), 71e12, 350, {"3090": 23.6}),
)
GPU_NAMES = {name: gpu for gpu in GPUS for name in gpu.memory}


def gpu_of(device_name: str) -> Gpu | None:
    """The GPU whose CUDA name this is, or None if the table does not list it."""
    return next((gpu for gpu in GPUS if device_name in gpu.names), None)


def peak_memory_gib(device: "torch.device") -> float:
    """Peak memory of this rank: the GPU's, or on a CPU the process's."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def cpu_name() -> str:
    """The processor's name, as Linux or the platform reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "CPU"
