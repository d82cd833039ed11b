"""Rows of Parquet and Arrow files, a few at a time, in memory bounded by `record_bytes`.

A row above the bound becomes a malformed `Drop`, and so does a row group with pages far above it.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from configs.sizes import binary
from data.documents import Drop
from data.sources.files import limits, packed
from data.sources.files.limits import Expansion
from data.sources.files.parquet_pages import pages_of

_ROWS = 256  # most rows to convert at once
_PAGE_RECORDS = 8  # records of the largest size in one page: writers put up to 1,024 rows in a page
_ROW_BYTES = 64  # how much an empty row counts
_VALUE_BYTES = 16  # how much each value of a list counts
_ARROW_FILE = b"ARROW1\0\0"  # then, as in a stream, the batches; then a footer


def parquet_rows(path: Path) -> Iterator[tuple[int, dict] | Drop]:
    """Each row with its place from 0. Raises OSError or pa.ArrowException where the file is damaged."""
    number = 0
    expansion = Expansion(path.stat().st_size)
    with path.open("rb") as raw, pq.ParquetFile(packed.for_arrow(path)) as file:
        for group in range(file.num_row_groups):
            n_rows = file.metadata.row_group(group).num_rows
            try:
                at_once = _rows_at_once(raw, file, group)
            except limits.TooLarge as error:
                detail = f"rows {number:,} to {number + n_rows - 1:,}: {error}"
                yield Drop("malformed record", str(path), number, detail, malformed=True)
                number += n_rows
                continue
            for batch in file.iter_batches(batch_size=at_once, row_groups=[group]):
                yield from _rows(path, number, batch, expansion)
                number += batch.num_rows


def arrow_rows(path: Path) -> Iterator[tuple[int, dict] | Drop]:
    """Each row with its place from 0, of a stream (as Hugging Face's datasets saves) or a file (Feather)."""
    number = 0
    expansion = Expansion(path.stat().st_size)
    source = packed.for_arrow(path)
    with pa.memory_map(source) if isinstance(source, str) else pa.PythonFile(source) as file:
        start = len(_ARROW_FILE) if file.read(len(_ARROW_FILE)) == _ARROW_FILE else 0
        file.seek(start)
        n_whole, damage = _check_messages(file)
        file.seek(start)
        if n_whole:
            with pa.ipc.open_stream(file) as batches:
                for batch in islice(batches, n_whole):
                    yield from _rows(path, number, batch, expansion)
                    number += batch.num_rows
        if damage:
            raise damage


def _rows(
    path: Path, first: int, batch: pa.RecordBatch, expansion: Expansion
) -> Iterator[tuple[int, dict] | Drop]:
    limit, names = limits.record_bytes(), batch.schema.names
    if len(set(names)) < len(names):
        raise pa.ArrowInvalid(f"two columns of the same name ({', '.join(names)}); rename one")
    for start in range(0, batch.num_rows, _ROWS):
        part = batch.slice(start, _ROWS)
        is_dictionary = any(pa.types.is_dictionary(kind) for kind in part.schema.types)
        expansion.add(part.num_rows * _ROW_BYTES + (0 if is_dictionary else part.nbytes))
        if part.nbytes <= limit and not is_dictionary:
            yield from enumerate(_dicts(part), first + start)
            continue
        for row in range(part.num_rows):
            one = _decoded(part.slice(row, 1))
            if one.nbytes > limit:
                detail = f"a row of {one.nbytes:,} bytes, above {binary(limit)}"
                yield Drop("malformed record", str(path), first + start + row, detail, malformed=True)
            else:
                yield first + start + row, _dicts(one)[0]


def _dicts(part: pa.RecordBatch) -> list[dict]:
    """The rows. A value that Python cannot represent costs neither its row nor the file."""
    try:
        return part.to_pylist()
    except MemoryError:
        raise
    except Exception:  # each type has its own errors
        columns = [[_value(one) for one in column] for column in part.columns]
        return [dict(zip(part.schema.names, row)) for row in zip(*columns)]


def _value(one: pa.Scalar) -> object:
    """A value; if Python has none, the bytes of text that is not UTF-8, or the number in a date or time."""
    try:
        return one.as_py()
    except MemoryError:
        raise
    except Exception:
        if isinstance(one, pa.StringScalar):
            return one.as_buffer().to_pybytes()
        number = getattr(one, "value", None)
        return number if isinstance(number, int) else None


def _decoded(row: pa.RecordBatch) -> pa.RecordBatch:
    """One row, holding its own values instead of places in a dictionary of all rows' values."""
    columns = [
        column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
        for column in row.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=row.schema.names)


def _rows_at_once(raw: BinaryIO, file: pq.ParquetFile, group: int) -> int:
    """How many rows of a group to read together. Raises TooLarge if its pages are too large to unpack."""
    limit = limits.record_bytes()
    largest = 1
    columns = file.metadata.row_group(group)
    for index in range(columns.num_columns):
        is_list = file.schema.column(index).max_repetition_level > 0
        for page in pages_of(raw, columns.column(index)):
            size = page.n_bytes + (page.n_values * _VALUE_BYTES if is_list and not page.is_dictionary else 0)
            if size > _PAGE_RECORDS * limit:
                raise limits.TooLarge(f"a page of {size:,} bytes, above {binary(_PAGE_RECORDS * limit)}")
            largest = max(largest, size)
    return min(_ROWS, max(1, limit // largest))


def _check_messages(file: pa.NativeFile) -> tuple[int, Exception | None]:
    """The number of batches before any damage, and that damage.

    Raises TooLarge if a batch would unpack to more than the records of `_PAGE_RECORDS`.
    """
    limit = _PAGE_RECORDS * limits.record_bytes()
    n_whole = 0
    try:
        for message in pa.ipc.MessageReader.open_stream(file):
            size = _unpacked_bytes(message)
            if size > limit:
                raise limits.TooLarge(f"an Arrow batch of {size:,} bytes, above {binary(limit)}")
            n_whole += message.type == "record batch"
    except (OSError, pa.ArrowException) as damage:
        return n_whole, damage
    return n_whole, None


def _unpacked_bytes(message: pa.Message) -> int:
    """Bytes that a compressed batch's buffers claim to unpack to; 0 if it is not compressed.

    The batch's head is a flatbuffer (https://arrow.apache.org/docs/format/Columnar.html, Message.fbs).
    """
    head, body = memoryview(message.metadata), memoryview(message.body)
    root = _int(head, "<I", 0)
    batch = _field(head, root, 2)  # Message.header
    if batch is None or message.type != "record batch":
        return 0
    batch += _int(head, "<I", batch)
    buffers = _field(head, batch, 2)  # RecordBatch.buffers
    if buffers is None or _field(head, batch, 3) is None:  # RecordBatch.compression
        return 0
    buffers += _int(head, "<I", buffers)
    total = 0
    for number in range(_int(head, "<I", buffers)):
        place, size = struct.unpack_from("<qq", head, buffers + 4 + 16 * number)
        if size >= 8:
            total += max(0, _int(body, "<q", place))  # -1: stored uncompressed
    return total


def _field(head: memoryview, table: int, number: int) -> int | None:
    """Where a flatbuffer table has a field; None if it has none."""
    vtable = table - _int(head, "<i", table)
    if 4 + 2 * number >= _int(head, "<H", vtable):
        return None
    offset = _int(head, "<H", vtable + 4 + 2 * number)
    return table + offset if offset else None


def _int(content: memoryview, kind: str, place: int) -> int:
    return struct.unpack_from(kind, content, place)[0]
