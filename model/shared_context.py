"""Read a context once for all its continuations, and a prefix once for all contexts that share it.

A row of a batch is a context followed by its continuations, none of which sees another: each token keeps its
position in its own text, and attends only to that text. The keys and values of a shared prefix are computed
once and kept.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model.llama import Llama

Prefix = list[tuple[Tensor, Tensor]]  # keys and values of each layer, (1, kv_heads, length, head_dim)


@dataclass(frozen=True)
class Row:
    """A context, without the prefix that it shares, and its continuations."""

    context: list[int]
    continuations: list[list[int]]

    def __len__(self) -> int:
        return len(self.context) + sum(map(len, self.continuations))

    def starts(self) -> list[int]:
        """Where each continuation starts in the row."""
        at, starts = len(self.context), []
        for tokens in self.continuations:
            starts.append(at)
            at += len(tokens)
        return starts


@torch.no_grad()
def read_prefix(model: Llama, tokens: list[int]) -> Prefix:
    """The keys and values of a prefix, for `hidden_states`; an empty prefix has none."""
    kept: Prefix = []

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        kept.append((k, v))
        return _attention(q, k, v, None)

    if tokens:
        device = next(model.parameters()).device
        with _attending(model, [attend] * len(model.blocks)):
            _through_layers(model, torch.tensor([tokens], device=device), torch.arange(len(tokens))[None])
    return kept


@torch.no_grad()
def hidden_states(model: Llama, prefix: Prefix, rows: list[Row]) -> Tensor:
    """The last norm's output (rows, longest row, dim) for rows behind `prefix`, padded at the end."""
    length, before = max(map(len, rows)), prefix[0][0].shape[2] if prefix else 0
    tokens = torch.zeros(len(rows), length, dtype=torch.long)
    positions = torch.zeros(len(rows), length, dtype=torch.long)
    part = torch.full((len(rows), length), -1)  # 0: context, 1 …: which continuation, -1: padding
    for number, row in enumerate(rows):
        end = len(row.context)
        pieces = [(0, 0, row.context)]
        pieces += [(i, end, piece) for i, piece in enumerate(row.continuations, start=1)]
        at = 0
        for which, position, piece in pieces:
            here = slice(at, at + len(piece))
            tokens[number, here] = torch.tensor(piece, dtype=torch.long)
            positions[number, here] = torch.arange(before + position, before + position + len(piece))
            part[number, here] = which
            at += len(piece)
    device = next(model.parameters()).device
    mask = _mask(part.to(device), before)
    if not prefix and all(len(row.continuations) <= 1 for row in rows):
        mask = None  # plain causal attention; padding comes last, where it is never seen

    def behind(keys: Tensor, values: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            shape = (len(rows), -1, -1, -1)
            k, v = (torch.cat((a.expand(shape), b), dim=2) for a, b in ((keys, k), (values, v)))
            return _attention(q, k, v, mask)

        return attend

    def alone(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return _attention(q, k, v, mask)

    with _attending(model, [behind(*kept) for kept in prefix] or [alone] * len(model.blocks)):
        return _through_layers(model, tokens.to(device), positions)


def _mask(part: Tensor, before: int) -> Tensor:
    """Who attends to whom, (rows, 1, length, before + length): each token to its own text so far."""
    length = part.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=part.device).tril()
    own = (part[:, None, :] == part[:, :, None]) | (part[:, None, :] == 0)  # (rows, query, key)
    return F.pad(earlier & own, (before, 0), value=True)[:, None]


def _attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=q.shape[1] != k.shape[1]
    )


def _through_layers(model: Llama, tokens: Tensor, positions: Tensor) -> Tensor:
    rotations = model.rotations[positions.to(tokens.device)]
    hidden = model.tok_embeddings(tokens)
    for layer in model.blocks:
        hidden = layer(hidden, rotations)
    return model.norm(hidden)


@contextmanager
def _attending(model: Llama, ways: list[Callable[[Tensor, Tensor, Tensor], Tensor]]) -> Iterator[None]:
    """Replace each layer's attention during the block."""
    try:
        for layer, way in zip(model.blocks, ways, strict=True):
            layer.attention.__dict__["attend"] = way  # takes precedence over the method
        yield
    finally:
        for layer in model.blocks:
            layer.attention.__dict__.pop("attend", None)
