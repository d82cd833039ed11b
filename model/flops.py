"""A model's parameters, and the FLOPs of training it on one token.

Counted as in docs/recipe.md §5, where the paper's tokens/s per GPU are compared: 6 per weight of every matrix
product (2 forward, 4 backward), plus causal attention. The embedding is a lookup, and what activation
checkpointing recomputes is overhead; neither counts.
"""

from model.config import LlamaConfig


def n_params(config: LlamaConfig) -> int:
    """The number of parameters, without building the model."""
    norms = (2 * config.n_layers + 1) * config.dim
    embedding = 0 if config.tie_word_embeddings else config.vocab_size * config.dim
    return embedding + _matrix_weights(config) + norms


def flops_per_token(config: LlamaConfig, seq_len: int) -> int:
    """Forward and backward FLOPs for one token in a sequence of `seq_len`."""
    # Scores and weighted values take 2·seq·width each; causality halves both; backward costs twice as much.
    attention = 3 * (2 * 2 * seq_len * config.n_heads * config.head_dim) // 2
    return 6 * _matrix_weights(config) + config.n_layers * attention


def _matrix_weights(config: LlamaConfig) -> int:
    attention = 2 * (config.n_heads + config.kv_heads) * config.head_dim * config.dim
    layer = attention + 3 * config.dim * config.hidden_dim
    return config.n_layers * layer + config.vocab_size * config.dim
