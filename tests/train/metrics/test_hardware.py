"""A GPU has the figures of its own data sheet, or none."""

import pytest

from train.metrics.hardware import GPUS, gpu_of


@pytest.mark.parametrize(
    ("name", "peak", "watts"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12, 400),
        ("NVIDIA A100 80GB PCIe", 312e12, 300),
        ("NVIDIA H100 80GB HBM3", 989e12, 700),
        ("NVIDIA H200", 989e12, 700),
        ("NVIDIA H200 NVL", 835e12, 600),
    ],
)
def test_a_known_gpu_has_its_figures(name, peak, watts):
    gpu = gpu_of(name)
    assert gpu and (gpu.peak, gpu.watts) == (peak, watts)


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",  # a seventh of it
        "NVIDIA A100X",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA B200 and more",
        "",
    ],
)
def test_a_part_or_a_relative_of_a_known_gpu_is_unknown(name):
    assert gpu_of(name) is None


def test_no_name_has_two_entries():
    names = [name for gpu in GPUS for name in gpu.names]
    assert len(names) == len({*names})
