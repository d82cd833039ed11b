"""Tokens are in the cache before a rank reads them, also where the cache is small."""

import threading

from data.cache.ahead import ReadAhead
from data.cache.config import CacheConfig
from data.cache.store import BucketStore, open_store
from data.loader import Loader
from data.order import Order
from tests.support.buckets import random_store, wait_for


def test_a_small_cache_is_filled_ahead_of_its_reader(tmp_path, monkeypatch):
    """A quarter of this cache is less than what the reader may be ahead of the last report."""
    random_store(tmp_path / "c" / "mine" / "tokens", "mine", 2_000_000)
    cache = CacheConfig(str(tmp_path / "cache"), 2 / 1024)
    store = open_store(f"file://{tmp_path}/c/mine/tokens", "train", cache)
    assert isinstance(store, BucketStore)
    order = Order.start(
        seed=3, weights={"mine": 1}, n_sequences={"mine": store.n_sequences(512)}, seq_len=512
    )
    fetch, by_reader = store._fetch, []

    def watched(shard: int, unit: int) -> tuple[bytes, int]:
        content, n_bytes = fetch(shard, unit)
        if n_bytes and not threading.current_thread().name.startswith("fetch"):
            by_reader.append(unit)
        return content, n_bytes

    with Loader(order, {"mine": store}, micro_batch=4, global_batch=16) as loader:
        for step, _ in enumerate(loader.batches(0, 40)):
            if step == 8:
                monkeypatch.setattr(store, "_fetch", watched)
            ahead = loader._ahead_of
            assert ahead is not None

            def is_idle(ahead: ReadAhead = ahead) -> bool:
                asked = ahead._asked[-1][0] if ahead._asked else 0
                is_last = asked + 1 >= min(ahead._position + ahead._ahead, ahead._last)
                return is_last and all(future.done() for future in [*ahead._flying.values()])

            wait_for(is_idle)
    assert by_reader == []
