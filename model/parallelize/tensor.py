"""Tensor parallelism by DTensor, with sequence parallelism: tp ranks share each matrix (arXiv 1909.08053).

Attention and feed-forward each start with matrices split by output (heads, hidden units) and end with one
split by input, so each communicates twice: it gathers the sequence before and reduce-scatters it after. In
between, each rank holds part of the sequence (arXiv 2205.05198), norms included. Their scales are DTensors
too, because gradient clipping cannot mix meshes. The vocabulary is split as well, and the loss never
gathers the logits.
"""

from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from model.llama import Llama
from model.loss import next_token_loss

SEQUENCE = Shard(1)  # activations are (batch, seq, dim)


def tensor_parallel(model: Llama, mesh: DeviceMesh, *, sequence: bool = True) -> None:
    """Split the matrices, the activations between them and the loss over `mesh`, in place.

    Without `sequence`, every rank holds the full activations and can read any number of tokens: for
    generation.
    """
    if not sequence:
        _whole_sequences(model, mesh)
        return
    by_output, by_input = ColwiseParallel, partial(RowwiseParallel, output_layouts=SEQUENCE)
    for layer in model.blocks:
        plan = {
            "attention_norm": SequenceParallel(),
            "attention": PrepareModuleInput(
                input_layouts=(SEQUENCE, None), desired_input_layouts=(Replicate(), None)
            ),
            **{f"attention.{name}": by_output() for name in ("wq", "wk", "wv")},
            "attention.wo": by_input(),
            "ffn_norm": SequenceParallel(),
            "feed_forward": PrepareModuleInput(input_layouts=SEQUENCE, desired_input_layouts=Replicate()),
            **{f"feed_forward.{name}": by_output() for name in ("w1", "w3")},
            "feed_forward.w2": by_input(),
        }
        parallelize_module(layer, mesh, plan)
    ends = {
        "tok_embeddings": by_input(input_layouts=Replicate()),
        "norm": SequenceParallel(),
        "output": ColwiseParallel(input_layouts=SEQUENCE, output_layouts=Replicate()),
    }
    # A pipeline stage may lack an end and have an Identity, without weights, in its place.
    parallelize_module(
        model, mesh, {name: ends[name] for name in ends if [*getattr(model, name).parameters()]}
    )
    model.tie()
    model.tok_embeddings.register_forward_hook(_received)
    model.loss = partial(_loss, model, mesh)


def _received(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
    """`output` once it has arrived: a compiled block loses the gradient of an input that is still on its way
    (torch 2.13)."""
    return output.clone() if isinstance(output, AsyncCollectiveTensor) else output


def _whole_sequences(model: Llama, mesh: DeviceMesh) -> None:
    plan = {
        **{f"attention.{name}": ColwiseParallel() for name in ("wq", "wk", "wv")},
        "attention.wo": RowwiseParallel(),
        **{f"feed_forward.{name}": ColwiseParallel() for name in ("w1", "w3")},
        "feed_forward.w2": RowwiseParallel(),
    }
    for layer in model.blocks:
        parallelize_module(layer, mesh, plan)
    ends = {
        "tok_embeddings": RowwiseParallel(input_layouts=Replicate()),
        "output": ColwiseParallel(output_layouts=Replicate()),
    }
    parallelize_module(model, mesh, ends)
    model.tie()


def _loss(model: Llama, mesh: DeviceMesh, hidden: Tensor, labels: Tensor) -> Tensor:
    """`Llama.loss` with the vocabulary sharded; `hidden` is a DTensor sharded along the sequence."""
    # Each rank's logits give part of hidden's gradient; backward reduce-scatters it along the sequence.
    weight = model.output.weight
    assert isinstance(hidden, DTensor) and isinstance(weight, DTensor)
    hidden = hidden.redistribute(placements=[Replicate()]).to_local(grad_placements=[Partial()])
    weight = weight.to_local()
    first = mesh.get_local_rank() * len(weight)
    return next_token_loss(
        hidden, weight, labels, partial(vocabulary_cross_entropy, first=first, group=mesh.get_group())
    )


def vocabulary_cross_entropy(
    logits: Tensor, labels: Tensor, *, first: int, group: dist.ProcessGroup
) -> tuple[Tensor, Tensor]:
    """`model.loss.cross_entropy` for the shard of the vocabulary that starts at token `first`."""
    logits = logits.float()
    top = logits.amax(dim=-1)
    dist.all_reduce(top, dist.ReduceOp.MAX, group)
    logits = logits - top[:, None]
    mine = labels - first
    inside = (mine >= 0) & (mine < logits.shape[1])
    at_label = torch.arange(len(labels), device=labels.device), mine.clamp(0, logits.shape[1] - 1)
    label_logit = logits[at_label] * inside
    grad = logits.exp_()
    sums = torch.stack((grad.sum(dim=-1), label_logit))
    dist.all_reduce(sums, group=group)
    total, label_logit = sums
    grad /= total[:, None]
    grad[at_label] -= inside.float()
    return (total.log() - label_logit).sum(), grad
