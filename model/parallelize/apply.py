"""A plain Llama in, the same model laid over a mesh out; the model itself knows nothing of it.

The order matters. Tensor and context parallel change what a block computes; activation checkpointing
wraps that arithmetic, compile sees what it will recompute, and FSDP2 goes outermost: it gathers a block's
weights (of this tp rank) before any of that runs, also when backward recomputes. All of them replace
`forward` or hook onto it, so no parameter changes its name.
"""

import torch
from torch.distributed.device_mesh import DeviceMesh

from model.llama import Llama
from model.parallelize.activation_checkpointing import checkpoint_activations
from model.parallelize.context import context_parallel
from model.parallelize.fsdp import shard
from model.parallelize.mesh import along
from model.parallelize.tensor import tensor_parallel


def parallelize(
    model: Llama,
    mesh: DeviceMesh,
    *,
    activation_checkpointing: str = "none",
    compile: bool = False,
    reshard: str = "auto",
    param_dtype: torch.dtype = torch.float32,
    reduce_dtype: torch.dtype = torch.float32,
) -> Llama:
    """Lay `model` (meta device or not) over `mesh`, one of `model.parallelize.mesh.build`.

    The parameters become DTensors of the dtype they have; blocks compute in `param_dtype` and gradients
    are averaged in `reduce_dtype`. Raises ValueError, naming the key, for an unknown choice.
    """
    if tp := along(mesh, "tp"):
        tensor_parallel(model, tp)
    if cp := along(mesh, "cp"):
        context_parallel(model, cp)
    checkpoint_activations(model, activation_checkpointing)
    if compile:
        for layer in model.layers:
            layer.forward = torch.compile(layer.forward)
    shard(model, mesh, param_dtype=param_dtype, reduce_dtype=reduce_dtype, reshard=reshard)
    return model
