"""The order of the data that a run's phases call for."""

from collections.abc import Mapping
from typing import TypedDict

from data.order import Order
from data.phases.kept import Ranges
from data.tokens.store import TokenStore
from train.config import TrainConfig
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


def _with(
    order: Order,
    config: TrainConfig,
    phases: list[Phase],
    at: int,
    stores: Mapping[str, TokenStore],
    without: Mapping[str, Ranges] | None = None,
) -> Order:
    """The order with these phases, the first from step `at` on if it began before; no segment that changes
    nothing is added, so that an unchanged mixture continues undisturbed."""
    for phase in phases:
        n = config.timeline.steps.sample(max(at, phase.start))
        changed = order.change(n, **_draws(phase, stores), without=without)
        if not changed.segments[-1].draws_like(order.truncated(n).segments[-1]):
            order = changed
    return order


def _draws(phase: Phase, stores: Mapping[str, TokenStore]) -> _Draws:
    counts = {name: stores[name].n_sequences(phase.seq_len) for name in phase.weights}
    return {"weights": phase.weights, "n_sequences": counts, "seq_len": phase.seq_len}
