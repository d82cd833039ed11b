"""Batches are the order's samples, whichever rank asks for them and however far ahead they are read."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import data.loader
from data.errors import DataError
from data.loader import Loader
from data.order import Order, samples_of
from data.tokens.store import TokenStore

SEQ_LEN = 16


@pytest.fixture(scope="module")
def order(stores) -> Order:
    sizes = {source: store.n_sequences(SEQ_LEN) for source, store in stores.items()}
    return Order.start(seed=5, weights={"prose": 3, "code": 1.5}, n_sequences=sizes, seq_len=SEQ_LEN)


def expected(order: Order, stores: dict[str, TokenStore], n: int) -> np.ndarray:
    sample = order.locate(n)
    start = sample.index * SEQ_LEN
    return stores[sample.source].read(start, start + SEQ_LEN + 1).astype(np.int64)


def step_by_rank(
    order: Order, stores: dict, step: int, *, accumulation: int, **sizes
) -> dict[int, np.ndarray]:
    """Everything that all ranks read in a step: sample number → its tokens."""
    found = {}
    for rank in range(sizes["dp_size"]):
        with Loader(order, stores, dp_rank=rank, **sizes) as loader:
            batches = list(loader.batches(step, step + 1))
        assert len(batches) == accumulation
        place = {key: sizes[key] for key in ("dp_size", "micro_batch", "global_batch")}
        for micro, (inputs, labels) in enumerate(batches):
            assert inputs.shape == labels.shape == (sizes["micro_batch"], SEQ_LEN)
            assert inputs.dtype == labels.dtype == torch.int64
            assert torch.equal(inputs[:, 1:], labels[:, :-1])
            rows = torch.cat([inputs, labels[:, -1:]], dim=1).numpy()
            found |= dict(zip(samples_of(step, micro, dp_rank=rank, **place), rows))
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([1, 2, 3, 4]), st.sampled_from([1, 2, 3]), st.integers(1, 4))
def test_a_step_is_the_same_samples_on_any_ranks_micro_batches_and_workers(
    order, stores, step, dp_size, micro_batch, workers
):
    global_batch = 36 if 36 % (dp_size * micro_batch) == 0 else 72
    found = step_by_rank(
        order,
        stores,
        step,
        accumulation=global_batch // (dp_size * micro_batch),
        dp_size=dp_size,
        micro_batch=micro_batch,
        global_batch=global_batch,
        workers=workers,
    )
    assert sorted(found) == list(range(step * global_batch, (step + 1) * global_batch))
    for n, tokens in found.items():
        assert np.array_equal(tokens, expected(order, stores, n))


def test_any_step_can_be_the_first(order, stores):
    with (
        Loader(order, stores, micro_batch=2, global_batch=4) as one,
        Loader(order, stores, micro_batch=2, global_batch=4) as other,
    ):
        whole = list(one.batches(0, 9))
        rest = list(other.batches(5, 9))
    assert len(whole) == 18
    for (inputs, labels), (same, as_well) in zip(whole[10:], rest, strict=True):
        assert torch.equal(inputs, same) and torch.equal(labels, as_well)


@pytest.mark.parametrize(("workers", "prefetch"), [(1, 1), (1, 8), (4, 1), (8, 8)])
def test_batches_come_in_order_however_far_they_are_read_ahead(order, stores, workers, prefetch):
    with Loader(order, stores, micro_batch=1, global_batch=2, workers=workers, prefetch=prefetch) as loader:
        batches = list(loader.batches(0, 50))
    assert len(batches) == 100
    for n, (inputs, labels) in enumerate(batches):
        tokens = expected(order, stores, n)
        assert np.array_equal(inputs[0], tokens[:-1]) and np.array_equal(labels[0], tokens[1:])


def test_batches_are_read_before_they_are_asked_for(order, stores):
    asked = threading.Semaphore(0)

    class Watched(dict):
        def __getitem__(self, source):
            asked.release()
            return super().__getitem__(source)

    with Loader(order, Watched(stores), micro_batch=1, global_batch=1, prefetch=4) as loader:
        next(loader.batches(0, 100))
        assert all(asked.acquire(timeout=120) for _ in range(5))  # the first and four ahead
        assert not asked.acquire(timeout=0.2)  # and no further


def test_a_reading_threads_error_is_raised_with_its_batch(order, stores):
    class Broken(dict):
        def __getitem__(self, source):
            raise OSError("the disk is gone")

    loader = Loader(order, Broken(stores), micro_batch=1, global_batch=1)
    with loader, pytest.raises(DataError, match="tokens cannot be read"):
        next(loader.batches(0, 10))


def test_the_time_spent_waiting_is_counted(order, stores, monkeypatch):
    waits = threading.Event()
    clock = time.perf_counter

    def told() -> float:
        now = clock()
        waits.set()
        return now

    class Slow(dict):
        def __getitem__(self, source):
            assert waits.wait(120)
            time.sleep(0.2)
            return super().__getitem__(source)

    with Loader(order, Slow(stores), micro_batch=1, global_batch=1) as loader:
        assert loader.wait_seconds == 0
        monkeypatch.setattr(data.loader, "time", SimpleNamespace(perf_counter=told))
        next(loader.batches(0, 1))
        assert loader.wait_seconds > 0.1


def test_closing_ends_the_threads_and_cancels_pending_reads(order, stores):
    before = set(threading.enumerate())
    loader = Loader(order, stores, micro_batch=1, global_batch=1, workers=3)
    next(loader.batches(0, 1000))
    assert set(threading.enumerate()) - before
    loader.close()
    assert not set(threading.enumerate()) - before


def test_no_steps_give_no_batches(order, stores):
    with Loader(order, stores, micro_batch=1, global_batch=1) as loader:
        assert list(loader.batches(7, 7)) == []


@pytest.mark.parametrize("sizes", [{"micro_batch": 3}, {"micro_batch": 2, "dp_size": 3}, {"micro_batch": 16}])
def test_a_batch_that_does_not_divide_is_refused_in_one_line(order, stores, sizes):
    with pytest.raises(ValueError, match="global_batch=8 sequences: expected a multiple") as refused:
        Loader(order, stores, global_batch=8, **sizes)
    assert "\n" not in str(refused.value)


def test_a_changed_mixture_with_longer_sequences_is_read_from_its_step_on(order, stores):
    sizes = {source: store.n_sequences(32) for source, store in stores.items()}
    longer = order.change(8, weights={"code": 1}, n_sequences=sizes, seq_len=32)
    with Loader(longer, stores, micro_batch=4, global_batch=4) as loader:
        shapes = [tuple(inputs.shape) for inputs, _ in loader.batches(0, 4)]
    assert shapes == [(4, 16), (4, 16), (4, 32), (4, 32)]
