"""Everything in a run folder, read once for the report: configuration, metrics, starts, decisions.

What an older run did not write is None or empty, and the page says so. Damaged files are refused here.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from data.tokens.store import tokenizer_in
from data.tokens.tokenizer import Tokenizer
from model.config import LlamaConfig
from train.config import RunError, TrainConfig
from train.run import json_lines
from train.run.configuration import read_run_config
from train.run.history import read_metrics
from train.run.lineage import ancestors, shared
from train.run.schema import DECISION
from train.run.starts import read_events, read_starts

SECOND_HALF = 2  # rates are means over the last half of the lines, once caches and clocks have settled


@dataclass
class RunRecord:
    """A run folder's contents."""

    path: Path
    config: TrainConfig
    lines: list[dict]  # metrics.jsonl, in order of step
    starts: list[dict]
    attempts: list[dict]  # every start, rewind and end
    decisions: list[dict]
    ancestors: list[tuple[Path, int]]  # a branch's parent and its last step there, and so on
    past: list[dict]  # the lines of the steps that its ancestors trained

    @classmethod
    def read(cls, path: Path) -> "RunRecord":
        """Raises RunError if there is no run at `path`, or if its metrics are missing or damaged."""
        config = read_run_config(path)
        lines = read_metrics(path / "metrics.jsonl")
        begun = [start for start in read_starts(path) if start["first_step"] <= lines[-1]["step"]]
        decided = json_lines.read(path / "decisions.jsonl", DECISION)
        past = _past(shared(path))
        return cls(path, config, lines, begun, read_events(path), decided, ancestors(path), past)

    @property
    def joined(self) -> list[dict]:
        """The lines of all steps, a branch's past included."""
        return self.past + self.lines

    @cached_property
    def model(self) -> LlamaConfig:
        """The model's shape with its vocabulary size, which the tokenizer may have set."""
        model = self.config.model
        if model.vocab_size != -1:
            return model
        return replace(model, vocab_size=Tokenizer(tokenizer_in(self.path)).vocab_size)

    @property
    def last(self) -> dict:
        return self.lines[-1]

    @property
    def measured(self) -> list[dict]:
        """The lines with held-out losses."""
        return [line for line in self.joined if line.get("validation")]

    @property
    def device(self) -> str | None:
        return self.starts[-1].get("device") if self.starts else None

    def column(self, key: str, joined: bool = False) -> list[float | None]:
        """A value of every line, with the past's if `joined`; None where it is missing or not finite."""
        values = (line.get(key) for line in (self.joined if joined else self.lines))
        return [v if isinstance(v, int | float) and math.isfinite(v) else None for v in values]

    def rate(self, key: str) -> float | None:
        """The mean of a value over the second half of the run, or None if unknown."""
        known = [value for value in self.column(key)[len(self.lines) // SECOND_HALF :] if value is not None]
        return sum(known) / len(known) if known else None

    def seconds(self, name: str = "total") -> float:
        return sum((line.get("seconds") or {}).get(name, 0.0) for line in self.lines)

    def ranks_at(self, step: int) -> int | None:
        """How many ranks trained the step: those of the last start at or before it, whose result counts."""
        able = [start["ranks"] for start in self.starts if start["first_step"] <= step]
        return able[-1] if able else None

    @cached_property
    def device_hours(self) -> float | None:
        """Hours of all ranks over the steps that count, or None if a start was not recorded."""
        total = 0.0
        for line in self.lines:
            ranks = self.ranks_at(line["step"])
            if ranks is None:
                return None
            total += ranks * (line.get("seconds") or {}).get("total", 0.0) / 3600
        return total


def _past(line: list[tuple[Path, int]]) -> list[dict]:
    """The metrics of the steps that a branch shares with its ancestors, as far as they can still be read."""
    found: list[dict] = []
    for path, last in line:  # from the parent back
        try:
            lines = [each for each in read_metrics(path / "metrics.jsonl") if each["step"] <= last]
        except RunError:
            continue
        known = found[0]["step"] if found else last + 1
        found = [each for each in lines if each["step"] < known] + found
    return found
