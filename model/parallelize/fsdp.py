"""FSDP2: weights, gradients and optimizer state cut over the data-parallel ranks, gathered block by block."""

import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from model.llama import Llama


def shard(model: Llama, mesh: DeviceMesh, *, param_dtype: torch.dtype, reduce_dtype: torch.dtype) -> None:
    """Shard each block, then what is left (embedding, last norm, output), over the mesh's last dimension."""
    policy = MixedPrecisionPolicy(param_dtype=param_dtype, reduce_dtype=reduce_dtype)
    # One rank holds all weights anyway: freeing them after forward would only copy them once more.
    reshard = mesh.size(-1) > 1
    for layer in model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=reshard)
    # Backward begins with the root's weights, so they stay.
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=False)
