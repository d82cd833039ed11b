"""Finds books contained in another book: by sampled shingles first, then measured exactly by all of them.

In: the Parquet files of cleaned books. Out: for each book to drop, its (file, row), the book that contains
it, and the share of its shingles found there. A shingle is five consecutive words, ignoring case, accents and
punctuation. One changed word breaks five shingles, so editions that differ in one word of fifty still share
90 %, while two unrelated novels share less than 1 %. There are four stages; a task reads only what earlier
stages wrote:

    sketch      a file's books           → a sample of their shingles' hashes, sorted
    candidates  one partition            → pairs where one book may contain the other, with counts
    measure     one range of the books   → exactly how many shingles each pair shares
    decide      all measured pairs       → the books to drop

**Which book is kept.** Books are sorted by their number of different shingles, longest first; ties are sorted
by (file, row). In that order, a book is dropped if more than 90 % of it is in an earlier book that is kept.
If two books contain each other, the longer is kept. If A is in B and B is in C, but A is not in C, then B is
dropped and A is kept. Of equal books, all but the first are dropped, and the first too if a kept book
contains it. If two books contain each other or are equal, the better edition takes the place of the longer or
the first (editions.py): one with accents, if only one has them; else the newer, if both have a date. The
result does not depend on how the books are divided into files and tasks.

**What may be missed.** The sketch keeps one hash in eight (FracMinHash), and all hashes of books of up to
1,024 shingles. So equal books, and short books in short ones, are always found. A short book in a long one is
missed if none of its n shingles was kept. The probability is (7/8)^(0.9 n): 6e-6 for a page of 100 words,
1e-46 for a thousand. In each partition, only the rarest quarter of a book's hashes is looked up, at most 64
of them; only a book with few hashes may have more than a quarter looked up (64 in all). A dropped book has at
most a tenth of its shingles outside its holder, so at least 60 % of that quarter are in the holder; a
candidate needs only a quarter of the hashes looked up. Most of an ordinary novel's rarest hashes are in no
other book, so it makes no pairs. If more than a thousand books share a hash, only the longest thousand are
considered. Shingles are compared by 64-bit hashes: two books of 10^5 shingles share a false one with
probability 5e-10.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import xxhash

from data import folders
from data.dedup.editions import KEYS, Editions, edition_key, keys_of
from data.dedup.shingles import changes, shingles
from data.documents import read_row

SHARE = (9, 10)  # a book is dropped if more than this share of it is in another (paper §2.1)
SAMPLE = 8  # keep one hash in eight
SHORT = 1024  # shingles; keep all hashes of books up to this length
CHOSEN = 64  # most hashes of a book to look up in a partition, and fewest in all
MAX_SHARED = 1000  # most books to consider for one shared hash
PARTITION = 1 << 22  # about how many hashes it holds; sorting them takes a third of a gigabyte

SORTED = 1 << 22  # hashes sorted at a time
CACHE = 64 << 20  # bytes of shingles held while pairs are measured

ENTRY = np.dtype([("hash", "<u8"), ("row", "<u4")])
BOOK = np.dtype([("shingles", "<u4"), ("high", "<u8"), ("low", "<u8")])  # high, low: a hash of all shingles
PAIR = np.dtype([("book", "<u4"), ("holder", "<u4"), ("short", "?"), ("found", "<u4")])
SHARED = np.dtype([("book", "<u4"), ("holder", "<u4"), ("shared", "<u4")])


@dataclass(frozen=True)
class Contained:
    """A book to drop, and the kept book that contains it."""

    file: int  # its index in the list of text files
    row: int
    held_by_file: int
    held_by_row: int
    share: float  # the share of the book's different shingles that occur in the kept book


# ---- sketch


def sketch(text_file: Path, out: Path) -> None:
    """Write the folder `out`: a table of the file's books, and sorted files with their sampled hashes."""
    temporary = folders.aside(folders.own(out))
    books, keys, waiting, n_waiting, n_files = [], [], [], 0, 0
    for row, (text, meta) in enumerate(_texts(text_file)):
        keys.append(edition_key(text, meta))
        found = shingles(text)
        digest = xxhash.xxh3_128_intdigest(found.tobytes())
        books.append((len(found), digest >> 64, digest & (2**64 - 1)))
        kept = found if len(found) <= SHORT else found[found % np.uint64(SAMPLE) == 0]
        waiting.append(_entries(kept, row))
        n_waiting += len(kept)
        if n_waiting >= SORTED:
            _write_sorted(waiting, temporary / f"hashes-{n_files:05d}.npy")
            waiting, n_waiting, n_files = [], 0, n_files + 1
    _write_sorted(waiting, temporary / f"hashes-{n_files:05d}.npy")
    np.save(temporary / "books.npy", np.array(books, BOOK))
    np.save(temporary / KEYS, np.array(keys, np.int64))
    folders.commit_once(temporary, out)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """Each book's text and meta."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=16, columns=["text", "meta"]):
            for text, meta in zip(batch.column("text"), batch.column("meta")):
                yield text.as_py(), meta.as_py()


def _entries(hashes: np.ndarray, row: int) -> np.ndarray:
    entries = np.empty(len(hashes), ENTRY)
    entries["hash"], entries["row"] = hashes, row
    return entries


def _write_sorted(waiting: list[np.ndarray], path: Path) -> None:
    entries = np.concatenate(waiting) if waiting else np.empty(0, ENTRY)
    np.save(path, entries[np.argsort(entries["hash"], kind="stable")])


# ---- candidates


def n_partitions(sketches: list[Path]) -> int:
    """How many partitions to make of the hashes; depends on the number of hashes alone."""
    paths = (path for one in sketches for path in folders.matching(one, "hashes-*.npy"))
    sizes = (np.load(path, mmap_mode="r").size for path in paths)
    return max(1, -(-sum(sizes) // PARTITION))


def candidates(sketches: list[Path], index: int, n_partitions: int, out: Path) -> None:
    """Write the folder `out` for one partition: the pairs found, and how many hashes of each book were
    looked up. Books are numbered across all sketches."""
    books = Books(sketches)
    hashes, owners = _partition(sketches, books, index, n_partitions)
    order = np.lexsort((books.position[owners], hashes))
    hashes, owners = hashes[order], owners[order]
    new = changes(hashes)
    starts = np.flatnonzero(new)
    which = np.cumsum(new) - 1  # the index of each entry's hash among the different hashes
    sharing = np.diff(starts, append=len(hashes))[which]
    short = hashes % np.uint64(SAMPLE) != 0
    lookups = _lookups(owners, short, sharing, n_partitions)
    looked_up = np.zeros((len(books.position), 2), np.uint16)
    np.add.at(looked_up, (owners[lookups], short[lookups].astype(np.intp)), 1)
    longer = lookups - starts[which[lookups]]  # earlier books that share the hash
    tables = [
        _pairs(owners, lookups[short[lookups] == tier], longer[short[lookups] == tier], tier)
        for tier in (False, True)
    ]
    temporary = folders.aside(folders.own(out))
    np.save(temporary / "looked_up.npy", looked_up)
    np.save(temporary / "pairs.npy", np.sort(np.concatenate(tables), order=["book", "holder"]))
    folders.commit_once(temporary, out)


class Books:
    """All books of all sketches: each one's number of shingles, place by length, and first equal book."""

    def __init__(self, sketches: list[Path]) -> None:
        tables = [np.load(one / "books.npy") for one in sketches]
        self.first = np.cumsum([0, *map(len, tables)])  # number of each sketch's first book
        table = np.concatenate(tables) if tables else np.empty(0, BOOK)
        self.shingles = table["shingles"]
        n = len(table)
        by_length = np.lexsort((np.arange(n), -self.shingles.astype(np.int64)))
        self.position = np.empty(n, np.uint32)
        self.position[by_length] = np.arange(n, dtype=np.uint32)
        by_set = np.lexsort((np.arange(n), table["low"], table["high"], self.shingles))
        same = np.zeros(n, bool)
        ordered = table[by_set]
        same[1:] = (ordered[1:] == ordered[:-1]) & (ordered["shingles"][1:] > 0)
        leader = np.flatnonzero(~same)[np.cumsum(~same) - 1] if n else np.zeros(0, np.int64)
        self.equal_to = np.empty(n, np.int64)
        self.equal_to[by_set] = by_set[leader]

    def place(self, book: int) -> tuple[int, int]:
        """The file and row of a book."""
        file = int(np.searchsorted(self.first, book, side="right")) - 1
        return file, int(book - self.first[file])


def _partition(
    sketches: list[Path], books: Books, index: int, n_partitions: int
) -> tuple[np.ndarray, np.ndarray]:
    """The hashes in one partition, and the book of each, without books that equal an earlier one."""
    low, high = (-(-(2**64) * edge // n_partitions) for edge in (index, index + 1))
    hashes, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)]
    for number, one in enumerate(sketches):
        for path in folders.matching(one, "hashes-*.npy"):
            entries = np.load(path, mmap_mode="r")
            start = int(np.searchsorted(entries["hash"], np.uint64(low)))
            stop = len(entries)
            if high < 2**64:
                stop = int(np.searchsorted(entries["hash"], np.uint64(high)))
            numbers = entries["row"][start:stop] + np.uint32(books.first[number])
            is_first = books.equal_to[numbers] == numbers
            hashes.append(entries["hash"][start:stop][is_first])
            owners.append(numbers[is_first])
    return np.concatenate(hashes), np.concatenate(owners)


def _lookups(owners: np.ndarray, short: np.ndarray, sharing: np.ndarray, n_partitions: int) -> np.ndarray:
    """The entries to look up: from the rarest quarter of each book's hashes in each tier (short or not).

    All of the quarter if it has at most CHOSEN entries, else CHOSEN of them, evenly spread. A book with few
    hashes may give more than a quarter, so that all partitions together look up CHOSEN.
    """
    order = np.lexsort((sharing, short, owners))  # stable: ties keep the order of their hashes
    new = changes(owners[order]) | changes(short[order])
    starts = np.flatnonzero(new)
    sizes = np.diff(starts, append=len(order))
    rarest = np.maximum(np.minimum(sizes, -(-CHOSEN // n_partitions)), -(-sizes // 4))
    which = np.cumsum(new) - 1
    taken, rarest = np.minimum(rarest, CHOSEN)[which], rarest[which]
    at = np.arange(len(order)) - starts[which]
    is_taken = (at < rarest) & (at * taken // rarest != (at - 1) * taken // rarest)
    return order[is_taken]


def _pairs(owners: np.ndarray, lookups: np.ndarray, longer: np.ndarray, short: bool) -> np.ndarray:
    """Pairs of a book and an earlier book that shares a looked-up hash, with the number of such hashes.

    Counted a few million at a time.
    """
    taken = np.minimum(longer, MAX_SHARED)
    ends = np.cumsum(taken)
    keys, counts = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    done = 0
    while done < len(lookups):
        before = ends[done - 1] if done else 0
        stop = max(done + 1, int(np.searchsorted(ends, before + SORTED // 2)))
        each = taken[done:stop]
        nth = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
        book = owners[np.repeat(lookups[done:stop], each)].astype(np.uint64)
        holder = owners[np.repeat((lookups - longer)[done:stop], each) + nth].astype(np.uint64)
        found, n_found = np.unique((book << np.uint64(32)) | holder, return_counts=True)
        keys, into = np.unique(np.concatenate([keys, found]), return_inverse=True)
        counts = np.bincount(into, np.concatenate([counts, n_found]), len(keys)).astype(np.int64)
        done = stop
    table = np.empty(len(keys), PAIR)
    table["book"], table["holder"] = keys >> np.uint64(32), keys & np.uint64(0xFFFFFFFF)
    table["short"], table["found"] = short, counts
    return table


# ---- measure


def measure(
    text_files: list[Path], sketches: list[Path], counts: list[Path], index: int, n_ranges: int, out: Path
) -> None:
    """Write to the file `out`, as SHARED, how many shingles the pairs in one range of the books share."""
    books = Books(sketches)
    held: OrderedDict[int, np.ndarray] = OrderedDict()
    measured = []
    for book, holder in _candidates(books, counts, index, n_ranges):
        one, other = (_shingles_of(books, text_files, number, held) for number in (book, holder))
        measured.append((book, holder, np.isin(one, other, assume_unique=True).sum()))
    with folders.replacing(out, folders.own(out)) as temporary, temporary.open("wb") as file:
        np.save(file, np.array(measured, SHARED))


def _candidates(books: "Books", counts: list[Path], index: int, n_ranges: int) -> list[tuple[int, int]]:
    """The pairs to measure: those that share at least a quarter of the looked-up hashes."""
    n_books = len(books.position)
    low, high = (n_books * edge // n_ranges for edge in (index, index + 1))
    looked_up = np.zeros((high - low, 2), np.int64)
    tables = [np.empty(0, PAIR)]
    for folder in counts:
        looked_up += np.load(folder / "looked_up.npy", mmap_mode="r")[low:high]
        pairs = np.load(folder / "pairs.npy", mmap_mode="r")
        tables.append(np.array(pairs[slice(*np.searchsorted(pairs["book"], (low, high)))]))
    table = np.concatenate(tables)
    table = table[np.lexsort((table["short"], table["holder"], table["book"]))]
    starts = np.flatnonzero(changes(table["book"]) | changes(table["holder"]) | changes(table["short"]))
    found = np.add.reduceat(table["found"].astype(np.int64), starts) if len(starts) else starts
    firsts = table[starts]
    enough = 4 * found >= looked_up[firsts["book"] - low, firsts["short"].astype(np.intp)]
    return sorted(set(zip(firsts["book"][enough].tolist(), firsts["holder"][enough].tolist())))


def _shingles_of(
    books: "Books", text_files: list[Path], number: int, held: OrderedDict[int, np.ndarray]
) -> np.ndarray:
    """All shingles of a book; the most recently used books are cached, up to CACHE bytes."""
    if number not in held:
        file, row = books.place(number)
        held[number] = shingles(read_row(text_files[file], row).text)
        while len(held) > 2 and sum(found.nbytes for found in held.values()) > CACHE:
            held.popitem(last=False)
    held.move_to_end(number)
    return held[number]


# ---- decide


def decide(sketches: list[Path], measured: list[Path]) -> list[Contained]:
    """The books to drop, ordered by (file, row)."""
    books = Books(sketches)
    table = np.concatenate([np.empty(0, SHARED), *map(np.load, measured)])
    share, total = SHARE
    table = table[table["shared"] * np.uint64(total) > books.shingles[table["book"]] * np.uint64(share)]
    position, of_holder = books.position[table["book"]], books.position[table["holder"]]
    # Longest books first, so that a holder is decided before the books in it.
    order = np.lexsort((of_holder, -table["shared"].astype(np.int64), position))
    held_by: dict[int, tuple[int, int]] = {}  # book: holder, shared
    for book, holder, shared in table[order].tolist():
        if book not in held_by and holder not in held_by:
            held_by[book] = holder, shared
    copies: dict[int, list[int]] = {}
    for book in np.flatnonzero(books.equal_to != np.arange(len(books.equal_to))).tolist():
        copies.setdefault(int(books.equal_to[book]), []).append(book)
    shared = {(min(one, other), max(one, other)): count for one, other, count in table.tolist()}
    held_by = Editions(keys_of(sketches), copies, shared, books.shingles.tolist(), SHARE).best_kept(held_by)
    return [
        Contained(*books.place(book), *books.place(holder), shared / int(books.shingles[book]))
        for book, (holder, shared) in sorted(held_by.items())
    ]


def contained(text_files: list[Path], work: Path) -> list[Contained]:
    """Run all four stages in sequence, in an empty folder."""
    sketches = [work / f"sketch-{file:05d}" for file in range(len(text_files))]
    for text_file, out in zip(text_files, sketches):
        sketch(text_file, out)
    counts = [work / f"candidates-{index:05d}" for index in range(n_partitions(sketches))]
    for index, out in enumerate(counts):
        candidates(sketches, index, len(counts), out)
    measure(text_files, sketches, counts, 0, 1, work / "measured.npy")
    return decide(sketches, [work / "measured.npy"])
