"""One step's gradients under any layout: micro-batches in, summed gradients and their norm out.

Without a pipeline, micro-batches run one after another and their gradients accumulate; with one, they flow
through the pipeline's stages.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from model.llama import Llama
from model.parallelize.pipeline import Pipeline

MicroBatches = Iterable[tuple[Tensor, Tensor]]  # (inputs, labels), each (batch, seq)


def forward_backward(model: Llama | Pipeline, batches: MicroBatches, count: int) -> Tensor:
    """Compute the gradients of the mean loss of `count` micro-batches.

    Returns a scalar whose mean over ranks is that loss.
    """
    if isinstance(model, Pipeline):
        return model.forward_backward(batches)
    total = torch.zeros((), device=next(model.parameters()).device)
    for micro, (inputs, labels) in enumerate(batches):
        if isinstance(model, FSDPModule):  # not on a single rank
            model.set_requires_gradient_sync(micro == count - 1)
        loss = model(inputs, labels) / count
        loss.backward()
        total += loss.detach()
    return total


def clip_gradients(model: Llama | Pipeline, max_norm: float) -> Tensor:
    """Scale the gradients to a norm of at most `max_norm`; returns their norm before, over all ranks.

    A non-finite norm leaves them unchanged, so that the tensor it comes from can be found.
    """
    norm = get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    has_copies = False  # of a parameter, on ranks that compute the norm in different groups
    if isinstance(norm, DTensor):
        dimensions = norm.device_mesh.mesh_dim_names or ()
        has_copies = "dp_replicate" in dimensions or (isinstance(model, Pipeline) and len(dimensions) > 1)
        norm = norm.full_tensor()
    if isinstance(model, Pipeline):
        norm = model.norm_over_stages(norm)
    if has_copies:  # NCCL may add in another order on other machines, and the copies would drift apart
        dist.broadcast(norm, src=0)
    clip_grads_with_norm_(model.parameters(), max_norm, torch.where(norm.isfinite(), norm, 0.0))
    return norm
