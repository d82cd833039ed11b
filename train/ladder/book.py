"""ladder.json: a ladder's runs, predictions, law and advice. A prediction once written is never changed.

It is written before the runs that it predicts are trained, and again after each size.
"""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.folders import write_whole
from data.page import count
from train.config import RunError
from train.ladder.config import LadderConfig
from train.ladder.family import Rung
from train.ladder.fit import LEVEL, Fit
from train.ladder.law import NAMES, SERVE_FLOPS, TRAIN_FLOPS
from train.ladder.results import Result

SEEN = 0.01  # share of the loss from which a term of the law counts as seen
BUDGETS = 100  # times the FLOPs of the largest run: the budget to advise on, if none is given


class Book:
    """The file and the predictions in it."""

    def __init__(self, path: Path) -> None:
        """Read what an earlier command left. Raises RunError if it cannot be read."""
        self.path = path
        self.predictions: dict[str, dict[str, Any]] = {}
        self._document: dict[str, Any] = {}
        if path.exists():
            try:
                self._document = json.loads(path.read_text())
                self.predictions = {
                    name: found | {key: _number(found[key]) for key in ("loss", "low", "high")}
                    for name, found in self._document["predictions"].items()
                }
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise RunError(f"{path}: not a ladder's record ({error}); move it away") from None

    def predict(self, fitted: Fit, rungs: Sequence[Rung]) -> None:
        """Predict runs that have not begun, unless they were predicted before, and write that down."""
        for rung in rungs:
            if rung.name not in self.predictions:
                loss, (low, high) = fitted.predict(rung.parameters, rung.tokens)
                made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                runs = len(fitted.residuals)
                self.predictions[rung.name] = {
                    "loss": loss,
                    "low": low,
                    "high": high,
                    "made": made,
                    "runs": runs,
                }
        self._save({**self._document, "predictions": self.predictions})

    def width(self, fitted: Fit, rung: Rung) -> float:
        """The width of this run's interval as a share of the predicted loss."""
        loss, (low, high) = fitted.predict(rung.parameters, rung.tokens)
        return (high - low) / loss

    def line(self, rung: Rung) -> str:
        found = self.predictions.get(rung.name)
        if not found:
            return f"{rung.name}: not predicted, because its training had begun"
        return (
            f"{rung.name}: predicted before training: {found['loss']:.4f} "
            f"({LEVEL:.0%}: {found['low']:.4f} to {found['high']:.4f})"
        )

    def write(
        self, config: LadderConfig, planned: list[Rung], done: list[Result], fitted: Fit | None, stopped: str
    ) -> dict[str, Any]:
        """Write everything known, and return it."""
        return self._save(
            {
                "predictions": self.predictions,
                "runs": [_run(result, planned, self.predictions) for result in done],
                "planned": [
                    {"name": rung.name, "parameters": rung.parameters, "tokens": rung.tokens}
                    for rung in planned
                    if rung.name not in {result.point.name for result in done}
                ],
                "excluded": {result.point.name: result.excluded for result in done if result.excluded},
                "stopped": stopped,
                "law": {name: getattr(fitted.law, name) for name in NAMES} if fitted else None,
                "intervals": {name: fitted.interval(name) for name in NAMES} if fitted else {},
                "level": LEVEL,
                "undetermined": undetermined(done, fitted) if fitted else "",
                "advice": advice(config, done, fitted) if fitted else None,
            }
        )

    def _save(self, document: dict[str, Any]) -> dict[str, Any]:
        self._document = document
        write_whole(self.path, json.dumps(_plain(document), indent=1))
        return document


def _run(result: Result, planned: list[Rung], predictions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    record, point = result.record, result.point
    predicted = predictions.get(point.name)
    return {
        "name": point.name,
        "dim": record.model.dim,
        "layers": record.model.n_layers,
        "parameters": point.parameters,
        "tokens": point.tokens,
        "steps": record.last["step"],
        "global_batch": record.config.global_batch,
        "lr": record.config.optim.lr,
        "loss": point.loss,
        "bits_per_byte": result.bits_per_byte,
        "bits_per_byte_by_source": result.by_source,
        "seconds": round(record.seconds(), 1),
        "excluded": result.excluded,
        "error": point.loss / predicted["loss"] - 1 if predicted else None,
    }


def undetermined(done: Sequence[Result], fitted: Fit) -> str:
    """Why the law must not be extrapolated: a term that no run shows; empty if all three matter."""
    law = fitted.law
    points = [result.point for result in done if not result.excluded]
    terms = {
        "the parameters": [law.of_parameters(p.parameters) / p.loss for p in points],
        "the tokens": [law.of_tokens(p.tokens) / p.loss for p in points],
        "the loss that remains (E)": [law.E / p.loss for p in points],
    }
    for name, shares in terms.items():
        if max(shares) < SEEN:
            return f"{name} made up less than {SEEN:.0%} of the loss in every run, so the fit cannot tell how"
    return "" if law.alpha > 0 and law.beta > 0 else "a fitted exponent is not positive"


def advice(config: LadderConfig, done: Sequence[Result], fitted: Fit) -> dict[str, Any] | None:
    """What the law advises for a training budget, and for serving at its loss; None if it is undetermined."""
    law = fitted.law
    if undetermined(done, fitted):
        return None
    largest = max(result.point.parameters for result in done)
    flops = config.compute or BUDGETS * max(
        TRAIN_FLOPS * result.point.parameters * result.point.tokens for result in done
    )
    parameters, tokens = law.compute_optimal(flops)
    loss, interval = fitted.predict(parameters, tokens)
    rows = []
    for served in (0.0, config.served / 100, config.served / 10, config.served):
        if best := law.cheapest(loss, served):
            size, seen = best
            training, serving = TRAIN_FLOPS * size * seen, SERVE_FLOPS * size * served
            optimal = TRAIN_FLOPS * parameters * tokens + SERVE_FLOPS * parameters * served
            rows.append(
                {
                    "served": served,
                    "parameters": size,
                    "tokens": seen,
                    "training_flops": training,
                    "all_flops": training + serving,
                    "of_compute_optimal": (training + serving) / optimal,
                }
            )
    return {
        "flops": flops,
        "parameters": parameters,
        "tokens": tokens,
        "loss": loss,
        "interval": interval,
        "beyond_largest": parameters / largest,
        "serving": rows,
    }


def compared(name: str, prediction: dict[str, Any], loss: float) -> str:
    """One line: how far a prediction was off."""
    inside = prediction["low"] <= loss <= prediction["high"]
    return (
        f"{name}: measured {loss:.4f}, predicted {prediction['loss']:.4f}: off by "
        f"{loss / prediction['loss'] - 1:+.2%}, {'inside' if inside else 'OUTSIDE'} the interval"
    )


def summary(document: dict[str, Any]) -> list[str]:
    """The law and the advice, a line each."""
    law, intervals = document["law"], document["intervals"]
    lines = [
        f"L(N, D) = {law['E']:.4g} + {law['A']:.4g}/N^{law['alpha']:.4g} + "
        f"{law['B']:.4g}/D^{law['beta']:.4g}, in nats per token",
        ", ".join(f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in intervals.items())
        + f" ({document['level']:.0%} of the bootstrap)",
    ]
    if not (found := document["advice"]):
        why = document["undetermined"]
        return [*lines, f"no advice: {why}; add sizes, or more tokens_per_parameter"]
    lines.append(
        f"of {found['flops']:.3g} FLOPs of training, the best is {count(found['parameters'])} parameters on "
        f"{count(found['tokens'])} tokens: {found['loss']:.4f} ({found['interval'][0]:.4f} to "
        f"{found['interval'][1]:.4f}), {found['beyond_largest']:.1f} times the largest size trained"
    )
    lines += [
        f"to serve {count(row['served'])} tokens at that loss: {count(row['parameters'])} parameters on "
        f"{count(row['tokens'])} tokens, {row['of_compute_optimal']:.0%} of all FLOPs with the size above"
        for row in found["serving"][1:]
    ]
    return lines


def _number(value: Any) -> float:
    """A number as `_plain` wrote it: null is infinite."""
    return math.inf if value is None else float(value)


def _plain(value: Any) -> Any:
    """For JSON: non-finite numbers become null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
