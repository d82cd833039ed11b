"""Where a step's bad value came from: the rank, the host and the tensor of the most suspicious gradient."""

import math

import torch
from torch import nn

from train.checkpoint.checksums import local
from train.ranks import identity
from train.ranks.together import gather_objects


@torch.no_grad()
def suspect(model: nn.Module) -> str:
    """The tensor whose gradient is not finite, or else the one with the largest entry; all ranks call it.

    Gradients are summed over ranks before anyone can see them, so this is the rank that holds the shard.
    """
    worst: tuple[float, str] = (-1.0, "no tensor")
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and parameter.grad.numel():
            flat = local(parameter.grad)
            size = float(flat.abs().max()) if flat.numel() else 0.0
            worst = max(worst, (size if math.isfinite(size) else math.inf, name))
    found = gather_objects((worst, identity.node()))
    rank = max(range(len(found)), key=lambda rank: found[rank][0])
    (size, name), host = found[rank]
    what = "largest gradient entry" if size < math.inf else "not finite"
    return f"{what}: {name} on rank {rank} ({host})"
