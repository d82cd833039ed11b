"""Which activations of a block are kept for backward, and which computed again.

`selective` is the paper's (section 2.4): keep what is expensive, the outputs of the linear layers and
of attention, and recompute the rest. `full` keeps a block's input only.
"""

from functools import partial

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
    """Make each block keep what `mode` says. Raises ValueError for an unknown one."""
    if mode not in MODES:
        raise ValueError(f"parallel.activation_checkpointing={mode}: expected one of {', '.join(MODES)}")
    if mode == "none":
        return
    options = {"use_reentrant": False, "preserve_rng_state": False}  # LLaMA has no dropout
    if mode == "selective":
        options["context_fn"] = partial(create_selective_checkpoint_contexts, _keep_expensive)
    for layer in model.layers:
        layer.forward = partial(checkpoint, layer.forward, **options)


def _keep_expensive(context, op, *args, **kwargs) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if op in EXPENSIVE else CheckpointPolicy.PREFER_RECOMPUTE
