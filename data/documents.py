"""Cleaned documents with their provenance, written to Parquet and read back.

In: a `Record` as a reader found it. Out: a `Document`, or a `Drop` that says why the record was left out; and
`part-00000.parquet`, … in a folder that appears complete or not at all. The one idea: each document carries
the file and record it came from, so any trained token can be traced to its source.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from configs.errors import FAILING, again
from data import folders
from data.errors import DataError

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("text", pa.string()),
        ("file", pa.string()),
        ("record", pa.int64()),
        ("url", pa.string()),
        ("licence", pa.string()),  # British spelling, because existing corpora have this column
        ("meta", pa.string()),
    ]
)
_columns = attrgetter(*SCHEMA.names)
_REPEATED = ["source", "file", "licence"]  # columns whose values repeat
_as_json = json.JSONEncoder(sort_keys=True, default=str, allow_nan=False).encode
GROUP_ROWS = 1024  # `read_row` decompresses one row group
GROUP_BYTES = 16 << 20
BATCH_ROWS = 64  # rows of a row group held as `Document`s at the same time
EXCERPT = 300  # characters of a dropped text that a report shows
FILE_BYTES = 512 << 20  # of text; about a third of that on disk


@dataclass  # not frozen, which would make creating one five times as slow
class Document:
    """Cleaned text and where it came from; the fields are the Parquet columns, in order."""

    id: str  # unique within its source; does not depend on how the input is divided into files
    source: str
    text: str
    file: str  # the input file's path or URL, as given
    record: int  # the record's number in that file, from 0 (line, row or member)
    url: str = ""
    licence: str = ""
    meta: str = "{}"  # everything else that is known, as JSON

    @cached_property
    def n_bytes(self) -> int:
        """The length of the text in UTF-8; ASCII text need not be encoded to know it."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())


@dataclass(frozen=True)
class Drop:
    """A record that was left out, and why. `malformed`: it could not be read."""

    reason: str
    file: str
    record: int
    detail: str = ""
    malformed: bool = False
    text: str = field(default="", compare=False)  # its beginning, for the report's examples


@dataclass
class Record:
    """One entry of an input, before cleaning."""

    file: str
    record: int
    text: str
    url: str = ""
    licence: str = ""
    meta: dict = field(default_factory=dict)

    def drop(self, reason: str, detail: str = "") -> Drop:
        """This record as a drop, for `reason`."""
        beginning = self.text[:EXCERPT].encode(errors="backslashreplace").decode()
        return Drop(reason, self.file, self.record, detail, text=beginning)

    def document(self, source: str, text: str) -> Document | Drop:
        """The document with this cleaned text, or a drop if the text is empty or not valid Unicode."""
        if not text or text.isspace():
            return self.drop("empty")
        file = file_name(self.file)
        try:
            digest = xxhash.xxh3_128(f"{self.url}\0".encode())
            digest.update(text.encode())
            self.licence.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, such as "\ud800" in JSON
            return self.drop("not Unicode")
        try:
            meta = _as_json(self.meta)
        except ValueError:
            meta = json.dumps(_finite(self.meta), sort_keys=True, default=str)
        name = f"{source}:{digest.hexdigest()}"
        return Document(name, source, text, file, self.record, self.url, self.licence, meta)


def file_name(path: str) -> str:
    """An input's path or URL as a document records it, because a file name may hold any bytes."""
    return path.encode(errors="backslashreplace").decode()


def _finite(value: Any) -> Any:
    """The value with null for NaN (pandas' missing value) and infinities, because JSON has neither."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_documents(documents: Iterable[Document], folder: Path) -> list[Path]:
    """Write `part-*.parquet` and replace `folder` with them. Raises DataError if there are no documents."""
    temporary = folders.aside(folder)
    names = [path.name for path in write_parts(documents, temporary)]
    if not names:
        raise DataError(f"{folder}: no documents to write")
    folders.commit(temporary, folder)
    return [folder / name for name in names]


def write_parts(documents: Iterable[Document], folder: Path, prefix: str = "part") -> list[Path]:
    """Write `<prefix>-*.parquet` directly into an existing folder, holding one row group in memory."""
    paths: list[Path] = []
    writer, in_file = None, 0
    try:
        for group, n_bytes in _groups(documents):
            if writer is None:
                paths.append(folder / f"{prefix}-{len(paths):05d}.parquet")
                writer, in_file = parquet_writer(paths[-1]), 0
            writer.write_table(_table(group))
            del group  # free it before the next one is made
            in_file += n_bytes
            if in_file >= FILE_BYTES:
                writer.close()
                writer = None
    finally:
        if writer is not None:
            writer.close()
    return paths


def parquet_writer(path: Path) -> pq.ParquetWriter:
    """A writer of documents' tables. Statistics, and dictionaries of other columns, would only take time."""
    names: Any = _REPEATED  # pyarrow's types know only a bool
    return pq.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=names, write_statistics=False)


def text_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder of cleaned text, sorted. Raises DataError if it has none."""
    files = folders.matching(folder, "*.parquet")
    if not files:
        raise DataError(f"{folder}: no cleaned text (*.parquet); `relama prepare` makes it")
    return files


def read_documents(path: Path) -> Iterator[Document]:
    """The documents of one file, holding one row group in memory. Raises DataError if it is unreadable."""
    with _open(path) as file:
        for group in range(file.num_row_groups):
            yield from _documents(_read_group(file, group, path).to_batches(BATCH_ROWS))


def read_row(path: Path, row: int) -> Document:
    """The document at a row of the file, reading only its row group. Raises DataError if it cannot."""
    with _open(path) as file:
        first = 0
        for group in range(file.num_row_groups):
            n_rows = file.metadata.row_group(group).num_rows
            if first <= row < first + n_rows:
                return Document(**_read_group(file, group, path).slice(row - first, 1).to_pylist()[0])
            first += n_rows
    raise DataError(f"{path}: no row {row} (the file has {first})")


def _documents(batches: Sequence[pa.RecordBatch]) -> Iterator[Document]:
    """Separate from `read_documents` so that a row group is freed before the next one is read."""
    for batch in batches:
        for row in zip(*[batch.column(name).to_pylist() for name in SCHEMA.names]):
            yield Document(*row)


# Not `pa.array`: it imports pandas, which takes a quarter of a second.


def _table(rows: Sequence[tuple]) -> pa.Table:
    columns = [
        _strings(column) if kind.type == pa.string() else _integers(column)
        for column, kind in zip(zip(*rows), SCHEMA)
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _strings(values: Sequence[str]) -> pa.Array:
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    if ends[-1] > np.iinfo(np.int32).max:
        raise pa.ArrowCapacityError(f"{ends[-1]:,} bytes in a column of a row group; the most is 2 GiB")
    offsets = pa.py_buffer(ends.astype(np.int32))
    return pa.StringArray.from_buffers(len(encoded), offsets, pa.py_buffer(b"".join(encoded)))


def _integers(values: Sequence[int]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.array(values, np.int64))])


def _groups(documents: Iterable[Document]) -> Iterator[tuple[list[tuple], int]]:
    """The rows of each row group, and how many bytes of text they hold."""
    rows, n_bytes = [], 0
    for document in documents:
        rows.append(_columns(document))
        n_bytes += document.n_bytes
        if len(rows) >= GROUP_ROWS or n_bytes >= GROUP_BYTES:
            yield rows, n_bytes
            rows, n_bytes = [], 0
    if rows:
        yield rows, n_bytes


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno in FAILING:
            raise DataError(f"{path}: cannot be read ({os.strerror(error.errno)}){again(error)}") from None
        raise DataError(f"{path}: not a readable Parquet file ({error})") from None
    absent = sorted(set(SCHEMA.names) - set(file.schema_arrow.names))
    if absent:
        raise DataError(
            f"{path}: not cleaned text: it has no column {', '.join(absent)}; see `relama prepare`"
        )
    return file


def _read_group(file: pq.ParquetFile, group: int, path: Path) -> pa.Table:
    try:
        return file.read_row_group(group, columns=SCHEMA.names)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: row group {group} cannot be read ({error})") from None
