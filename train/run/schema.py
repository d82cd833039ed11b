"""What the JSON files of a run folder look like, checked whenever one is read.

A run's newest complete checkpoint is authoritative. These files are views of it, for people, scripts and the
report: people edit them and disks damage them, so nothing is taken from one that does not fit its schema.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Check = Callable[[object], bool]


def integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def text(value: object) -> bool:
    return isinstance(value, str)


def mapping(value: object) -> bool:
    return isinstance(value, dict)


def numbers(value: object) -> bool:
    """A mapping of names to numbers."""
    return isinstance(value, dict) and all(map(number, value.values()))


def figures(value: object) -> bool:
    """A mapping of names to numbers, or to null for one that was not finite."""
    return isinstance(value, dict) and all(map(or_null(number), value.values()))


def texts(value: object) -> bool:
    """A mapping of names to texts."""
    return isinstance(value, dict) and all(map(text, value.values()))


def pair(value: object) -> bool:
    """Two integers."""
    return isinstance(value, list) and len(value) == 2 and all(map(integer, value))


def stretches(value: object) -> bool:
    """Updates of AdamW with the same settings, as lineage.json lists them."""
    return isinstance(value, list) and all(map(_stretch, value))


def _stretch(value: object) -> bool:
    if not isinstance(value, dict) or value.keys() != {"last", "clip", "betas"}:
        return False
    betas = value["betas"]
    is_pair = isinstance(betas, list) and len(betas) == 2 and all(number(b) and 0 <= b < 1 for b in betas)
    return is_pair and integer(value["last"]) and or_null(number)(value["clip"])


def names(value: object) -> bool:
    return isinstance(value, list) and all(map(text, value))


def one_of(*choices: str) -> Check:
    return lambda value: value in choices if isinstance(value, str) else False


def or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


@dataclass(frozen=True)
class Schema:
    """The keys that an object must have and may have; others are ignored."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check] = field(default_factory=dict)

    def parse(self, line: str | bytes) -> dict:
        """The object in `line`. Raises ValueError, in a few words, if it is not JSON or does not fit."""
        value = parse(line)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        if missing := [key for key in self.required if key not in value]:
            raise ValueError(f"no {', '.join(missing)}")
        for key, check in (*self.required.items(), *self.optional.items()):
            if key in value and not check(value[key]):
                raise ValueError(f"{key} is {str(value[key])[:40]!r}")
        return value


def parse(line: str | bytes) -> object:
    """JSON in UTF-8 without its extensions: NaN and Infinity read as null. Raises ValueError for all else."""
    try:
        text = line if isinstance(line, str) else line.decode()  # json would take UTF-16, too
        return json.loads(text, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}") from None


def finite(value: Any) -> Any:
    """`value` with null for each number that is not finite, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def heldout_of(line: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The held-out figures in a line of metrics by source; NaN for null, which was not finite."""
    by_source = line.get("validation") or {}
    return {
        source: {name: math.nan if value is None else value for name, value in found.items()}
        for source, found in by_source.items()
    }


STEP = Schema(  # a line of metrics.jsonl
    {"step": integer, "loss": or_null(number)},
    {
        "grad_norm": or_null(number),
        "lr": or_null(number),
        "tokens": or_null(integer),
        "tokens_per_second": or_null(number),
        "tokens_per_second_computing": or_null(number),
        "mfu": or_null(number),
        "memory_gib": or_null(number),
        "seconds": or_null(numbers),
        "epochs": or_null(numbers),
        "validation": or_null(lambda value: isinstance(value, dict) and all(map(mapping, value.values()))),
        "evaluation": or_null(figures),
        "ranks": or_null(mapping),
        "decision": text,
    },
)
EVENT = Schema(  # a line of starts.jsonl or attempts.jsonl
    {"time": number},
    {
        "event": one_of("start", "saved", "end"),  # older lines of starts.jsonl have neither this nor a step
        "step": integer,
        "reached": integer,
        "last_seen": or_null(number),
        "ranks": integer,
        "how": text,
        "first_step": integer,
        "command": text,
        "in": text,
        "device": text,
        "platform": text,
        "python": text,
        "versions": texts,
        "commit": or_null(text),
        "threads": or_null(integer),
    },
)
DECISION = Schema(  # a line of decisions.jsonl
    {"step": integer, "action": one_of("warn", "skip", "rewind", "recompute", "reload", "stop"), "why": text},
    {
        "kind": text,
        "since": integer,
        "loss": or_null(number),
        "grad_norm": or_null(number),
        "to_step": integer,
        "samples": pair,
        "sources": numbers,
        "documents": names,
    },
)
LINEAGE = Schema(
    {"parent": text, "step": integer, "checksum": text},
    {"fingerprints": texts, "without": mapping, "updates": stretches},
)
FINISHED = Schema({"step": integer}, {"at": text})
STOPPED = Schema({"step": integer, "why": text}, {"at": text})
LOGGED_RUN = Schema(  # wandb.json, mlflow.json
    {"id": text}, {"group": text, "rewinds": integer, "folder": text, "step": integer}
)
SAMPLE = Schema({"step": integer, "prompt": text, "text": text})
