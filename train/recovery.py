"""The judge of each step: spikes of the loss or the gradient norm, and values that are not finite.

In: a step's loss and norm, the same on all ranks. Out: a decision (train/decisions.py) or none. Its history
and decisions are in every checkpoint, so a resumed run judges alike.
"""

import math
import statistics
from collections import deque

from data.order import Order
from train.config import RecoveryConfig
from train.decisions import rewinds, standing


class Recovery:
    """Judges one run; every rank has one, and all of them decide alike."""

    def __init__(self, config: RecoveryConfig) -> None:
        self.config = config
        self.decisions: list[dict] = []  # those that were not taken back, in order
        self._history: deque[tuple[float, float]] = deque(maxlen=config.window)  # (loss, norm)

    def judge(self, step: int, loss: float, norm: float) -> dict | None:
        """What to do about `step` before its update; None if nothing is wrong.

        A decision has step, action (warn, skip, rewind or stop), why, loss and grad_norm (null if not
        finite). It has `again` if the step was decided before and is being trained a second time.
        """
        why = self._problem(loss, norm)
        finite = math.isfinite(loss) and math.isfinite(norm)
        if finite:
            self._history.append((loss, norm))
        for decision in self.decisions:
            if decision["step"] == step and decision["action"] in ("skip", "warn"):
                return {**decision, "again": True}
        if why is None:
            return None
        action = self.config.policy
        if action == "warn" and not finite:
            action = "stop"
        if action != "warn" and self._count(step) >= self.config.limit:
            why, action = f"{why}, after {self.config.limit} times recovery.policy={action}", "stop"
        return {
            "step": step,
            "action": action,
            "why": why,
            "loss": loss if math.isfinite(loss) else None,
            "grad_norm": norm if math.isfinite(norm) else None,
        }

    def state(self) -> dict:
        """What a checkpoint keeps, as JSON."""
        return {"decisions": self.decisions, "history": [list(pair) for pair in self._history]}

    def resume(self, state: dict | None, logged: list[dict], order: Order) -> Order:
        """Continue from a checkpoint's `state` (None: from the start), with what the log has beyond it.

        Returns `order` without the samples of those rewinds that the checkpoint does not know of.
        """
        state = state or {"decisions": [], "history": []}
        self._history.clear()
        self._history.extend((loss, norm) for loss, norm in state["history"])
        known = len(rewinds(state["decisions"]))
        for decision in rewinds(logged)[known:]:
            order = order.skip(*decision["samples"])
        lost = len(rewinds(logged)) < known  # somebody removed the log
        self.decisions = state["decisions"] if lost else standing(logged)
        return order

    def _problem(self, loss: float, norm: float) -> str | None:
        for name, value, index in (("loss", loss, 0), ("gradient norm", norm, 1)):
            if not math.isfinite(value):
                return f"{name} {value}"
            past = [pair[index] for pair in self._history]
            if len(past) < max(2, self.config.window // 2):
                continue
            mean, deviation = statistics.fmean(past), statistics.stdev(past)
            if value > mean + self.config.sigma * deviation:
                return (
                    f"{name} {value:.4g}, above the mean {mean:.4g} of {len(past)} steps by "
                    f"{(value - mean) / max(deviation, 1e-12):.1f} deviations"
                )
        return None

    def _count(self, step: int) -> int:
        """How often the policy has acted: all rewinds, or the skipped updates right before `step`."""
        if self.config.policy == "rewind":
            return len(rewinds(self.decisions))
        skipped = {d["step"] for d in self.decisions if d["action"] == "skip"}
        return next(n for n in range(step + 1) if step - 1 - n not in skipped)
