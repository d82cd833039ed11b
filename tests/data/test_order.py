"""The order is exact, the same everywhere, and computed in constant time for any sample."""

import itertools
import json
import tracemalloc
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.order import Order, Sample, block_of, samples_of
from data.phases.permutation import permute, unpermute
from tests.support.cpu_time import seconds, takes_over

TABLE_1 = {
    "commoncrawl": 67.0,
    "c4": 15.0,
    "github": 4.5,
    "wikipedia": 4.5,
    "books": 4.5,
    "arxiv": 2.5,
    "stackexchange": 2.0,
}
BILLION = 10**9


@st.composite
def mixtures(draw, sources: str = "abcd"):
    """Weights and sizes of a few small sources."""
    names = draw(st.lists(st.sampled_from(sources), min_size=1, max_size=len(sources), unique=True))
    weights = {name: draw(st.sampled_from([1, 2, 3, 0.5, 4.5, "2.25"])) for name in names}
    return {"weights": weights, "n_sequences": {name: draw(st.integers(1, 20)) for name in names}}


def order_of(mixture: dict, seed: int = 0) -> Order:
    return Order.start(seed=seed, seq_len=8, **mixture)


def of_table_1(seed: int = 0) -> Order:
    return order_of({"weights": TABLE_1, "n_sequences": dict.fromkeys(TABLE_1, 683_000_000)}, seed)


@pytest.mark.parametrize("key", [(0,), (1, "c4", 0), (1, "c4", 1)])
def test_the_permutation_is_a_bijection_for_every_size(key):
    for n in range(1, 301):
        images = [permute(j, n, *key) for j in range(n)]
        assert sorted(images) == list(range(n))
        assert [unpermute(i, n, *key) for i in images] == list(range(n))


@pytest.mark.parametrize("n", [683_000_000, 2**31, 2**40 + 1])
def test_the_permutation_of_a_large_source_is_injective_and_in_range(n):
    asked = [*range(20_000), *range(n - 20_000, n), *range(0, n, n // 20_000)]
    images = {j: permute(j, n, 7, "c4", 0) for j in asked}
    assert len(set(images.values())) == len(images)
    assert all(0 <= image < n for image in images.values())


def test_the_permutation_scatters_neighbors_and_depends_on_the_key():
    n = 10_000
    images = [permute(j, n, 0, "a", 0) for j in range(n)]
    next_to = sum(abs(one - other) == 1 for one, other in itertools.pairwise(images))
    assert next_to < 15  # a random order has about 2
    halves = Counter((j < n // 2, image < n // 2) for j, image in enumerate(images))
    assert all(abs(count - n / 4) < 250 for count in halves.values())  # five standard deviations
    for key in [(1, "a", 0), (0, "b", 0), (0, "a", 1)]:
        assert sum(permute(j, n, *key) == image for j, image in enumerate(images)) < 15


def test_the_block_of_table_1_is_200():
    block = block_of(TABLE_1)
    assert list(block.values()) == [134, 30, 9, 9, 9, 5, 4] and sum(block.values()) == 200


@given(st.dictionaries(st.sampled_from("abcdef"), st.decimals("0.01", 50, places=2), min_size=1))
def test_a_block_is_the_smallest_with_the_exact_ratio_of_the_weights(weights):
    block = block_of(weights)
    total = sum(map(Fraction, weights.values()))
    for source, weight in weights.items():
        assert Fraction(block[source], sum(block.values())) == Fraction(weight) / total
    assert all(
        any(count % divisor for count in block.values()) for divisor in range(2, min(block.values()) + 1)
    )


def test_floats_strings_and_decimals_are_read_alike():
    assert block_of({"a": 0.1, "b": 0.3}) == block_of({"a": "0.1", "b": Decimal("0.3")}) == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"a": 1, "b": 0}, r"data\.weights\.b=0: expected a weight above 0"),
        ({"a": -1.5}, r"data\.weights\.a=-1\.5"),
        ({"a": 1, "b": 0.123456789}, r"blocks of .* samples, and at most 100,000"),
    ],
)
def test_weights_without_a_valid_block_are_refused_by_name(weights, words):
    with pytest.raises(ValueError, match=words) as refused:
        block_of(weights)
    assert "\n" not in str(refused.value)


def test_a_source_too_small_for_one_sequence_is_refused_by_name():
    with pytest.raises(ValueError, match="books: too few tokens for one sequence of 8"):
        order_of({"weights": {"c4": 1, "books": 1}, "n_sequences": {"c4": 5, "books": 0}})


@settings(max_examples=60, deadline=None)
@given(mixtures(), st.integers(0, 2**64))
def test_each_epoch_of_a_source_visits_each_sequence_once(mixture, seed):
    order = order_of(mixture, seed)
    visited: dict[tuple[str, int], list[int]] = {}
    for n in range(600):
        sample = order.locate(n)
        visited.setdefault((sample.source, sample.epoch), []).append(sample.index)
    for (source, epoch), indices in visited.items():
        every = list(range(mixture["n_sequences"][source]))
        is_last = (source, epoch + 1) not in visited
        assert sorted(indices) == every or (is_last and len(set(indices)) == len(indices) <= len(every))
        assert epoch == 0 or (source, epoch - 1) in visited


@settings(max_examples=60, deadline=None)
@given(mixtures(), st.integers(0, 2**64), st.integers(0, BILLION))
def test_the_mixture_is_exact_in_each_block_and_never_a_block_away_from_exact(mixture, seed, first_block):
    order, block = order_of(mixture, seed), block_of(mixture["weights"])
    size = sum(block.values())
    start = first_block * size
    counts = order.consumed(start)
    assert counts == {source: first_block * share for source, share in block.items()}
    for n in range(start, start + 2 * size):
        sample = order.locate(n)
        assert sample.k == counts[sample.source]  # in step with n
        counts[sample.source] += 1
        assert counts == order.consumed(n + 1)
        for source, share in block.items():
            assert abs(counts[source] - Fraction((n + 1) * share, size)) < share
    assert counts == {source: (first_block + 2) * share for source, share in block.items()}


def test_sources_are_mixed_within_a_block():
    order = of_table_1()
    first, second = ([order.locate(n).source for n in range(b, b + 200)] for b in (0, 200))
    assert first != second and Counter(first) == Counter(second)
    for start in range(0, 200, 40):
        assert len(set(first[start : start + 40])) >= 3


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 2, 3, 4, 6]),
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from([1, 2, 3, 5]),
)
def test_the_ranks_share_a_global_batch_without_gap_or_overlap(step, dp_size, micro_batch, accumulation):
    global_batch = dp_size * micro_batch * accumulation
    sizes = {"dp_size": dp_size, "micro_batch": micro_batch, "global_batch": global_batch}
    taken = []
    for rank in range(dp_size):
        for micro in range(accumulation):
            mine = samples_of(step, micro, dp_rank=rank, **sizes)
            assert len(mine) == micro_batch
            assert all((n - step * global_batch) % dp_size == rank for n in mine)
            taken += mine
    assert sorted(taken) == list(range(step * global_batch, (step + 1) * global_batch))


def test_any_sample_number_takes_the_same_time_and_memory():
    order = of_table_1()

    def locate(start: int) -> None:
        for n in range(start, start + 2000):
            order.locate(n)

    assert not takes_over(3, lambda: locate(BILLION), lambda: locate(0))
    assert seconds(lambda: locate(BILLION)) < 2000 * 1e-3  # microseconds per sample, not milliseconds
    for start in (0, BILLION):
        tracemalloc.start()
        locate(start)
        order.consumed(start)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20


@settings(max_examples=60, deadline=None)
@given(mixtures(), st.lists(st.tuples(st.integers(1, 150), mixtures()), min_size=1, max_size=3))
def test_a_changed_mixture_keeps_the_past_and_continues_counting_exactly(first, changes):
    order, at = order_of(first), 0
    boundaries = []
    for stretch, mixture in changes:
        at += stretch
        before = order
        order = order.change(at, seq_len=8, **mixture)
        assert [order.locate(n) for n in range(at)] == [before.locate(n) for n in range(at)]
        boundaries.append((at, mixture))
    counts: Counter = Counter()
    for n in range(at + 200):
        sample = order.locate(n)
        assert sample.k == counts[sample.source]
        counts[sample.source] += 1
        consumed = order.consumed(n + 1)
        assert all(consumed.get(source, 0) == count for source, count in counts.items())
        assert sum(consumed.values()) == n + 1
    stops = [start for start, _ in boundaries[1:]] + [at + 200]
    for (start, mixture), stop in zip(boundaries, stops):
        block = block_of(mixture["weights"])
        for begin in range(start, stop - sum(block.values()) + 1, sum(block.values())):
            seen = Counter(order.locate(n).source for n in range(begin, begin + sum(block.values())))
            assert seen == block
    assert order.n_sequences == changes[-1][1]["n_sequences"]


def test_a_longer_sequence_starts_with_its_segment():
    weights, sizes = {"a": 1}, {"a": 10}
    first = order_of({"weights": weights, "n_sequences": sizes})
    order = first.change(5, seq_len=16, weights=weights, n_sequences=sizes)
    assert [order.seq_len(n) for n in (0, 4, 5, 100)] == [8, 8, 16, 16]


@settings(max_examples=60, deadline=None)
@given(mixtures(), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=4))
def test_skipped_samples_are_omitted_and_the_rest_is_unchanged(mixture, skips):
    order = whole = order_of(mixture)
    expected = list(range(500))
    for start, length in skips:
        order = order.skip(start, start + length)
        del expected[start : start + length]
    kept = expected[:100]
    assert [order.locate(n) for n in range(100)] == [whole.locate(n) for n in kept]
    assert order.consumed(100) == {
        source: sum(whole.locate(n).source == source for n in kept) for source in mixture["weights"]
    }


@settings(max_examples=30, deadline=None)
@given(mixtures(), mixtures())
def test_an_order_round_trips_through_json(one, other):
    order = order_of(one, 3).change(17, seq_len=4, **other).skip(5, 9).skip(30, 31)
    back = Order.from_json(json.loads(json.dumps(order.to_json())))
    assert back == order
    assert [back.locate(n) for n in range(60)] == [order.locate(n) for n in range(60)]


def test_the_order_depends_on_the_seed_and_not_on_how_a_config_lists_its_sources():
    sizes = dict.fromkeys(TABLE_1, 1000)
    backwards = dict(reversed(TABLE_1.items()))
    orders = [order_of({"weights": TABLE_1, "n_sequences": sizes}, seed) for seed in (0, 1)]
    orders.append(order_of({"weights": backwards, "n_sequences": sizes}, 0))
    one, another_seed, backwards = ([order.locate(n) for n in range(400)] for order in orders)
    assert one == backwards
    assert one != another_seed


def test_the_order_of_published_runs_never_changes():
    order = order_of({"weights": {"a": 3, "b": 1}, "n_sequences": {"a": 1000, "b": 10}}, seed=42)
    assert [order.locate(n) for n in (0, 1, 2, 3, BILLION)] == [
        Sample("a", epoch=0, index=631, k=0),
        Sample("a", epoch=0, index=562, k=1),
        Sample("a", epoch=0, index=34, k=2),
        Sample("b", epoch=0, index=7, k=0),
        Sample("a", epoch=750_000, index=713, k=750_000_000),
    ]
