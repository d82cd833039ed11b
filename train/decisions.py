"""A run's decisions about spikes: how each is completed, logged and applied again after a restart.

A decision is a dict: step, action (warn, skip, rewind, recompute, reload or stop), why, loss, grad_norm,
what the step saw, for a rewind or a reload the step it returns to, and for a rewind the samples it leaves
out. decisions.jsonl has them all, each on disk before it takes effect; a checkpoint has those before it.
"""

import json
from collections import Counter
from pathlib import Path

from data import folders
from data.documents import read_row
from data.errors import DataError
from data.order import Order
from data.phases.steps import Steps
from data.tokens.store import TokenStore
from train.checkpoint.folder import complete_steps, read_state, remove_steps, step_folder
from train.ranks import identity
from train.ranks.together import first_rank_does
from train.run import json_lines, views
from train.run.schema import DECISION

LOG = "decisions.jsonl"
NAMED = 20  # documents that a decision names
RETURNS = ("rewind", "reload")  # actions that go back to a checkpoint


def rewind(decision: dict, steps: list[int], back: int, batch: int | Steps, begun: int = 0) -> dict:
    """Complete a decision to rewind: `to_step` (one of `steps`, or `begun`) and the `samples` to leave out.

    `batch`: sequences per step. The samples from `back` steps before the spike up to it are left out; if an
    earlier problem was still unresolved, the spike began with that one.
    """
    last = earliest(decision, back)
    to_step = max((step for step in steps if step <= last), default=begun)
    sample = Steps.of(batch).sample
    return decision | {"to_step": to_step, "samples": [sample(max(to_step, last)), sample(decision["step"])]}


def earliest(decision: dict, back: int) -> int:
    """The last step that a decision to rewind may return to."""
    return decision.get("since", decision["step"]) - back


def destination(decision: dict, steps: list[int], back: int, batch: int | Steps, begun: int = 0) -> dict:
    """Complete a decision to rewind, or to reload the newest of `steps`, or `begun`."""
    if decision["action"] == "reload":
        return decision | {"to_step": max(steps, default=begun)}
    return rewind(decision, steps, back, batch, begun)


def rewinds(decisions: list[dict]) -> list[dict]:
    """The decisions to rewind, in order."""
    return [decision for decision in decisions if decision["action"] == "rewind"]


def returns(decisions: list[dict]) -> int:
    """How often the run went back to a checkpoint."""
    return sum(decision["action"] in RETURNS for decision in decisions)


def standing(logged: list[dict]) -> list[dict]:
    """The log without decisions about steps that a later return to a checkpoint undid."""
    kept: list[dict] = []
    for decision in logged:
        if decision["action"] in RETURNS:
            kept = [d for d in kept if d["action"] in RETURNS or d["step"] <= decision["to_step"]]
        kept.append(decision)
    return kept


def seen(order: Order, stores: dict[str, TokenStore], step: int, steps: Steps) -> dict:
    """What a step read: the number of sequences by source, and the ids of the first documents in them."""
    first = steps.sample(step - 1)
    samples = [order.locate(n) for n in range(first, first + steps.batch(step))]
    length = order.seq_len(first)
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


def consequence(decision: dict, steps: Steps) -> str:
    """What happens because of the decision, for people."""
    if decision["action"] == "warn":
        return "a warning (recovery=skip or recovery=rewind would act)"
    if decision["action"] == "skip":
        return "its update is skipped"
    if decision["action"] == "recompute":
        return "computing the step again gives normal values; the first result is discarded"
    if decision["action"] == "reload":
        return f"back to the checkpoint of step {decision['to_step']}; no samples are left out"
    left_out = steps.step_of(decision["samples"][0]) - 1
    return f"back to step {decision['to_step']}, without the samples since step {left_out}"


def stop_line(decision: dict, run: str, policy: str, is_saved: bool) -> str:
    """Why the run stops and how to continue. `is_saved`: whether it has a complete checkpoint."""
    others = {
        "warn": "recovery=skip or recovery=rewind",
        "skip": "recovery=rewind",
        "rewind": "recovery=skip",
    }
    limit = "" if policy == "warn" and decision.get("kind") != "dead" else " or a higher recovery.limit"
    ways = f"set {others[policy]}{limit} and run the same command"
    if is_saved:
        ways += f", or start a new run=NAME with init={run} and a lower optim.lr"
    if decision.get("kind") == "dead" and decision.get("since", 0) > 1:
        ways += f"; the model learned until step {decision['since'] - 1}: move later checkpoints away"
    return (
        f"step {decision['step']}: {decision['why']}: this step did not change the weights; read its data "
        f"with `relama explain run={run} step={decision['step']}`; {ways}"
    )


class Log:
    """The run's decisions.jsonl, for the first rank. Lines wait while the disk is full."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._waiting: list[dict] = []

    def write(self, decision: dict) -> None:
        """Append; returns once it is on disk. Raises OSError, and keeps the line for `settle`."""
        self._waiting.append(decision)
        self._write_out()

    def write_together(self, decision: dict) -> None:
        """`write` on the first rank; all ranks call it. A line may wait if a restart would decide it again.

        Raises RunError if a rewind cannot be logged: a restart would not know of it.
        """

        def log() -> str | None:
            try:
                self.write(decision)
            except OSError as error:
                if decision["action"] == "rewind":
                    raise
                return str(error)
            return None

        if problem := first_rank_does(log):
            identity.say(f"warning: {problem}; training continues, and the decision is logged later")

    def settle(self) -> bool:
        """Retry the waiting lines; returns whether all are on disk. A checkpoint must not outlive its log."""
        try:
            self._write_out()
        except OSError:
            return False
        return True

    def _write_out(self) -> None:
        if self._waiting:
            json_lines.append(self._path, *self._waiting)
            self._waiting.clear()


def read_log(folder: Path) -> list[dict]:
    """A run's decisions in order, up to the first line that is damaged. Raises RunError."""
    return _read(folder / LOG)[0]


def reconcile(folder: Path, known: list[dict]) -> list[dict]:
    """The decisions to continue with: a checkpoint's, then later ones in the log; for the first rank.

    Training repeats bitwise, so a decision after the checkpoint that a damaged log has lost is taken again. A
    log that is damaged, or lacks decisions of the checkpoint, is reported and written again.
    """
    path = folder / LOG
    logged, problem = _read(path)
    start = _first_unknown(known, logged)
    if problem is None and start is None:
        problem = "lacks decisions that the checkpoint holds"
    decisions = known + (logged[start:] if start is not None else [])
    if problem:
        kept = folders.set_aside(path)
        views.write(path, "".join(json.dumps(decision) + "\n" for decision in decisions))
        identity.say(f"warning: {path}: {problem}; written again from the checkpoint{kept}")
    return decisions


def _first_unknown(known: list[dict], logged: list[dict]) -> int | None:
    """The index in the log of the first decision that a checkpoint lacks; None if the log lacks known ones.

    All returns are kept, in order; between two of them a step is decided once, after at most a recompute.
    """
    if not known:
        return 0
    at = -1
    for known_return in (decision for decision in known if decision["action"] in RETURNS):
        following = range(at + 1, len(logged))
        found = next((n for n in following if logged[n]["action"] in RETURNS), None)
        if found is None or logged[found]["step"] != known_return["step"]:
            return None
        at = found
    if known[-1]["action"] in RETURNS:
        return at + 1
    for n in range(at + 1, len(logged)):
        if logged[n]["action"] in RETURNS:
            return None
        if (logged[n]["step"], logged[n]["action"]) == (known[-1]["step"], known[-1]["action"]):
            return n + 1
    return None


def remove_abandoned(checkpoints: Path, logged: list[dict]) -> None:
    """Remove checkpoints that the run rewound past after saving them."""
    if not rewinds(logged):
        return
    steps = complete_steps(checkpoints)
    abandoned = [step for step in steps if is_abandoned(read_state(step_folder(checkpoints, step)), logged)]
    if abandoned:
        remove_steps(checkpoints, abandoned)


def is_abandoned(state: dict, logged: list[dict]) -> bool:
    """Whether the run rewound past the checkpoint with `state` after saving it."""
    start = _first_unknown(state["recovery"]["decisions"], logged)
    unknown = [] if start is None else rewinds(logged[start:])
    return any(decision["to_step"] < state["step"] for decision in unknown)


def abandons(log: bytes, state: dict) -> bool:
    """`is_abandoned`, given the bytes of a log, which counts up to its first damaged line."""
    logged = _lines(log)[0]
    return bool(rewinds(logged)) and is_abandoned(state, logged)


def _read(path: Path) -> tuple[list[dict], str | None]:
    return _lines(views.content(path) or b"")


def _lines(log: bytes) -> tuple[list[dict], str | None]:
    """The decisions before the first damaged line, and its fault. A torn last line never took effect."""
    found: list[dict] = []
    lines = log.split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            if line or number < len(lines):
                found.append(_parse(line))
        except ValueError as error:
            return found, None if number == len(lines) else f"line {number} is damaged ({error})"
    return found, None


def _parse(line: bytes) -> dict:
    decision = DECISION.parse(line)
    needed = {"rewind": {"to_step", "samples"}, "reload": {"to_step"}}.get(decision["action"], set())
    if not needed <= decision.keys():
        raise ValueError(f"a {decision['action']} without {' and '.join(sorted(needed))}")
    return decision
