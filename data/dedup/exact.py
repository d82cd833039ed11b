"""Finds exact duplicates in an entire source, in bounded memory; the first of equal texts is kept.

There are two stages. Map: sort the hashes of a reading task's documents. Reduce: take one partition of all
tasks' hashes at a time, and mark every document but the first of each hash, by (task, row). So the result
depends on the order of the documents alone.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xxhash

from data.documents import Document

PARTITION = 1 << 24  # about how many documents it holds; sorting their hashes takes half a gigabyte
HASH = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<u4")])
MARK = np.dtype([("task", "<u4"), ("row", "<u4")])


class Hashes:
    """Collects the hashes of a task's documents, in order."""

    def __init__(self) -> None:
        self._digests: list[bytes] = []

    def add(self, document: Document) -> None:
        self._digests.append(xxhash.xxh3_128_digest(document.text.encode()))

    def write(self, path: Path) -> None:
        """Write the hashes, sorted by (hash, row)."""
        both = np.frombuffer(b"".join(self._digests), ">u8").reshape(-1, 2)
        entries = np.empty(len(both), HASH)
        entries["high"], entries["low"], entries["row"] = both[:, 0], both[:, 1], np.arange(len(both))
        np.save(path, entries[np.lexsort((entries["row"], entries["low"], entries["high"]))])


def n_partitions(n_documents: int) -> int:
    """How many partitions to make of the hashes; depends on the number of documents alone."""
    return max(1, -(-n_documents // PARTITION))


def mark(hash_files: Iterable[Path], index: int, n_partitions: int) -> np.ndarray:
    """The documents in one partition that repeat an earlier one: an array of MARK, sorted by (task, row)."""
    low, high = (np.uint64(min(-(-(2**64) * edge // n_partitions), 2**64 - 1)) for edge in (index, index + 1))
    found, tasks = [], []
    for task, path in enumerate(hash_files):
        entries = np.load(path, mmap_mode="r")
        start = int(np.searchsorted(entries["high"], low)) if index else 0
        stop = int(np.searchsorted(entries["high"], high)) if index + 1 < n_partitions else len(entries)
        found.append(np.array(entries[start:stop]))
        tasks.append(np.full(stop - start, task, np.uint32))
    entries, tasks = np.concatenate(found), np.concatenate(tasks)
    order = np.lexsort((entries["row"], tasks, entries["low"], entries["high"]))
    entries, tasks = entries[order], tasks[order]
    repeated = np.zeros(len(entries), bool)
    repeated[1:] = (entries["high"][1:] == entries["high"][:-1]) & (entries["low"][1:] == entries["low"][:-1])
    marks = np.empty(int(repeated.sum()), MARK)
    marks["task"], marks["row"] = tasks[repeated], entries["row"][repeated]
    return np.sort(marks, order=["task", "row"])
