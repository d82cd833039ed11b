"""Incremental decoding with a K/V cache.

`Cache` holds the keys and values of a batch of texts of different lengths. `next_logits` reads each text's
next tokens and returns the logits after the last of them: what `Llama.forward` computes, at the new
positions only.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.llama import FeedForward, Llama, shared
from model.rotary import rotate

# With so few rows, W x' is up to four times as fast as x W' in fp32 on a CPU (Zen 4; never in bf16).
FEW_ROWS, FEW_NARROW_ROWS, NARROW = 3, 8, 512


class Cache:
    """Keys and values of `batch` texts, with room for `length` tokens each; text b has read `lengths[b]`."""

    def __init__(self, model: Llama, batch: int, length: int) -> None:
        if length > model.config.max_seq_len:
            raise ValueError(f"{length} tokens: model.max_seq_len is {model.config.max_seq_len}")
        self.length = length
        self.keys: list[Tensor] = []  # per layer: (batch, kv_heads, length, head_dim), once allocated
        self.values: list[Tensor] = []
        self.lengths = torch.zeros(batch, dtype=torch.long)

    def layer(self, number: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """A layer's keys and values, allocated when the first ones, `like`, arrive.

        Only they know how many heads this rank has under tensor parallelism.
        """
        if number == len(self.keys):
            batch, heads, _, head_dim = like.shape
            for kept in (self.keys, self.values):
                kept.append(like.new_zeros(batch, heads, self.length, head_dim))
        return self.keys[number], self.values[number]

    def join(self, other: "Cache") -> None:
        """Append the texts of `other`, a cache of the same length that has read tokens."""
        self.keys = [torch.cat(pair) for pair in zip(self.keys, other.keys)]
        self.values = [torch.cat(pair) for pair in zip(self.values, other.values)]
        self.lengths = torch.cat([self.lengths, other.lengths])

    def keep(self, rows: Tensor) -> None:
        """Continue with only the texts `rows` (n,)."""
        self.keys = [part[rows] for part in self.keys]
        self.values = [part[rows] for part in self.values]
        self.lengths = self.lengths[rows]


@torch.no_grad()
def next_logits(model: Llama, cache: Cache, tokens: Tensor, counts: Tensor | None = None) -> Tensor:
    """Logits (batch, vocab) after `tokens` (batch, n) int64; row b has `counts[b]` tokens, then padding.

    Padding comes last, where causal attention never sees it; the next tokens overwrite it in the cache.
    """
    batch, n = tokens.shape
    counts = torch.full((batch,), n) if counts is None else counts
    positions = (cache.lengths[:, None] + torch.arange(n)).to(tokens.device)  # (batch, n)
    end = int(cache.lengths.max()) + n
    first = bool((cache.lengths == 0).all())
    level = bool((cache.lengths == cache.lengths[0]).all())
    mask = None
    if not first and not (level and n == 1):  # else plain causal attention, or one token that sees everything
        seen = torch.arange(end, device=tokens.device)
        mask = (seen <= positions[..., None])[:, None]  # (batch, 1, n, end)
    rotations = model.rotations[positions.clamp(max=model.config.max_seq_len - 1)]  # (batch, n, 2, head_dim)
    slots = positions.clamp(max=cache.length - 1) if n > 1 else positions
    hidden = model.tok_embeddings(tokens)
    multiply = _multiplied if _has_few_rows(model, batch * n) else _called
    for number, layer in enumerate(model.blocks):
        normed, attention = layer.attention_norm(hidden), layer.attention
        heads = (-1, attention.head_dim)
        q = multiply(attention.wq, normed).unflatten(-1, heads)
        k = multiply(attention.wk, normed).unflatten(-1, heads)
        turned = rotate(torch.cat((q, k), dim=2), rotations).transpose(1, 2)  # in one call, for speed
        q, k = turned.split((q.shape[2], k.shape[2]), dim=1)
        # (batch, kv_heads, n, head_dim)
        v = multiply(attention.wv, normed).unflatten(-1, heads).transpose(1, 2)
        keys, values = cache.layer(number, k)
        if level:
            begin = int(cache.lengths[0])
            keys[:, :, begin:end], values[:, :, begin:end] = k, v
        else:
            rows = torch.arange(batch, device=tokens.device)[:, None]
            keys[rows, :, slots] = k.transpose(1, 2)
            values[rows, :, slots] = v.transpose(1, 2)
        out = _attended(q, keys[:, :, :end], values[:, :, :end], mask, first)
        hidden = hidden + multiply(attention.wo, out.transpose(1, 2).flatten(-2))
        hidden = hidden + multiply(layer.feed_forward, layer.ffn_norm(hidden))
    cache.lengths = cache.lengths + counts
    last = hidden[torch.arange(batch), (counts - 1).to(tokens.device)]  # (batch, dim)
    return multiply(model.output, model.norm(last))


def _attended(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, is_causal: bool) -> Tensor:
    """Attention of new queries to all keys so far, (batch, n_heads, n, head_dim)."""
    dtype = q.dtype
    if q.shape[2] == 1 and q.is_cpu:  # in bf16, torch reads one query's keys at a third of the speed
        q, keys, values = q.float(), keys.float(), values.float()
    gqa = shared(q, keys)
    out = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, is_causal=is_causal, enable_gqa=gqa)
    return out.to(dtype)


def _has_few_rows(model: Llama, rows: int) -> bool:
    """Whether the layers are plain ones (not spread over ranks) that multiply so few rows slowly."""
    output = model.output
    most = FEW_NARROW_ROWS if model.config.dim <= NARROW else FEW_ROWS
    is_plain = type(output) is nn.Linear and type(output.weight) is nn.Parameter
    return is_plain and 1 < rows <= most and output.weight.is_cpu and output.weight.dtype == torch.float32


def _called(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return layer(x)


def _multiplied(layer: nn.Linear | FeedForward, x: Tensor) -> Tensor:
    """layer(x), each product the other way around: for x W', the library first copies the larger factor."""
    if isinstance(layer, FeedForward):
        return _multiplied(layer.w2, F.silu(_multiplied(layer.w1, x)) * _multiplied(layer.w3, x))
    rows = x.flatten(0, -2)
    if len(rows) > FEW_ROWS and rows.shape[1] > NARROW:
        return layer(x)
    return (layer.weight @ rows.t()).t().reshape(*x.shape[:-1], -1)
