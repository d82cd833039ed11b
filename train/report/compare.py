"""Several runs on one page: figures, curves over steps, tokens, time and FLOPs, and config differences."""

from dataclasses import asdict
from typing import Any

from data.page import count, hours, percent
from model.flops import n_params
from train.report.charts import COLOURS, Line, line_chart, smoothed
from train.report.curves import figure, heldout_bits, last_tenth, mixed_bits, steps_of, x_axes
from train.report.life import when
from train.run.record import RunRecord
from train.run.schema import heldout_of

ABSENT = "–"


def comparison(records: list[RunRecord]) -> dict[str, Any]:
    """The values of comparison.html."""
    names = _names(records)
    return {
        "x_axes": [x_axes(record) for record in records],
        "heads": ("", *names),
        "figures": _figures(records),
        "charts": _charts(records, names),
        "differences": differences(records),
    }


def differences(records: list[RunRecord]) -> list[tuple[str, ...]]:
    """A row for each config key that differs: the key, and each run's value."""
    flat = [_flat(asdict(record.config)) for record in records]
    keys = dict.fromkeys(key for each in flat for key in each)
    rows = [(key, *(str(each.get(key, ABSENT)) for each in flat)) for key in keys if key != "run"]
    return [row for row in rows if len(set(row[1:])) > 1]


def _figures(records: list[RunRecord]) -> list[tuple[str, ...]]:
    """The figures of each run, a row each."""
    rows = {
        "held-out bits per byte": [figure(heldout_bits(record)) for record in records],
        "training loss, mean of the last tenth": [figure(last_tenth(record)) for record in records],
        "steps": [f"{record.last['step']:,} of {record.config.steps:,}" for record in records],
        "tokens": [count(record.last.get("tokens")) for record in records],
        "parameters": [count(n_params(record.model)) for record in records],
        "tokens per second, stalls included": [count(record.rate("tokens_per_second")) for record in records],
        "MFU": [percent(record.rate("mfu")) for record in records],
        "time in steps": [hours(record.seconds() / 3600) for record in records],
        "branched from": [
            f"{record.ancestors[0][0].name} after step {record.ancestors[0][1]:,}"
            if record.ancestors
            else ABSENT
            for record in records
        ],
        "device": [record.device or ABSENT for record in records],
        "first start": [_first_start(record) for record in records],
        "Relama commit": [_commit(record) for record in records],
    }
    return [(name, *values) for name, values in rows.items()]


def _first_start(record: RunRecord) -> str:
    return when(record.starts[0]["time"]) if record.starts and "time" in record.starts[0] else ABSENT


def _commit(record: RunRecord) -> str:
    return (record.starts[-1].get("commit") if record.starts else None) or ABSENT


def _charts(records: list[RunRecord], names: list[str]) -> list:
    train, heldout, norms, rates = [], [], [], []
    for number, (record, name) in enumerate(zip(records, names)):
        colour, steps = COLOURS[number % len(COLOURS)], steps_of(record)
        train.append(
            Line(
                name,
                steps_of(record, joined=True),
                smoothed(record.column("loss", joined=True)),
                colour,
                last=figure(last_tenth(record), 3),
                run=number,
            )
        )
        measured = [
            (line["step"], mixed_bits(record.config.data.weights, heldout_of(line)))
            for line in record.measured
        ]
        at, bits = [step for step, _ in measured], [value for _, value in measured]
        ends = figure(heldout_bits(record), 3)
        heldout.append(Line(name, at, bits, colour, dots=True, last=ends, run=number))
        norms.append(Line(name, steps, smoothed(record.column("grad_norm")), colour, run=number))
        rates.append(Line(name, steps, record.column("tokens_per_second"), colour, run=number))
    return [
        line_chart("Held-out bits per byte, sources weighted as in the mixture", heldout),
        line_chart("Training loss, smoothed (nats per token)", train),
        line_chart("Gradient norm, smoothed", norms, zero=True),
        line_chart("Tokens per second, all ranks", rates, zero=True),
    ]


def _names(records: list[RunRecord]) -> list[str]:
    """Folder names, or paths where two folders share a name."""
    short = [record.path.resolve().name for record in records]
    return short if len(set(short)) == len(short) else [str(record.path) for record in records]


def _flat(tree: dict, prefix: str = "") -> dict[str, object]:
    flat = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
