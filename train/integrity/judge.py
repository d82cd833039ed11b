"""Judges each step and the state: a decision is logged and reported before it takes effect.

In: what a step computed (computation.py). Out: the decision, if there is one: train/recovery.py decides about
the loss and the gradient norm, sentinel.py about the state.
"""

import math
from collections.abc import Callable

import torch

from data.order import Order
from model.llama import Llama
from model.parallelize.pipeline import Pipeline
from train import decisions
from train.checkpoint.folder import complete_steps
from train.config import RunError
from train.integrity.computation import Result
from train.integrity.sentinel import Sentinel
from train.preflight import Resolved
from train.ranks import identity, placement
from train.ranks.setup import Ranks
from train.ranks.together import first_rank_does
from train.recovery import Recovery
from train.run import markers
from train.run.folder import RunFolder
from train.run.lineage import Lineage, inherited
from train.saving import Saving


class Judge:
    """The judge of one run; every rank has one, and all of them decide alike."""

    def __init__(
        self,
        run: Resolved,
        ranks: Ranks,
        folder: RunFolder,
        model: Llama | Pipeline,
        saving: Saving,
        beat: Callable[[str], None],
        *,
        is_replay: bool = False,
    ) -> None:
        """`beat` reports progress to the watchdog.

        `is_replay`: steps that were judged before are trained again, and a corrupt state is an error.
        """
        self._run, self._ranks, self._folder, self._saving = run, ranks, folder, saving
        self._beat = beat
        self._is_replay = is_replay
        self.recovery = Recovery(run.config.recovery, math.log(run.config.model.vocab_size))
        lineage = first_rank_does(lambda: Lineage.read(folder.path))
        self.sentinel = Sentinel(model, run.config, ranks, lineage.updates if lineage else ())
        self.is_returning = False  # the last decision was to go back to a checkpoint

    def step(self, step: int, result: Result, optimizer: torch.optim.Optimizer, order: Order) -> dict | None:
        """The decision about `step` before its update, None if nothing is wrong. Raises RunError to stop."""
        finding = None
        if result.is_altered or (result.where and not result.passed):  # the problem may be the state's
            finding = self.sentinel.finding(optimizer)
        if result.is_altered or finding:
            return self._decide(self._reload(step, finding), order)
        if result.passed and not self._is_replay:
            self._decide(result.passed.recompute(step, result.where), order)
        decision = self.recovery.judge(step, result.loss, result.norm, result.where)
        if decision and "again" not in decision:
            decision = self._decide(decision, order)
        return decision

    def is_sound(self, step: int, optimizer: torch.optim.Optimizer, order: Order) -> bool:
        """Whether the state after `step` may be saved; if not, decides to go back. Raises RunError."""
        finding = self.sentinel.finding(optimizer)
        if finding:
            self._decide(self._reload(step, finding), order)
        return not finding

    def _reload(self, step: int, finding: str | None) -> dict:
        if self._is_replay:
            raise RunError(f"step {step}: {finding}")
        return self.sentinel.reload(step, finding)

    def _decide(self, decision: dict, order: Order) -> dict:
        """Complete, log and report a new decision. Raises RunError to stop."""
        config, step = self._run.config, decision["step"]
        of_steps = config.timeline.steps
        if decision["action"] in decisions.RETURNS:
            self._saving.saver.wait()
            back = config.recovery.back
            last = decisions.earliest(decision, back) if decision["action"] == "rewind" else None
            self._beat("choosing a checkpoint to return to")  # which may be downloaded
            steps = first_rank_does(lambda: self._saving.steps_to_return_to(last))
            begun = first_rank_does(lambda: inherited(self._folder.path))
            decision = decisions.destination(decision, steps, back, of_steps, begun)
            self.is_returning = True
        seen = decisions.seen(order, self._run.train, step, of_steps)
        self._saving.decision_log.write_together(decision | seen)
        if decision["action"] == "stop":
            is_saved = bool(first_rank_does(lambda: complete_steps(self._folder.checkpoints)))
            why = decisions.stop_line(decision, config.run, config.recovery.policy, is_saved)
            if placement.writes() and not self._is_replay:
                markers.leave(self._folder.path, markers.STOPPED, step=step - 1, why=why)
            raise RunError(why)
        self.recovery.decisions.append(decision)
        identity.say(f"step {step}: {decision['why']}: {decisions.consequence(decision, of_steps)}")
        return decision
