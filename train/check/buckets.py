"""How fast a machine reads its tokens from a bucket, and writes to the URL of its checkpoints."""

import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from data.bucket import Bucket
from data.cache.ahead import THREADS
from data.cache.store import BucketStore
from data.errors import DataError
from data.tokens.store import TokenStore
from train.check.measures import MOVED
from train.checkpoint.transfer import Sender

PIECE = 1 << 20  # bytes of a request, as for tokens


def tokens_rate(stores: Iterable[TokenStore]) -> float | None:
    """Bytes per second of the first bucket's tokens, by as many requests at once as training makes.

    None if no store is in a bucket. Raises DataError.
    """
    store = next((each for each in stores if isinstance(each, BucketStore)), None)
    if store is None:
        return None
    name, n_bytes = store.path_of(0).name, min(store.size_of(0), MOVED)
    return n_bytes / _seconds_to_read(store.bucket, name, n_bytes)[0]


def checkpoint_rates(url: str) -> tuple[float, float]:
    """Bytes per second written to an object at `url`, and read back; it is removed. Raises DataError."""
    bucket, content = Bucket(url), os.urandom(MOVED)
    name = f".relama-check-{os.uname().nodename}-{os.getpid()}"

    def put(fs: Any, goal: str) -> None:
        fs.pipe_file(goal, content)

    begin = time.perf_counter()
    bucket.ask(name, put)
    written = MOVED / (time.perf_counter() - begin)
    try:
        seconds, back = _seconds_to_read(bucket, name, MOVED)
        if back != content:
            raise DataError(f"{bucket.at(name)}: returns other bytes than were written")
        return written, MOVED / seconds
    finally:
        Sender(bucket, None, Event()).remove(name)


def _seconds_to_read(bucket: Bucket, name: str, n_bytes: int) -> tuple[float, bytes]:
    with ThreadPoolExecutor(THREADS) as pool:
        begin = time.perf_counter()
        lows = range(0, n_bytes, PIECE)
        pieces = list(pool.map(lambda low: bucket.read(name, low, min(low + PIECE, n_bytes)), lows))
        return time.perf_counter() - begin, b"".join(pieces)
