"""Numbers that go wrong: a spike of the loss or of the gradient norm, or one that is no number.

In: each step's loss and norm, the same on all ranks. Out: a decision (warn, skip the update, rewind, stop)
that is on the disk before it acts and in every later checkpoint, so that a resumed run takes it again. A
rewind leaves out the samples before and at the spike: a hole in the order, a function of integers as before.
"""

import json
import math
import statistics
from collections import Counter, deque
from pathlib import Path

from data.documents import read_row
from data.errors import DataError
from data.order import Order
from data.tokens.store import TokenStore
from train.config import RecoveryConfig, RunError
from train.run import json_lines

LOG = "decisions.jsonl"
NAMED = 20  # documents that a decision names


class Recovery:
    """The judge of one run; every rank has one and all of them decide alike."""

    def __init__(self, config: RecoveryConfig) -> None:
        self.config = config
        self.decisions: list[dict] = []  # those that stand, in order
        self._history: deque[tuple[float, float]] = deque(maxlen=config.window)

    def judge(self, step: int, loss: float, norm: float) -> dict | None:
        """What to do about `step`, before its update; None: nothing is wrong.

        A decision has step, action (warn, skip, rewind or stop), why, loss and grad_norm (null if not
        finite), and `again` if the log has it: the step is trained a second time.
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
        """What a checkpoint keeps: JSON."""
        return {"decisions": self.decisions, "history": [list(pair) for pair in self._history]}

    def resume(self, state: dict | None, logged: list[dict], order: Order) -> Order:
        """Go on from a checkpoint's `state` (None: from the start), with what the run's log has beyond it.

        Returns `order` with the holes of those rewinds that the checkpoint does not know of.
        """
        state = state or {"decisions": [], "history": []}
        self._history.clear()
        self._history.extend((loss, norm) for loss, norm in state["history"])
        done = len(rewinds(state["decisions"]))
        for decision in rewinds(logged)[done:]:
            order = order.skip(*decision["samples"])
        lost = len(rewinds(logged)) < done  # somebody removed the log
        self.decisions = state["decisions"] if lost else standing(logged)
        return order

    def _problem(self, loss: float, norm: float) -> str | None:
        for name, value, place in (("loss", loss, 0), ("gradient norm", norm, 1)):
            if not math.isfinite(value):
                return f"{name} {value}"
            past = [pair[place] for pair in self._history]
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
        """How often the policy has acted: rewinds in all, or skipped updates just before `step`."""
        if self.config.policy == "rewind":
            return sum(d["action"] == "rewind" for d in self.decisions)
        skipped = {d["step"] for d in self.decisions if d["action"] == "skip"}
        return next(n for n in range(step + 1) if step - 1 - n not in skipped)


def rewind(decision: dict, steps: list[int], back: int, batch: int) -> dict:
    """A decision to rewind, whole: `to_step`, one of the saved `steps` or 0, and the `samples` left out.

    `batch` is in sequences; from `back` steps before the spike on, none of its steps' samples come again.
    """
    last = decision["step"] - back
    to_step = max((step for step in steps if step <= last), default=0)
    return decision | {"to_step": to_step, "samples": [max(to_step, last) * batch, decision["step"] * batch]}


def rewinds(decisions: list[dict]) -> list[dict]:
    return [decision for decision in decisions if decision["action"] == "rewind"]


def standing(logged: list[dict]) -> list[dict]:
    """The log without what was decided about steps that a later rewind took back."""
    stands: list[dict] = []
    for decision in logged:
        if decision["action"] == "rewind":
            stands = [d for d in stands if d["action"] == "rewind" or d["step"] <= decision["to_step"]]
        stands.append(decision)
    return stands


def is_abandoned(state: dict, logged: list[dict]) -> bool:
    """Whether a rewind that the checkpoint with `state` does not know of went back behind it."""
    known = len(rewinds(state["recovery"]["decisions"]))
    return any(decision["to_step"] < state["step"] for decision in rewinds(logged)[known:])


def stop_line(decision: dict, run: str) -> str:
    return (
        f"step {decision['step']}: {decision['why']}: nothing of this step reached the weights; read its "
        f"data with `relama explain run={run} step={decision['step']}`, lower optim.lr or set recovery=skip "
        "or recovery=rewind, and run the same command from the last checkpoint"
    )


def seen(order: Order, stores: dict[str, TokenStore], step: int, batch: int) -> dict:
    """The sources of a step's sequences, counted, and the first documents that they hold, named."""
    samples = [order.locate(n) for n in range((step - 1) * batch, step * batch)]
    length = order.seq_len((step - 1) * batch)
    documents: list[str] = []
    for sample in samples:
        if len(documents) >= NAMED:
            break
        store = stores[sample.source]
        for span in store.documents(sample.index * length, sample.index * length + length + 1):
            try:
                documents.append(read_row(span.text_file, span.row).id)
            except (DataError, OSError):  # the cleaned text was moved away
                documents.append(f"{sample.source}: row {span.row} of {span.text_file.name}")
    return {"sources": dict(Counter(sample.source for sample in samples)), "documents": documents[:NAMED]}


def log(folder: Path, decision: dict) -> None:
    """Append to the run's decisions.jsonl; returns when it is on the disk."""
    json_lines.append(folder / LOG, decision)


def read_log(folder: Path) -> list[dict]:
    """All decisions of a run, in the order in which they were taken; a torn last line is left out.

    Raises RunError if a line before the last cannot be read.
    """
    path = folder / LOG
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    try:
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except ValueError as error:
        raise RunError(f"{path}: not readable ({error}); a run cannot go on without its decisions") from None
