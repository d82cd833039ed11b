"""A resume certificate: the steps after a save, replayed from what was written, must come out the same.

K steps after a save the state of now is set aside in the staging memory, the checkpoint is checked and
loaded, and the K steps are done again. Equal losses (on CPUs to the bit, the weights and AdamW's state at
the end too) mark the checkpoint verified. If anything differs it is said and the checkpoint is not marked;
in either case the run goes on from what it had.
"""

import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from train.checkpoint import tensors as checkpoint
from train.checkpoint.folder import damage_seen_by_all, mark_verified, step_folder
from train.checkpoint.saver import Saver
from train.config import RunError
from train.ranks.setup import first_rank_does, gather_objects

# Kernels on GPUs need not add in one order twice.
TOLERANCE = {"cpu": 0.0, "cuda": 1e-4}


class Certifier:
    """Follows one run, `steps` (K; 0: never) after each save; all ranks make one and call it alike."""

    def __init__(self, saver: Saver, steps: int, device: torch.device) -> None:
        self._saver, self._steps = saver, steps
        self._tolerance = TOLERANCE[device.type]
        self._saved: int | None = None  # the step whose checkpoint is being followed
        self._losses: dict[int, float] = {}

    def saved(self, step: int) -> None:
        """A save of this step has begun."""
        self._saved, self._losses = (step, {}) if self._steps else (None, {})

    def forget(self) -> None:
        """The run went back to a checkpoint: what was being followed is no longer part of it."""
        self._saved = None

    def saw(self, step: int, loss: float) -> None:
        """A step was done."""
        if self._saved is not None:
            self._losses[step] = loss

    def is_due(self, step: int) -> bool:
        return self._saved is not None and step == self._saved + self._steps

    def certify(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        replay: Callable[[int, int], dict[int, float]],
    ) -> bool:
        """Whether the checkpoint is now verified; says so. All ranks call it, when `is_due`.

        `replay(first, last)` trains these steps again and returns their losses, and leaves no other trace.
        """
        saved, losses, self._saved = self._saved, self._losses, None
        folder = step_folder(self._saver.checkpoints, saved)
        if not self._saver.wait():
            return False  # not committed, which was said
        staging = self._saver.staging
        staging.copy(checkpoint.tensors_of(model, optimizer))
        try:
            problem = self._difference(folder, model, optimizer, losses, replay)
        except RunError as error:
            problem = str(error)
        # Here for GPUs too, where equal may mean nearly equal.
        optimizer.zero_grad()
        now = checkpoint.tensors_of(model, optimizer)
        same = all(gather_objects(staging.equals(now)))
        if not same:
            staging.restore(now)
        if problem is None and not same and self._tolerance == 0:
            problem = f"the state after step {max(losses)} differs, although the losses are equal"
        if problem is None:
            problem = _mark(folder, losses)
        steps = f"steps {min(losses)} to {max(losses)}"
        if problem is None:
            _say(f"{folder} is verified: {steps}, replayed from it, are the same")
        else:
            _say(
                f"warning: {folder} is NOT verified ({problem}); the run goes on from what it had. "
                "Resume from an earlier checkpoint, and look at this machine's memory and disk"
            )
        return problem is None

    def _difference(
        self,
        folder: Path,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        losses: dict[int, float],
        replay: Callable[[int, int], dict[int, float]],
    ) -> str | None:
        if damaged := damage_seen_by_all(folder):
            return damaged[0]
        checkpoint.load(folder, model, optimizer)
        again = replay(min(losses), max(losses))
        for step, loss in losses.items():
            both_nan = math.isnan(loss) and math.isnan(again[step])
            if not both_nan and not math.isclose(again[step], loss, rel_tol=self._tolerance, abs_tol=0.0):
                return f"step {step}: loss {loss!r}, and {again[step]!r} replayed from it"
        return None


def _mark(folder: Path, losses: dict[int, float]) -> str | None:
    try:
        first_rank_does(lambda: mark_verified(folder, losses))
    except RunError as error:
        return f"its mark could not be written: {error}"
    return None


def _say(text: str) -> None:
    if not dist.is_initialized() or dist.get_rank() == 0:
        print(f"relama: {text}", flush=True)
