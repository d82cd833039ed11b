"""The order of the data that a run's phases call for."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import TypedDict

from data.order import Order
from data.phases.kept import Ranges
from data.tokens.store import TokenStore
from train.config import RunError, TrainConfig
from train.phases.timeline import Phase


class _Draws(TypedDict):
    weights: dict[str, float]
    n_sequences: dict[str, int]
    seq_len: int


def first_order(config: TrainConfig, stores: Mapping[str, TokenStore]) -> Order:
    """The order from sample 0."""
    first, *later = config.timeline.phases
    order = Order.start(seed=config.order_seed, **_draws(first, stores))
    return _with(order, config, later, 0, stores)


def branched(
    order: Order,
    config: TrainConfig,
    at: int,
    stores: Mapping[str, TokenStore],
    without: Mapping[str, Ranges] | None = None,
) -> Order:
    """`order` up to step `at`, then what the phases of `config` call for, without these token ranges."""
    order = order.truncated(config.timeline.steps.sample(at))
    left = [phase for phase in config.timeline.phases if phase.end > at]
    return _with(order, config, left, at, stores, without)


def refuse_repeats(order: Order, config: TrainConfig, at: int = 0) -> None:
    """Raise RunError if a phase after step `at` reads a source more often than data.max_epochs allows."""
    most, steps = config.data.max_epochs, config.timeline.steps
    if most is None:
        return
    for phase in config.timeline.phases:
        if phase.end <= at:
            continue
        read = order.epochs(steps.sample(phase.end))
        for source in phase.weights:
            if read[source] > most:
                last = bisect_right(
                    range(max(at, phase.start), phase.end),
                    most,
                    key=lambda step: order.epochs(steps.sample(step)).get(source, 0.0),
                )
                raise RunError(
                    f"data.max_epochs={most:g}: phase {phase.name} would have read {source} "
                    f"{read[source]:.2f} times by step {phase.end:,}; end it by step "
                    f"{max(at, phase.start) + last - 1:,}, lower the weight of {source}, or raise "
                    "data.max_epochs"
                )


def _with(
    order: Order,
    config: TrainConfig,
    phases: list[Phase],
    at: int,
    stores: Mapping[str, TokenStore],
    without: Mapping[str, Ranges] | None = None,
) -> Order:
    """`order` with a new segment for each of these phases, from its start or from step `at` if that is later.

    A phase that draws as the segment before it gets none, so an unchanged mixture continues undisturbed.
    """
    for phase in phases:
        n = config.timeline.steps.sample(max(at, phase.start))
        changed = order.change(n, **_draws(phase, stores), without=without)
        if not changed.segments[-1].draws_like(order.truncated(n).segments[-1]):
            order = changed
    return order


def _draws(phase: Phase, stores: Mapping[str, TokenStore]) -> _Draws:
    counts = {name: stores[name].n_sequences(phase.seq_len) for name in phase.weights}
    return {"weights": phase.weights, "n_sequences": counts, "seq_len": phase.seq_len}
