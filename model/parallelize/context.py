"""Context parallelism: each rank computes part of every sequence and gathers keys and values for attention.

A sequence is split into 2 × ranks chunks, and rank r has chunks r and 2 × ranks - 1 - r: one early, one
late, so that the causal mask gives all ranks equal work. Each chunk attends to the keys up to its own end.
The gather is differentiable; its backward reduce-scatters the gradients.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.nn.attention.bias import causal_lower_right

from model.llama import Llama, shared

try:
    from torch.distributed._functional_collectives import all_gather_single_autograd
except ImportError:  # its name before torch 2.13; benchmarks/gpu.py runs with torch 2.11
    from torch.distributed._functional_collectives import (
        all_gather_tensor_autograd as all_gather_single_autograd,
    )


def context_parallel(model: Llama, mesh: DeviceMesh) -> None:
    """Make `model` take full sequences and compute this rank's part; the loss is that part's mean.

    The sequence length must be a multiple of 2 × ranks. A pipeline's later stages take this rank's part of
    the hidden states (3 dimensions), with `positions` for the full sequence's length.
    """
    part = _Part(mesh)
    forward_part = model.forward

    def forward(tokens: Tensor, labels: Tensor | None = None, positions: Tensor | None = None) -> Tensor:
        seq_len = tokens.shape[1] if positions is None else len(positions)
        mine = part.of(seq_len, tokens.device)
        tokens = tokens[:, mine] if tokens.ndim == 2 else tokens
        return forward_part(tokens, None if labels is None else labels[:, mine], mine)

    model.forward = forward
    for layer in model.blocks:
        layer.attention.attend = part.attend


def chunks_of(rank: int, size: int) -> tuple[int, int]:
    """Which two of a sequence's 2 × size chunks `rank` has."""
    return rank, 2 * size - 1 - rank


class _Part:
    """This rank's part of the current sequences."""

    def __init__(self, mesh: DeviceMesh) -> None:
        self.mesh, self.size = mesh, mesh.size()
        self.chunks = chunks_of(mesh.get_local_rank(), self.size)

    def of(self, seq_len: int, device: torch.device) -> Tensor:
        """The positions of this rank's tokens. Raises ValueError if the sequence cannot be split evenly."""
        if seq_len % (2 * self.size):
            raise ValueError(f"{seq_len} tokens: parallel.cp={self.size} needs a multiple of {2 * self.size}")
        chunk = seq_len // (2 * self.size)
        self.ends = [(number + 1) * chunk for number in self.chunks]
        # is_causal aligns the mask at the top left; here the last query must see the last key.
        self.masks = [causal_lower_right(chunk, end) for end in self.ends]
        return torch.cat([torch.arange(end - chunk, end, device=device) for end in self.ends])

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """`Attention.attend` for the two chunks: all arguments are (batch, heads, seq / size, head_dim)."""
        gqa = shared(q, k)
        k, v = self._gather(torch.stack((k, v)))  # (batch, kv_heads, seq, head_dim)
        outs = [
            F.scaled_dot_product_attention(
                queries, k[:, :, :end], v[:, :, :end], attn_mask=mask, enable_gqa=gqa
            )
            for queries, end, mask in zip(q.chunk(2, dim=2), self.ends, self.masks, strict=True)
        ]
        return torch.cat(outs, dim=2)

    def _gather(self, mine: Tensor) -> Tensor:
        """All ranks' (2, batch, kv_heads, seq / size, head_dim), in sequence order."""
        gathered = all_gather_single_autograd(mine.contiguous(), 3, self.mesh.get_group())
        chunks = gathered.chunk(2 * self.size, dim=3)  # rank 0's early and late chunk, rank 1's, …
        return torch.cat((*chunks[0::2], *reversed(chunks[1::2])), dim=3)
