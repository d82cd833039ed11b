"""Unpacks a WARC file piece by piece, and marks where a record certainly begins.

WARC files are gzip or zstd with one member (zstd: frame) per record, or plain text. A member that starts with
`WARC/` begins a record, whatever the record before it claims; any other member continues the previous record.
Only a damaged member is lost, because reading resumes at the next member that begins a record. Each byte is
unpacked once, so the time is linear in the file's size, however many members are damaged.
"""

import os
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from data.sources.files import limits
from data.sources.files.limits import Expansion
from data.sources.files.packed import Inflate

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

START = b"WARC/"
GZIP, ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_DICTIONARY = b"\x5d\x2a\x4d\x18"  # zstd: a frame before all others, which holds their dictionary
_MAX_DICTIONARY = 64 << 20  # unpacked bytes; zstd's own default has 110 KB
_READ = 64 << 10  # packed bytes; small, because each member in a block copies the rest of the block
_PIECE = 1 << 20  # unpacked bytes, at most
_HEAD = 4096  # packed bytes, enough to see whether a member begins a record


@dataclass(frozen=True)
class Piece:
    """Unpacked bytes, which follow those of the previous piece."""

    data: bytes
    begins: bool = False  # a record begins here, and the previous one ends, whatever it claims
    damage: str = ""  # why the bytes after this piece cannot be unpacked


class _Unpacker(Protocol):
    """One member: the interface of `zstd.ZstdDecompressor`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def read_pieces(file: BinaryIO) -> Iterator[Piece]:
    """The file's pieces, starting with a record. Raises OSError if it is not a WARC file."""
    first = file.read(len(START))
    file.seek(0)
    if first == START:
        return _plain(file)
    if first.startswith(GZIP):
        return _counted(file, _unpacked(file, GZIP, Inflate))
    if first.startswith(ZSTD):
        return _counted(file, _unpacked(file, ZSTD, zstd.ZstdDecompressor))
    if first.startswith(_DICTIONARY):
        dictionary = _read_dictionary(file)
        unpacked = _unpacked(file, ZSTD, lambda: zstd.ZstdDecompressor(zstd_dict=dictionary))
        return _counted(file, unpacked)
    raise OSError("not a WARC file (expected WARC/, gzip or zstd at its beginning)")


def _read_dictionary(file: BinaryIO) -> zstd.ZstdDict:
    """The dictionary of IIPC's zstd for WARC: a skippable frame, which may itself be compressed."""
    size = int.from_bytes(file.read(8)[4:], "little")
    if size > _MAX_DICTIONARY:
        raise limits.TooLarge(f"a zstd dictionary of {size:,} bytes")
    content = file.read(size)
    try:
        if content.startswith(ZSTD):
            content = zstd.ZstdDecompressor().decompress(content, _MAX_DICTIONARY)
        return zstd.ZstdDict(content)
    except (zstd.ZstdError, ValueError) as error:
        raise OSError(f"not a WARC file (its zstd dictionary cannot be read: {error})") from None


def _counted(file: BinaryIO, pieces: Iterator[Piece]) -> Iterator[Piece]:
    expansion = Expansion(os.fstat(file.fileno()).st_size)
    for piece in pieces:
        expansion.add(len(piece.data))
        yield piece


def _plain(file: BinaryIO) -> Iterator[Piece]:
    begins = True
    while block := file.read(_PIECE):
        yield Piece(block, begins)
        begins = False


def _unpacked(file: BinaryIO, magic: bytes, unpacker: Callable[[], _Unpacker]) -> Iterator[Piece]:
    first, block = True, b""
    while True:
        while not (block := block.lstrip(b"\0")):  # padding between members
            if not (block := file.read(_READ)):
                return
        start = file.tell() - len(block)
        stream = unpacker()
        head: bytes | None = b""  # kept until it shows whether the member begins a record
        try:
            while not stream.eof:
                if not block and stream.needs_input and not (block := file.read(_READ)):
                    raise EOFError("its compressed data is truncated")
                data, block = stream.decompress(block, _PIECE), b""
                if head is not None:
                    data, head = head + data, None
                    if len(data) < len(START) and not stream.eof:
                        head = data
                        continue
                    yield Piece(data, first or data.startswith(START))
                    first = False
                else:
                    yield Piece(data)
            block = stream.unused_data
        except (zlib.error, zstd.ZstdError, EOFError) as error:
            yield Piece(b"", head is not None, str(error) or "its compressed data is damaged")
            first = False
            found = _find(file, start + 1, magic, unpacker)
            if found is None:
                return
            file.seek(found)
            block = b""


def _find(file: BinaryIO, position: int, magic: bytes, unpacker: Callable[[], _Unpacker]) -> int | None:
    """The position of the next member that begins a record, or None."""
    while True:
        file.seek(position)
        block = file.read(_PIECE + _HEAD)
        at = block.find(magic)
        while 0 <= at < _PIECE:
            try:
                if unpacker().decompress(block[at : at + _HEAD], len(START)) == START:
                    return position + at
            except (zlib.error, zstd.ZstdError):
                pass
            at = block.find(magic, at + 1)
        if len(block) <= _PIECE:
            return None
        position += _PIECE
