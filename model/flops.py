"""What a model costs: its parameters, and the floating-point operations of training on one token.

The count is RECIPE section 5's, which the paper's tokens/s/GPU are compared on: 6 per weight of every
matrix product (2 forward, 4 backward), and attention counted causally. The embedding is a look-up and
activation checkpointing's recomputation is overhead: neither counts.
"""

from model.llama import LlamaConfig


def n_params(config: LlamaConfig) -> int:
    """Parameters of the model, without building it."""
    norms = (2 * config.n_layers + 1) * config.dim
    return config.vocab_size * config.dim + _matrix_weights(config) + norms


def flops_per_token(config: LlamaConfig, seq_len: int) -> int:
    """Forward and backward operations for one token in a sequence of `seq_len`."""
    # Scores and values are 2·seq·dim operations each, of which causality computes half; backward twice that.
    attention = 3 * (2 * 2 * seq_len * config.dim) // 2
    return 6 * _matrix_weights(config) + config.n_layers * attention


def _matrix_weights(config: LlamaConfig) -> int:
    layer = 4 * config.dim * config.dim + 3 * config.dim * config.hidden_dim
    return config.n_layers * layer + config.vocab_size * config.dim
