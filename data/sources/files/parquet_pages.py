"""Reads the sizes that a Parquet file's pages claim, before any page is unpacked.

A reader allocates what a page's header claims, up to 2 GiB, so the headers are read first. They use Thrift's
compact protocol (https://github.com/apache/parquet-format, PageHeader); each is parsed only far enough to
tell its sizes and its end.
"""

from dataclasses import dataclass
from typing import BinaryIO

import pyarrow.parquet as pq

_PIECE, _MAX_HEADER = 8 << 10, 16 << 20  # bytes read for a header at first; Arrow's own bound
_DICTIONARY = 2  # PageType.DICTIONARY_PAGE
# Types of Thrift's compact protocol.
_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE = (1, 2), 3, (4, 5, 6), 7
_BINARY, _LISTS, _MAP, _STRUCT = 8, (9, 10), 11, 12
_MAX_DEPTH = 8


@dataclass(frozen=True)
class Page:
    """One page of a column chunk, as its header describes it."""

    is_dictionary: bool
    n_bytes: int  # unpacked
    n_values: int


def pages_of(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> list[Page]:
    """The pages of a column chunk. Raises ValueError if a header is damaged."""
    if not chunk.num_values:
        return []
    first = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        first = min(first, chunk.dictionary_page_offset)
    found, place, end = [], first, first + chunk.total_compressed_size
    while place < end:
        fields, n_header = _header(file, place)
        kind, n_bytes, n_packed = (fields.get((key,), 0) for key in (1, 2, 3))
        if n_bytes < 0 or n_packed < 0:
            raise ValueError(f"a Parquet page of negative size at byte {place:,}")
        n_values = max(fields.get((key, 1), 0) for key in (5, 7, 8))
        found.append(Page(kind == _DICTIONARY, n_bytes, n_values))
        place += n_header + n_packed
    return found


def _header(file: BinaryIO, place: int) -> tuple[dict[tuple[int, ...], int], int]:
    size = _PIECE
    while True:
        file.seek(place)
        content = file.read(size)
        try:
            reader = _Thrift(content)
            return reader.struct((), 0), reader.place
        except IndexError:
            if len(content) < size or size > _MAX_HEADER:
                raise ValueError(f"a Parquet page's header at byte {place:,} does not end") from None
            size *= 16


class _Thrift:
    """A compact struct's integers, by the path of their fields. Raises IndexError if the bytes end early."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def struct(self, path: tuple[int, ...], depth: int) -> dict[tuple[int, ...], int]:
        if depth > _MAX_DEPTH:
            raise ValueError("a Parquet page's header is nested too deeply")
        found: dict[tuple[int, ...], int] = {}
        number = 0
        while head := self._byte():
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self._integer()
            if kind in _BOOLEANS:
                continue
            self._value(kind, (*path, number), found, depth)
        return found

    def _value(self, kind: int, path: tuple[int, ...], found: dict[tuple[int, ...], int], depth: int) -> None:
        if kind in (*_BOOLEANS, _BYTE):  # a boolean in a list takes a byte
            self._skip(1)
        elif kind in _INTEGERS:
            found[path] = self._integer()
        elif kind == _DOUBLE:
            self._skip(8)
        elif kind == _BINARY:
            self._skip(self._varint())
        elif kind == _STRUCT:
            found |= self.struct(path, depth + 1)
        elif kind in _LISTS:
            head = self._byte()
            for _ in range(self._varint() if head >> 4 == 15 else head >> 4):
                self._value(head & 15, path, {}, depth + 1)
        elif kind == _MAP:
            size = self._varint()
            kinds = self._byte() if size else 0
            for _ in range(size):
                self._value(kinds >> 4, path, {}, depth + 1)
                self._value(kinds & 15, path, {}, depth + 1)
        else:
            raise ValueError(f"a Parquet page's header has a field of unknown type {kind}")

    def _skip(self, size: int) -> None:
        self.place += size
        if self.place > len(self._content):
            raise IndexError

    def _byte(self) -> int:
        self.place += 1
        return self._content[self.place - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a Parquet page's header has a number above 64 bits")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
