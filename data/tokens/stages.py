"""The two stages that make a token store, as tasks that can be sent to any process.

Map: encode one text file, and sort its documents by a hash of (seed, id). Reduce: gather the p-th partition
of that hash from all files into shard p. A task writes under temporary names of its own and renames; its
marker, which holds the sizes of its files, comes last. So a task may be killed, repeated or late without
harm.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from data import folders
from data.errors import DataError, PassingError, is_passing, retried
from data.tokens.heldout import Apart, cut_end, place_of
from data.tokens.store import DOCUMENT, checksum
from data.tokens.tokenizer import Tokenizer

TEXT_AGAIN = "rebuild it with `relama prepare … stage=text`"
SPLITS = ("train", "heldout")
COLUMNS = ("id", "url", "text")  # the columns of a document that a store depends on
# An encoded document: its tokens, its bytes of text, and its row in the text file.
ENTRY = np.dtype([("tokens", "<u4"), ("bytes", "<u4"), ("row", "<u4")])
KEY = np.dtype("<u8")


@dataclass(frozen=True)
class Plan:
    """Everything that a task needs to know."""

    tokenizer: Tokenizer
    folder: Path  # of the work in progress
    files: tuple[Path, ...]
    dtype: np.dtype
    seed: int
    heldout: float
    shards: dict[str, int]
    apart: Apart | None = None  # the one document to hold out if the share selects none

    @property
    def store(self) -> Path:
        """The store in the making."""
        return self.folder / "store"

    def encoded(self, file: int, split: str, kind: str) -> Path:
        """One of an encoded file's three parts: sorted `keys`, or `entries` or `tokens` in that order."""
        return self.folder / "encoded" / f"{file:06d}-{split}.{kind}"

    def encoded_mark(self, file: int) -> Path:
        """The marker of an encoded text file: its files' sizes, its documents and tokens."""
        return self.folder / "encoded" / f"{file:06d}.json"

    def shard_mark(self, split: str, shard: int) -> Path:
        """The marker of a written shard: its entry in the manifest, null if it is empty."""
        return self.folder / "encoded" / f"{split}-{shard:05d}.json"

    def is_encoded(self, file: int) -> bool:
        """Whether a text file is encoded, with all its files in place."""
        try:
            mark = json.loads(self.encoded_mark(file).read_text())
            sizes, _ = mark["sizes"], mark["apart"]
            return all(
                (self.folder / "encoded" / name).stat().st_size == size for name, size in sizes.items()
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def is_written(self, split: str, shard: int) -> bool:
        """Whether a shard is written, with both its files in place."""
        try:
            entry = json.loads(self.shard_mark(split, shard).read_text())
            return entry is None or (
                (self.store / entry["file"]).stat().st_size == entry["tokens"] * self.dtype.itemsize
                and (self.store / entry["documents_file"]).stat().st_size
                == entry["documents"] * DOCUMENT.itemsize
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False


def encode_file(plan: Plan, file: int) -> None:
    """Map: encode one text file. Raises DataError if it cannot be read."""
    retried(partial(_encode, plan, file))


def _encode(plan: Plan, file: int) -> None:
    tokenizer = plan.tokenizer
    bos, eos = np.array([tokenizer.bos_id], plan.dtype), np.array([tokenizer.eos_id], plan.dtype)
    documents: list[np.ndarray] = []
    keys, sizes, places, rows_of, ends = [], [], [], [], []
    n_rows = 0
    for names, urls, texts in _row_groups(plan.files[file]):
        places += [place_of(url, text) for url, text in zip(urls, texts)]
        names, texts, rows, is_end = _divided(plan, file, n_rows, names, texts)
        rows_of += rows
        ends += is_end
        n_rows += len(urls)
        documents += [
            np.concatenate([bos, ids.astype(plan.dtype), eos]) for ids in tokenizer.encode_batch(texts)
        ]
        keys += [xxhash.xxh3_64_intdigest(name.encode(), seed=plan.seed % 2**64) for name in names]
        sizes += [len(text.encode()) for text in texts]
    keys, sizes, rows_of = np.array(keys, KEY), np.array(sizes, np.uint32), np.array(rows_of, np.int64)
    # Compared as Python integers, because a share of 2^64 may not fit into 64 bits.
    apart = np.array([places[row] < plan.heldout * 2**64 for row in rows_of.tolist()], bool)
    apart |= np.array(ends, bool)
    made = []
    for split in SPLITS:
        rows = np.flatnonzero(apart == (split == "heldout"))
        rows = rows[np.argsort(keys[rows], kind="stable")]
        entries = np.zeros(len(rows), ENTRY)
        entries["tokens"] = [len(documents[row]) for row in rows]
        entries["bytes"], entries["row"] = sizes[rows], rows_of[rows]
        for kind, content in {
            "keys": [keys[rows]],
            "entries": [entries],
            "tokens": (documents[row] for row in rows),
        }.items():
            made.append(plan.encoded(file, split, kind))
            with folders.replacing(made[-1], folders.own(made[-1])) as temporary, temporary.open("wb") as out:
                for array in content:
                    array.tofile(out)
    _mark(
        plan.encoded_mark(file),
        {
            "sizes": {path.name: path.stat().st_size for path in made},
            "documents": len(documents),
            "tokens": sum(map(len, documents)),
            "bytes": int(sizes.sum(dtype=np.int64)),
            "heldout": int(apart.sum()),
            "lowest": _lowest(places, rows_of, sizes),
            "apart": asdict(plan.apart) if plan.apart else None,
        },
    )


def _divided(
    plan: Plan, file: int, first: int, names: list[str], texts: list[str]
) -> tuple[list[str], list[str], list[int], list[bool]]:
    """Ids, texts, rows, and which of them to hold out in any case: `plan.apart`, or the end cut off it."""
    rows = list(range(first, first + len(texts)))
    one = plan.apart
    if one is None or one.file != file or one.row not in rows:
        return names, texts, rows, [False] * len(rows)
    at = one.row - first
    pieces = [texts[at]] if one.end_bytes is None else [*cut_end(texts[at], one.end_bytes)]
    extra = len(pieces) - 1
    return (
        names[: at + 1] + [names[at]] * extra + names[at + 1 :],
        texts[:at] + pieces + texts[at + 1 :],
        rows[: at + 1] + [rows[at]] * extra + rows[at + 1 :],
        [row == at + extra for row in range(len(rows) + extra)],
    )


def _lowest(places: list[int], rows_of: np.ndarray, sizes: np.ndarray) -> list[int] | None:
    """Place, row and bytes of the document that a larger share would select first."""
    if not places:
        return None
    row = min(range(len(places)), key=places.__getitem__)
    return [places[row], row, int(sizes[rows_of == row].sum())]


def write_shard(plan: Plan, jobs: list[tuple[str, int]], item: int) -> None:
    """Reduce: write one shard of one split, unless it is empty, and the marker with its manifest entry."""
    split, shard = jobs[item]
    found = [(file, *_of_shard(plan, file, split, shard)) for file in range(len(plan.files))]
    found = [one for one in found if len(one[1])]
    if not found:
        _mark(plan.shard_mark(split, shard), None)
        return
    keys, entries = np.concatenate([one[1] for one in found]), np.concatenate([one[2] for one in found])
    tokens = np.concatenate([one[3] for one in found])
    files = np.repeat([one[0] for one in found], [len(one[1]) for one in found])
    stops = np.cumsum(entries["tokens"], dtype=np.int64)
    order = np.lexsort((entries["row"], files, keys))
    path = plan.store / f"{split}-{shard:05d}.bin"
    table = path.with_suffix(".docs")
    with folders.replacing(path, folders.own(plan.folder / path.name)) as temporary:
        with temporary.open("wb") as out:
            for place in order:
                out.write(tokens.data[stops[place] - entries["tokens"][place] : stops[place]])
        tokens_checksum = checksum(temporary)
    documents = np.empty(len(entries), DOCUMENT)
    documents["end"] = np.cumsum(entries["tokens"][order], dtype=np.uint64)
    documents["file"], documents["row"] = files[order], entries["row"][order]
    with folders.replacing(table, folders.own(plan.folder / table.name)) as temporary:
        documents.tofile(temporary)
        documents_checksum = checksum(temporary)
    entry = {
        "file": path.name,
        "tokens": len(tokens),
        "documents": len(documents),
        "bytes": int(entries["bytes"].sum(dtype=np.int64)),
        "xxh3": tokens_checksum,
        "documents_file": table.name,
        "documents_xxh3": documents_checksum,
    }
    _mark(plan.shard_mark(split, shard), entry)


def text_bytes(path: Path) -> int:
    """Uncompressed bytes of the text column, from the file's metadata. Raises DataError."""
    try:
        with pq.ParquetFile(path) as file:
            absent = [name for name in COLUMNS if name not in file.schema_arrow.names]
            if absent:
                raise DataError(
                    f"{path}: not cleaned text: it has no column {', '.join(absent)}; {TEXT_AGAIN}"
                )
            column = file.schema_arrow.names.index("text")
            groups = (file.metadata.row_group(i) for i in range(file.num_row_groups))
            return sum(group.column(column).total_uncompressed_size for group in groups)
    except (OSError, pa.ArrowException) as error:
        if is_passing(error):
            raise DataError(
                f"{path}: cannot be read ({error}); fix the cause and run the same command again"
            ) from None
        raise DataError(f"{path}: not cleaned text ({error}); {TEXT_AGAIN}") from None


def _mark(path: Path, content: object) -> None:
    """Write a marker, after the files that it vouches for are on disk."""
    with folders.replacing(path, folders.own(path)) as temporary:
        temporary.write_text(json.dumps(content))


def _row_groups(path: Path) -> Iterator[tuple[list[str], list[str], list[str]]]:
    """The ids, URLs and texts of a text file, a row group at a time."""
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(COLUMNS))
                if any(table.column(name).null_count for name in COLUMNS):
                    raise DataError(f"{path}: a document has no {' or no '.join(COLUMNS)}; {TEXT_AGAIN}")
                ids, urls, texts = (table.column(name).to_pylist() for name in COLUMNS)
                yield ids, urls, texts
    except (OSError, pa.ArrowException) as error:
        if is_passing(error):
            raise PassingError(f"{path}: cannot be read ({error})") from None
        raise DataError(f"{path}: cannot be read ({error}); {TEXT_AGAIN}") from None


def _of_shard(plan: Plan, file: int, split: str, shard: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys, entries and tokens of a text file's documents in `shard`: one range of each encoded file."""
    # In exact integers, because the bounds of neighboring shards must meet.
    low, high = (-(-(2**64) * edge // plan.shards[split]) for edge in (shard, shard + 1))
    keys = np.fromfile(plan.encoded(file, split, "keys"), KEY)
    start = int(np.searchsorted(keys, np.uint64(low)))
    stop = len(keys) if high == 2**64 else int(np.searchsorted(keys, np.uint64(high)))
    entries = np.fromfile(plan.encoded(file, split, "entries"), ENTRY, stop)
    first = int(entries["tokens"][:start].sum(dtype=np.int64))
    count = int(entries["tokens"][start:].sum(dtype=np.int64))
    path = plan.encoded(file, split, "tokens")
    tokens = np.fromfile(path, plan.dtype, count, offset=first * plan.dtype.itemsize)
    return keys[start:stop], entries[start:], tokens
