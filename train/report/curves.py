"""What happened in a run, for the report: the figures at the top, curves, speed and where the time went."""

import math
from typing import Any

from markupsafe import Markup

from model.flops import flops_per_token, n_params
from train.report.charts import COLOURS, FAINT, INK, Line, line_chart, share_bar, smoothed
from train.run.record import RunRecord
from train.run.schema import heldout_of

TIMES = {
    "compute": "computing",
    "data": "waiting for data",
    "validate": "validating",
    "checkpoint": "saving",
    "certificate": "replaying for certificates",
}
FEW = 20  # steps, below which a loss is drawn without smoothing
POINTS = 400  # of the table from steps to tokens, hours and FLOPs


def steps_of(run: RunRecord, joined: bool = False) -> list[float]:
    return [line["step"] for line in (run.joined if joined else run.lines)]


def colours(run: RunRecord) -> dict[str, str]:
    """A color for each source, the same in every chart."""
    return {source: COLOURS[i % len(COLOURS)] for i, source in enumerate(run.config.timeline.weights)}


def heldout_bits(run: RunRecord) -> float | None:
    """The last held-out bits per byte, the sources weighted as in the mixture; None if never measured."""
    return mixed_bits(run.config.data.weights, heldout_of(run.measured[-1])) if run.measured else None


def mixed_bits(weights: dict[str, float], validation: dict[str, dict]) -> float | None:
    """Held-out bits per byte over the sources of one validation, weighted as in the mixture."""
    total = sum(weights.get(source, 0.0) for source in validation)
    bits = sum(weights.get(source, 0.0) * found["bits_per_byte"] for source, found in validation.items())
    return bits / total if total else None


def last_tenth(run: RunRecord) -> float | None:
    """The mean training loss over the last tenth of the steps."""
    known = [loss for loss in run.column("loss")[-max(1, len(run.lines) // 10) :] if loss is not None]
    return sum(known) / len(known) if known else None


def figure(value: float | None, digits: int = 4) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def x_axes(run: RunRecord) -> dict[str, list[float]]:
    """Steps and what they are in tokens, hours and FLOPs: for each axis a list of the same length.

    Hours are omitted if the metrics lack them.
    """
    lines, timeline = run.joined, run.config.timeline
    every = -(-len(lines) // POINTS)
    kept = sorted({*range(0, len(lines), every), len(lines) - 1})
    tokens = [line.get("tokens") or timeline.tokens(line["step"]) for line in lines]
    per_token = flops_per_token(run.model, run.config.seq_len or run.model.max_seq_len)
    axes = {
        "step": [lines[i]["step"] for i in kept],
        "tokens": [tokens[i] for i in kept],
        "flops": [tokens[i] * per_token for i in kept],
    }
    if all("total" in (line.get("seconds") or {}) for line in lines):
        hours, total = [], 0.0
        for line in lines:
            total += line["seconds"]["total"] / 3600
            hours.append(total)
        axes["hours"] = [float(f"{hours[i]:.6g}") for i in kept]
    return axes


def summary(run: RunRecord) -> dict[str, Any]:
    """The figures that people ask for first, by name."""
    memory = max((value for value in run.column("memory_gib") if value is not None), default=None)
    return {
        "heldout": figure(heldout_bits(run)),
        "loss": figure(last_tenth(run)),
        "step": run.last["step"],
        "tokens": run.last.get("tokens"),
        "all_tokens": run.config.timeline.tokens(run.config.steps),
        "parameters": n_params(run.model),
        "rate": run.rate("tokens_per_second"),
        "mfu": run.rate("mfu"),
        "hours": run.seconds() / 3600,
        "memory": None if memory is None else memory * 2**30,
    }


def loss_lines(run: RunRecord) -> list[Line]:
    """Training loss: each step's behind the smoothed mean; a branch's begins with its past."""
    steps, losses = steps_of(run, joined=True), run.column("loss", joined=True)
    last = figure(last_tenth(run), 3)
    if len(losses) < FEW:
        return [Line("train", steps, losses, INK, last=last)]
    return [
        Line("train, each step", steps, losses, FAINT, legend=False),
        Line("train, smoothed", steps, smoothed(losses), INK, last=last),
    ]


def losses(run: RunRecord) -> dict[str, Any]:
    """Train and held-out loss as `charts`, and the last held-out figures by source as rows."""
    tint, lines, bits = colours(run), loss_lines(run), []
    measured = [(line["step"], heldout_of(line)) for line in run.measured]
    for source in dict.fromkeys(name for _, by_source in measured for name in by_source):
        at = [step for step, by_source in measured if source in by_source]
        found = [by_source[source] for _, by_source in measured if source in by_source]
        tone = tint.get(source, INK)
        ends = [figure(found[-1][key], 3) for key in ("loss", "bits_per_byte")]
        lines.append(Line(source, at, [each["loss"] for each in found], tone, dots=True, last=ends[0]))
        bits.append(
            Line(source, at, [each["bits_per_byte"] for each in found], tone, dots=True, last=ends[1])
        )
    charts = [
        line_chart("Loss: train, and held-out by source (nats per token)", lines),
        line_chart("Held-out by source (bits per byte)", bits),
    ]
    if scores := _score_lines(run):
        charts.append(line_chart("Benchmarks during training (scores by task)", scores))
    step, last = measured[-1] if measured else (0, {})
    return {"charts": charts, "step": step, "rows": [_heldout(*item) for item in last.items()]}


def _score_lines(run: RunRecord) -> list[Line]:
    """A line for each task that was scored while the run trained."""
    scored = [line for line in run.lines if line.get("evaluation")]
    lines = []
    for number, task in enumerate(dict.fromkeys(name for line in scored for name in line["evaluation"])):
        points = [(line["step"], line["evaluation"][task]) for line in scored if task in line["evaluation"]]
        steps, scores = [step for step, _ in points], [score for _, score in points]
        tone = COLOURS[number % len(COLOURS)]
        lines.append(Line(task, steps, scores, tone, dots=True, last=figure(scores[-1], 3)))
    return lines


def _heldout(source: str, result: dict[str, float]) -> tuple[str, ...]:
    of = f"{result['sequences']:,} of {result['of_sequences']:,}" if "of_sequences" in result else "–"
    return (
        source,
        figure(result["loss"]),
        figure(result["perplexity"], 2),
        figure(result["bits_per_byte"]),
        f"{result['tokens']:,}",
        of,
    )


def optimization(run: RunRecord) -> list[Markup]:
    """Charts of the learning rate, and of the gradient norm before clipping."""
    steps, clip, norms = steps_of(run), run.config.optim.clip, run.column("grad_norm")
    clipped = sum(norm > clip for norm in norms if norm is not None)
    lines = [
        Line("gradient norm", steps, norms, "#0072b2", last=f"{clipped / len(norms):.0%} of steps clipped")
    ]
    if any(norm is not None and norm > clip / 2 for norm in norms):
        ends = steps[:1] + steps[-1:]
        lines.append(Line(f"clipped at {clip:g}", ends, [clip, clip], "#d55e00", dashed=True))
    return [
        line_chart("Learning rate", [Line("learning rate", steps, run.column("lr"), "#0072b2")], zero=True),
        line_chart("Gradient norm, before clipping", lines, zero=True),
    ]


def speed(run: RunRecord) -> dict[str, Any]:
    """Throughput (`chart`), where the time went (`bar`), and the share of `communication` if watched."""
    steps = steps_of(run)
    rates = [
        Line("computing", steps, run.column("tokens_per_second_computing"), "#56b4e9"),
        Line("with stalls", steps, run.column("tokens_per_second"), "#0072b2"),
    ]
    spent = [(name, run.seconds(key)) for key, name in TIMES.items()]
    spent.append(("other", max(0.0, run.seconds() - sum(seconds for _, seconds in spent))))
    return {
        "chart": line_chart("Tokens per second, all ranks", rates, zero=True),
        "bar": share_bar("Where the time of these steps went", spent) if run.seconds() else "",
        "communication": _communication(run),
    }


def _communication(run: RunRecord) -> str:
    """A sentence on exposed communication, over the steps that measured it; empty if none did."""
    watched = [line["seconds"] for line in run.lines if "communication" in (line.get("seconds") or {})]
    if not watched:
        return ""
    share = sum(each["communication"] for each in watched) / sum(each["total"] for each in watched)
    steps = f"{len(watched)} watched step{'s' * (len(watched) != 1)}"
    return f"Communication not overlapped by computation: {share:.1%} of {steps}."
