"""A plain Llama in, the same model parallelized over a mesh out. The model's own code is unaware of it.

The order matters. Pipeline parallelism decides which layers a rank has; the rest applies to each of its
stages. Tensor and context parallelism change what a block computes. Activation checkpointing wraps that
arithmetic, and compile must see what it will recompute. FSDP2 is outermost: it gathers a block's weights
(this tp rank's) before anything else runs, including recomputation in backward; a single rank needs none of
it. All of them replace `forward` or hook onto it, so parameters keep their names.
"""

import torch
from torch.distributed.device_mesh import DeviceMesh

from model.llama import Llama
from model.parallelize.activation_checkpointing import checkpoint_activations
from model.parallelize.context import context_parallel
from model.parallelize.fsdp import shard
from model.parallelize.mesh import along
from model.parallelize.one_rank import compute_in
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
    """Parallelize `model` (on the meta device or not) over a `mesh` from `model.parallelize.mesh.build`.

    Parameters keep their dtype, and become DTensors if there are several ranks. Blocks compute in
    `param_dtype`, and gradients are averaged in `reduce_dtype`. The result is called as the model was and
    holds this rank's share of it.
    Raises ValueError, naming the key, for an unknown choice.
    """
    tp, cp, pp = (along(mesh, name) for name in ("tp", "cp", "pp"))
    stages = cut(model, pp, schedule, stages_per_rank) if pp else {0: model}
    alone = mesh.size() == 1
    if alone and param_dtype != torch.float32:
        compute_in(model, param_dtype)
    for stage in stages.values():
        if tp and tensor == "fairscale":
            from model.parallelize.fairscale_tensor import fairscale_tensor_parallel  # imports fairscale

            fairscale_tensor_parallel(stage, tp)
        elif tp:
            tensor_parallel(stage, tp)
        if cp:
            context_parallel(stage, cp)
        checkpoint_activations(stage, activation_checkpointing)
        if compile:
            for layer in stage.blocks:
                layer.forward = torch.compile(layer.forward)
        if not alone:
            shard(stage, mesh, param_dtype=param_dtype, reduce_dtype=reduce_dtype, reshard=reshard)
    if not pp:
        return model
    # between fairscale's layers, every tp rank holds all of its cp rank's sequence
    parts = mesh["cp"].size() * (mesh["tp"].size() if tensor == "dtensor" else 1)
    return Pipeline(stages, pp, schedule, dtype=param_dtype, sequence_parts=parts)
