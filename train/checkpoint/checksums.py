"""Exact checksums of tensors: the bits read as integers and added, at the speed of memory.

One flipped bit always changes the sum, on any device, whatever the value is as a number. Two flips cancel
only if they flip the same bit of two 8-byte words in opposite directions.
"""

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

WORD = 8  # bytes that are added as one integer, modulo 2**64


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a tensor, flat (a copy only if it is not contiguous), without gradients."""
    with torch.no_grad():
        part = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return part.detach().reshape(-1)


def checksum(flat: Tensor) -> Tensor:
    """The checksum of a flat tensor, an int64 scalar on its device."""
    per_word = WORD // flat.element_size()
    if flat.storage_offset() % per_word:
        flat = flat.clone()  # a view as int64 must be aligned
    words = flat.numel() // per_word * per_word
    total = flat[:words].view(torch.int64).sum()
    if words < flat.numel():
        total = total + flat[words:].view(torch.uint8).sum(dtype=torch.int64)
    return total


def checksums(parts: list[Tensor]) -> Tensor:
    """The checksum of each flat tensor: int64, shape (number of parts,)."""
    return torch.stack([checksum(part) for part in parts])


def values(sums: dict[str, Tensor]) -> dict[str, int]:
    """Checksums as numbers, in a single read: each read waits for everything queued on the device."""
    return dict(zip(sums, torch.stack(list(sums.values())).tolist(), strict=True)) if sums else {}
