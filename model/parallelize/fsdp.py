"""FSDP2: weights, gradients and optimizer state sharded over the data-parallel ranks, gathered by block.

Context-parallel ranks hold different tokens of the same samples, so their gradients are averaged with the
data-parallel ranks', and the weights are sharded over them too. With `dp_replicate` above 1 (HSDP), each
replica has a complete copy and gathers only within itself.
"""

import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from model.llama import Llama

RESHARD = ("auto", "always", "never")


def shard(
    model: Llama,
    mesh: DeviceMesh,
    *,
    param_dtype: torch.dtype,
    reduce_dtype: torch.dtype,
    reshard: str = "auto",
) -> None:
    """Shard each block, then the rest (embedding, last norm, output).

    `reshard`: whether to free a block's weights after forward and gather them again for backward. `auto`
    frees them unless one rank holds everything anyway, or a pipeline would gather them again for every
    micro-batch. Raises ValueError for an unknown choice.
    """
    if reshard not in RESHARD:
        raise ValueError(f"parallel.reshard={reshard}: expected one of {', '.join(RESHARD)}")
    pipelined, mesh = mesh["pp"].size() > 1, data_mesh(mesh)
    # Blocks get their inputs in param_dtype already, except the rotation table, which must stay exact.
    policy = MixedPrecisionPolicy(
        param_dtype=param_dtype, reduce_dtype=reduce_dtype, cast_forward_inputs=False
    )
    # On one rank, freeing the weights after forward would only copy them once more.
    frees = {"auto": mesh.shape[-1] > 1 and not pipelined, "always": True, "never": False}[reshard]
    for layer in model.blocks:
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=frees)
    # Backward starts with the root's weights, so keep them.
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=False)


def data_mesh(mesh: DeviceMesh) -> DeviceMesh:
    """The ranks that average gradients: (dp_replicate, dp_shard × cp), or just the latter."""
    shards = mesh["dp_shard"]
    if mesh["cp"].size() > 1:
        shards = mesh["dp_shard", "cp"]._flatten("dp_shard_cp")
    if mesh["dp_replicate"].size() == 1:
        return shards
    return DeviceMesh._concatenate([mesh["dp_replicate"], shards])
