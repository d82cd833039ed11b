"""Chains of segments: the order, which remembers nothing, agrees with a simulation that remembers all."""

import itertools
import json
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.order import Order, block_of
from data.phases.kept import Kept, holes_of, merged
from data.phases.reading import Reading
from tests.support.cpu_time import takes_over

LENGTH = 8


def shows(index: int, seq_len: int, start: int, stop: int) -> bool:
    """Whether a sequence and its last label show one of the tokens [start, stop)."""
    return not set(range(index * seq_len, (index + 1) * seq_len + 1)).isdisjoint(range(start, stop))


class Simulation:
    """Reads a run sample by sample and remembers what each source's epoch has shown."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.without: dict[str, tuple] = {}
        self.left: dict[str, set[int]] = {}  # sequences of the current epoch not read yet
        self.epoch: dict[str, int] = {}
        self.count: dict[str, int] = {}

    def allowed(self, source: str, first: int = 0) -> set[int]:
        ranges = self.without.get(source, ())
        return {
            i for i in range(first, self.sizes[source]) if not any(shows(i, LENGTH, a, b) for a, b in ranges)
        }

    def change(self, sizes: dict[str, int], without: dict[str, tuple]) -> None:
        self.without = without
        for source, size in sizes.items():
            before, self.sizes[source] = self.sizes.get(source, 0), size
            if self.count.get(source) and not self.left[source]:  # the epoch has ended
                self.left[source], self.epoch[source] = self.allowed(source), self.epoch[source] + 1
            elif self.count.get(source):
                self.left[source] &= self.allowed(source)
                self.left[source] |= self.allowed(source, before)
            else:
                self.left[source], self.epoch[source], self.count[source] = self.allowed(source), 0, 0

    def read(self, sample) -> None:
        source = sample.source
        assert sample.k == self.count[source]
        self.count[source] += 1
        if not self.left[source]:
            self.left[source], self.epoch[source] = self.allowed(source), self.epoch[source] + 1
        assert sample.epoch == self.epoch[source]
        self.left[source].remove(sample.index)  # a KeyError: read twice in one epoch, or left out


@st.composite
def chains(draw):
    """Some segments over sources that only grow and lose text: (samples, weights, sizes, without)."""
    sizes = {source: draw(st.integers(5, 20)) for source in "abc"}
    without: dict[str, tuple] = {}
    stretches = []
    for _ in range(draw(st.integers(1, 5))):
        names = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
        weights = {name: draw(st.sampled_from([1, 2, 3, 0.5])) for name in names}
        stretches.append((draw(st.integers(1, 70)), weights, dict(sizes), dict(without)))
        for source in draw(st.lists(st.sampled_from("abc"), max_size=2)):
            sizes[source] += draw(st.integers(0, 12))
        for source in draw(st.lists(st.sampled_from("abc"), max_size=2)):
            start = draw(st.integers(0, 4 * LENGTH))
            stop = start + draw(st.integers(1, 9))
            without[source] = merged((*without.get(source, ()), (start, stop)))
            sizes[source] += 8  # so that something is left
    return stretches


def order_of(stretches: list, seed: int) -> Order:
    _, weights, sizes, _ = stretches[0]
    order, at = Order.start(seed=seed, weights=weights, n_sequences=sizes, seq_len=LENGTH), 0
    for (length, *_), (_, weights, sizes, without) in itertools.pairwise(stretches):
        at += length
        order = order.change(at, weights=weights, n_sequences=sizes, seq_len=LENGTH, without=without)
    return order


@settings(max_examples=60, deadline=None)
@given(chains(), st.integers(0, 2**32))
def test_a_chain_of_segments_reads_each_sequence_of_each_epoch_once(stretches, seed):
    order, n, simulation = order_of(stretches, seed), 0, Simulation()
    for length, weights, sizes, without in stretches:
        simulation.change({name: sizes[name] for name in weights}, without)
        block, seen = block_of(weights), []
        for n in range(n, n + length):  # noqa: B020
            sample = order.locate(n)
            simulation.read(sample)
            seen.append(sample.source)
            assert {s: c for s, c in simulation.count.items() if c} == {
                s: c for s, c in order.consumed(n + 1).items() if c
            }
        n += 1
        size = sum(block.values())
        for begin in range(0, length - size + 1, size):
            assert {s: seen[begin : begin + size].count(s) for s in block} == block
    for source, read in order.epochs(n).items():
        if source not in stretches[-1][1]:
            continue
        left = len(simulation.left[source]) / max(1, len(simulation.allowed(source)))
        assert read == pytest.approx(simulation.epoch[source] + 1 - left)


@settings(max_examples=50, deadline=None)
@given(chains(), st.lists(st.tuples(st.integers(0, 250), st.integers(1, 40)), max_size=4))
def test_skipped_samples_are_never_seen_again_and_segments_begin_where_they_did(stretches, skips):
    order = order_of(stretches, 7)
    starts = [sum(length for length, *_ in stretches[:i]) for i in range(len(stretches))]
    for start, length in skips:
        before = order
        order = order.skip(start, start + length)
        assert [order.locate(n) for n in range(start)] == [before.locate(n) for n in range(start)]
        gone = {(s.source, s.k) for s in map(before.locate, range(start, start + length))}
        assert gone.isdisjoint({(s.source, s.k) for s in map(order.locate, range(400))})
    for n in range(400):
        at = max(i for i, start in enumerate(starts) if start <= n)
        assert order.locate(n).source in stretches[at][1]
    assert Order.from_json(json.loads(json.dumps(order.to_json()))) == order
    undisturbed, planned = order_of(stretches, 7), order.unskipped()
    assert [planned.consumed(n) for n in range(400)] == [undisturbed.consumed(n) for n in range(400)]


def test_skipped_samples_do_not_count_as_read_in_a_run_with_phases():
    sizes = {"a": 50, "b": 90}
    order = Order.start(seed=0, weights={"a": 1, "b": 3}, n_sequences=sizes, seq_len=4)
    order = order.change(60, weights={"a": 1, "b": 1}, n_sequences=sizes, seq_len=4).skip(10, 33)
    read = {source: count / sizes[source] for source, count in order.consumed(100).items()}
    assert order.epochs(100) == pytest.approx(read)


@settings(max_examples=50, deadline=None)
@given(chains(), st.integers(0, 2**32))
def test_the_place_of_a_sequence_in_the_run_is_found_without_reading_the_run(stretches, seed):
    order = order_of(stretches, seed)
    at = sum(length for length, *_ in stretches[:-1])
    for sample in map(order.locate, range(at, at + 60)):
        reading = order.reading(at, sample.source)
        assert reading.find(sample.index, sample.epoch) == sample.k


def test_a_source_with_longer_sequences_continues_after_the_same_share_of_its_epoch():
    short = Reading(0, "a", n_sequences=100, seq_len=8)
    long = short.follow(130, 50, 16, ())  # 1.3 epochs
    assert long.position(130) == (1, 15)
    assert [long.locate(k)[0] for k in (130, 164, 165)] == [1, 1, 2]
    assert sorted(long.locate(k)[1] for k in range(165, 215)) == list(range(50))


def test_without_new_text_the_rest_of_an_epoch_keeps_its_order():
    whole = Reading(3, "a", n_sequences=50, seq_len=8)
    less = whole.follow(20, 50, 8, ((33, 47),))
    expected = [whole.locate(k) for k in range(20, 50) if whole.locate(k)[1] not in (4, 5)]
    assert [less.locate(k) for k in range(20, 20 + len(expected))] == expected


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=6), st.integers(0, 20))
def test_kept_numbers_are_those_of_a_plain_filter(holes, first):
    ranges = merged((a, a + length) for a, length in holes)
    kept = Kept(first, 70, ranges)
    expected = [n for n in range(first, 70) if not any(a <= n < b for a, b in ranges)]
    assert kept.size == len(expected)
    assert [kept.nth(x) for x in range(kept.size)] == expected
    assert [kept.before(n) for n in expected] == list(range(kept.size))
    assert all(kept.before(n) is None for n in range(first, 70) if n not in expected)


@given(st.integers(0, 100), st.integers(1, 30), st.integers(1, 12))
def test_holes_are_the_sequences_that_show_a_token(start, length, seq_len):
    ((first, stop),) = holes_of(((start, start + length),), seq_len)
    shown = [i for i in range(60 + start + length) if shows(i, seq_len, start, start + length)]
    assert list(range(first, stop)) == shown


def test_a_source_with_no_sequence_left_is_refused_by_name():
    order = Order.start(seed=0, weights={"a": 1}, n_sequences={"a": 3}, seq_len=8)
    without = {"a": ((0, 100),)}
    changed = order.change(5, weights={"a": 1}, n_sequences={"a": 3}, seq_len=8, without=without)
    with pytest.raises(ValueError, match="a: no sequence of 8 tokens is left"):
        changed.locate(6)


def test_fifty_phases_and_ten_thousand_holes_cost_little_time_and_memory():
    sizes = dict.fromkeys("abcdefg", 100_000_000)
    draw = random.Random(0)
    places = sorted(draw.sample(range(0, 8 * 100_000_000, 100), 10_000))
    without = {"a": tuple((place, place + 20) for place in places)}
    order = Order.start(seed=0, weights=dict.fromkeys(sizes, 1), n_sequences=sizes, seq_len=8)
    for phase in range(50):
        weights = {source: 1 + (phase + i) % 7 for i, source in enumerate(sizes)}
        order = order.change(
            10**6 * (phase + 1),
            weights=weights,
            n_sequences=sizes,
            seq_len=8,
            without=without if phase > 40 else None,
        )
    for n in (0, 60 * 10**6):  # prepares the readings
        for source in sizes:
            order.reading(n, source).locate(order.reading(n, source).start)
    asked = [draw.randrange(60 * 10**6) // 1000 * 1000 + i for _ in range(5) for i in range(200)]
    tracemalloc.start()
    for n in asked[:100]:
        order.locate(n)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    def locate(of: Order) -> None:
        for n in asked:
            of.locate(n)

    plain = Order.start(seed=0, weights=dict.fromkeys(sizes, 1), n_sequences=sizes, seq_len=8)
    # About twice; one look at each phase would take fifty times.
    assert not takes_over(10, lambda: locate(order), lambda: locate(plain))
    assert peak < 1 << 22
