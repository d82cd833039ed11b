"""A plain Llama in, the same model laid over a mesh out; the model itself knows nothing of it.

The order matters. Pipeline parallel decides which layers a rank has at all; the rest happens to each of its
stages. Tensor and context parallel change what a block computes; activation checkpointing
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
from model.parallelize.pipeline import Pipeline, cut
from model.parallelize.tensor import tensor_parallel


def parallelize(
    model: Llama,
    mesh: DeviceMesh,
    *,
    activation_checkpointing: str = "none",
    compile: bool = False,
    reshard: str = "auto",
    tensor: str = "dtensor",
    schedule: str = "1f1b",
    stages_per_rank: int | None = None,
    param_dtype: torch.dtype = torch.float32,
    reduce_dtype: torch.dtype = torch.float32,
) -> Llama | Pipeline:
    """Lay `model` (meta device or not) over `mesh`, one of `model.parallelize.mesh.build`.

    The parameters become DTensors of the dtype they have; blocks compute in `param_dtype` and gradients
    are averaged in `reduce_dtype`. What comes back is called like the model was, and holds this rank's
    part of it. Raises ValueError, naming the key, for an unknown choice.
    """
    tp, cp, pp = (along(mesh, name) for name in ("tp", "cp", "pp"))
    stages = cut(model, pp, schedule, stages_per_rank) if pp else {0: model}
    for stage in stages.values():
        if tp and tensor == "fairscale":
            from model.parallelize.fairscale_tensor import fairscale_tensor_parallel  # others do without

            fairscale_tensor_parallel(stage, tp)
        elif tp:
            tensor_parallel(stage, tp)
        if cp:
            context_parallel(stage, cp)
        checkpoint_activations(stage, activation_checkpointing)
        if compile:
            for layer in stage.layers:
                layer.forward = torch.compile(layer.forward)
        shard(stage, mesh, param_dtype=param_dtype, reduce_dtype=reduce_dtype, reshard=reshard)
    if not pp:
        return model
    # fairscale's layers leave the sequence whole between the matrices.
    parts = mesh["cp"].size() * (mesh["tp"].size() if tensor == "dtensor" else 1)
    return Pipeline(stages, pp, schedule, dtype=param_dtype, sequence_parts=parts)
