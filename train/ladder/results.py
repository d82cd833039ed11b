"""What a ladder's trained run measured, whether it may be fitted, and whether all runs saw the same data."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from model.flops import n_params
from train.config import RunError
from train.ladder.fit import Point
from train.report.curves import last_tenth, mixed_bits
from train.run import markers
from train.run.record import RunRecord
from train.run.schema import heldout_of

BRIEF = 40  # characters of a value in a message
WORSE = 1.05  # a training loss that ends this far above its lowest tenth has diverged


@dataclass(frozen=True)
class Result:
    """One run: its measured point, and why it is left out of the fit, if it is."""

    record: RunRecord
    point: Point
    bits_per_byte: float
    by_source: dict[str, float]  # held-out bits per byte
    excluded: str = ""


def read(path: Path, name: str) -> Result | None:
    """The result of the run at `path`; None if it has not ended. Raises RunError if it is damaged."""
    stopped = (path / markers.STOPPED).exists()
    if not stopped and not (path / markers.FINISHED).exists():
        return None
    record = RunRecord.read(path)
    if not stopped and record.last["step"] < record.config.steps:
        return None  # ended early by stop_at
    tokens = record.config.timeline.tokens(record.last["step"])
    validation = heldout_of(record.last)
    if not validation and not stopped:
        raise RunError(
            f"{path}: no held-out loss at its last step; leave it out, or train it anew on "
            "sources with held-out data"
        )
    weights = record.config.data.weights
    total = sum(weights.get(source, 0.0) for source in validation) or 1.0
    loss = sum(weights.get(source, 0.0) * found["loss"] for source, found in validation.items()) / total
    loss = loss if validation else math.nan
    return Result(
        record,
        Point(name, n_params(record.model), tokens, loss),
        mixed_bits(weights, validation) or math.nan,
        {source: found["bits_per_byte"] for source, found in validation.items()},
        "recovery stopped it" if stopped else _diverged(record, loss),
    )


def _diverged(record: RunRecord, loss: float) -> str:
    """Why a finished run must not be fitted; empty if it may."""
    uniform = math.log(record.model.vocab_size)
    if not math.isfinite(loss):
        return "diverged: its held-out loss is not finite"
    if loss >= uniform:
        return f"diverged: its held-out loss of {loss:.3f} is not below a uniform guess's {uniform:.3f}"
    losses, size = record.column("loss"), max(1, len(record.lines) // 10)
    tenths = [
        [value for value in losses[begin : begin + size] if value is not None]
        for begin in range(0, len(losses) - size + 1, size)
    ]
    means = [sum(tenth) / len(tenth) for tenth in tenths if tenth]
    end = last_tenth(record)
    if end is None or end > WORSE * min(means):
        return f"diverged: its training loss ended at {end or math.nan:.3f}, after {min(means):.3f}"
    return ""


def data_of(path: Path) -> dict[str, str]:
    """The fingerprint of each source's tokens that the run at `path` was trained on. Raises RunError."""
    order = path / "order.json"
    try:
        return dict(json.loads(order.read_text())["fingerprints"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{order}: cannot say which data the run used ({error})") from None


def refuse_other_data(results: list[Result]) -> None:
    """Raise RunError, naming two runs, unless all were trained and measured on the same data."""
    first = results[0].record
    data = data_of(first.path)
    for result in results[1:]:
        record = result.record
        for what, one, other in (
            ("weights of the sources", first.config.data.weights, record.config.data.weights),
            ("tokens", data, data_of(record.path)),
            ("sequence length", first.config.seq_len, record.config.seq_len),
            ("schedule", first.config.optim.schedule, record.config.optim.schedule),
            ("phases", _phases(first, record), _phases(record, first)),
        ):
            if one != other:
                raise RunError(
                    f"{record.path}: not the same {what} as {first.path} ({_difference(one, other)}), so one "
                    f"law cannot describe both; fit runs of the same {what}"
                )


def _phases(record: RunRecord, other: RunRecord) -> dict[str, str]:
    """What each phase sets. And where it ends, unless those of `other` end there too, to within a step."""
    config = record.config
    ends, others = (
        [phase.end / one.config.steps for phase in one.config.timeline.phases] for one in (record, other)
    )
    step = 1 / min(config.steps, other.config.steps)
    is_same = len(ends) == len(others) and all(abs(a - b) <= step for a, b in zip(ends, others, strict=True))
    found = {}
    for (name, phase), end in zip(config.phases.items(), ends):
        sets = [] if is_same else [f"until {end:.0%}"]
        for key, value in asdict(phase).items():
            if value is not None and key not in phase.ends:
                sets.append(f"{key}={value}")
        found[name] = " ".join(sets)
    return found


def _difference(one: object, other: object) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
        return ", ".join(f"{key}: {_brief(other.get(key))}, {_brief(one.get(key))} there" for key in keys)
    return f"{other}, {one} there"


def _brief(value: object) -> str:
    return "absent" if value is None else str(value)[:BRIEF]
