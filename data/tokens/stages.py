"""The stages that make a token store, as tasks that can run in any process.

Map: encode one text file, and sort its documents by a hash of (seed, id). Merge, if there are many files:
make one sorted list from those of a bundle of files. Reduce: gather the p-th range of that hash from all
lists into shard p. A task writes under temporary names of its own, then renames; its marker, which vouches
for its files, comes last. So a task may be killed, repeated or late without harm.
"""

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from configs.existence import exists
from data import folders
from data.errors import DataError, PassingError, is_passing, retried
from data.tokens import sorted_lists, sums
from data.tokens.heldout import Apart, cut_end, place_of
from data.tokens.sorted_lists import ENTRY, FAN_IN
from data.tokens.store import DOCUMENT, checksum
from data.tokens.tokenizer import Tokenizer

TEXT_AGAIN = "rebuild it with `relama prepare … stage=text`"
SPLITS = ("train", "heldout")
COLUMNS = ("id", "url", "text")  # the columns of a document that a store depends on
KEY = np.dtype("<u8")


@dataclass(frozen=True)
class Plan:
    """Everything a task needs to know."""

    tokenizer: Tokenizer
    folder: Path  # holds the work in progress
    files: tuple[Path, ...]
    dtype: np.dtype
    seed: int
    heldout: float
    shards: dict[str, int]
    apart: Apart | None = None  # the one document to hold out if the share selects none, or all

    @property
    def store(self) -> Path:
        """The folder of the unfinished store."""
        return self.folder / "store"

    @property
    def encoded(self) -> Path:
        """The folder of the sorted lists and all markers."""
        return self.folder / "encoded"

    @property
    def n_bundles(self) -> int:
        """How many bundles of text files have their lists merged; 0 if there are few files."""
        return math.ceil(len(self.files) / self._bundle_size) if len(self.files) > FAN_IN else 0

    @property
    def _bundle_size(self) -> int:
        return max(FAN_IN, math.ceil(len(self.files) / FAN_IN))

    def files_of(self, bundle: int) -> range:
        """The text files of a bundle, by number."""
        return range(bundle * self._bundle_size, min(len(self.files), (bundle + 1) * self._bundle_size))

    @property
    def list_names(self) -> list[str]:
        """The names of the lists that shards are gathered from, without the split."""
        if self.n_bundles:
            return [f"merged-{bundle:06d}" for bundle in range(self.n_bundles)]
        return [f"{file:06d}" for file in range(len(self.files))]

    def encoded_mark(self, file: int) -> Path:
        """The marker of an encoded text file: its lists' sizes, and counts of documents and tokens."""
        return self.folder / "encoded" / f"{file:06d}.json"

    def shard_mark(self, split: str, shard: int) -> Path:
        """The marker of a written shard: its entry in the manifest, or null if the shard is empty."""
        return self.folder / "encoded" / f"{split}-{shard:05d}.json"

    def is_encoded(self, file: int) -> bool:
        """Whether a text file is encoded and its lists are in place, or already merged with others."""
        mark = self.encoded_mark(file)
        is_merged = self.n_bundles > 0 and self.is_merged(file // self._bundle_size)
        return self._has_files(mark) or (is_merged and exists(mark))

    def merged_mark(self, bundle: int) -> Path:
        """The marker of a merged bundle: the sizes of its lists' files."""
        return self.encoded / f"merged-{bundle:06d}.json"

    def is_merged(self, bundle: int) -> bool:
        """Whether a bundle is merged and its lists are in place."""
        return self._has_files(self.merged_mark(bundle))

    def _has_files(self, mark: Path) -> bool:
        try:
            sizes = json.loads(mark.read_text())["sizes"]
            return all((self.encoded / name).stat().st_size == size for name, size in sizes.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def is_written(self, split: str, shard: int) -> bool:
        """Whether a shard is written and both its files are in place."""
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
        del names, urls, texts  # free them before the next row group is read
    keys, sizes, rows_of = np.array(keys, KEY), np.array(sizes, np.uint32), np.array(rows_of, np.int64)
    apart = np.array(ends, bool)
    if plan.apart is None:  # compare as Python integers, because a share of 2^64 may not fit into 64 bits
        apart = np.array([places[row] < plan.heldout * 2**64 for row in rows_of.tolist()], bool)
    made: dict[str, int] = {}
    for split in SPLITS:
        rows = np.flatnonzero(apart == (split == "heldout"))
        rows = rows[np.argsort(keys[rows], kind="stable")]
        entries = np.zeros(len(rows), ENTRY)
        entries["tokens"] = [len(documents[row]) for row in rows]
        entries["key"], entries["bytes"] = keys[rows], sizes[rows]
        entries["file"], entries["row"] = file, rows_of[rows]
        made |= sorted_lists.write(
            plan.encoded, f"{file:06d}-{split}", [(entries, (documents[row] for row in rows))]
        )
    _mark(
        plan.encoded_mark(file),
        {
            "sizes": made,
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
    """Ids, texts and rows, and which to hold out regardless of the hash: `plan.apart`, or its end."""
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
    """The place, row and bytes of the document that a larger share would select first."""
    if not places:
        return None
    row = min(range(len(places)), key=places.__getitem__)
    return [places[row], row, int(sizes[rows_of == row].sum())]


def merge_bundle(plan: Plan, bundle: int) -> None:
    """Merge the lists of a bundle of text files, unless that is already done."""
    if plan.is_merged(bundle):
        return
    sizes: dict[str, int] = {}
    for split in SPLITS:
        names = [f"{file:06d}-{split}" for file in plan.files_of(bundle)]
        sizes |= sorted_lists.merge(plan.encoded, names, f"merged-{bundle:06d}-{split}", plan.dtype)
    _mark(plan.merged_mark(bundle), {"sizes": sizes})


def write_shard(plan: Plan, jobs: list[tuple[str, int]], item: int) -> None:
    """Reduce: write one shard of one split, unless it would be empty, and its marker."""
    split, shard = jobs[item]
    low, high = (sorted_lists.range_edge(edge, plan.shards[split]) for edge in (shard, shard + 1))
    with ExitStack() as opened:
        found = [
            opened.enter_context(sorted_lists.SortedList(plan.encoded, f"{name}-{split}", plan.dtype))
            for name in plan.list_names
        ]
        entries, tokens = sorted_lists.gather(found, low, high)
    if not len(entries):
        _mark(plan.shard_mark(split, shard), None)
        return
    path = plan.store / f"{split}-{shard:05d}.bin"
    table = path.with_suffix(".docs")
    with folders.replacing(path, folders.own(plan.folder / path.name)) as temporary:
        with temporary.open("wb") as out:
            for document in tokens:
                out.write(document.data)
        tokens_checksum = checksum(temporary)
    ends = np.cumsum(entries["tokens"], dtype=np.uint64)
    documents = np.empty(len(entries), DOCUMENT)
    documents["end"], documents["file"], documents["row"] = ends, entries["file"], entries["row"]
    with folders.replacing(table, folders.own(plan.folder / table.name)) as temporary:
        documents.tofile(temporary)
        documents_checksum = checksum(temporary)
    sums.add(path, tokens_checksum)
    entry = {
        "file": path.name,
        "tokens": int(ends[-1]),
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
    """Write a marker; the files it vouches for must already be on disk."""
    with folders.replacing(path, folders.own(path)) as temporary:
        temporary.write_text(json.dumps(content))


def _row_groups(path: Path) -> Iterator[tuple[list[str], list[str], list[str]]]:
    """The ids, URLs and texts of a text file, a row group at a time."""
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield _row_group(file, group, path)
    except (OSError, pa.ArrowException) as error:
        if is_passing(error):
            raise PassingError(f"{path}: cannot be read ({error})") from None
        raise DataError(f"{path}: cannot be read ({error}); {TEXT_AGAIN}") from None


def _row_group(file: pq.ParquetFile, group: int, path: Path) -> tuple[list[str], list[str], list[str]]:
    table = file.read_row_group(group, columns=list(COLUMNS))
    if any(table.column(name).null_count for name in COLUMNS):
        raise DataError(f"{path}: a document has no {' or no '.join(COLUMNS)}; {TEXT_AGAIN}")
    ids, urls, texts = (table.column(name).to_pylist() for name in COLUMNS)
    return ids, urls, texts
