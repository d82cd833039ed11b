"""The model as Meta's released code builds it, from fairscale's parallel layers, on a group of processes."""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from fairscale.nn.model_parallel.initialize import initialize_model_parallel
from fairscale.nn.model_parallel.layers import ColumnParallelLinear, ParallelEmbedding, RowParallelLinear
from torch import nn


def metas_logits(folder: str, hidden_dim: int, vocab_size: int, tokens: torch.Tensor, rank: int, ranks: int):
    """Load this rank's consolidated.NN.pth as in Meta's example.py, and return the logits."""
    initialize_model_parallel(ranks)
    params = json.loads((Path(folder) / "params.json").read_text())
    model = Transformer(params, hidden_dim, vocab_size)
    checkpoint = torch.load(Path(folder) / f"consolidated.{rank:02d}.pth", weights_only=False)
    result = model.load_state_dict(checkpoint, strict=False)
    assert not result.missing_keys and result.unexpected_keys == ["rope.freqs"], result
    with torch.no_grad():
        return model(tokens)


class Transformer(nn.Module):
    def __init__(self, params: dict, hidden_dim: int, vocab_size: int) -> None:
        super().__init__()
        self.params = params
        dim = params["dim"]
        self.tok_embeddings = ParallelEmbedding(vocab_size, dim)
        self.layers = nn.ModuleList(Block(params, hidden_dim) for _ in range(params["n_layers"]))
        self.norm = Norm(dim, params["norm_eps"])
        self.output = ColumnParallelLinear(dim, vocab_size, bias=False)

    def forward(self, tokens):
        head_dim = self.params["dim"] // self.params["n_heads"]
        frequencies = 1.0 / (10000.0 ** (torch.arange(0, head_dim, 2).float() / head_dim))
        angles = torch.outer(torch.arange(tokens.shape[1]).float(), frequencies)
        rotations = torch.polar(torch.ones_like(angles), angles)
        h = self.tok_embeddings(tokens)
        for layer in self.layers:
            h = layer(h, rotations)
        return self.output(self.norm(h))


class Block(nn.Module):
    def __init__(self, params: dict, hidden_dim: int) -> None:
        super().__init__()
        self.attention = Attention(params)
        self.feed_forward = nn.Module()
        self.feed_forward.w1 = ColumnParallelLinear(
            params["dim"], hidden_dim, bias=False, gather_output=False
        )
        self.feed_forward.w2 = RowParallelLinear(
            hidden_dim, params["dim"], bias=False, input_is_parallel=True
        )
        self.feed_forward.w3 = ColumnParallelLinear(
            params["dim"], hidden_dim, bias=False, gather_output=False
        )
        self.attention_norm = Norm(params["dim"], params["norm_eps"])
        self.ffn_norm = Norm(params["dim"], params["norm_eps"])

    def forward(self, x, rotations):
        h = x + self.attention(self.attention_norm(x), rotations)
        y: torch.Tensor = self.ffn_norm(h)
        mlp: Any = self.feed_forward
        return h + mlp.w2(F.silu(mlp.w1(y)) * mlp.w3(y))


class Attention(nn.Module):
    def __init__(self, params: dict) -> None:
        super().__init__()
        dim, self.head_dim = params["dim"], params["dim"] // params["n_heads"]
        self.wq = ColumnParallelLinear(dim, dim, bias=False, gather_output=False)
        self.wk = ColumnParallelLinear(dim, dim, bias=False, gather_output=False)
        self.wv = ColumnParallelLinear(dim, dim, bias=False, gather_output=False)
        self.wo = RowParallelLinear(dim, dim, bias=False, input_is_parallel=True)

    def forward(self, x, rotations):
        batch, seq, _ = x.shape
        q, k, v = (w(x).view(batch, seq, -1, self.head_dim) for w in (self.wq, self.wk, self.wv))
        q, k = turn(q, rotations).transpose(1, 2), turn(k, rotations).transpose(1, 2)
        scores = q @ k.transpose(2, 3) / self.head_dim**0.5
        scores = scores + torch.full((seq, seq), float("-inf")).triu(1)
        out = F.softmax(scores.float(), dim=-1) @ v.transpose(1, 2)
        return self.wo(out.transpose(1, 2).reshape(batch, seq, -1))


class Norm(nn.Module):
    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def turn(x, rotations):
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * rotations.view(1, x.shape[1], 1, -1)).flatten(3)
