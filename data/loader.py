"""This rank's micro-batches in the run's order, read ahead by threads.

In: the order, the stores and this rank's number. Out: (inputs, labels), each (micro_batch, seq_len) int64.
Batches depend on the order alone, so the loader has no state to save and can start at any step.
"""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from data.cache.ahead import Node, ReadAhead, bucket_stores, choose_units, is_ours
from data.errors import DataError
from data.order import Order, samples_of
from data.phases.steps import Steps
from data.tokens.store import TokenStore


class Loader:
    """One data-parallel rank's batches; ranks in one tensor, pipeline or context group get the same ones."""

    def __init__(
        self,
        order: Order,
        stores: dict[str, TokenStore],
        *,
        micro_batch: int,
        global_batch: int | Steps,
        dp_rank: int = 0,
        dp_size: int = 1,
        workers: int = 2,
        prefetch: int = 4,
        node: Node | None = None,
    ) -> None:
        """`micro_batch` and `global_batch` count sequences. Raises ValueError unless every global batch is a
        multiple of `micro_batch` × `dp_size`.

        `node` says which ranks share this machine's cache of stores in buckets; None means this rank alone.
        """
        self._steps = Steps.of(global_batch)
        for _, batch in self._steps.stretches:
            if batch % (micro_batch * dp_size):
                raise ValueError(
                    f"global_batch={batch} sequences: expected a multiple of micro_batch × ranks = "
                    f"{micro_batch} × {dp_size}"
                )
        self._order, self._stores = order, stores
        self._samples_of = partial(samples_of, 0, dp_rank=dp_rank, dp_size=dp_size, micro_batch=micro_batch)
        self._each = micro_batch * dp_size  # sequences in a micro-batch over all ranks
        self._ahead = max(workers, prefetch)
        self._dp_size = dp_size
        self._node = node or Node(frozenset({dp_rank}))
        self._ahead_of: ReadAhead | None = None
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
        self.wait_seconds = 0.0  # time the consumer has spent waiting

    def batches(self, steps_done: int, last_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The micro-batches of steps steps_done + 1 … last_step. Raises DataError for unreadable tokens."""
        ahead = self._fetch_ahead(steps_done, last_step)
        pending: deque[Future] = deque()
        for step in range(steps_done + 1, last_step + 1):
            first, batch = self._steps.sample(step - 1), self._steps.batch(step)
            for micro in range(batch // self._each):
                pending.append(self._pool.submit(self._read, first, batch, micro))
                if len(pending) > self._ahead:
                    yield self._wait(pending.popleft())
                if ahead and micro == 0:
                    ahead.reached(self._steps.sample(max(0, step - 1 - self._late(batch))))
        while pending:
            yield self._wait(pending.popleft())

    def _late(self, batch: int) -> int:
        """How many steps of `batch` samples may still be unread when the next one is asked for.

        They are the pending ones, and one more because other ranks may be a step behind.
        """
        return -(-self._ahead * self._each // batch) + 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._ahead_of:
            self._ahead_of.close()
        self._pool.shutdown(wait=True)

    def _fetch_ahead(self, steps_done: int, last_step: int) -> ReadAhead | None:
        """Start fetching from buckets; None for local stores, and for a replay, whose tokens are here."""
        stores = bucket_stores(self._stores)
        if not stores or self._ahead_of:
            return None
        first, last = self._steps.sample(steps_done), self._steps.sample(last_step)
        share = len(self._node.dp_ranks) / self._dp_size
        choose_units(self._order, stores, first, last, share)
        if not self._node.fetches:
            return None
        largest = max(batch for _, batch in self._steps.stretches)
        self._ahead_of = ReadAhead(
            self._order,
            stores,
            is_ours=is_ours(self._node.dp_ranks, self._dp_size),
            first=first,
            last=last,
            global_batch=largest,
            first_batch=self._each,
            late=self._late(largest) * largest,
        )
        return self._ahead_of

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def _wait(self, future: Future) -> tuple[Tensor, Tensor]:
        begin = time.perf_counter()
        try:
            return future.result()
        except OSError as error:
            raise DataError(
                f"tokens cannot be read ({error}); restore them and run the same command again"
            ) from None
        finally:
            self.wait_seconds += time.perf_counter() - begin

    def _read(self, first: int, batch: int, micro: int) -> tuple[Tensor, Tensor]:
        """One micro-batch of the global batch of `batch` samples that starts at sample `first`."""
        rows = []
        for n in (first + place for place in self._samples_of(micro, global_batch=batch)):
            sample = self._order.locate(n)
            rows.append(self._stores[sample.source].sequence(sample.index, self._order.seq_len(n)))
        tokens = torch.from_numpy(np.stack(rows).astype(np.int64))  # (micro_batch, seq_len + 1)
        return tokens[:, :-1], tokens[:, 1:]
