"""The judge of each step: spikes of the loss or the gradient norm, non-finite values, and a dead model.

In: a step's loss and norm, the same on all ranks. Out: a decision (train/decisions.py) or none. Its history
and decisions are in every checkpoint, so a resumed run judges the same way.
"""

import math
from collections import deque
from dataclasses import dataclass
from statistics import fmean, stdev

from data.order import Order
from train.config_groups import RecoveryConfig
from train.decisions import rewinds, standing

FALLEN = 1.0  # nats that the loss must fall below the untrained one before a return to that is judged
RETURNED = 0.1  # the most that a dead model has left, as a share of what it had gained


@dataclass(frozen=True)
class Problem:
    """What is wrong with a step. `kind` is not_finite, spike, or dead: the model no longer learns."""

    kind: str
    why: str

    def recompute(self, step: int, where: str) -> dict:
        """The decision to discard a result whose problem was gone when the step was computed again."""
        return {"step": step, "action": "recompute", "kind": self.kind, "why": f"{self.why} ({where})"}


class Recovery:
    """Judges one run; every rank has one, and all of them decide alike."""

    def __init__(self, config: RecoveryConfig, untrained: float = math.inf) -> None:
        """`untrained`: an untrained model's loss, ln(vocabulary); infinite: not judged."""
        self.config, self._untrained = config, untrained
        self.decisions: list[dict] = []  # those that were not taken back, in order
        # What ails the model: the first unresolved problem's step and why, and the loss that ends it.
        self.unresolved: dict | None = None
        self._history: deque[tuple[float, float]] = deque(maxlen=config.window)  # (loss, norm)
        self._usual: list[tuple[float, float]] = []  # mean and deviation of the losses and the norms before
        self._lowest: float | None = None  # mean loss of any window

    def judge(self, step: int, loss: float, norm: float, suspect: str = "") -> dict | None:
        """What to do about `step` before its update; None if nothing is wrong.

        A decision has step, action (warn, skip, rewind or stop), kind, why, loss and grad_norm (null if not
        finite). It has `again` if the step was decided before and is being trained a second time.
        `suspect` is added to the reason.
        """
        problem = self.problem(loss, norm)
        decision = self._before(step) or (problem and self._decide(step, loss, norm, problem, suspect))
        self._remember(step, loss, norm, problem, is_trained=not decision or decision["action"] == "warn")
        return decision

    def problem(self, loss: float, norm: float) -> Problem | None:
        """What is wrong with a step's loss and norm, given the steps before it, or None."""
        for name, value in (("loss", loss), ("gradient norm", norm)):
            if not math.isfinite(value):
                return Problem("not_finite", f"{name} {value}")
        if norm == 0.0:
            return Problem("dead", "gradient norm 0: the model learns nothing")
        if self._lowest is not None and self._untrained - self._lowest >= FALLEN:
            gained = self._untrained - self._lowest
            if loss > self._untrained - RETURNED * gained:
                why = f"loss {loss:.4g}, as without training, after it had fallen to {self._lowest:.4g}"
                return Problem("dead", why)
        # without `strict`: nothing is normal while too few steps are known
        for name, value, (mean, deviation) in zip(("loss", "gradient norm"), (loss, norm), self._usual):
            if value > mean + self.config.sigma * deviation:
                return Problem(
                    "spike",
                    f"{name} {value:.4g}, above the mean {mean:.4g} of {len(self._history)} steps by "
                    f"{(value - mean) / max(deviation, 1e-12):.1f} deviations",
                )
        return None

    def ailing(self) -> str | None:
        """Since when and why the model is not healthy; None if it is."""
        return f"step {self.unresolved['step']}: {self.unresolved['why']}" if self.unresolved else None

    def state(self) -> dict:
        """What a checkpoint keeps, as JSON."""
        return {
            "decisions": self.decisions,
            "history": [list(pair) for pair in self._history],
            "lowest": self._lowest,
            "unresolved": self.unresolved,
        }

    def resume(self, state: dict | None, logged: list[dict], order: Order) -> Order:
        """Continue from a checkpoint's `state` (None: from the start), with what the log has beyond it.

        Returns `order` without the samples of those rewinds that the checkpoint does not know of.
        """
        state = state or {"decisions": [], "history": []}
        self._history.clear()
        self._history.extend((loss, norm) for loss, norm in state["history"])
        self._lowest, self.unresolved = state.get("lowest"), state.get("unresolved")
        self._learn_usual()
        known = len(rewinds(state["decisions"]))
        for decision in rewinds(logged)[known:]:
            order = order.skip(*decision["samples"])
        lost = len(rewinds(logged)) < known  # somebody removed the log
        self.decisions = state["decisions"] if lost else standing(logged)
        return order

    def _before(self, step: int) -> dict | None:
        """The earlier decision about a step that is trained again."""
        for decision in self.decisions:
            if decision["step"] == step and decision["action"] in ("skip", "warn"):
                return {**decision, "again": True}
        return None

    def _decide(self, step: int, loss: float, norm: float, problem: Problem, suspect: str) -> dict:
        why, action, limit = problem.why, self.config.policy, self.config.limit
        if suspect:
            why = f"{why} ({suspect})"
        if action == "warn" and problem.kind == "not_finite":
            action = "stop"
        elif action == "warn" and problem.kind == "dead" and self._recent("warn", step, "dead") >= limit:
            why, action = f"{why}, after {limit} such steps", "stop"
        elif action == "skip" and self._recent("skip", step) >= limit:
            why, action = f"{why}, after {limit} skipped of the last {self._span} steps", "stop"
        elif action == "rewind" and len(rewinds(self.decisions)) >= limit:
            why, action = f"{why}, after {limit} rewinds", "stop"
        decision = {
            "step": step,
            "action": action,
            "kind": problem.kind,
            "why": why,
            "loss": loss if math.isfinite(loss) else None,
            "grad_norm": norm if math.isfinite(norm) else None,
        }
        return decision | ({"since": self.unresolved["step"]} if self.unresolved else {})

    def _remember(
        self, step: int, loss: float, norm: float, problem: Problem | None, *, is_trained: bool
    ) -> None:
        """Record a judged step: only trained steps define what is normal."""
        if problem and not self.unresolved:
            bound = [mean + self.config.sigma * deviation for mean, deviation in self._usual[:1]]
            self.unresolved = {"step": step, "why": problem.why, "loss": bound[0] if bound else None}
        elif self.unresolved and not problem:
            bound = self.unresolved["loss"]
            if bound is None or loss <= bound:
                self.unresolved = None
        if is_trained and math.isfinite(loss) and math.isfinite(norm):
            self._history.append((loss, norm))
            self._learn_usual()

    def _learn_usual(self) -> None:
        """Mean and deviation of the losses and of the norms so far; none while too few are known."""
        columns = list(zip(*self._history, strict=True))
        enough = len(self._history) >= max(2, self.config.window // 2)
        self._usual = [(fmean(past), stdev(past)) for past in columns] if enough else []
        if self._usual:
            mean = self._usual[0][0]
            self._lowest = mean if self._lowest is None else min(mean, self._lowest)

    @property
    def _span(self) -> int:
        """Steps in which decisions are counted."""
        return max(self.config.window, self.config.limit + 1)

    def _recent(self, action: str, step: int, kind: str | None = None) -> int:
        """How many of the last steps before `step` had this decision."""
        return len(
            {
                decision["step"]
                for decision in self.decisions
                if decision["action"] == action
                and step - self._span <= decision["step"] < step
                and kind in (None, decision.get("kind"))
            }
        )
