"""Fetches what a node's ranks will read, in that order, and evicts what is needed last.

One rank on each node runs this thread. The order of the data says what every sample reads, so the thread
requests it from the bucket some steps ahead. To make room, it frees the part of the cache whose next use is
furthest away (Belady's rule), but never one that is needed sooner than the new part.
"""

import heapq
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from data.cache.future import NEVER, next_use
from data.cache.store import BucketStore
from data.errors import DataError
from data.order import Order
from data.tokens.store import TokenStore
from data.tokens.sums import BLOCK

THREADS = 16  # requests in flight at once
LEAST_AHEAD = 256  # samples
STEPS_AHEAD = 3
TIDY = 64  # samples between two checks of which requests have ended
LONG_UNIT = 64  # blocks per request (1 MiB) when all of a store will be read and kept
MOST_TRACKED = 1 << 20  # most units whose next use is kept in memory
UNKNOWN = NEVER + 1  # the next use of an earlier process's leftovers, looked up before anything is evicted
Key = tuple[str, int, int]  # source, shard, unit


@dataclass(frozen=True)
class Node:
    """The data-parallel ranks whose samples this machine reads, and whether this process fetches them."""

    dp_ranks: frozenset[int] = frozenset({0})
    fetches: bool = True


def bucket_stores(stores: dict[str, TokenStore]) -> dict[str, BucketStore]:
    return {source: store for source, store in stores.items() if isinstance(store, BucketStore)}


def choose_units(order: Order, stores: dict[str, BucketStore], first: int, last: int, share: float) -> None:
    """Set how much one request fetches: 1 MiB if this node will read the entire store and can keep it, or
    else one block. This node reads a `share` of samples [first, last)."""
    if not stores:
        return
    disk = next(iter(stores.values())).disk
    total = sum(store.n_tokens * store.dtype.itemsize for store in stores.values())
    before, after = order.consumed(first), order.consumed(last)
    for source, store in stores.items():
        reads = (after.get(source, 0) - before.get(source, 0)) * share
        is_kept = total <= disk.capacity and reads >= order.n_sequences.get(source, 0)
        store.unit = LONG_UNIT if is_kept else 1


class ReadAhead:
    """Fetches and evicts for samples [first, last) of `order`, until `close`."""

    def __init__(
        self,
        order: Order,
        stores: dict[str, BucketStore],
        *,
        is_ours: Callable[[int], bool],
        first: int,
        last: int,
        global_batch: int,
        first_batch: int = 0,
        late: int = 0,
    ) -> None:
        """`is_ours` says whether this node reads a sample. The ranks wait for `first_batch` samples before
        their first step, so nothing else is fetched until these are here. `late` is how many samples after
        the one given to `reached` may have been read already."""
        self.order, self.stores = order, stores
        self.evictions = 0  # units
        self._is_ours, self._first, self._last = is_ours, first, last
        self._urgent = first + first_batch
        self._disk = next(iter(stores.values())).disk
        largest = max(store.unit for store in stores.values()) * BLOCK
        most = max(1, self._disk.capacity // (4 * largest))  # or reading ahead would fill the cache
        wanted = min(max(LEAST_AHEAD, STEPS_AHEAD * global_batch), most)
        self._ahead = max(wanted, late + 2 * global_batch)  # with less, the ranks would overtake this thread
        self._position = first  # the oldest sample that a rank may still be reading
        self._moved = threading.Condition()
        self._closed = False
        total = sum(store.n_tokens * store.dtype.itemsize for store in stores.values())
        self._evicts = total > self._disk.capacity
        self._needs: dict[Key, int] = {}  # when each cached part is needed next
        self._furthest: list[tuple[int, Key]] = []  # heap of (-next use, key); stale where `_needs` differs
        self._asked: deque[tuple[int, list[Key]]] = deque()  # samples that are fetched but not yet passed
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="fetch")
        self._begun: set[tuple[str, int]] = set()  # shards whose checksums have been requested
        self._flying: dict[Key, Future] = {}
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def reached(self, sample: int) -> None:
        """Say that no rank on this node will read samples before this one."""
        with self._moved:
            self._position = max(self._position, sample)
            self._moved.notify()

    def close(self) -> None:
        with self._moved:
            self._closed = True
            self._moved.notify()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for store in self.stores.values():
            store.bucket.hurry.set()
        self._thread.join()
        self._pool.shutdown(wait=True)
        for store in self.stores.values():
            store.bucket.hurry.clear()

    def _run(self) -> None:
        try:
            if self._evicts:
                self._count_leftovers()
            for n in range(self._first, self._last):
                if self._is_ours(n):
                    if not self._wait_for(lambda n=n: n < self._position + self._ahead):
                        return
                    self._ask(n)
                if n + 1 == self._urgent and not self._wait_for_arrivals():
                    return
        except (OSError, RuntimeError):
            return  # readers fetch for themselves, and report failures
        except DataError as error:  # the cache is full, and its file system cannot free parts of files
            print(
                f"relama: warning: {error}; until then tokens are read from the bucket when they are needed",
                file=sys.stderr,
                flush=True,
            )

    def _wait_for(self, condition: Callable[[], bool]) -> bool:
        """Wait until `condition` holds; False if `close` comes first."""
        with self._moved:
            self._moved.wait_for(lambda: self._closed or condition())
            return not self._closed

    def _wait_for_arrivals(self) -> bool:
        """Wait until everything requested has arrived or failed; False if `close` comes first."""
        for future in self._flying.values():
            future.add_done_callback(self._notify)
        return self._wait_for(lambda: all(future.done() for future in self._flying.values()))

    def _notify(self, _: object = None) -> None:
        with self._moved:
            self._moved.notify()

    def _ask(self, n: int) -> None:
        self._pass()
        sample, length = self.order.locate(n), self.order.seq_len(n)
        store = self.stores.get(sample.source)
        if store is None:
            return  # a local store
        start = sample.index * length
        keys = [(sample.source, *unit) for unit in store.units(start, start + length + 1)]
        for source, shard, _ in keys:
            if (source, shard) not in self._begun:  # along with its first block, no earlier
                self._begun.add((source, shard))
                self._pool.submit(self._bring_sums, store, shard)
        for key in keys:
            if self._is_flying(key):
                continue
            if self._evicts and key not in self._needs and not self._make_room(n, self._bytes(key)):
                continue  # everything cached is needed sooner, so the reader fetches this for itself
            if self._evicts:
                self._note(key, n)
            self._flying[key] = self._pool.submit(self._bring, store, key)
        self._asked.append((n, keys))
        if n % TIDY == 0:
            self._flying = {key: future for key, future in self._flying.items() if not future.done()}

    def _is_flying(self, key: Key) -> bool:
        future = self._flying.get(key)
        return future is not None and not future.done()

    def _bring(self, store: BucketStore, key: Key) -> None:
        with suppress(DataError, OSError):  # the reader meets the same error and reports it
            store.bring(*key[1:])

    def _bring_sums(self, store: BucketStore, shard: int) -> None:
        with suppress(DataError, OSError):  # as above
            store.bring_sums(shard)

    def _bytes(self, key: Key) -> int:
        return self.stores[key[0]].unit * BLOCK

    def _pass(self) -> None:
        """Look up when what has just been read is needed next."""
        while self._asked and self._asked[0][0] < self._position:
            n, keys = self._asked.popleft()
            for key in keys if self._evicts else ():
                if self._needs.get(key) == n:
                    self._note(key, self._next_use(key))

    def _note(self, key: Key, need: int) -> None:
        known = self._needs.get(key)
        if known is not None and self._position <= known <= need:
            return
        self._needs[key] = need
        heapq.heappush(self._furthest, (-need, key))
        if len(self._furthest) > 4 * max(1024, len(self._needs)):  # mostly stale
            self._furthest = [(-need, key) for key, need in self._needs.items()]
            heapq.heapify(self._furthest)

    def _next_use(self, key: Key) -> int:
        store = self.stores[key[0]]
        first, per_unit = store.first_token(key[1]), store.unit * BLOCK // store.dtype.itemsize
        tokens = (first + key[2] * per_unit, first + (key[2] + 1) * per_unit)
        return next_use(self.order, key[0], tokens, self._position, self._last, self._is_ours)

    def _make_room(self, n: int, needed: int) -> bool:
        """Free `needed` bytes, only from parts needed later than sample `n`; False if that is impossible."""
        needed += sum(self._bytes(key) for key, future in self._flying.items() if not future.done())
        while self._disk.taken() + needed > self._disk.capacity or len(self._needs) >= MOST_TRACKED:
            if self._disk.free_unused():
                continue
            if not self._furthest:
                return False
            need, key = heapq.heappop(self._furthest)
            if self._needs.get(key) != -need:
                continue
            if -need == UNKNOWN or -need < self._position:
                self._needs[key] = self._next_use(key)
                heapq.heappush(self._furthest, (-self._needs[key], key))
                continue
            if -need <= n or self._is_flying(key):
                heapq.heappush(self._furthest, (need, key))
                return False
            del self._needs[key]
            store, size = self.stores[key[0]], self._bytes(key)
            self._disk.punch(store.path_of(key[1]), key[2] * size, size)
            self.evictions += 1
        return True

    def _count_leftovers(self) -> None:
        """Find what an earlier process left in the cache; its next use is looked up when room is needed."""
        for source, store in self.stores.items():
            for shard, unit in store.units_on_disk():
                key = (source, shard, unit)
                if len(self._needs) < MOST_TRACKED:
                    self._needs[key] = UNKNOWN
                    self._furthest.append((-UNKNOWN, key))
        heapq.heapify(self._furthest)


def is_ours(node: Collection[int], dp_size: int) -> Callable[[int], bool]:
    """A function that says whether one of these data-parallel ranks reads a sample."""
    return lambda n: n % dp_size in node
