"""Verify a checkpoint: the steps after a save, replayed from what was written, must give the same losses.

K steps after a save, the current state is copied to the staging memory, the checkpoint is checked and
loaded, and the K steps are trained again. If the losses are equal (on CPUs bitwise, and the final weights
and AdamW state too), the checkpoint is marked verified. If anything differs, that is reported and the
checkpoint is not marked. Either way the run continues from the state it had.
"""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from train.checkpoint.apart import at_hand
from train.checkpoint.folder import damage_seen_by_all, mark_verified, step_folder
from train.checkpoint.saver import Saver
from train.checkpoint.tensors import load, tensors_of
from train.config import RunError
from train.ranks import identity
from train.ranks.together import first_rank_does, gather_objects

# GPU kernels may add in another order when replayed.
TOLERANCE = {"cpu": 0.0, "cuda": 1e-4}


class Certifier:
    """Verifies a run's checkpoints `steps` (K; 0: never) after each save. All ranks call it alike."""

    def __init__(self, saver: Saver, steps: int, device: torch.device) -> None:
        self._saver, self._steps = saver, steps
        self._tolerance = TOLERANCE[device.type]
        self._saved: int | None = None  # the step whose checkpoint awaits verification
        self._losses: dict[int, float] = {}

    def saved(self, step: int) -> None:
        """A save of this step has started."""
        self._saved, self._losses = (step, {}) if self._steps else (None, {})

    def forget(self) -> None:
        """The run was rewound: the checkpoint that awaits verification may no longer be part of it."""
        self._saved = None

    def saw(self, step: int, loss: float) -> None:
        """A step has finished."""
        if self._saved is not None:
            self._losses[step] = loss

    def is_due(self, step: int) -> bool:
        return self._saved is not None and step == self._saved + self._steps

    def certify(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        replay: Callable[[int, int], dict[int, float]],
        ailing: str | None = None,
    ) -> bool:
        """Verify the checkpoint; report and return whether it is verified. All ranks call it when `is_due`.

        `ailing`: why the model is not healthy, if it is not: even a dead model replays exactly.
        `replay(first, last)` trains these steps again and returns their losses, with no other side effects.
        """
        saved, losses, self._saved = self._saved, self._losses, None
        assert saved is not None  # `is_due`
        folder = step_folder(self._saver.checkpoints, saved)
        if not self._saver.wait():
            return False  # not committed, as already reported
        if ailing:
            identity.say(f"warning: {folder} is NOT verified: unresolved since {ailing}")
            return False
        staging = self._saver.staging
        staging.copy(tensors_of(model, optimizer))
        try:
            problem = self._difference(folder, model, optimizer, losses, replay)
        except RunError as error:
            problem = str(error)
        # Restore the exact state: on GPUs, equal losses may be only nearly equal.
        optimizer.zero_grad()
        now = tensors_of(model, optimizer)
        same = all(gather_objects(staging.equals(now)))
        if not same:
            staging.restore(now)
        if problem is None and not same and self._tolerance == 0:
            problem = f"the state after step {max(losses)} differs although the losses are equal"
        if problem is None:
            problem = _mark(folder, losses)
        steps = f"steps {min(losses)} to {max(losses)}"
        if problem is None:
            identity.say(f"{folder} is verified: replaying {steps} from it gave the same losses")
        else:
            identity.say(
                f"warning: {folder} is NOT verified ({problem}); the run continues from the state it had. "
                "Resume from an earlier checkpoint, and check this machine's memory and disk"
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
        with at_hand(folder, self._saver.checkpoints) as here:
            load(here, model, optimizer)
        again = replay(min(losses), max(losses))
        for step, loss in losses.items():
            both_nan = math.isnan(loss) and math.isnan(again[step])
            if not both_nan and not math.isclose(again[step], loss, rel_tol=self._tolerance, abs_tol=0.0):
                return f"step {step}: loss {loss!r}, but {again[step]!r} when replayed"
        return None


def _mark(folder: Path, losses: dict[int, float]) -> str | None:
    try:
        first_rank_does(lambda: mark_verified(folder, losses))
    except RunError as error:
        return f"the mark could not be written: {error}"
    return None
