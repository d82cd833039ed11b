"""Which paragraphs occur more than once: exact, over any input, in bounded memory.

Two file stages. Map: the hashes of a task's pages, in the pages' order, and each once in order of value.
Reduce: one range of the values from all tasks at a time; of those that two tasks hold, each task is handed
its own. What a task holds twice itself, it knows. Pages are compared within their `set` only: the whole
input is one set, or each 50 files are one (CCNet). Files alone cross from stage to stage.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data import folders
from data.ccnet.paragraphs import HASH

RANGE = 1 << 25  # hashes in a range, about: reducing it takes under a gigabyte


@dataclass(frozen=True)
class Range:
    """A part of the values of one set: from `part`/`parts` of 2^64 up to the next."""

    set: int
    part: int
    parts: int


def write_run(pages: Iterable[tuple[int, np.ndarray]], folder: Path) -> None:
    """Map: (set, hashes) of each page in order; `folder` appears whole."""
    temporary = folders.aside(folders.own(folder))
    in_order: dict[int, list[np.ndarray]] = {}
    with (temporary / "order").open("wb") as order:
        for number, page in pages:
            page.tofile(order)
            in_order.setdefault(number, []).append(page)
    sizes = {}
    for number in sorted(in_order):
        values, counts = np.unique(np.concatenate(in_order.pop(number)), return_counts=True)
        np.save(temporary / f"once-{number}.npy", values)
        np.save(temporary / f"twice-{number}.npy", values[counts > 1])
        sizes[str(number)] = len(values)
    (temporary / "sizes.json").write_text(json.dumps(sizes))
    commit(temporary, folder)


def ranges(runs: list[Path]) -> list[Range]:
    """What there is to reduce: by the runs alone, so the same for every engine."""
    total: dict[int, int] = {}
    for run in runs:
        for number, size in _sizes(run).items():
            total[number] = total.get(number, 0) + size
    cut = {number: max(1, -(-size // RANGE)) for number, size in sorted(total.items())}
    return [Range(number, part, parts) for number, parts in cut.items() for part in range(parts)]


def reduce_range(runs: list[Path], which: Range, folder: Path) -> None:
    """Hand each run those of its hashes in the range that another run has too; `folder` appears whole."""
    holders = [place for place, run in enumerate(runs) if which.set in _sizes(run)]
    slices = [
        _slice(np.load(runs[place] / f"once-{which.set}.npy", mmap_mode="r"), which) for place in holders
    ]
    everything = np.sort(np.concatenate(slices)) if slices else np.empty(0, HASH)
    shared = everything[1:][everything[1:] == everything[:-1]]
    del everything
    temporary = folders.aside(folders.own(folder))
    ends = np.zeros(len(runs) + 1, np.int64)
    with (temporary / "hashes").open("wb") as out:
        for place, values in zip(holders, slices):
            going = values[isin_sorted(values, shared)]
            going.tofile(out)
            ends[place + 1] = len(going)
    np.save(temporary / "ends.npy", np.cumsum(ends))
    commit(temporary, folder)


def repeated(run: Path, place: int, reduced: list[tuple[Range, Path]]) -> dict[int, np.ndarray]:
    """By set, the sorted hashes of one run that occur more than once in the set; `place`: the run's own."""
    found = {}
    for number in _sizes(run):
        theirs = [_handed(folder, place) for which, folder in reduced if which.set == number]
        found[number] = np.unique(np.concatenate([np.load(run / f"twice-{number}.npy"), *theirs]))
    return found


def read_order(run: Path, lengths: Iterable[int]) -> Iterator[np.ndarray]:
    """The pages' hashes again, given how many each page has."""
    with (run / "order").open("rb") as order:
        for length in lengths:
            yield np.frombuffer(order.read(length * HASH.itemsize), HASH)


def isin_sorted(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(values,) bool: which are in `among`, which is sorted."""
    if not len(among):
        return np.zeros(len(values), bool)
    places = np.searchsorted(among, values)
    return among[np.minimum(places, len(among) - 1)] == values


def commit(temporary: Path, folder: Path) -> None:
    """Put a task's own folder in its place, unless another process was first with the same."""
    for path in [*sorted(temporary.rglob("*")), temporary]:
        folders.sync(path)
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(temporary)
    folders.sync(folder.parent)


def _sizes(run: Path) -> dict[int, int]:
    return {int(number): size for number, size in json.loads((run / "sizes.json").read_text()).items()}


def _slice(values: np.ndarray, which: Range) -> np.ndarray:
    start = int(np.searchsorted(values, _edge(which.part, which.parts))) if which.part else 0
    last = which.part + 1 == which.parts
    stop = len(values) if last else int(np.searchsorted(values, _edge(which.part + 1, which.parts)))
    return np.array(values[start:stop])


def _edge(part: int, parts: int) -> np.uint64:
    return np.uint64(-(-(part << 64) // parts))


def _handed(folder: Path, place: int) -> np.ndarray:
    start, stop = np.load(folder / "ends.npy", mmap_mode="r")[place : place + 2]
    return np.fromfile(folder / "hashes", HASH, count=int(stop - start), offset=int(start) * HASH.itemsize)
