"""Exact duplicates over a whole source, in bounded memory: of equal texts the first one stays.

Two file stages. Map: the hashes of a group's documents, sorted. Reduce: one range of the hash from all
groups at a time; all but the first document of each hash, by (group, row), are marked. So what goes
depends on the documents' order alone, not on how many tasks looked for it.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xxhash

from data.documents import Document

PART = 1 << 24  # documents in a range, about: half a gigabyte of hashes with their sorting
HASH = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<u4")])
MARK = np.dtype([("group", "<u4"), ("row", "<u4")])


class Hashes:
    """Collects the hashes of a group's documents, in their order."""

    def __init__(self) -> None:
        self._digests: list[bytes] = []

    def add(self, document: Document) -> None:
        self._digests.append(xxhash.xxh3_128_digest(document.text.encode()))

    def write(self, path: Path) -> None:
        """Sorted by the hash, equal ones by their row."""
        both = np.frombuffer(b"".join(self._digests), ">u8").reshape(-1, 2)
        entries = np.empty(len(both), HASH)
        entries["high"], entries["low"], entries["row"] = both[:, 0], both[:, 1], np.arange(len(both))
        np.save(path, entries[np.lexsort((entries["row"], entries["low"], entries["high"]))])


def n_parts(n_documents: int) -> int:
    """Into how many ranges the hashes are cut: by the documents alone."""
    return max(1, -(-n_documents // PART))


def mark(runs: Iterable[Path], part: int, parts: int) -> np.ndarray:
    """The documents of one range that repeat an earlier one: (group, row), sorted; MARK."""
    low, high = (np.uint64(min(-(-(2**64) * edge // parts), 2**64 - 1)) for edge in (part, part + 1))
    found, groups = [], []
    for group, run in enumerate(runs):
        entries = np.load(run, mmap_mode="r")
        start = int(np.searchsorted(entries["high"], low)) if part else 0
        stop = int(np.searchsorted(entries["high"], high)) if part + 1 < parts else len(entries)
        found.append(np.array(entries[start:stop]))
        groups.append(np.full(stop - start, group, np.uint32))
    entries, groups = np.concatenate(found), np.concatenate(groups)
    order = np.lexsort((entries["row"], groups, entries["low"], entries["high"]))
    entries, groups = entries[order], groups[order]
    repeated = np.zeros(len(entries), bool)
    repeated[1:] = (entries["high"][1:] == entries["high"][:-1]) & (entries["low"][1:] == entries["low"][:-1])
    marks = np.empty(int(repeated.sum()), MARK)
    marks["group"], marks["row"] = groups[repeated], entries["row"][repeated]
    return np.sort(marks, order=["group", "row"])
