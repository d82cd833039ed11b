"""Tensor parallel by DTensor, with sequence parallel: each matrix cut over the tp ranks (arXiv 1909.08053).

Attention and feed-forward each begin with matrices cut by output (heads, hidden units) and end with one
cut by input, so they talk twice: the sequence is gathered before, and summed and scattered after. Between
them each rank holds a part of the sequence (arXiv 2205.05198), norms included, whose scales are DTensors
too, or gradient clipping would meet tensors of two meshes. The vocabulary is cut as well, and the loss
never gathers the logits.
"""

from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Partial, Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from model.llama import Llama
from model.loss import next_token_loss

SEQUENCE = Shard(1)  # of an activation (batch, seq, dim)


def tensor_parallel(model: Llama, mesh: DeviceMesh, *, sequence: bool = True) -> None:
    """Cut the matrices, the activations between them and the loss over `mesh`, in place.

    Without `sequence` the activations between stay whole, to read any number of tokens: not for training.
    """
    if not sequence:
        _whole_sequences(model, mesh)
        return
    by_output, by_input = ColwiseParallel, partial(RowwiseParallel, output_layouts=SEQUENCE)
    for layer in model.layers:
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
    # A pipeline's stage may lack an end: something without weights stands there.
    parallelize_module(
        model, mesh, {name: ends[name] for name in ends if [*getattr(model, name).parameters()]}
    )
    model.loss = partial(_loss, model, mesh)


def _whole_sequences(model: Llama, mesh: DeviceMesh) -> None:
    plan = {
        **{f"attention.{name}": ColwiseParallel() for name in ("wq", "wk", "wv")},
        "attention.wo": RowwiseParallel(),
        **{f"feed_forward.{name}": ColwiseParallel() for name in ("w1", "w3")},
        "feed_forward.w2": RowwiseParallel(),
    }
    for layer in model.layers:
        parallelize_module(layer, mesh, plan)
    ends = {
        "tok_embeddings": RowwiseParallel(input_layouts=Replicate()),
        "output": ColwiseParallel(output_layouts=Replicate()),
    }
    parallelize_module(model, mesh, ends)


def _loss(model: Llama, mesh: DeviceMesh, hidden: Tensor, labels: Tensor) -> Tensor:
    """`Llama.loss` where each rank has a part of the vocabulary: `hidden` is a DTensor cut by sequence."""
    # A rank's words give a part of hidden's gradient; their sum is scattered back over the sequence.
    hidden = hidden.redistribute(placements=[Replicate()]).to_local(grad_placements=[Partial()])
    weight = model.output.weight.to_local()
    first = mesh.get_local_rank() * len(weight)
    return next_token_loss(
        hidden, weight, labels, partial(vocabulary_cross_entropy, first=first, group=mesh.get_group())
    )


def vocabulary_cross_entropy(
    logits: Tensor, labels: Tensor, *, first: int, group: dist.ProcessGroup
) -> tuple[Tensor, Tensor]:
    """`model.loss.cross_entropy`, where `logits` (rows, words) are of the words from `first` on."""
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
