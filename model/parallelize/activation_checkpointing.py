"""Which of a block's activations are kept for backward, and which are recomputed.

`selective` is the paper's (§2.4): keep the expensive outputs, those of the linear layers and of attention,
and recompute the rest. `full` keeps only a block's input.
"""

from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from model.llama import Llama

MODES = ("none", "selective", "full")
aten = torch.ops.aten
EXPENSIVE = {
    aten.mm.default,
    aten.linear.default,
    aten._scaled_dot_product_flash_attention.default,
    aten._scaled_dot_product_flash_attention_for_cpu.default,
    aten._scaled_dot_product_efficient_attention.default,
    aten._scaled_dot_product_cudnn_attention.default,
}


def checkpoint_activations(model: Llama, mode: str) -> None:
    """Apply `mode` to each block. Raises ValueError for an unknown mode."""
    if mode not in MODES:
        raise ValueError(f"parallel.activation_checkpointing={mode}: expected one of {', '.join(MODES)}")
    if mode == "none":
        return
    options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}  # LLaMA has no dropout
    if mode == "selective":
        options["context_fn"] = partial(create_selective_checkpoint_contexts, _keep_expensive)
    for layer in model.blocks:
        layer.forward = partial(checkpoint, layer.forward, **options)


def _keep_expensive(context, op, *args, **kwargs) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if op in EXPENSIVE else CheckpointPolicy.PREFER_RECOMPUTE
