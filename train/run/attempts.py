"""Goodput: how much of a run's life was training that counts, and what each restart cost."""

from pathlib import Path

from train.config import RunError
from train.metrics.clock import STALLS
from train.run.history import read_metrics
from train.run.starts import read_events


def account(folder: Path) -> dict | None:
    """The run's life so far, in seconds and steps; None if no start was recorded.

    goodput: the share of its life spent computing steps that are still part of the run.
    """
    events = read_events(folder)
    starts = [event for event in events if event["event"] == "start"]
    if not starts:
        return None
    try:
        lines = read_metrics(folder / "metrics.jsonl")
    except RunError:  # none yet: nothing was computed that counts
        lines = []
    computed = sum(_computing(line.get("seconds") or {}) for line in lines)
    ends = [event["time"] for event in events if event["event"] == "end"]
    last = max([starts[-1]["time"], *ends[-1:]])
    if lines and events[-1]["event"] != "end":  # it goes on, or was killed
        last = max(last, (folder / "metrics.jsonl").stat().st_mtime)
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
    """A step's time without its stalls; a GPU computes behind the stretch that waits for it."""
    return seconds.get("total", 0.0) - sum(seconds.get(name, 0.0) for name in STALLS)
