"""LLaMA's transformer as in the paper (arXiv 2302.13971, §2.2): token ids in, logits or loss out.

Pre-norm RMSNorm, rotary positions in every layer, causal attention, SwiGLU, no biases, embedding and output
not tied. The default shape is LLaMA's; Llama 2 and 3 add grouped-query attention (arXiv 2305.13245), slower
rotations for longer contexts and, in small models, one matrix as embedding and output. Parameters have the
names of Meta's checkpoints. This file knows nothing of devices or ranks; `model/parallelize` spreads the
model over them from outside.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import LlamaConfig
from model.loss import next_token_loss
from model.rotary import rotate, rotation_table


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


def shared(q: Tensor, k: Tensor) -> bool:
    """Whether groups of `q`'s neighboring heads share one of `k`'s; both (batch, heads, seq, head_dim)."""
    return q.shape[1] != k.shape[1]
