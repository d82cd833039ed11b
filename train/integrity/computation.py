"""A step's gradients. A problem with them is believed only if it returns when they are computed again.

The arithmetic of a step is deterministic, so a wrong value that does not return came from the machine, not
from the data: a bit flipped in a gradient or an activation, a faulty unit. The second result is then used.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch import Tensor

from model.llama import Llama
from model.parallelize.gradients import clip_gradients, forward_backward
from model.parallelize.pipeline import Pipeline
from train.integrity.blame import suspect
from train.metrics.clock import Clock
from train.ranks.setup import Ranks
from train.ranks.signals import Signals
from train.recovery import Problem

MicroBatches = Iterator[tuple[Tensor, Tensor]]  # (inputs, labels), each (micro_batch, seq_len)


@dataclass(frozen=True)
class Result:
    """What a step computed, the same on all ranks; its gradients are in the model, clipped."""

    loss: float
    norm: float  # of the gradients before they were clipped
    must_stop: bool  # a rank has received a signal
    must_save: bool  # a rank asks for it
    is_altered: bool  # the state has changed since the last update
    where: str = ""  # which tensor to suspect of a problem
    passed: Problem | None = None  # what was wrong with the first result and is not with this one


class Computation:
    """Computes a run's steps on one rank. All ranks construct one and call it alike."""

    def __init__(
        self,
        model: Llama | Pipeline,
        clip: float,
        ranks: Ranks,
        progressed: Callable[[], object] = lambda: None,
    ) -> None:
        """`progressed` is called as micro-batches are computed that are not being read."""
        self._model, self._clip, self._ranks, self._progressed = model, clip, ranks, progressed
        if isinstance(model, Pipeline):
            model.progressed = progressed

    def gradients(
        self,
        batches: MicroBatches,
        count: int,
        clock: Clock,
        problem: Callable[[float, float], Problem | None],
        signals: Signals,
        changes: Callable[[], Tensor],
    ) -> Result:
        """Compute the gradients of `count` micro-batches; again if the loss and norm have a `problem`.

        `changes`: how many of this rank's tensors the sentinel finds changed, as a scalar on the device.
        """
        kept: list[tuple[Tensor, Tensor]] = []
        first = self._once(_keeping(batches, kept), count, clock, signals, changes)
        found = problem(first.loss, first.norm)
        if first.is_altered or not found:
            return first
        where = suspect(self._model)
        self._model.zero_grad()
        second = self._once(self._again(kept), count, clock, signals, changes)
        has_passed = not problem(second.loss, second.norm)
        return replace(second, where=where, passed=found if has_passed else None)

    def _once(
        self,
        batches: MicroBatches,
        count: int,
        clock: Clock,
        signals: Signals,
        changes: Callable[[], Tensor],
    ) -> Result:
        # Reduced together, so that all ranks decide alike.
        total = torch.zeros(5, device=self._ranks.device)
        with clock.stretch("compute"):
            total[0] = forward_backward(self._model, batches, count)
            total[1] = clip_gradients(self._model, self._clip)
            total[3] = changes()
        total[2] = 0.0 if signals.received is None else 1.0
        total[4] = float(signals.save)
        dist.all_reduce(total)
        loss, norm, stop, altered, save = (total / self._ranks.world_size).tolist()
        return Result(loss, norm, stop > 0, save > 0, altered > 0)

    def _again(self, kept: list[tuple[Tensor, Tensor]]) -> MicroBatches:
        for batch in kept:
            self._progressed()
            yield batch


def _keeping(batches: MicroBatches, kept: list[tuple[Tensor, Tensor]]) -> MicroBatches:
    for batch in batches:
        kept.append(batch)
        yield batch
