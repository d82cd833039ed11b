"""How much of a run's life was training that lasts: its starts and stops, and what each restart cost.

attempts.jsonl in the run folder has a line for each start (the step it went on from, the last step that the
one before had logged, and when) and for each end that was one; a killed attempt has none, and its end is
the last change of metrics.jsonl. Appended to, never rewritten: what is lost is part of the account.
"""

import json
import time
from pathlib import Path

from train.metrics.journal import read_metrics
from train.metrics.throughput import STALLS
from train.run import json_lines

LOG = "attempts.jsonl"


def started(folder: Path, step: int, world_size: int) -> None:
    """Note a start that goes on after `step`; before the metrics are cut back to it."""
    metrics = folder / "metrics.jsonl"
    reached, seen = step, None
    if metrics.exists():
        seen = metrics.stat().st_mtime
        reached = max(step, _last_step(metrics))
    _append(
        folder, {"event": "start", "step": step, "reached": reached, "last_seen": seen, "ranks": world_size}
    )


def ended(folder: Path, step: int, how: str) -> None:
    """Note an end that the run itself saw: `how` is finished, failed, rewound or a signal's name."""
    _append(folder, {"event": "end", "step": step, "how": how})


def account(folder: Path) -> dict | None:
    """The run's life so far, in seconds and steps; None where no start was noted.

    goodput: the share of the life in which steps were computed that are still part of the run.
    """
    events = read(folder)
    starts = [event for event in events if event["event"] == "start"]
    if not starts:
        return None
    try:
        lines = read_metrics(folder / "metrics.jsonl")
    except Exception:  # none yet: nothing was computed that lasts
        lines = []
    computed = sum(_computing(line["seconds"]) for line in lines)
    ends = [event["time"] for event in events if event["event"] == "end"]
    metrics = folder / "metrics.jsonl"
    last = max([starts[-1]["time"], *ends[-1:], *([metrics.stat().st_mtime] if lines else [])])
    life = max(last - starts[0]["time"], 1e-9)
    return {
        "seconds": life,
        "goodput": min(1.0, computed / life),
        "starts": len(starts),
        "steps_repeated": sum(event["reached"] - event["step"] for event in starts),
        "seconds_down": sum(
            max(0.0, event["time"] - event["last_seen"]) for event in starts[1:] if event["last_seen"]
        ),
    }


def _computing(seconds: dict[str, float]) -> float:
    """What is left of a step without its stalls; a GPU computes behind the stretch that says so."""
    return seconds["total"] - sum(seconds.get(name, 0.0) for name in STALLS)


def read(folder: Path) -> list[dict]:
    """The events in order; a line torn by a full disk or a kill is passed over."""
    return [event for event in json_lines.read(folder / LOG) if "event" in event]


def _last_step(metrics: Path) -> int:
    for line in reversed(metrics.read_text(encoding="utf-8", errors="replace").splitlines()):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def _append(folder: Path, event: dict) -> None:
    event = {**event, "time": time.time()}
    try:
        json_lines.append(folder / LOG, event)
    except OSError as error:  # an account is not worth a run
        print(f"relama: warning: {folder / LOG}: {error}; this start or end is not counted", flush=True)
