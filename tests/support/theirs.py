"""transformers' LlamaForCausalLM with our model's shape and weights (docs/recipe.md §6)."""

from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig as TheirConfig
from transformers import LlamaForCausalLM

from model.config import LlamaConfig
from model.llama import Llama

OUTER = {
    "tok_embeddings.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
INNER = {
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def their_name(name: str) -> str:
    """Meta's parameter name to Hugging Face's."""
    if name in OUTER:
        return OUTER[name]
    _, layer, inner = name.split(".", 2)
    return f"model.layers.{layer}.{INNER[inner.removesuffix('.weight')]}.weight"


def to_theirs(name: str, tensor: torch.Tensor, head_dim: int) -> torch.Tensor:
    """Meta's adjacent pairs of q and k rows to Hugging Face's halves; gradients are permuted the same way."""
    if not name.endswith(("wq.weight", "wk.weight")):
        return tensor
    rows, columns = tensor.shape
    pairs = tensor.view(rows // head_dim, head_dim // 2, 2, columns)
    return pairs.transpose(1, 2).reshape(rows, columns)


def their_rope(config: LlamaConfig) -> dict:
    if config.rope_scaling == 1:
        return {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_type == "yarn":
        return {
            "rope_type": "yarn",
            "rope_theta": config.rope_theta,
            "factor": config.rope_scaling,
            "beta_slow": config.rope_low_freq_factor,
            "beta_fast": config.rope_high_freq_factor,
            "original_max_position_embeddings": config.rope_original_seq_len,
            "attention_factor": config.rope_attention_factor,
        }
    if config.rope_low_freq_factor == config.rope_original_seq_len:  # every rotation is slow
        return {"rope_type": "linear", "rope_theta": config.rope_theta, "factor": config.rope_scaling}
    return {
        "rope_type": "llama3",
        "rope_theta": config.rope_theta,
        "factor": config.rope_scaling,
        "low_freq_factor": config.rope_low_freq_factor,
        "high_freq_factor": config.rope_high_freq_factor,
        "original_max_position_embeddings": config.rope_original_seq_len,
    }


def their_model(config: LlamaConfig, ours: Llama) -> Any:
    """transformers' LlamaForCausalLM, whose own types lack `generate`, with our dtype and weights."""
    theirs: nn.Module = LlamaForCausalLM(
        TheirConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.dim,
            intermediate_size=config.hidden_dim,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.kv_heads,
            head_dim=config.head_dim,
            rope_parameters=their_rope(config),
            max_position_embeddings=config.max_seq_len,
            rms_norm_eps=config.norm_eps,
            tie_word_embeddings=config.tie_word_embeddings,
            use_cache=False,
            attn_implementation="sdpa",  # pyright: ignore[reportCallIssue] - not in its type
        )
    )
    theirs = nn.Module.to(theirs, next(ours.parameters()).dtype)
    target: dict[str, nn.Parameter] = dict(theirs.named_parameters())
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            target.pop(their_name(name)).copy_(to_theirs(name, parameter, config.head_dim))
    assert not target, f"weights of theirs that ours has not: {list(target)}"
    return theirs
