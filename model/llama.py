"""LLaMA's transformer as in the paper (arXiv 2302.13971, §2.2): token ids in, logits or loss out.

Pre-norm RMSNorm, rotary positions in every layer, causal attention, SwiGLU, no biases, embedding and output
not tied. The default shape is LLaMA's; Llama 2 and 3 add grouped-query attention (arXiv 2305.13245), slower
rotations for longer contexts and, in small models, one matrix as embedding and output. Parameters have the
names of Meta's checkpoints. This file knows nothing of devices or ranks; `model/parallelize` spreads the
model over them from outside.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.loss import next_token_loss


@dataclass
class LlamaConfig:
    """The shape of one LLaMA. Raises a one-line ValueError that names the bad key."""

    dim: int = 4096  # width of the residual stream
    n_layers: int = 32  # transformer blocks
    n_heads: int = 32  # attention heads
    vocab_size: int = -1  # -1: the tokenizer's, as in Meta's params.json
    multiple_of: int = 256  # SwiGLU's hidden dim is rounded up to a multiple of this
    norm_eps: float = 1e-6  # added in RMSNorm
    max_seq_len: int = 2048  # positions in the rotation table
    rope_theta: float = 10000.0  # base of the rotary frequencies
    n_kv_heads: int | None = None  # heads of keys and values, which groups of queries share; null: n_heads
    head_size: int | None = None  # width of a head; null: dim / n_heads
    ffn_dim_multiplier: float = 1.0  # widens SwiGLU's hidden dim, as in Llama 2 70B and Llama 3
    rope_scaling: float = 1.0  # slow rotations are slower by this factor, for a longer context; 1: none
    rope_type: str = "llama3"  # how the scaling passes from fast rotations to slow ones: llama3 | yarn
    rope_low_freq_factor: float = 1.0  # turns over the original context below which a rotation is slow
    rope_high_freq_factor: float = 4.0  # turns above which a rotation is fast, and unchanged; YaRN's are 32
    rope_original_seq_len: int = 8192  # context length before the scaling
    rope_attention_factor: float | None = None  # YaRN scales q and k by it; null: 0.1 ln(rope_scaling) + 1
    tie_word_embeddings: bool = False  # the embedding is the output's matrix too (arXiv 1608.05859)

    def __post_init__(self) -> None:
        for key in ("dim", "n_layers", "n_heads", "multiple_of", "max_seq_len", "rope_original_seq_len"):
            if getattr(self, key) < 1:
                raise ValueError(f"model.{key}={getattr(self, key)}: must be at least 1")
        for key in ("n_kv_heads", "head_size"):
            if (value := getattr(self, key)) is not None and value < 1:
                raise ValueError(f"model.{key}={value}: must be at least 1, or null")
        if self.vocab_size < 1 and self.vocab_size != -1:
            raise ValueError(
                f"model.vocab_size={self.vocab_size}: must be at least 1, or -1 for the tokenizer's"
            )
        if self.n_heads % self.kv_heads:
            raise ValueError(f"model.n_kv_heads={self.kv_heads}: must divide model.n_heads={self.n_heads}")
        if self.head_size is None and self.dim % self.n_heads:
            raise ValueError(f"model.n_heads={self.n_heads}: must divide model.dim={self.dim}")
        if self.head_dim % 2 and self.head_size:
            raise ValueError(
                f"model.head_size={self.head_size}: rotary embeddings rotate pairs; must be even"
            )
        if self.head_dim % 2:
            raise ValueError(
                f"model.n_heads={self.n_heads}: a head of model.dim={self.dim} is {self.head_dim} wide; "
                "rotary embeddings rotate pairs, so it must be even"
            )
        positive = ("norm_eps", "rope_theta", "ffn_dim_multiplier", "rope_scaling", "rope_low_freq_factor")
        for key in positive:
            if not 0 < getattr(self, key) < float("inf"):
                raise ValueError(f"model.{key}={getattr(self, key)}: must be positive and finite")
        if not self.rope_low_freq_factor < self.rope_high_freq_factor < float("inf"):
            raise ValueError(
                f"model.rope_high_freq_factor={self.rope_high_freq_factor}: must be finite, and above "
                f"model.rope_low_freq_factor={self.rope_low_freq_factor}"
            )
        if self.rope_type not in ("llama3", "yarn"):
            raise ValueError(f"model.rope_type={self.rope_type}: expected llama3 or yarn")
        if self.rope_type == "yarn" and self.rope_theta <= 1:
            raise ValueError(f"model.rope_theta={self.rope_theta}: must be above 1 with model.rope_type=yarn")
        if (factor := self.rope_attention_factor) is not None:
            if self.rope_type != "yarn" or self.rope_scaling == 1:
                raise ValueError(
                    f"model.rope_attention_factor={factor}: only for model.rope_type=yarn with a "
                    "model.rope_scaling other than 1"
                )
            if not 0 < factor < float("inf"):
                raise ValueError(
                    f"model.rope_attention_factor={factor}: must be positive and finite, or null"
                )
        if self.hidden_dim < 1:
            raise ValueError(f"model.ffn_dim_multiplier={self.ffn_dim_multiplier}: leaves no hidden units")

    @property
    def kv_heads(self) -> int:
        return self.n_kv_heads or self.n_heads

    @property
    def head_dim(self) -> int:
        return self.head_size or self.dim // self.n_heads

    @property
    def hidden_dim(self) -> int:
        return hidden_dim(self.dim, self.multiple_of, self.ffn_dim_multiplier)

    @property
    def attention_factor(self) -> float:
        """What queries and keys are multiplied by as they are rotated (YaRN, arXiv 2309.00071 §3.4)."""
        if self.rope_attention_factor is not None:
            return self.rope_attention_factor
        if self.rope_type != "yarn" or self.rope_scaling <= 1:
            return 1.0
        return 0.1 * math.log(self.rope_scaling) + 1


class Llama(nn.Module):
    """Maps token ids to next-token logits, or to the mean loss if given labels."""

    rotations: Tensor  # fp32 (max_seq_len, 2, head_dim): cosines and sines

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        if config.vocab_size < 1:
            raise ValueError(
                "model.vocab_size=-1: give the tokenizer's vocabulary size before building the model"
            )
        self.config = config
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.dim)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.output = nn.Linear(config.dim, config.vocab_size, bias=False)
        self.register_buffer("rotations", None, persistent=False)
        self.tie()
        self.init_buffers()

    def forward(
        self, tokens: Tensor, labels: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """Logits (batch, seq, vocab) for `tokens` (batch, seq) int64; with `labels`, their mean loss in fp32.

        `positions` (seq,) are the tokens' positions if not 0, 1, …. The loss is computed here because that
        avoids holding all the logits (see `model/loss.py`).
        """
        if tokens.shape[1] > self.config.max_seq_len:
            raise ValueError(f"{tokens.shape[1]} tokens: model.max_seq_len is {self.config.max_seq_len}")
        rotations = self.rotations[: tokens.shape[1]] if positions is None else self.rotations[positions]
        hidden = self.tok_embeddings(tokens)  # (batch, seq, dim)
        for layer in self.layers:
            hidden = layer(hidden, rotations)
        hidden = self.norm(hidden)
        if labels is None:
            return self.output(hidden)  # (batch, seq, vocab)
        return self.loss(hidden, labels)

    @property
    def blocks(self) -> list["Block"]:
        """The layers present here, typed: all of them, or a pipeline stage's."""
        return [layer for layer in self.layers if isinstance(layer, Block)]

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of `labels` (batch, seq), given the last norm's output (batch, seq, dim)."""
        return next_token_loss(hidden, self.output.weight, labels)

    def tie(self) -> None:
        """If embedding and output are tied, make them one parameter, named tok_embeddings.weight."""
        if self.config.tie_word_embeddings:
            self.output.weight = self.tok_embeddings.weight

    def init_buffers(self) -> None:
        """Compute the rotation table on the parameters' device."""
        device = next(self.parameters()).device
        self.rotations = rotation_table(self.config, device)

    def set_rope_theta(self, theta: float) -> None:
        """Rebuild the rotation table with the base `theta`, as for longer sequences."""
        self.config = replace(self.config, rope_theta=theta)
        self.init_buffers()

    def _apply(self, fn, recurse: bool = True) -> "Llama":
        # Called to move, cast or empty the model: the table moves with it but is never cast, and torch
        # gives each module a parameter of its own.
        self._buffers["rotations"] = None
        super()._apply(fn, recurse)
        self.tie()
        self.init_buffers()
        return self


class Block(nn.Module):
    """One layer: attention and feed-forward, each on the normalized input and added to it."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config)
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)

    def forward(self, x: Tensor, rotations: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotations)
        return x + self.feed_forward(self.ffn_norm(x))


class Attention(nn.Module):
    """Causal multi-head attention with rotary positions; several queries may share a key and value head."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        queries, keys = config.n_heads * config.head_dim, config.kv_heads * config.head_dim
        self.wq = nn.Linear(config.dim, queries, bias=False)
        self.wk = nn.Linear(config.dim, keys, bias=False)
        self.wv = nn.Linear(config.dim, keys, bias=False)
        self.wo = nn.Linear(queries, config.dim, bias=False)

    def forward(self, x: Tensor, rotations: Tensor) -> Tensor:
        heads = (-1, self.head_dim)  # under tensor parallelism, this rank's heads
        q = rotate(self.wq(x).unflatten(-1, heads), rotations)  # (batch, seq, n_heads, head_dim)
        k = rotate(self.wk(x).unflatten(-1, heads), rotations)  # (batch, seq, kv_heads, head_dim)
        v = self.wv(x).unflatten(-1, heads)
        out = self.attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return self.wo(out.transpose(1, 2).flatten(-2))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Causal attention; q and the result are (batch, n_heads, seq, head_dim), k and v have kv_heads."""
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=shared(q, k))


class FeedForward(nn.Module):
    """SwiGLU (arXiv 2002.05202): w2(silu(w1 x) · w3 x)."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.w1 = nn.Linear(config.dim, config.hidden_dim, bias=False)
        self.w2 = nn.Linear(config.hidden_dim, config.dim, bias=False)
        self.w3 = nn.Linear(config.dim, config.hidden_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class RMSNorm(nn.Module):
    """Root mean square norm: computed in fp32, cast back, then scaled, in Meta's order."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        # rms_norm would scale before casting back if it were given the weight.
        return F.rms_norm(x, x.shape[-1:], eps=self.eps) * self.weight


def hidden_dim(dim: int, multiple_of: int, multiplier: float = 1.0) -> int:
    """SwiGLU's hidden dim: two thirds of 4·dim (paper §2.2) times `multiplier`.

    Rounded up to a multiple of `multiple_of`.
    """
    hidden = int(multiplier * int(2 * (4 * dim) / 3))
    return multiple_of * -(-hidden // multiple_of)


def shared(q: Tensor, k: Tensor) -> bool:
    """Whether groups of `q`'s neighboring heads share one of `k`'s; both (batch, heads, seq, head_dim)."""
    return q.shape[1] != k.shape[1]


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
