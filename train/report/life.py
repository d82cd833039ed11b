"""A run's starts, stops and decisions for the report: heading, goodput, attempts and recovery."""

from datetime import UTC, datetime
from typing import Any

from train.run.attempts import account
from train.run.record import RunRecord

EPOCH = 1.5e9  # seconds: larger floats, from 2017 on, are shown as times
ROWS = 50  # the most that a table shows: the last ones
COLUMNS = 9
SHOWN = 3  # documents of a step


def when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def heading(run: RunRecord) -> list[str]:
    """The lines under the title: how far the run is; when it was started, on what, by which commit."""
    last, config = run.last, run.config
    state = (
        "finished" if last["step"] >= config.steps else f"{last['step'] / config.steps:.0%} of its steps done"
    )
    lines = [f"A run of Relama, {state}: step {last['step']:,} of {config.steps:,}"]
    if run.device:
        lines[0] += f", {run.ranks_at(last['step'])} × {run.device}"
    if run.starts:
        first, newest = run.starts[0], run.starts[-1]
        commit = newest.get("commit") or "unknown (no git clone)"
        parts = [f"Started {when(first['time'])}"] if "time" in first else []
        parts += [str(newest["platform"])] if newest.get("platform") else []
        lines.append(", ".join([*parts, f"Relama commit {commit}"]))
    for parent, step in run.ancestors:
        lines.append(f"Branched from {parent.name} after step {step:,} ({parent})")
    known = run.past[-1]["step"] if run.past else 0
    if run.ancestors and known < (step := run.ancestors[0][1]):
        why = "it has trained them anew since, or lost their metrics"
        lines[-len(run.ancestors)] += f"; its steps {known + 1:,} to {step:,} are not shown: {why}"
    if config.phases:
        lines += [f"Phase {sentence}" for sentence in config.timeline.sentences()]
    return lines


def goodput(run: RunRecord) -> dict[str, Any]:
    """The account of the run's life (None without one), a note, the attempts and decisions as tables."""
    return {
        "life": account(run.path),
        "note": _note(run),
        "attempts": _plain_table(run.attempts),
        "decisions": _decisions(run),
    }


def _note(run: RunRecord) -> str:
    resumed = [start["first_step"] for start in run.starts[1:]]
    count = len(run.starts)
    text = f"{count} start{'s' * (count != 1)} recorded" if count else "No start was recorded"
    if resumed:
        text += f", resumed at step {', '.join(f'{step:,}' for step in resumed[:20])}"
    text += (
        ". The bar counts the steps that led to the current weights. Lost work, starting up and waiting for "
        "machines are "
    )
    return text + (
        "in the attempts below." if run.attempts else "unknown: this run did not record its starts and ends."
    )


def _decisions(run: RunRecord) -> dict[str, Any]:
    """What recovery did and why, and which sources and documents those steps saw."""
    rows = [
        (
            f"{decision['step']:,}",
            decision.get("action", "–"),
            decision.get("why", "–"),
            ", ".join(f"{source} {n}" for source, n in decision.get("sources", {}).items()),
            _first(decision.get("documents", [])),
        )
        for decision in run.decisions
        if "step" in decision
    ]
    return {"rows": rows[-ROWS:], "earlier": max(0, len(rows) - ROWS)}


def _first(documents: list[str]) -> str:
    more = len(documents) - SHOWN
    return ", ".join(documents[:SHOWN]) + (f" and {more} more in decisions.jsonl" if more > 0 else "")


def _plain_table(lines: list[dict]) -> dict[str, Any]:
    """JSON objects as a table: a column for each key with scalar values."""
    keys = dict.fromkeys(key for line in lines for key in line)
    flat = [key for key in keys if not any(isinstance(line.get(key), dict | list) for line in lines)]
    heads = flat[:COLUMNS]
    rows = [[_cell(line.get(head)) for head in heads] for line in lines[-ROWS:]]
    return {
        "heads": [head.replace("_", " ") for head in heads],
        "rows": rows,
        "earlier": max(0, len(lines) - ROWS),
    }


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float) and EPOCH < value < 2 * EPOCH:
        return when(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
