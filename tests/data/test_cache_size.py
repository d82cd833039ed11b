"""The cache of tokens takes no more of the disk than it may, whatever its threads do at the same time."""

import errno
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import data.cache.disk as disk_module
from data.errors import DataError
from data.loader import Loader
from data.order import Order
from data.tokens.sums import BLOCK
from tests.data.test_buckets import BATCH, opened
from tests.support.buckets import random_store


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_small_cache_is_bounded_and_evicts(tmp_path, share, monkeypatch):
    length, sizes = 512, {"code": 400_000, "prose": 900_000}
    local = {
        source: random_store(tmp_path / "c" / source / "tokens", source, n) for source, n in sizes.items()
    }
    remote = opened(tmp_path, 2 * sum(sizes.values()) * share / 2**20, f"file://{tmp_path}/c")
    disk, moving = remote["code"].disk, threading.Lock()

    def whole(work: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any) -> Any:
            with moving:
                return work(*arguments)

        return guarded

    for name in ("write", "punch"):  # or what moves while `used` looks at one file after another counts twice
        monkeypatch.setattr(disk, name, whole(getattr(disk, name)))
    counts = {source: store.n_sequences(length) for source, store in local.items()}
    order = Order.start(seed=3, weights={"prose": 2, "code": 1}, n_sequences=counts, seq_len=length)
    steps = 2 * sum(counts.values()) // BATCH
    most = 0
    with (
        Loader(order, {**remote}, micro_batch=BATCH, global_batch=BATCH) as loader,
        Loader(order, local, micro_batch=BATCH, global_batch=BATCH) as same,
    ):
        pairs = zip(loader.batches(0, steps), same.batches(0, steps))
        for step, ((inputs, _), (expected, _)) in enumerate(pairs):
            assert np.array_equal(inputs, expected)
            if step % 25 == 0:
                with moving:
                    most = max(most, disk.used())
        assert loader._ahead_of is not None and loader._ahead_of.evictions > 0
    assert 0.5 * disk.capacity < most <= 1.02 * disk.capacity


def test_a_recount_during_a_write_counts_it(tmp_path, monkeypatch):
    """Otherwise many writers would exceed the capacity by all that they had not written yet."""
    disk = disk_module.Disk(tmp_path, capacity=3 * BLOCK)
    opened_file, written = disk_module._opened, disk.store("tokens") / "train-00000.bin"

    def recount_first(path, size):
        disk._counted = -disk_module.RECOUNT
        disk.taken()
        return opened_file(path, size)

    monkeypatch.setattr(disk_module, "_opened", recount_first)
    assert disk.write(written, 0, b"1" * 2 * BLOCK, 8 * BLOCK)
    assert not disk.write(written, 4 * BLOCK, b"2" * 2 * BLOCK, 8 * BLOCK)
    assert disk.taken() >= disk.used() >= 2 * BLOCK


def test_a_recount_during_an_eviction_counts_it_once(tmp_path, monkeypatch):
    disk = disk_module.Disk(tmp_path, capacity=3 * BLOCK)
    punched, path = disk_module._punch, disk.store("tokens") / "train-00000.bin"
    assert disk.write(path, 0, b"1" * 2 * BLOCK, 8 * BLOCK)
    disk._counted = -disk_module.RECOUNT
    recount = threading.Thread(target=disk.taken)

    def recount_before_it_is_noted(*arguments: int) -> bool:
        done = punched(*arguments)
        recount.start()
        recount.join(1)
        return done

    monkeypatch.setattr(disk_module, "_punch", recount_before_it_is_noted)
    disk.punch(path, 0, BLOCK)
    recount.join()
    assert disk.taken() == disk.used() >= BLOCK


def test_a_part_of_a_page_is_counted_as_it_is_freed(tmp_path):
    """Otherwise the cache would outgrow its capacity by a little with each eviction of a shard's end."""
    disk = disk_module.Disk(tmp_path, capacity=4 * BLOCK)
    path = disk.store("tokens") / "train-00000.bin"
    for _ in range(3):
        assert disk.write(path, 0, b"1" * 5000, 5000)
        assert disk.taken() == disk.used() >= 5000
        disk.punch(path, 0, BLOCK)
        assert disk.taken() == disk.used() < 5000


def test_a_folder_without_locks_is_named_and_not_tried_forever(tmp_path, monkeypatch):
    disk = disk_module.Disk(tmp_path, capacity=4 * BLOCK)
    tries = iter(range(100))

    def has_none(*_: object) -> None:
        next(tries)
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(disk_module.fcntl, "flock", has_none)
    with pytest.raises(DataError, match=r"cannot be locked \(No locks available\); choose a folder"):
        disk.store("tokens")
