"""FSDP2: weights, gradients and optimizer state cut over the data-parallel ranks, gathered block by block.

Context-parallel ranks hold different tokens of the same samples, so their gradients are averaged with
the data-parallel ranks', and the weights are cut over them too. With `dp_replicate` above 1 (HSDP) a
whole copy lies on each such group, and the gathering stays within it.
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
    """Shard each block, then what is left (embedding, last norm, output).

    `reshard`: whether a block's weights are freed after forward and gathered again for backward. `auto`
    frees them unless one rank holds all anyway, or a pipeline's every micro-batch would gather them again.
    Raises ValueError for an unknown choice.
    """
    if reshard not in RESHARD:
        raise ValueError(f"parallel.reshard={reshard}: expected one of {', '.join(RESHARD)}")
    pipelined, mesh = mesh["pp"].size() > 1, data_mesh(mesh)
    policy = MixedPrecisionPolicy(param_dtype=param_dtype, reduce_dtype=reduce_dtype)
    # One rank holds all weights anyway: freeing them after forward would only copy them once more.
    frees = {"auto": mesh.size(-1) > 1 and not pipelined, "always": True, "never": False}[reshard]
    for layer in model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=frees)
    # Backward begins with the root's weights, so they stay.
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=False)


def data_mesh(mesh: DeviceMesh) -> DeviceMesh:
    """The ranks whose gradients are averaged: (dp_replicate, dp_shard × cp), or the last alone."""
    shards = mesh["dp_shard"]
    if mesh["cp"].size() > 1:
        shards = mesh["dp_shard", "cp"]._flatten("dp_shard_cp")
    if mesh["dp_replicate"].size() == 1:
        return shards
    return DeviceMesh._concatenate([mesh["dp_replicate"], shards])
