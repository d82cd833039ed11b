"""The order of the data that a run's phases call for."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from functools import partial
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
    """`order` up to step `at`, then what the phases of `config` call for, leaving out `without`."""
    order = order.truncated(config.timeline.steps.sample(at))
    left = [phase for phase in config.timeline.phases if phase.end > at]
    return _with(order, config, left, at, stores, without)


def refuse_repeats(order: Order, config: TrainConfig, at: int = 0) -> None:
    """Raise RunError if a phase after step `at` reads a source more often than data.max_epochs allows.

    Rewinds do not count: they shift a source's share within a block, and must not end an accepted run.
    """
    most = config.data.max_epochs
    if most is None:
        return
    order = order.unskipped()

    def read(step: int, source: str) -> float:
        return order.epochs(config.timeline.steps.sample(step)).get(source, 0.0)

    left = [phase for phase in config.timeline.phases if phase.end > at]
    for phase in left:
        begin = max(at, phase.start)
        last = {
            source: begin - 1 + bisect_right(range(begin, phase.end), most, key=partial(read, source=source))
            for source in phase.weights
            if read(phase.end, source) > most
        }
        if last:
            source = min(last, key=lambda name: last[name])  # the first that is used up
            is_only = len(config.timeline.phases) == 1
            reader = "the run" if is_only else f"phase {phase.name}"
            ways = [f"set steps={last[source]}" if is_only else f"end it by step {last[source]:,}"]
            if last[source] <= begin:
                ways.clear()
            if sum((most - read(phase.end, name)) * _size(order, name) for name in phase.weights) > 0:
                ways.append(f"lower the weight of {source}")
            needed = max(read(each.end, name) for each in left for name in each.weights)
            ways.append(f"set data.max_epochs={math.ceil(needed * 100) / 100:.2f}")
            raise RunError(
                f"data.max_epochs={most:g}: {reader} would have read "
                f"{source} {read(phase.end, source):.2f} times by step {phase.end:,}; {', or '.join(ways)}"
            )


def _size(order: Order, source: str) -> int:
    """A source's size in sequences, in the last segment that reads it."""
    return next(one.n_sequences[source] for one in reversed(order.segments) if source in one.n_sequences)


def _with(
    order: Order,
    config: TrainConfig,
    phases: list[Phase],
    at: int,
    stores: Mapping[str, TokenStore],
    without: Mapping[str, Ranges] | None = None,
) -> Order:
    """`order` with a new segment for each of these phases, from its start or from step `at` if that is later.

    A phase that draws like the segment before it gets none, so an unchanged mixture continues undisturbed.
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
