"""Multiply fp32 matrices by oneDNN on CPUs where MKL leaves half of each vector unused.

torch has both libraries and calls MKL in fp32, which takes its AVX-512 code on Intel's CPUs only. On others
that have AVX-512, oneDNN is 1.05 to 1.2 times as fast (AMD's Zen 4) or twice as fast (Zen 5). torch's own
operator is replaced, so autograd, DTensor, activation checkpointing and profilers see what they always see.
The last bits of a product differ from MKL's.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.library import Library
from torch.types import Number

CPUINFO = Path("/proc/cpuinfo")
# Multiplications; for fewer, the detour through Python costs more than it gains.
LEAST, LEAST_OF_ONE_ROW = 2**21, 2**19
FEWEST = 8  # rows or columns; with fewer, except just one, MKL is as fast (model/decode.py)


@cache
def use_onednn_where_faster() -> Library | None:
    """Replace the fp32 products of this process, or do nothing. Returns what holds the replacement."""
    return replaced_products() if is_onednn_faster() else None


@contextmanager
def as_relama_multiplies() -> Iterator[None]:
    """`use_onednn_where_faster`, within the block only: other tools may share the process."""
    library = replaced_products() if is_onednn_faster() else None
    try:
        yield
    finally:
        if library:
            library._destroy()


def is_onednn_faster() -> bool:
    """Whether oneDNN is faster on this kind of CPU; not measured, so all starts compute the same bits."""
    has_both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    return has_both and torch.backends.cpu.get_cpu_capability() == "AVX512" and not _is_intels()


def _is_intels() -> bool:
    try:
        return "GenuineIntel" in CPUINFO.read_text()
    except OSError:
        return True  # unknown without Linux: torch's choice stays


def replaced_products() -> Library:
    """Large products of fp32 matrices are oneDNN's until the result's `_destroy` is called."""
    mkl, mkl_out, mkl_add = (
        torch.library.get_kernel(f"aten::{name}", "CPU") for name in ("mm", "mm.out", "addmm_")
    )
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)

    def mm(a: Tensor, b: Tensor) -> Tensor:
        return _product(a, b).contiguous() if _is_large(a, b) else mkl.call_boxed(keys, a, b)

    def mm_out(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
        if _is_large(a, b) and _can_hold(out, a, b):
            return out.copy_(_product(a, b))
        return mkl_out.call_boxed(keys, a, b, out=out)

    def addmm_(total: Tensor, a: Tensor, b: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
        if beta == alpha == 1 and _is_large(a, b) and _can_hold(total, a, b):
            return total.add_(_product(a, b))
        return mkl_add.call_boxed(keys, total, a, b, beta=beta, alpha=alpha)

    library = Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*Overriding a previously registered kernel")
        for name, kernel in {"mm": mm, "mm.out": mm_out, "addmm_": addmm_}.items():
            library.impl(name, kernel, "CPU")
    return library


def _is_large(a: Tensor, b: Tensor) -> bool:
    """Whether oneDNN may multiply the two; if they do not fit together, torch will say so."""
    are_matrices = a.dtype == b.dtype == torch.float32 and a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0]
    if not are_matrices or not (_is_whole(a) and _is_whole(b)):
        return False
    size, rows = a.numel() * b.shape[1], min(a.shape[0], b.shape[1])
    return size >= LEAST if rows >= FEWEST else rows == 1 and size >= LEAST_OF_ONE_ROW


def _is_whole(matrix: Tensor) -> bool:
    """Whether its rows, or its columns, are contiguous: if not, oneDNN takes a thousand times as long."""
    rows, columns = matrix.shape
    return matrix.stride() in ((columns, 1), (1, rows))


def _can_hold(out: Tensor, a: Tensor, b: Tensor) -> bool:
    return out.shape == (a.shape[0], b.shape[1]) and out.dtype == a.dtype


def _product(a: Tensor, b: Tensor) -> Tensor:
    if a.stride(0) == 1 and a.numel() > b.numel():  # a's rows would be copied: multiply the other way around
        return _times_transposed(b.t(), a).t()
    return _times_transposed(a, b.t())


def _times_transposed(x: Tensor, w: Tensor) -> Tensor:
    """x w', as a linear layer has it."""
    return torch.ops.mkldnn._linear_pointwise.default(x, w, None, "none", [], "")
