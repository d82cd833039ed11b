"""LLaMA's transformer as in the paper (arXiv 2302.13971, §2.2): token ids in, logits or loss out.

Pre-norm RMSNorm, rotary positions in every layer, causal attention, SwiGLU, no biases, embedding and output
not tied. Parameters have the names of Meta's checkpoints. This file knows nothing of devices or ranks;
`model/parallelize` spreads the model over them from outside.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.loss import next_token_loss


@dataclass
class LlamaConfig:
    """The shape of one LLaMA. Raises ValueError in one line that names the key."""

    dim: int = 4096  # width of the residual stream
    n_layers: int = 32
    n_heads: int = 32
    vocab_size: int = -1  # -1: the tokenizer's, as in Meta's params.json
    multiple_of: int = 256  # SwiGLU's hidden dim is rounded up to a multiple of this
    norm_eps: float = 1e-6
    max_seq_len: int = 2048  # positions in the rotation table
    rope_theta: float = 10000.0

    def __post_init__(self) -> None:
        for key in ("dim", "n_layers", "n_heads", "multiple_of", "max_seq_len"):
            if getattr(self, key) < 1:
                raise ValueError(f"model.{key}={getattr(self, key)}: must be at least 1")
        if self.vocab_size < 1 and self.vocab_size != -1:
            raise ValueError(
                f"model.vocab_size={self.vocab_size}: must be at least 1, or -1 for the tokenizer's"
            )
        if self.dim % self.n_heads:
            raise ValueError(f"model.n_heads={self.n_heads}: must divide model.dim={self.dim}")
        if self.head_dim % 2:
            raise ValueError(
                f"model.n_heads={self.n_heads}: a head of model.dim={self.dim} is {self.head_dim} wide; "
                "rotary embeddings rotate pairs, so it must be even"
            )
        for key in ("norm_eps", "rope_theta"):
            if not 0 < getattr(self, key) < float("inf"):
                raise ValueError(f"model.{key}={getattr(self, key)}: must be positive and finite")

    @property
    def head_dim(self) -> int:
        return self.dim // self.n_heads

    @property
    def hidden_dim(self) -> int:
        """SwiGLU's hidden dim: two thirds of 4·dim, rounded up to `multiple_of` (paper §2.2)."""
        hidden = int(2 * (4 * self.dim) / 3)
        return self.multiple_of * -(-hidden // self.multiple_of)


class Llama(nn.Module):
    """Maps token ids to next-token logits, or to the mean loss if given labels."""

    rotations: Tensor  # complex64 (max_seq_len, head_dim / 2)

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

    def init_buffers(self) -> None:
        """Compute the rotation table on the parameters' device."""
        device = next(self.parameters()).device
        self.rotations = rotation_table(
            self.config.head_dim, self.config.max_seq_len, self.config.rope_theta, device
        )

    def _apply(self, fn, recurse: bool = True) -> "Llama":
        # Called to move, cast or empty the model: the table moves with it but is never cast.
        self._buffers["rotations"] = None
        super()._apply(fn, recurse)
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
    """Causal multi-head attention with rotary positions."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.wq = nn.Linear(config.dim, config.dim, bias=False)
        self.wk = nn.Linear(config.dim, config.dim, bias=False)
        self.wv = nn.Linear(config.dim, config.dim, bias=False)
        self.wo = nn.Linear(config.dim, config.dim, bias=False)

    def forward(self, x: Tensor, rotations: Tensor) -> Tensor:
        heads = (-1, self.head_dim)  # under tensor parallelism, this rank's heads
        q = rotate(self.wq(x).unflatten(-1, heads), rotations)  # (batch, seq, n_heads, head_dim)
        k = rotate(self.wk(x).unflatten(-1, heads), rotations)
        v = self.wv(x).unflatten(-1, heads)
        out = self.attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return self.wo(out.transpose(1, 2).flatten(-2))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Causal attention; q, k, v and the result are (batch, n_heads, seq, head_dim)."""
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


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


def rotation_table(head_dim: int, seq_len: int, theta: float, device: torch.device) -> Tensor:
    """e^(i · position · theta^(-2j / head_dim)), complex64 (seq_len, head_dim / 2)."""
    frequencies = theta ** (-torch.arange(0, head_dim, 2, device=device).float() / head_dim)
    angles = torch.outer(torch.arange(seq_len, device=device).float(), frequencies)
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x: Tensor, rotations: Tensor) -> Tensor:
    """Rotate each adjacent pair of `x` (batch, seq, n_heads, head_dim) by its position's angle, in fp32.

    rotations: (seq, head_dim / 2), or (batch, seq, head_dim / 2) if each sequence has its own positions.
    """
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))  # (batch, seq, n_heads, head_dim / 2)
    return torch.view_as_real(pairs * rotations.unsqueeze(-2)).flatten(-2).type_as(x)
