"""Finds the paragraphs that occur more than once: exactly, for inputs of any size, in bounded memory.

There are two stages. Map: write the hashes of a task's pages twice, in the pages' order, and sorted without
duplicates. Reduce: take one partition of all tasks' hashes at a time, and tell each task which of its hashes
another task has too; a task finds repeats among its own pages by itself. Pages are compared only within their
`set`: the entire input, or a group of 50 files (CCNet). The stages communicate only through files.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data import folders
from data.ccnet.paragraphs import HASH

PARTITION = 1 << 25  # about how many hashes it holds; reducing them takes less than a gigabyte


@dataclass(frozen=True)
class Partition:
    """The hashes in one set from `index`/`count` of 2^64 up to, but not including, (`index` + 1)/`count`."""

    set: int
    index: int
    count: int


def write_hashes(pages: Iterable[tuple[int, np.ndarray]], folder: Path) -> None:
    """Map: write the hashes of pages, given as (set, hashes) in order, into a new `folder`."""
    temporary = folders.aside(folders.own(folder))
    of_set: dict[int, bytearray] = {}
    with (temporary / "order").open("wb") as order:
        for number, page in pages:
            order.write(page.data)  # `tofile` would reopen the file
            of_set.setdefault(number, bytearray()).extend(page.data)
    sizes = {}
    for number in sorted(of_set):
        values = np.frombuffer(of_set.pop(number), HASH)
        values.sort()
        is_again = np.zeros(len(values), bool)
        is_again[1:] = values[1:] == values[:-1]
        once = values[~is_again]
        np.save(temporary / f"once-{number}.npy", once)
        np.save(temporary / f"twice-{number}.npy", np.unique(values[is_again]))
        sizes[str(number)] = len(once)
    (temporary / "sizes.json").write_text(json.dumps(sizes))
    folders.commit_once(temporary, folder)


def partitions(hashed: list[Path]) -> list[Partition]:
    """The partitions to reduce; they depend on the number of hashes alone, not on the engine."""
    total: dict[int, int] = {}
    for folder in hashed:
        for number, size in _sizes(folder).items():
            total[number] = total.get(number, 0) + size
    counts = {number: max(1, -(-size // PARTITION)) for number, size in sorted(total.items())}
    return [Partition(number, index, count) for number, count in counts.items() for index in range(count)]


def reduce_partition(hashed: list[Path], which: Partition, folder: Path) -> None:
    """Reduce: for each task, write which of its hashes another task has too, into a new `folder`."""
    holders = [task for task, one in enumerate(hashed) if which.set in _sizes(one)]
    found = [
        _within(np.load(hashed[task] / f"once-{which.set}.npy", mmap_mode="r"), which) for task in holders
    ]
    everything = np.sort(np.concatenate(found)) if found else np.empty(0, HASH)
    shared = everything[1:][everything[1:] == everything[:-1]]
    del everything
    temporary = folders.aside(folders.own(folder))
    ends = np.zeros(len(hashed) + 1, np.int64)
    with (temporary / "hashes").open("wb") as out:
        for task, values in zip(holders, found):
            repeated = values[isin_sorted(values, shared)]
            repeated.tofile(out)
            ends[task + 1] = len(repeated)
    np.save(temporary / "ends.npy", np.cumsum(ends))
    folders.commit_once(temporary, folder)


def repeated(hashed: Path, task: int, reduced: list[tuple[Partition, Path]]) -> dict[int, np.ndarray]:
    """For each set, the sorted hashes of one task's paragraphs that occur more than once in the set."""
    found = {}
    for number in _sizes(hashed):
        theirs = [_handed(folder, task) for which, folder in reduced if which.set == number]
        found[number] = np.unique(np.concatenate([np.load(hashed / f"twice-{number}.npy"), *theirs]))
    return found


@contextmanager
def opened_order(hashed: Path) -> Iterator[Callable[[int], np.ndarray]]:
    """A function that rereads the next page's hashes, given how many it has."""
    with (hashed / "order").open("rb") as order:
        yield lambda length: np.frombuffer(order.read(length * HASH.itemsize), HASH)


def isin_sorted(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Which values are in the sorted array `among`, (values,) bool."""
    if not len(among):
        return np.zeros(len(values), bool)
    places = np.searchsorted(among, values)
    return among[np.minimum(places, len(among) - 1)] == values


def _sizes(hashed: Path) -> dict[int, int]:
    return {int(number): size for number, size in json.loads((hashed / "sizes.json").read_text()).items()}


def _within(values: np.ndarray, which: Partition) -> np.ndarray:
    start = int(np.searchsorted(values, _edge(which.index, which.count))) if which.index else 0
    last = which.index + 1 == which.count
    stop = len(values) if last else int(np.searchsorted(values, _edge(which.index + 1, which.count)))
    return np.array(values[start:stop])


def _edge(index: int, count: int) -> np.uint64:
    return np.uint64(-(-(index << 64) // count))


def _handed(folder: Path, task: int) -> np.ndarray:
    start, stop = np.load(folder / "ends.npy", mmap_mode="r")[task : task + 2]
    return np.fromfile(folder / "hashes", HASH, count=int(stop - start), offset=int(start) * HASH.itemsize)
