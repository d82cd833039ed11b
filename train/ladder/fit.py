"""Fit a `Law` to runs as Hoffmann et al. (arXiv 2203.15556, §3.3 and appendix D.2) do, and predict with it.

The Huber loss of the logarithms' residuals, with the law as a log-sum-exp, is minimized from each point of
their grid of starts; the best minimum wins. Intervals come from a bootstrap of the residuals: it keeps each
run's N and D, so it also works for the few runs of a ladder, where resampling runs would lose sizes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from train.ladder.law import Law
from train.ladder.minimize import Array, minimize

DELTA = 1e-3  # of the Huber loss
# log A, log B, log E, alpha, beta: Hoffmann et al., appendix D.2.
GRID = (range(0, 30, 5), range(0, 30, 5), (-1, -0.5, 0, 0.5, 1), (0, 0.5, 1, 1.5, 2), (0, 0.5, 1, 1.5, 2))
CANDIDATES = 40  # starts that are followed to the end, after a few steps of all
PARAMETERS = 5
LEVEL = 0.95  # of intervals

Interval = tuple[float, float]


class FitError(ValueError):
    """These runs do not determine a law: one line that says what is missing."""


@dataclass(frozen=True)
class Point:
    """One run: its name, parameters, training tokens and held-out loss (nats per token)."""

    name: str
    parameters: float
    tokens: float
    loss: float


@dataclass(frozen=True)
class Fit:
    """A law, the laws of the bootstrap, and the residuals log(measured) − log(fitted), a run each."""

    law: Law
    laws: list[Law]
    residuals: list[float]
    noise: list[float]  # residuals, enlarged for the parameters fitted: what a new run's may be

    def interval(self, name: str) -> Interval:
        """The interval of one of the law's parameters."""
        return _interval([getattr(law, name) for law in self.laws])

    def predict(self, parameters: float, tokens: float) -> tuple[float, Interval]:
        """The loss of a run that was not fitted, and the interval in which a measurement should fall."""
        losses = np.log([law.loss(parameters, tokens) for law in self.laws])
        spread = np.resize(np.asarray(self.noise), len(losses))  # each residual equally often
        return self.law.loss(parameters, tokens), _interval(np.exp(losses + spread))


def fit(points: Sequence[Point], replicates: int = 400, seed: int = 0) -> Fit:
    """Fit `points`; the same points and seed give the same bits. Raises FitError."""
    refuse_undetermined(points)
    n, d, measured = (
        np.log([getattr(point, key) for point in points]) for key in ("parameters", "tokens", "loss")
    )
    logs = (n, d)
    best, minima = _search_grid(logs, measured)
    fitted = _log_loss(best[None], logs)[0]
    residuals = measured - fitted
    freedom = max(1, len(points) - PARAMETERS)
    noise = residuals * np.sqrt(len(points) / freedom)
    drawn = np.random.default_rng(seed).choice(noise, (replicates, len(points)))
    laws = _refit(logs, fitted + drawn, minima) if replicates else []
    return Fit(_law(best), laws, residuals.tolist(), noise.tolist())


def refuse_undetermined(points: Sequence[Point]) -> None:
    """Raise FitError unless the points can tell E, the parameters' term and the tokens' term apart."""
    for point in points:
        if not all(np.isfinite(v) and v > 0 for v in (point.parameters, point.tokens, point.loss)):
            raise FitError(f"{point.name}: expected parameters, tokens and loss above 0")
    sizes = {point.parameters for point in points}
    if len(sizes) < 3:
        found = f"{len(sizes)} size{'s' * (len(sizes) != 1)}"
        found += f" ({_listed(sizes)} parameters)" if sizes else ""
        raise FitError(f"{found}: a fit needs at least 3")
    if len(points) <= PARAMETERS:
        raise FitError(
            f"{len(points)} runs: a fit of {PARAMETERS} parameters needs at least {PARAMETERS + 1}; "
            "add a size or a value of tokens_per_parameter"
        )
    design = np.array([[1.0, np.log(point.parameters), np.log(point.tokens)] for point in points])
    if np.linalg.matrix_rank(design - design.mean(0), tol=1e-2) < 2:
        raise FitError(
            "tokens are a fixed multiple of the parameters in all runs, so what more parameters do cannot be "
            "told from what more tokens do; give at least two values of tokens_per_parameter"
        )


def _search_grid(logs: tuple[Array, Array], measured: Array) -> tuple[Array, Array]:
    """The best parameters (5,), and all distinct minima that were found (m, 5), the best first."""
    starts = np.array(list(product(*GRID)), dtype=np.float64)
    target = np.broadcast_to(measured, (len(starts), len(measured)))

    def objective(theta: Array, which: Array) -> tuple[Array, Array]:
        return _huber(theta, logs, target[which])

    x, value = minimize(objective, starts, iterations=25)
    kept = x[np.argsort(value, kind="stable")[:CANDIDATES]]
    x, value = minimize(objective, kept)
    x = x[np.argsort(value, kind="stable")]
    return x[0], x


def _refit(logs: tuple[Array, Array], targets: Array, minima: Array) -> list[Law]:
    """The law of each row of `targets` (replicates, runs), from the best few minima of the fit itself."""
    starts = minima[:3]
    repeated = np.repeat(targets, len(starts), axis=0)

    def objective(theta: Array, which: Array) -> tuple[Array, Array]:
        return _huber(theta, logs, repeated[which])

    x, value = minimize(objective, np.tile(starts, (len(targets), 1)), iterations=200, rtol=1e-10)
    best = np.argmin(value.reshape(len(targets), -1), axis=1)
    chosen = x.reshape(len(targets), len(starts), PARAMETERS)[np.arange(len(targets)), best]
    return [_law(theta) for theta in chosen]


def _terms(theta: Array, logs: tuple[Array, Array]) -> Array:
    """log of A/N^alpha, B/D^beta and E: (3, rows, runs)."""
    a, b, e, alpha, beta = theta.T[..., None]
    n, d = logs
    return np.stack([a - alpha * n, b - beta * d, np.broadcast_to(e, (len(theta), len(n)))])


def _log_loss(theta: Array, logs: tuple[Array, Array]) -> Array:
    terms = _terms(theta, logs)
    highest = terms.max(0)
    return highest + np.log(np.exp(terms - highest).sum(0))


def _huber(theta: Array, logs: tuple[Array, Array], measured: Array) -> tuple[Array, Array]:
    """The summed Huber losses in units of DELTA², (rows,), and their gradients, (rows, 5)."""
    terms = _terms(theta, logs)
    highest = terms.max(0)
    shares = np.exp(terms - highest)
    total = shares.sum(0)
    shares /= total
    off = (highest + np.log(total) - measured) / DELTA
    size = np.abs(off)
    value = np.where(size <= 1, np.minimum(size, 1) ** 2 / 2, size - 0.5).sum(1)
    slope = np.clip(off, -1, 1) / DELTA
    by_a, by_b, by_e = (slope * share for share in shares)
    n, d = logs
    gradient = [by_a.sum(1), by_b.sum(1), by_e.sum(1), -(by_a @ n), -(by_b @ d)]
    return value, np.stack(gradient, axis=1)


def _law(theta: Array) -> Law:
    a, b, e, alpha, beta = theta.tolist()
    return Law(math.exp(e), a, b, alpha, beta)


def _interval(values: Sequence[float] | Array) -> Interval:
    # One of the values, since a mean of two infinite ones is not a number.
    low, high = np.quantile(np.asarray(values), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return float(low), float(high)


def _listed(sizes: set[float]) -> str:
    return ", ".join(f"{size:,.0f}" for size in sorted(sizes))
