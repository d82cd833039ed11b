"""Rotary positions (arXiv 2104.09864): each pair of a query's or key's values turns with its position.

Llama 3.1's and YaRN's scalings slow the slow rotations, for a longer context.
"""

import math
from typing import Any

import torch
from torch import Tensor

from model.config import LlamaConfig


def rotary_frequencies(config: LlamaConfig, device: torch.device | None = None) -> Tensor:
    """theta^(-2j / head_dim), fp32 (head_dim / 2,): radians per position, slowed for a longer context.

    A rotation that turns less than `rope_low_freq_factor` times over the original context is slower by
    `rope_scaling`; one that turns more than `rope_high_freq_factor` times is unchanged. In between, the share
    of the unchanged one is linear in the turns (Llama 3.1: `apply_scaling` in
    llama-models/models/llama3/model.py), or in j between whole numbers (YaRN, arXiv 2309.00071 §3.2: `yarn`
    in transformers).
    """
    width = config.head_dim
    frequencies = config.rope_theta ** (-torch.arange(0, width, 2, device=device).float() / width)
    if config.rope_scaling == 1:
        return frequencies
    low, high = config.rope_low_freq_factor, config.rope_high_freq_factor
    if config.rope_type == "yarn":
        first, last = max(math.floor(_pair(high, config)), 0), min(math.ceil(_pair(low, config)), width - 1)
        pairs = torch.arange(width // 2, device=device).float()
        fast = 1 - ((pairs - first) / ((last - first) or 0.001)).clamp(0, 1)
    else:
        turns = config.rope_original_seq_len * frequencies / (2 * math.pi)
        fast = ((turns - low) / (high - low)).clamp(0, 1)
    return (1 - fast) * frequencies / config.rope_scaling + fast * frequencies


def _pair(turns: float, config: LlamaConfig) -> float:
    """The j whose rotation, not slowed, turns `turns` times over the original context."""
    per_position = 2 * math.pi * turns / config.rope_original_seq_len
    return -config.head_dim * math.log(per_position) / (2 * math.log(config.rope_theta))


def rotation_table(config: LlamaConfig, device: torch.device) -> Tensor:
    """What `rotate` multiplies by, fp32 (max_seq_len, 2, head_dim): for a pair's angle a, (cos a, cos a) and
    (-sin a, sin a), times `attention_factor`."""
    positions = torch.arange(config.max_seq_len, device=device).float()
    angles = torch.outer(positions, rotary_frequencies(config, device))
    lengths = torch.full_like(angles, config.attention_factor)
    turned = torch.polar(lengths, angles)  # Meta's; on CPUs cos() and sin() round differently
    cos, sin = turned.real, turned.imag
    return torch.stack((torch.stack((cos, cos), -1), torch.stack((-sin, sin), -1)), 1).flatten(-2)


def rotate(x: Tensor, rotations: Tensor) -> Tensor:
    """Rotate each adjacent pair of `x` (batch, seq, n_heads, head_dim) by its position's angle, in fp32.

    rotations: rows of `rotation_table` (seq, 2, head_dim), or (batch, seq, 2, head_dim) if each sequence has
    its own positions. The products are those of complex numbers, rounded alike.
    """
    cos, sin = rotations.unsqueeze(-3).unbind(-2)  # ([batch,] seq, 1, head_dim)
    return _Rotation.apply(x, cos, sin)


class _Rotation(torch.autograd.Function):
    """A rotation whose backward pass rotates the gradient back; autograd's own would make more copies."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(grads[0], cos, -sin), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    wide = x.float()
    swapped = torch.empty_like(wide)
    swapped[..., 0::2], swapped[..., 1::2] = wide[..., 1::2], wide[..., 0::2]
    one, other = wide * cos, swapped.mul_(sin)
    # In torch 2.11, a compiled Function that returns what it changed in place has no gradient.
    turned = one + other if torch.compiler.is_compiling() else one.add_(other)
    return turned if turned.dtype == x.dtype else turned.type_as(x)
