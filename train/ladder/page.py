"""ladder.html: a ladder's curves, fit, residuals, predictions and advice."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data.page import count, hours, percent, render
from train.ladder.fit import Fit
from train.ladder.results import Result
from train.report.charts import COLOURS, Chart, Line, smoothed

TEMPLATES = Path(__file__).with_name("templates")


def page(name: str, document: dict[str, Any], done: Sequence[Result], fitted: Fit) -> str:
    """The page of one ladder from its ladder.json, its runs and its fit."""
    return render(
        "ladder.html",
        TEMPLATES,
        title=name,
        under=[f"A ladder of {len(done)} runs"],
        document=document,
        law=_law(document),
        rows=[_row(run) for run in document["runs"]],
        predicted=[_prediction(run, document["predictions"]) for run in document["runs"]],
        unmeasured=[_unmeasured(run, document["predictions"]) for run in document["planned"]],
        serving=_serving(document["advice"]) if document["advice"] else [],
        charts={key: chart.figure() for key, chart in charts(document, done, fitted).items()},
    )


def charts(document: dict[str, Any], done: Sequence[Result], fitted: Fit) -> dict[str, Chart]:
    """The paper's Figure 1 for ours, the fit, its residuals, and the predictions, by name."""
    sizes = sorted({result.point.parameters for result in done})
    colours = {size: COLOURS[i % len(COLOURS)] for i, size in enumerate(sizes)}
    kept = [result for result in done if not result.excluded]
    return {
        "figure_1": Chart("Training loss (nats per token)", _training(done, colours), by="tokens"),
        "fit": Chart(
            "Held-out loss: measured, and the fit", _fitted(kept, colours, fitted), "tokens", log_x=True
        ),
        "residuals": Chart(
            "Measured − fitted, percent", _residuals(kept, colours, fitted), "parameters", True
        ),
        "predictions": Chart(
            "Predicted (with interval) and measured loss",
            _predictions(document, colours),
            *("tokens", True),
        ),
    }


def _training(done: Sequence[Result], colours: dict[float, str]) -> list[Line]:
    """Of each size, the run with the most tokens: the paper's Figure 1."""
    lines = []
    for size, colour in colours.items():
        result = max((r for r in done if r.point.parameters == size), key=lambda r: r.point.tokens)
        record = result.record
        timeline = record.config.timeline
        tokens = [timeline.tokens(line["step"]) for line in record.lines]
        losses = smoothed(record.column("loss"))
        skip = max(1, len(losses) // 50)  # the first steps would flatten the rest
        lines.append(Line(count(size), tokens[skip:], losses[skip:], colour))
    return lines


def _fitted(kept: Sequence[Result], colours: dict[float, str], fitted: Fit) -> list[Line]:
    lines = []
    for size, colour in colours.items():
        points = sorted((r.point.tokens, r.point.loss) for r in kept if r.point.parameters == size)
        if not points:
            continue
        at = np.geomspace(points[0][0] / 1.5, points[-1][0] * 1.5, 40).tolist()
        lines.append(Line("", at, [fitted.law.loss(size, d) for d in at], colour, legend=False, dashed=True))
        xs, ys = zip(*points)
        lines.append(Line(count(size), xs, ys, colour, dots=True, joined=False))
    return lines


def _residuals(kept: Sequence[Result], colours: dict[float, str], fitted: Fit) -> list[Line]:
    ends = [min(colours) / 1.2, max(colours) * 1.2]
    lines = [Line("", ends, [0.0, 0.0], dashed=True, legend=False)]
    for size, colour in colours.items():
        ys = [100 * off for r, off in zip(kept, fitted.residuals) if r.point.parameters == size]
        lines.append(Line(count(size), [size] * len(ys), ys, colour, dots=True, joined=False))
    return lines


def _predictions(document: dict[str, Any], colours: dict[float, str]) -> list[Line]:
    lines = []
    for run in [*document["runs"], *document["planned"]]:
        found = document["predictions"].get(run["name"])
        if not found:
            continue
        colour, tokens = colours.get(run["parameters"], COLOURS[-1]), run["tokens"]
        bar = Line("", [tokens, tokens], [found["low"], found["high"]], colour, legend=False)
        lines += [bar, replace(bar, xs=[tokens * 0.97, tokens * 1.03], ys=[found["loss"]] * 2)]
        if run.get("loss"):
            lines.append(Line(run["name"], [tokens], [run["loss"]], colour, dots=True, joined=False))
    return lines


def _law(document: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (name, f"{document['law'][name]:.4g}", f"{low:.4g}", f"{high:.4g}")
        for name, (low, high) in document["intervals"].items()
    ]


def _row(run: dict[str, Any]) -> tuple[str, ...]:
    return (
        run["name"],
        f"{run['dim']} × {run['layers']}",
        count(run["parameters"]),
        count(run["tokens"]),
        f"{run['steps']:,}",
        f"{run['global_batch']:,}",
        f"{run['lr']:.2g}",
        f"{run['loss']:.4f}",
        f"{run['bits_per_byte']:.4f}",
        hours(run["seconds"] / 3600),
        run["excluded"] or "yes",
    )


def _prediction(run: dict[str, Any], predictions: dict[str, dict]) -> tuple[str, ...] | None:
    found = predictions.get(run["name"])
    if not found:
        return None
    inside = found["low"] <= run["loss"] <= found["high"]
    return (
        run["name"],
        found["made"].replace("T", " ").rstrip("Z"),
        f"{found['runs']}",
        f"{found['loss']:.4f}",
        f"{found['low']:.4f} – {found['high']:.4f}",
        f"{run['loss']:.4f}",
        f"{run['error']:+.2%}" if run["error"] is not None else "–",
        "yes" if inside else "no",
    )


def _unmeasured(run: dict[str, Any], predictions: dict[str, dict]) -> tuple[str, ...] | None:
    found = predictions.get(run["name"])
    if not found:
        return None
    interval = f"{found['low']:.4f} – {found['high']:.4f}"
    return (run["name"], count(run["parameters"]), count(run["tokens"]), f"{found['loss']:.4f}", interval)


def _serving(advice: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            count(row["served"]),
            count(row["parameters"]),
            count(row["tokens"]),
            f"{row['tokens'] / row['parameters']:,.0f}",
            f"{row['training_flops']:.3g}",
            f"{row['all_flops']:.3g}",
            percent(row["of_compute_optimal"], 0),
        )
        for row in advice["serving"]
    ]
