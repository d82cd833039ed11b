"""A plain Llama in, the same model laid over a mesh out; the model itself knows nothing of it.

The order matters. Activation checkpointing wraps a block's arithmetic, compile sees what it will
recompute, and FSDP2 goes outermost: it gathers a block's weights before any of that runs, also when
backward recomputes. All three replace `forward` or hook onto it, so no parameter changes its name.
"""

import torch
from torch.distributed.device_mesh import DeviceMesh

from model.llama import Llama
from model.parallelize.activation_checkpointing import checkpoint_activations
from model.parallelize.fsdp import shard


def parallelize(
    model: Llama,
    mesh: DeviceMesh,
    *,
    activation_checkpointing: str = "none",
    compile: bool = False,
    param_dtype: torch.dtype = torch.float32,
    reduce_dtype: torch.dtype = torch.float32,
) -> Llama:
    """Lay `model` (meta device or not) over `mesh`, whose dimensions are dp_replicate and dp_shard, or one.

    The parameters become DTensors of the dtype they have; blocks compute in `param_dtype` and gradients
    are averaged in `reduce_dtype`. Raises ValueError, naming the key, for an unknown choice.
    """
    checkpoint_activations(model, activation_checkpointing)
    if compile:
        for layer in model.layers:
            layer.forward = torch.compile(layer.forward)
    shard(model, mesh, param_dtype=param_dtype, reduce_dtype=reduce_dtype)
    return model
