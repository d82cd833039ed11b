"""Finds when tokens will be needed next, by inverting the order of the data.

`Order.locate` says which tokens a sample reads; this says which samples read given tokens. Both depend on the
order alone, so the cache need not guess what to evict.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from data.order import Order, Segment, block_order

NEVER = 1 << 62


def next_use(
    order: Order,
    source: str,
    tokens: tuple[int, int],
    after: int,
    stop: int,
    mine: Callable[[int], bool] = lambda n: True,
) -> int:
    """The first sample in [after, stop) that is `mine` and reads any of a source's tokens [low, high); NEVER
    if there is none."""
    low, high = tokens
    best = NEVER
    for number, segment, begin, end in _stretches(order, after, stop):
        if source not in segment.n_sequences:
            continue
        length, total = segment.seq_len, segment.n_sequences[source]
        first = max(0, -(-low // length) - 1)  # a sequence also reads its last label
        for index in range(first, min(total, (high - 1) // length + 1)):
            for n in _uses(order, number, source, index, begin, min(end, best)):
                if mine(n):
                    best = n
                    break
        if best < NEVER:
            return best
    return best


def _stretches(order: Order, after: int, stop: int) -> Iterator[tuple[int, Segment, int, int]]:
    """The segments between two samples: (number, segment, its first sample there, its stop)."""
    starts = [_sample(order, segment.start) for segment in order.segments] + [NEVER]
    for number, (segment, start, end) in enumerate(zip(order.segments, starts, starts[1:])):
        if max(start, after) < min(end, stop):
            yield number, segment, max(start, after), min(end, stop)


def _uses(order: Order, number: int, source: str, index: int, after: int, stop: int) -> Iterator[int]:
    """The samples in [after, stop) where a segment reads sequence `index` of `source`, in order."""
    segment, reading = order.segments[number], order.reading_in(number, source)
    share, size = segment.block[source], sum(segment.block.values())
    if not reading.holds(index):
        return
    base = segment.first[source]
    reached = base + (order._number(after) - segment.start) // size * share  # no later than `after`'s own k
    epoch = reading.position(max(base, reached))[0]
    while True:
        k = reading.find(index, epoch)
        epoch += 1
        if k is None or k < base:
            continue
        block, within = divmod(k - base, share)
        if segment.start + block * size > order._number(stop):
            return
        places = _places(order.seed, segment.start, block, tuple(segment.block.values()))
        place = segment.start + block * size + int(places[list(segment.block).index(source)][within])
        if any(low <= place < high for low, high in order.skipped):
            continue
        n = _sample(order, place)
        if n >= stop:
            return
        if n >= after:
            yield n


def _sample(order: Order, number: int) -> int:
    """The sample with a number that counts skipped samples too: the inverse of `Order._number`."""
    return number - sum(min(high, number) - low for low, high in order.skipped if low < number)


@lru_cache(maxsize=512)
def _places(seed: int, start: int, block: int, counts: tuple[int, ...]) -> list[np.ndarray]:
    """The places of each source's samples in a block."""
    sources, _ = block_order.__wrapped__(seed, start, block, counts)  # leave its cache to the readers
    return [np.flatnonzero(sources == source) for source in range(len(counts))]
