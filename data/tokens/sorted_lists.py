"""Sorted lists: encoded documents in the order of a hash, read one range of the hash at a time.

A list is two files: `<name>.entries`, sorted by key, and `<name>.tokens` in the same order. Bisection finds
the documents of a range, so reading every range of a list reads it once. With more than FAN_IN text files,
their lists are first merged into at most FAN_IN. A shard then opens at most that many, so the number of files
opened grows with the corpus, not with its square.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np

from data import folders

FAN_IN = 128  # most lists that a shard is gathered from
_MERGE_BYTES = 256 << 20  # about how many bytes of tokens a merge holds
# A document: its hash, its place among the tokens, its length in tokens and bytes, and where its text is.
ENTRY = np.dtype(
    [("key", "<u8"), ("start", "<u8"), ("tokens", "<u4"), ("bytes", "<u4"), ("file", "<u4"), ("row", "<u4")]
)


class SortedList:
    """A list opened for reading; a context manager."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype) -> None:
        entries, tokens = _paths(folder, name)
        is_empty = not entries.stat().st_size  # an empty file cannot be mapped
        self._entries = np.empty(0, ENTRY) if is_empty else np.memmap(entries, ENTRY, "r")
        self._tokens = tokens.open("rb")
        self._dtype = dtype
        self.n_bytes = tokens.stat().st_size

    def range(self, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        """The entries and tokens of documents with a hash in [low, high)."""
        start, stop = (
            bisect_left(self._entries, edge, key=lambda one: int(one["key"])) for edge in (low, high)
        )
        entries = np.array(self._entries[start:stop])
        if not len(entries):
            return entries, np.empty(0, self._dtype)
        self._tokens.seek(int(entries["start"][0]) * self._dtype.itemsize)
        size = int(entries["tokens"].sum(dtype=np.int64)) * self._dtype.itemsize
        return entries, np.frombuffer(self._tokens.read(size), self._dtype)

    def __enter__(self) -> "SortedList":
        return self

    def __exit__(self, *failure: object) -> None:
        self._tokens.close()


def write(
    folder: Path, name: str, parts: Iterable[tuple[np.ndarray, Iterable[np.ndarray]]]
) -> dict[str, int]:
    """Write a list from parts of entries with their documents' tokens; return its files' sizes by name.

    The entries must be sorted across all parts. Their `start` is set here.
    """
    entries, tokens = _paths(folder, name)
    place = 0
    with (
        folders.replacing(entries, folders.own(entries)) as temporary_entries,
        folders.replacing(tokens, folders.own(tokens)) as temporary_tokens,
        temporary_entries.open("wb") as out_entries,
        temporary_tokens.open("wb") as out_tokens,
    ):
        for rows, documents in parts:
            sizes = rows["tokens"].astype(np.uint64)
            rows["start"] = place + np.cumsum(sizes) - sizes
            place += int(sizes.sum())
            rows.tofile(out_entries)
            for document in documents:
                out_tokens.write(document.data)
    return {path.name: path.stat().st_size for path in (entries, tokens)}


def gather(lists: Sequence[SortedList], low: int, high: int) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    """All lists' entries with a hash in [low, high), sorted by hash, file and row; and each one's tokens."""
    found = [one for each in lists if len((one := each.range(low, high))[0])]
    if not found:
        return np.empty(0, ENTRY), iter(())
    entries, tokens = (np.concatenate(parts) for parts in zip(*found))
    stops = np.cumsum(entries["tokens"], dtype=np.int64)
    starts = stops - entries["tokens"]
    order = np.lexsort((entries["row"], entries["file"], entries["key"]))
    bounds = zip(starts[order].tolist(), stops[order].tolist())
    return entries[order], (tokens[start:stop] for start, stop in bounds)


def merge(folder: Path, names: Sequence[str], goal: str, dtype: np.dtype) -> dict[str, int]:
    """Merge lists into one, in bounded memory; return its files' sizes by name."""
    with ExitStack() as opened:
        lists = [opened.enter_context(SortedList(folder, name, dtype)) for name in names]
        n_parts = max(1, math.ceil(sum(each.n_bytes for each in lists) / _MERGE_BYTES))
        edges = [range_edge(part, n_parts) for part in range(n_parts + 1)]
        return write(folder, goal, (gather(lists, low, high) for low, high in pairwise(edges)))


def remove(folder: Path, name: str) -> None:
    for path in _paths(folder, name):
        path.unlink(missing_ok=True)


def range_edge(part: int, n_parts: int) -> int:
    """The hash where range `part` of `n_parts` begins. In exact integers, so that neighbors meet."""
    return -(-(2**64) * part // n_parts)


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.entries", folder / f"{name}.tokens"
