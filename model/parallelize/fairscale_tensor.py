"""Tensor parallelism by fairscale's layers, with which LLaMA was trained (paper §2.4, Meta's model.py).

Matrices are split as in `tensor.py`, except the embedding, split by dim as in Meta's code unless it is the
output's matrix too or the ranks do not divide dim. There is no sequence parallelism: between matrices every
tp rank holds the full sequence. Outside, each parameter is a DTensor over the tp ranks, so FSDP2 shards it
further, a norm counts it once, and checkpoints equal those of every layout. Only fairscale's arithmetic sees
this rank's shard.
"""

from functools import partial
from typing import Any, TypeVar

import fairscale.nn.model_parallel.initialize as fairscale_groups
import torch.nn.functional as F
from fairscale.nn.model_parallel.layers import (
    ColumnParallelLinear,
    ParallelEmbedding,
    RowParallelLinear,
    VocabParallelEmbedding,
)
from fairscale.nn.model_parallel.mappings import (
    copy_to_model_parallel_region,
    reduce_from_model_parallel_region,
)
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard, distribute_tensor

from model.llama import Llama, RMSNorm
from model.loss import next_token_loss
from model.parallelize.tensor import vocabulary_cross_entropy

M = TypeVar("M", bound=nn.Module)


def fairscale_tensor_parallel(model: Llama, mesh: DeviceMesh) -> None:
    """Replace the model's layers with fairscale's, in place, over the tp ranks of `mesh`."""
    # fairscale's own set-up would create groups for the entire world and can run only once.
    fairscale_groups._MODEL_PARALLEL_GROUP = mesh.get_group()
    for layer in model.blocks:
        for part, split_by_output, split_by_input in (
            (layer.attention, ("wq", "wk", "wv"), "wo"),
            (layer.feed_forward, ("w1", "w3"), "w2"),
        ):
            for name in split_by_output:
                setattr(part, name, _column(getattr(part, name), mesh))
            setattr(part, split_by_input, _row(getattr(part, split_by_input), mesh))
        layer.attention_norm = _norm(layer.attention_norm, mesh)
        layer.ffn_norm = _norm(layer.ffn_norm, mesh)
    # A pipeline stage may lack an end and have an Identity, without weights, in its place.
    if isinstance(model.tok_embeddings, nn.Embedding):
        is_even = model.config.dim % mesh.size() == 0  # heads of their own size leave dim free
        split = _embedding if is_even and not model.config.tie_word_embeddings else _row_embedding
        model.add_module("tok_embeddings", split(model.tok_embeddings, mesh))
    if isinstance(model.output, nn.Linear):
        model.norm = _norm(model.norm, mesh)
        model.add_module("output", _column(model.output, mesh, gather=True))
    model.tie()
    model.loss = partial(_loss, model, mesh)


class _Local(nn.Module):
    """A layer whose `weight` is a DTensor, except while it computes: then it is this rank's shard."""

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        self.__dict__["weight"] = local_weight(self)  # takes precedence over the parameter of that name
        try:
            return super().forward(*args, **kwargs)
        finally:
            del self.__dict__["weight"]


class Column(_Local, ColumnParallelLinear):
    """Split by output."""


class Row(_Local, RowParallelLinear):
    """Split by input; each rank's input is already its part."""

    def forward(self, input_: Tensor) -> Tensor:
        # Unlike fairscale's, do not reduce in place the product that selective checkpointing keeps.
        return reduce_from_model_parallel_region(F.linear(input_, local_weight(self)).clone())


class Embedding(_Local, ParallelEmbedding):
    """Split by dim."""


class RowEmbedding(_Local, VocabParallelEmbedding):
    """Split by token, as the output is, whose matrix it shares."""


class Norm(_Local, RMSNorm):
    """Replicated on every rank."""


def local_weight(layer: nn.Module) -> Tensor:
    """This rank's shard of a layer's weight; differentiable."""
    weight = layer._parameters["weight"]
    assert isinstance(weight, DTensor)
    return weight.to_local()


def _column(linear: nn.Linear, mesh: DeviceMesh, gather: bool = False) -> Column:
    # Construct it one feature wide: fairscale would draw and split the full matrix on every rank.
    layer = Column(1, mesh.size(), bias=False, gather_output=gather, init_method=_nothing)
    layer.in_features, layer.out_features = linear.in_features, linear.out_features
    layer.output_size_per_partition = linear.out_features // mesh.size()
    return _with_weight(layer, linear.weight, mesh, Shard(0))


def _row(linear: nn.Linear, mesh: DeviceMesh) -> Row:
    layer = Row(mesh.size(), 1, bias=False, input_is_parallel=True, init_method=_nothing)
    layer.in_features, layer.out_features = linear.in_features, linear.out_features
    layer.input_size_per_partition = linear.in_features // mesh.size()
    return _with_weight(layer, linear.weight, mesh, Shard(1))


def _embedding(embedding: nn.Embedding, mesh: DeviceMesh) -> Embedding:
    layer = Embedding(1, mesh.size(), init_method=_nothing)
    layer.num_embeddings, layer.embedding_dim = embedding.num_embeddings, embedding.embedding_dim
    layer.embedding_dim_per_partition = embedding.embedding_dim // mesh.size()
    return _with_weight(layer, embedding.weight, mesh, Shard(1))


def _row_embedding(embedding: nn.Embedding, mesh: DeviceMesh) -> RowEmbedding:
    layer = RowEmbedding(mesh.size(), 1, init_method=_nothing)
    layer.num_embeddings, layer.embedding_dim = embedding.num_embeddings, embedding.embedding_dim
    rows = layer.num_embeddings_per_partition = embedding.num_embeddings // mesh.size()
    layer.vocab_start_index = mesh.get_local_rank() * rows
    layer.vocab_end_index = layer.vocab_start_index + rows
    return _with_weight(layer, embedding.weight, mesh, Shard(0))


def _norm(norm: RMSNorm, mesh: DeviceMesh) -> Norm:
    return _with_weight(Norm(1, norm.eps), norm.weight, mesh, Replicate())


def _with_weight(layer: M, weight: Tensor, mesh: DeviceMesh, placement: Placement) -> M:
    layer._parameters["weight"] = nn.Parameter(distribute_tensor(weight.detach(), mesh, [placement]))
    return layer


def _loss(model: Llama, mesh: DeviceMesh, hidden: Tensor, labels: Tensor) -> Tensor:
    """`Llama.loss` with the vocabulary sharded; `hidden` is replicated."""
    weight = local_weight(model.output)
    cross_entropy = partial(
        vocabulary_cross_entropy, first=mesh.get_local_rank() * len(weight), group=mesh.get_group()
    )
    return next_token_loss(copy_to_model_parallel_region(hidden), weight, labels, cross_entropy)


def _nothing(weight: Tensor) -> Tensor:
    return weight
