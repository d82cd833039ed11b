"""Pipeline parallelism: layers split into stages on different ranks, through which micro-batches flow.

A stage is a `Llama` without the other stages' layers. A missing embedding or head is an Identity, so that
`Llama.forward` passes on hidden states from the previous stage as it would embedded tokens, and every
parameter keeps its full name. torch.distributed.pipelining schedules the stages and their communication.
The micro-batches are those of gradient accumulation.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from model.llama import Llama
from model.parallelize.schedules import SCHEDULES, costs, rank_of, split


def cut(model: Llama, mesh: DeviceMesh, schedule: str, stages_per_rank: int | None) -> dict[int, Llama]:
    """This rank's stages by number; they share `model`'s layers."""
    kind, rank, size = SCHEDULES[schedule], mesh.get_local_rank(), mesh.size()
    total = size * (stages_per_rank or kind.stages)
    layers = split(model.config, total)
    return {
        number: _stage(model, layers[number], number == 0, number == total - 1)
        for number in range(total)
        if rank_of(number, size, kind) == rank
    }


def _stage(model: Llama, layers: range, first: bool, last: bool) -> Llama:
    with torch.device("meta"):
        stage = Llama(model.config)
    for number, layer in model.layers.named_children():
        if int(number) in layers:
            setattr(stage.layers, number, layer)
        else:
            delattr(stage.layers, number)
    for name, present in (("tok_embeddings", first), ("norm", last), ("output", last)):
        setattr(stage, name, getattr(model, name) if present else nn.Identity())
    stage.init_buffers()
    return stage


class Pipeline(nn.Module):
    """This rank's stages as one module, with their parameters by full name."""

    def __init__(
        self,
        stages: dict[int, Llama],
        mesh: DeviceMesh,
        schedule: str,
        dtype: torch.dtype,
        sequence_parts: int,
    ) -> None:
        """`stages` by number, already parallelized over the other dimensions. Hidden states of `dtype` pass
        between them; each rank has one of `sequence_parts` parts of a sequence."""
        super().__init__()
        self.kind, self.group = SCHEDULES[schedule], mesh.get_group()
        self.rank, self.size = mesh.get_local_rank(), mesh.size()
        self.stages = stages  # a dict, so not registered: each parameter has one name
        self.total = self.size * len(stages)
        self.config = next(iter(stages.values())).config
        self.dtype, self.sequence_parts = dtype, sequence_parts
        self.progressed: Callable[[], object] = lambda: None  # called as micro-batches pass in training
        self._schedules: dict[tuple, Any] = {}
        self.layers = nn.Module()
        for number, stage in stages.items():
            for name, part in stage.layers.named_children():
                self.layers.add_module(name, part)
            for name in ("tok_embeddings", "norm", "output"):
                if not isinstance(part := getattr(stage, name), nn.Identity):
                    self.add_module(name, part)
            _accept_hidden_states(stage, last=number == self.total - 1)

    def forward_backward(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """Compute the gradients of the micro-batches' mean loss.

        Returns a scalar whose mean over ranks is that loss.
        """
        batches = list(batches)
        inputs, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))  # (count × batch, seq)
        losses: list[Tensor] = []
        schedule = self._schedule(len(batches), *batches[0][0].shape)
        # All stages need the labels: the last for its loss, the others for the sequence's length.
        schedule.step(inputs, target=labels, labels=labels, losses=losses, return_outputs=False)
        return self._share(reduce(torch.add, losses).detach() if losses else None)

    def forward(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """For evaluation, called on all stages: a scalar whose mean over ranks is the loss of `labels`."""
        hidden, shape = tokens, self._hidden_shape(*tokens.shape)
        for number, stage in self.stages.items():
            before, after = (rank_of(n, self.size, self.kind) for n in (number - 1, number + 1))
            if number > 0 and before != self.rank:
                hidden = torch.empty(shape, dtype=self.dtype, device=tokens.device)
                dist.recv(hidden, group=self.group, group_src=before)
            hidden = stage(hidden, labels)
            if number + 1 < self.total and after != self.rank:
                dist.send(hidden.contiguous(), group=self.group, group_dst=after)
        return self._share(hidden if self.total - 1 in self.stages else None)

    def norm_over_stages(self, norm: Tensor) -> Tensor:
        """The norm of all stages' gradients, given this rank's."""
        square = norm.square()
        dist.all_reduce(square, group=self.group)
        return square.sqrt()

    def set_rope_theta(self, theta: float) -> None:
        """Like `Llama.set_rope_theta`."""
        for stage in self.stages.values():
            stage.set_rope_theta(theta)
        self.config = next(iter(self.stages.values())).config

    def describe(self) -> str:
        """One line on what each stage has."""
        layer_work, head_work, layer_size, end_size = costs(self.config)
        layers = " | ".join(f"{part[0]}-{part[-1]}" for part in split(self.config, self.total))
        return (
            f"{self.size} pp ranks, {self.kind.torch_name}, stages of layers {layers}; the head costs as "
            f"much as {head_work / layer_work:.1f} layers, and it and the embedding each have the parameters "
            f"of {end_size / layer_size:.1f}"
        )

    def _share(self, loss: Tensor | None) -> Tensor:
        """Only the last stage's rank has the loss; scale it so that the mean over all ranks is the loss."""
        if loss is None:
            return torch.zeros((), device=next(self.parameters()).device)
        return loss * self.size

    def _hidden_shape(self, batch: int, seq_len: int) -> tuple[int, int, int]:
        return batch, seq_len // self.sequence_parts, self.config.dim

    def _schedule(self, count: int, batch: int, seq_len: int):
        """The schedule for `count` micro-batches of this shape. Cached: it holds receive buffers."""
        key = (count, batch, seq_len)
        if key not in self._schedules:
            self._schedules = {key: self._new_schedule(*key)}
        return self._schedules[key]

    def _new_schedule(self, count: int, batch: int, seq_len: int):
        from torch.distributed.pipelining.schedules import PipelineScheduleMulti, get_schedule_class

        from model.parallelize.stage import Stage  # takes half a second to import

        device = next(self.parameters()).device
        # NCCL connects a group at its first collective; a first batch of sends and receives could hang.
        dist.all_reduce(torch.zeros((), device=device), group=self.group)
        tokens = torch.empty(batch, seq_len, dtype=torch.int64, device="meta")
        hidden = torch.empty(
            self._hidden_shape(batch, seq_len), dtype=self.dtype, device="meta", requires_grad=True
        )
        loss = torch.empty((), device="meta", requires_grad=True)
        stages = [
            Stage(
                stage,
                number,
                self.total,
                device,
                input_args=hidden if number else tokens,
                output_args=hidden if number < self.total - 1 else loss,
                group=self.group,
            )
            for number, stage in self.stages.items()
        ]
        for stage in stages:
            stage.progressed = self.progressed
        schedule = get_schedule_class(self.kind.torch_name)
        return schedule(
            stages if issubclass(schedule, PipelineScheduleMulti) else stages[0],
            count,
            loss_fn=lambda loss, _labels: loss / count,
            scale_grads=False,
        )

    def _apply(self, fn, recurse: bool = True) -> "Pipeline":
        for stage in self.stages.values():  # each has its own rotation table
            stage._apply(fn, recurse)
        return self


def _accept_hidden_states(stage: Llama, last: bool) -> None:
    """Make `stage` take tokens or hidden states, and the labels, which have the full sequence's length."""
    model_forward = stage.forward

    def forward(arriving: Tensor, labels: Tensor) -> Tensor:
        positions = torch.arange(labels.shape[1], device=arriving.device)
        return model_forward(arriving, labels if last else None, positions)

    stage.forward = forward  # pyright: ignore[reportAttributeAccessIssue] - torch calls stages with these two
