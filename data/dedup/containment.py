"""Books that stand in another book: found by sampled shingles, measured by all of them, exactly.

In: the parquet files of cleaned books. Out: which (file, row) goes, the book that holds it, and the share
of its shingles that stand there. A shingle is five words in a row, case, accents and punctuation folded:
one changed word breaks five, so editions that differ in one word of fifty still share 90 %, while of a
novel less than 1 % stands in another. Four stages, each of tasks that need the earlier files alone:

    sketch      a file's books        → a sample of their shingles' hashes, sorted
    candidates  one range of the hash → pairs of books that may stand in one another, with counts
    measure     one part of the pairs → the shared shingles of each, counted over all of both
    decide      everything measured   → what goes

**Who stays.** Books are ranked by their number of different shingles, ties by (file, row). From the top, a
book goes if more than 90 % of it stands in a higher one that stays: of two that hold each other the
longer stays; of A in B in C with A not in C, B goes and A stays. Equal books go where the first of them
goes. What goes never depends on how the books lie in files, nor on the number of tasks.

**What may be missed.** Every eighth hash is kept (FracMinHash), of books up to 1,024 shingles every
one. So equal books, and short books in short ones, are always found. A short book in a long one is missed
if none of its n shingles was kept: (7/8)^(0.9 n), 6e-6 for a page of 100 words, 1e-46 for a thousand.
A novel that stands nowhere else costs no pair at all: at most a tenth of a book is missing in its holder,
so of its rarest quarter of hashes at least 60 % stand there. Of that quarter 64 hashes are looked up,
and a quarter of these found makes a candidate; most of a novel's are in no other book, and end there.
Where more than a thousand books share a hash, the longest thousand are looked at.
Shingles are compared by 64-bit hashes: two books of 10^5 have a false one in common with probability 5e-10.
"""

import re
import shutil
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import xxhash

from data import folders
from data.documents import read_row

SHARE = (9, 10)  # more than this much of a book in another one, and it goes (paper §2.1)
SHINGLE = 5  # words
SAMPLE = 8  # every so manieth hash is kept
SHORT = 1024  # shingles; of books up to this length every hash is kept
CHOSEN = 64  # hashes of a book that are looked up
MAX_SHARED = 1000  # books that share a hash and are looked at
PART = 1 << 22  # hashes in a range, about: a third of a gigabyte while they are sorted

RUN = 1 << 22  # hashes sorted at a time
CACHE = 64 << 20  # bytes of shingles held while pairs are measured
PIECE = 1 << 20  # characters folded at a time

ENTRY = np.dtype([("hash", "<u8"), ("row", "<u4")])
BOOK = np.dtype([("shingles", "<u4"), ("high", "<u8"), ("low", "<u8")])  # and a hash of the whole set
PAIR = np.dtype([("book", "<u4"), ("holder", "<u4"), ("short", "?"), ("found", "<u4")])
SHARED = np.dtype([("book", "<u4"), ("holder", "<u4"), ("shared", "<u4")])

_WORD = re.compile(r"[^\W_]+")
_MIXED_WORD = re.compile("[\u3040-\u30ff\u3400-\u9fff]|[^\\W_\u3040-\u30ff\u3400-\u9fff]+")
_BETWEEN = re.compile(r"[\W_]")
_ACCENT = re.compile("[\u0300-\u036f]")


@dataclass(frozen=True)
class Contained:
    """A book that goes, and the one that stays and holds it."""

    file: int  # the place in the list of text files
    row: int
    held_by_file: int
    held_by_row: int
    share: float  # of the book's different shingles that stand in the other


# ---- shingles


def shingles(text: str) -> np.ndarray:
    """The hashes of all different shingles, sorted; of a text of fewer words, of them all."""
    words = _word_hashes(text)
    if not len(words):
        return words
    width = min(SHINGLE, len(words))
    n = len(words) - width + 1
    mixed = np.zeros(n, np.uint64)
    for first in range(width):
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed += words[first : first + n]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64's end
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    mixed.sort()
    return mixed[_changes(mixed)]  # far faster than np.unique


def _word_hashes(text: str) -> np.ndarray:
    known: dict[str, int] = {}
    found = []
    for piece in _pieces(text):
        words = _words(piece)
        for word in set(words) - known.keys():
            known[word] = xxhash.xxh3_64_intdigest(word.encode())
        found.append(np.fromiter(map(known.__getitem__, words), np.uint64, len(words)))
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def _pieces(text: str) -> Iterator[str]:
    """About PIECE characters at a time, cut between words."""
    start = 0
    while start < len(text):
        cut = _BETWEEN.search(text, start + PIECE)
        stop = cut.end() if cut else len(text)
        yield text[start:stop]
        start = stop


def _words(text: str) -> list[str]:
    """Letters and digits in lower case, without accents; ideographs and kana are words by themselves."""
    if text.isascii():
        return _WORD.findall(text.lower())
    folded = _ACCENT.sub("", unicodedata.normalize("NFKD", text).casefold())
    return _MIXED_WORD.findall(folded.replace("æ", "ae").replace("œ", "oe"))


# ---- sketch


def sketch(text_file: Path, run: Path) -> None:
    """Write the folder `run`: what its books are, and their sampled hashes in sorted files."""
    temporary = folders.aside(folders.own(run))
    books, waiting, n_waiting, n_files = [], [], 0, 0
    for row, text in enumerate(_texts(text_file)):
        found = shingles(text)
        digest = xxhash.xxh3_128_intdigest(found.tobytes())
        books.append((len(found), digest >> 64, digest & (2**64 - 1)))
        kept = found if len(found) <= SHORT else found[found % np.uint64(SAMPLE) == 0]
        waiting.append(_entries(kept, row))
        n_waiting += len(kept)
        if n_waiting >= RUN:
            _write_sorted(waiting, temporary / f"hashes-{n_files:05d}.npy")
            waiting, n_waiting, n_files = [], 0, n_files + 1
    _write_sorted(waiting, temporary / f"hashes-{n_files:05d}.npy")
    np.save(temporary / "books.npy", np.array(books, BOOK))
    _commit_once(temporary, run)


def _texts(path: Path) -> Iterator[str]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=16, columns=["text"]):
            for value in batch.column(0):
                yield value.as_py()


def _entries(hashes: np.ndarray, row: int) -> np.ndarray:
    entries = np.empty(len(hashes), ENTRY)
    entries["hash"], entries["row"] = hashes, row
    return entries


def _write_sorted(waiting: list[np.ndarray], path: Path) -> None:
    entries = np.concatenate(waiting) if waiting else np.empty(0, ENTRY)
    np.save(path, entries[np.argsort(entries["hash"], kind="stable")])


def _commit_once(temporary: Path, goal: Path) -> None:
    for path in [*sorted(temporary.iterdir()), temporary]:
        folders.sync(path)
    try:
        temporary.rename(goal)
    except OSError:
        if not goal.exists():
            raise
        shutil.rmtree(temporary)  # another process made the same


# ---- candidates


def n_parts(runs: list[Path]) -> int:
    """Into how many ranges the hashes are cut: by their number alone."""
    sizes = (np.load(path, mmap_mode="r").size for run in runs for path in run.glob("hashes-*.npy"))
    return max(1, -(-sum(sizes) // PART))


def candidates(runs: list[Path], part: int, parts: int, out: Path) -> None:
    """Write the folder `out`: of one range of the hash, how many hashes of each book were looked up, and the
    pairs that they gave. Books are numbered through all runs."""
    books = Books(runs)
    hashes, owners = _range(runs, books, part, parts)
    order = np.lexsort((books.rank[owners], hashes))
    hashes, owners = hashes[order], owners[order]
    new = _changes(hashes)
    starts = np.flatnonzero(new)
    which = np.cumsum(new) - 1  # of the different hashes, each entry's
    sharing = np.diff(starts, append=len(hashes))[which]
    short = hashes % np.uint64(SAMPLE) != 0
    lookups = _lookups(owners, short, sharing, parts)
    looked_up = np.zeros((len(books.rank), 2), np.uint16)
    np.add.at(looked_up, (owners[lookups], short[lookups].astype(np.intp)), 1)
    higher = lookups - starts[which[lookups]]  # books above it that share the hash
    tables = [
        _pairs(owners, lookups[short[lookups] == tier], higher[short[lookups] == tier], tier)
        for tier in (False, True)
    ]
    temporary = folders.aside(folders.own(out))
    np.save(temporary / "looked_up.npy", looked_up)
    np.save(temporary / "pairs.npy", np.sort(np.concatenate(tables), order=["book", "holder"]))
    _commit_once(temporary, out)


class Books:
    """All books of all runs: their shingles, their rank, and of equal ones the first."""

    def __init__(self, runs: list[Path]) -> None:
        tables = [np.load(run / "books.npy") for run in runs]
        self.first = np.cumsum([0, *map(len, tables)])  # number of each run's first book
        table = np.concatenate(tables) if tables else np.empty(0, BOOK)
        self.shingles = table["shingles"]
        n = len(table)
        by_rank = np.lexsort((np.arange(n), -self.shingles.astype(np.int64)))
        self.rank = np.empty(n, np.uint32)
        self.rank[by_rank] = np.arange(n, dtype=np.uint32)
        by_set = np.lexsort((np.arange(n), table["low"], table["high"], self.shingles))
        same = np.zeros(n, bool)
        ordered = table[by_set]
        same[1:] = (ordered[1:] == ordered[:-1]) & (ordered["shingles"][1:] > 0)
        leader = np.flatnonzero(~same)[np.cumsum(~same) - 1] if n else np.zeros(0, np.int64)
        self.equal_to = np.empty(n, np.int64)
        self.equal_to[by_set] = by_set[leader]

    def place(self, book: int) -> tuple[int, int]:
        """File and row."""
        file = int(np.searchsorted(self.first, book, side="right")) - 1
        return file, int(book - self.first[file])


def _range(runs: list[Path], books: Books, part: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes and books of one range of the hash, without books that equal an earlier one."""
    low, high = (-(-(2**64) * edge // parts) for edge in (part, part + 1))
    hashes, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)]
    for number, run in enumerate(runs):
        for path in sorted(run.glob("hashes-*.npy")):
            entries = np.load(path, mmap_mode="r")
            start = int(np.searchsorted(entries["hash"], np.uint64(low)))
            stop = len(entries)
            if high < 2**64:
                stop = int(np.searchsorted(entries["hash"], np.uint64(high)))
            numbers = entries["row"][start:stop] + np.uint32(books.first[number])
            stays = books.equal_to[numbers] == numbers
            hashes.append(entries["hash"][start:stop][stays])
            owners.append(numbers[stays])
    return np.concatenate(hashes), np.concatenate(owners)


def _lookups(owners: np.ndarray, short: np.ndarray, sharing: np.ndarray, parts: int) -> np.ndarray:
    """Which entries are looked up: of each book, and there of each tier, some of the rarest quarter.

    All of it where that is up to CHOSEN, else so many, spread evenly; at least CHOSEN over all ranges.
    """
    order = np.lexsort((sharing, short, owners))  # stable: equal ones stay in the order of their hashes
    new = _changes(owners[order]) | _changes(short[order])
    starts = np.flatnonzero(new)
    sizes = np.diff(starts, append=len(order))
    rarest = np.maximum(np.minimum(sizes, -(-CHOSEN // parts)), -(-sizes // 4))
    which = np.cumsum(new) - 1
    taken, rarest = np.minimum(rarest, CHOSEN)[which], rarest[which]
    at = np.arange(len(order)) - starts[which]
    is_taken = (at < rarest) & (at * taken // rarest != (at - 1) * taken // rarest)
    return order[is_taken]


def _pairs(owners: np.ndarray, lookups: np.ndarray, higher: np.ndarray, short: bool) -> np.ndarray:
    """For each looked-up entry the books above it; counted by pair, some millions at a time."""
    taken = np.minimum(higher, MAX_SHARED)
    ends = np.cumsum(taken)
    keys, counts = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    done = 0
    while done < len(lookups):
        before = ends[done - 1] if done else 0
        stop = max(done + 1, int(np.searchsorted(ends, before + RUN // 2)))
        each = taken[done:stop]
        nth = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
        book = owners[np.repeat(lookups[done:stop], each)].astype(np.uint64)
        holder = owners[np.repeat((lookups - higher)[done:stop], each) + nth].astype(np.uint64)
        found, n_found = np.unique((book << np.uint64(32)) | holder, return_counts=True)
        keys, into = np.unique(np.concatenate([keys, found]), return_inverse=True)
        counts = np.bincount(into, np.concatenate([counts, n_found]), len(keys)).astype(np.int64)
        done = stop
    table = np.empty(len(keys), PAIR)
    table["book"], table["holder"] = keys >> np.uint64(32), keys & np.uint64(0xFFFFFFFF)
    table["short"], table["found"] = short, counts
    return table


def _changes(column: np.ndarray) -> np.ndarray:
    """Where a value is not that before it."""
    return np.append(np.ones(min(1, len(column)), bool), column[1:] != column[:-1])


# ---- measure


def measure(
    text_files: list[Path], runs: list[Path], counts: list[Path], part: int, parts: int, out: Path
) -> None:
    """Write to the file `out` what each pair really shares, of one part of the books; SHARED."""
    books = Books(runs)
    held: OrderedDict[int, np.ndarray] = OrderedDict()
    measured = []
    for book, holder in _candidates(books, counts, part, parts):
        one, other = (_shingles_of(books, text_files, number, held) for number in (book, holder))
        measured.append((book, holder, np.isin(one, other, assume_unique=True).sum()))
    temporary = folders.own(out)
    with temporary.open("wb") as file:
        np.save(file, np.array(measured, SHARED))
    folders.sync(temporary)
    temporary.replace(out)


def _candidates(books: "Books", counts: list[Path], part: int, parts: int) -> list[tuple[int, int]]:
    """The pairs worth measuring: a quarter of what was looked up was found."""
    n_books = len(books.rank)
    low, high = (n_books * edge // parts for edge in (part, part + 1))
    looked_up = np.zeros((high - low, 2), np.int64)
    tables = [np.empty(0, PAIR)]
    for folder in counts:
        looked_up += np.load(folder / "looked_up.npy", mmap_mode="r")[low:high]
        pairs = np.load(folder / "pairs.npy", mmap_mode="r")
        tables.append(np.array(pairs[slice(*np.searchsorted(pairs["book"], (low, high)))]))
    table = np.concatenate(tables)
    table = table[np.lexsort((table["short"], table["holder"], table["book"]))]
    starts = np.flatnonzero(_changes(table["book"]) | _changes(table["holder"]) | _changes(table["short"]))
    found = np.add.reduceat(table["found"].astype(np.int64), starts) if len(starts) else starts
    firsts = table[starts]
    enough = 4 * found >= looked_up[firsts["book"] - low, firsts["short"].astype(np.intp)]
    return sorted(set(zip(firsts["book"][enough].tolist(), firsts["holder"][enough].tolist())))


def _shingles_of(
    books: "Books", text_files: list[Path], number: int, held: OrderedDict[int, np.ndarray]
) -> np.ndarray:
    """All shingles of a book; the last ones read are held, up to CACHE."""
    if number not in held:
        file, row = books.place(number)
        held[number] = shingles(read_row(text_files[file], row).text)
        while len(held) > 2 and sum(found.nbytes for found in held.values()) > CACHE:
            held.popitem(last=False)
    held.move_to_end(number)
    return held[number]


# ---- decide


def decide(runs: list[Path], measured: list[Path]) -> list[Contained]:
    """What goes, in the order of (file, row)."""
    books = Books(runs)
    table = np.concatenate([np.empty(0, SHARED), *map(np.load, measured)])
    part, whole = SHARE
    table = table[table["shared"] * np.uint64(whole) > books.shingles[table["book"]] * np.uint64(part)]
    rank, holder_rank = books.rank[table["book"]], books.rank[table["holder"]]
    order = np.lexsort((holder_rank, -table["shared"].astype(np.int64), rank))  # holders come first
    held_by: dict[int, tuple[int, int]] = {}  # book: holder, shared
    for book, holder, shared in table[order].tolist():
        if book not in held_by and holder not in held_by:
            held_by[book] = holder, shared
    for book in np.flatnonzero(books.equal_to != np.arange(len(books.equal_to))).tolist():
        first = int(books.equal_to[book])
        held_by[book] = held_by.get(first, (first, int(books.shingles[book])))
    return [
        Contained(*books.place(book), *books.place(holder), shared / int(books.shingles[book]))
        for book, (holder, shared) in sorted(held_by.items())
    ]


def contained(text_files: list[Path], work: Path) -> list[Contained]:
    """All four stages, one after the other, in an empty folder."""
    runs = [work / f"run-{file:05d}" for file in range(len(text_files))]
    for text_file, run in zip(text_files, runs):
        sketch(text_file, run)
    parts = n_parts(runs)
    counts = [work / f"candidates-{part:05d}" for part in range(parts)]
    for part, out in enumerate(counts):
        candidates(runs, part, parts, out)
    measure(text_files, runs, counts, 0, 1, work / "measured.npy")
    return decide(runs, [work / "measured.npy"])
