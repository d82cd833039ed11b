"""A copy of the state, in memory that is reused from save to save, so that training can continue.

In: the tensors of a checkpoint (this rank's shards, on any device). Out: a planner that makes
torch.distributed.checkpoint write the copies in their place. Copies of GPU tensors are in pinned memory, as
far as the system gives any. After the first save, nothing is allocated unless a shape changes.
"""

from collections.abc import Iterator
from contextlib import suppress

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.planner import WriteItem
from torch.distributed.tensor import DTensor


class Staging:
    """A copy of this rank's part of the state."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    @torch.no_grad()
    def copy(self, tensors: dict) -> None:
        """Copy a tree of tensors; returns once they may change again."""
        parts = dict(local_parts(tensors))
        for name in self._buffers.keys() - parts.keys():
            del self._buffers[name]
        for name, part in parts.items():
            buffer = self._buffers.get(name)
            if buffer is None or (buffer.shape, buffer.dtype) != (part.shape, part.dtype):
                # Always contiguous: reader.py relies on it.
                buffer = _room(part.shape, part.dtype, pinned=part.is_cuda)
                self._buffers[name] = buffer
            buffer.copy_(part, non_blocking=True)
        _finish_copies(parts)

    @torch.no_grad()
    def restore(self, tensors: dict) -> None:
        """Copy the state back into the same tree of tensors."""
        parts = dict(local_parts(tensors))
        for name, part in parts.items():
            part.copy_(self._buffers[name], non_blocking=True)
        _finish_copies(parts)

    def equals(self, tensors: dict) -> bool:
        """Whether this rank's part of the tree is bitwise what was copied."""
        return all(torch.equal(part.cpu(), self._buffers[name]) for name, part in local_parts(tensors))

    @property
    def buffers(self) -> dict[str, Tensor]:
        """The copies, by the name that torch.distributed.checkpoint uses."""
        return self._buffers

    def planner(self) -> DefaultSavePlanner:
        """A planner that writes the copies instead of the tensors."""
        return _StagedPlanner(self._buffers, f"relama {id(self)}")


def local_parts(tensors: dict, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """This rank's part of each tensor, by the name that torch.distributed.checkpoint uses."""
    for key, value in tensors.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from local_parts(value, f"{name}.")
        elif isinstance(value, Tensor):
            yield name, (value.to_local() if isinstance(value, DTensor) else value).detach()
        else:
            raise TypeError(f"{name} is a {type(value).__name__}: a checkpoint holds tensors alone")


class _StagedPlanner(DefaultSavePlanner):
    def __init__(self, buffers: dict[str, Tensor], key: str) -> None:
        # Rank 0 plans for all ranks, in slow Python: keep its plan until the tensors' shapes change.
        super().__init__(enable_plan_caching=True)
        self._cached_plans_key = key  # torch caches plans under this key, or else under the class
        self._buffers = buffers

    def resolve_data(self, write_item: WriteItem) -> Tensor:
        return self._buffers[write_item.index.fqn]


def _room(shape: torch.Size, dtype: torch.dtype, *, pinned: bool) -> Tensor:
    """Memory for a tensor. A copy to memory that is not pinned takes longer, but no copy would be no save."""
    if pinned:
        with suppress(RuntimeError):  # a limit on locked memory, or too much of it is locked already
            return torch.empty(shape, dtype=dtype, device="cpu", pin_memory=True)
    return torch.empty(shape, dtype=dtype, device="cpu")


def _finish_copies(parts: dict[str, Tensor]) -> None:
    for device in {part.device for part in parts.values() if part.is_cuda}:
        torch.cuda.current_stream(device).synchronize()
