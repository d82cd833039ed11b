"""Where in a run a stretch of a source's tokens is read: the inverse of the order.

Each answer is computed from the order alone, without reading the past: for every sequence that shows the
tokens, in every epoch, its place in the epoch, its block and its sample. Takes time only for what it finds.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from data.order import Order
from data.phases.kept import Ranges, holes_of
from data.phases.steps import Steps


@dataclass(frozen=True)
class Seen:
    """A sample that shows some of the tokens, how many, and the step that trains on it."""

    step: int
    sample: int
    tokens: int


def seen(order: Order, steps: Steps, source: str, ranges: Ranges, stop: int) -> Iterator[Seen]:
    """The samples below `stop` that show tokens of `ranges`, in the order of their segments."""
    for number, segment in enumerate(order.segments):
        if source not in segment.block:
            continue
        length = segment.seq_len
        for index, n in order.samples_of_sequences(number, source, holes_of(ranges, length), stop):
            tokens = _overlap(ranges, index * length, index * length + length + 1)
            yield Seen(steps.step_of(n), n, tokens)


def _overlap(ranges: Ranges, start: int, stop: int) -> int:
    """How many tokens of the sorted `ranges` are in [start, stop)."""
    total, at = 0, max(0, bisect_right(ranges, (start, 1 << 62)) - 1)
    while at < len(ranges) and ranges[at][0] < stop:
        total += max(0, min(ranges[at][1], stop) - max(ranges[at][0], start))
        at += 1
    return total
