"""Decompresses the streams of a bz2 file one by one, from any place in the file.

A multistream dump is many streams in a row, so a slice of the file begins at the first stream in it. A stream
is found by its first bytes, which may also occur inside another; a corrupt one is skipped.
"""

import bz2
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from data.errors import raise_passing
from data.sources.files.limits import Expansion

PIECE = 1 << 18  # bytes read or decompressed at a time
# A bzip2 stream begins with its level, then its first block or, if it is empty, its end.
_STREAM = re.compile(rb"BZh[1-9](?:\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)")
_MAGIC = 10  # bytes that _STREAM matches


@dataclass(frozen=True)
class Bad:
    """A page or a stream that cannot be read, and where it starts."""

    reason: str
    detail: str
    place: int = 0


class BrokenOff(OSError):
    """The file ends too early or is unreadable from some point on; pages read so far are valid."""


def read_streams(path: Path, low: int, high: int) -> Iterator[tuple[bytes | Bad, bool]]:
    """The data of the streams that start in [low, high), marked False; then of later ones, marked True.

    A `Bad` replaces the rest of a corrupt stream.
    """
    expansion = Expansion(path.stat().st_size)
    with path.open("rb") as file:
        start = _first(file, low, high)
        read = 0  # streams
        while start is not None:
            decoder = _Stream(file, start)
            if start >= high:
                yield b"", True
            try:
                for data in decoder:
                    expansion.add(len(data))
                    yield data, start >= high
            except BrokenOff:
                raise
            except OSError as error:
                raise_passing(error)
                following = _search(file, start + 1, None)
                if following is None:
                    raise BrokenOff(f"{path.name}: {error} (in the stream at byte {start:,})") from None
                yield (
                    Bad("corrupt bz2 stream", f"{error} (in the stream at byte {start:,})", start),
                    start >= high,
                )
                start = following
                continue
            read += 1
            start = _search(file, decoder.end, None)
        if low == 0 and not read and path.stat().st_size:
            raise BrokenOff(f"{path.name}: not a bz2 file")


class _Stream:
    """One bz2 stream, decompressed piece by piece; `end` is the byte after it."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file, self._place = file, start
        self.end = start

    def __iter__(self) -> Iterator[bytes]:
        decoder = bz2.BZ2Decompressor()
        while not decoder.eof:
            data = b""
            if decoder.needs_input:
                self._file.seek(self._place)
                data = self._file.read(PIECE)
                self._place += len(data)
                if not data:
                    raise BrokenOff(f"{self._file.name}: the bz2 data is truncated (byte {self._place:,})")
            piece = decoder.decompress(data, PIECE)
            if piece:
                yield piece
        self.end = self._place - len(decoder.unused_data)


def _first(file: BinaryIO, low: int, high: int) -> int | None:
    """The first stream that starts in [low, high), skipping look-alikes inside an earlier stream."""
    start = _search(file, low, high)
    if low == 0 or start is None:
        return start
    before = low
    while (before := _search_back(file, before)) is not None:
        place: int | None = before
        try:
            while place is not None and place < start:
                stream = _Stream(file, place)
                for _ in stream:
                    pass
                place = _search(file, stream.end, None)
        except OSError as error:
            raise_passing(error)
            if place != before:
                return start  # after a corrupt stream
            continue  # a look-alike, or a corrupt stream
        return place if place is not None and place < high else None
    return start


def _search(file: BinaryIO, low: int, high: int | None) -> int | None:
    """The next place in [low, high) that looks like the start of a stream."""
    place, kept = low, b""
    while high is None or place < high + _MAGIC:
        file.seek(place)
        data = file.read(PIECE if high is None else min(PIECE, high + _MAGIC - 1 - place))
        if not data:
            return None
        found = _STREAM.search(kept + data)
        if found:
            start = place - len(kept) + found.start()
            return start if high is None or start < high else None
        place += len(data)
        kept = (kept + data)[-(_MAGIC - 1) :]
    return None


def _search_back(file: BinaryIO, high: int) -> int | None:
    """The last place before `high` that looks like the start of a stream."""
    end = high
    while end > 0:
        begin = max(0, end - PIECE)
        file.seek(begin)
        starts = [found.start() for found in _STREAM.finditer(file.read(end - begin + _MAGIC - 1))]
        starts = [start for start in starts if begin + start < end]
        if starts:
            return begin + starts[-1]
        end = begin
    return None
