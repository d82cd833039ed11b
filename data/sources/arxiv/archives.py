"""Reads arXiv's archives: a bulk tar of papers, or one paper as `.tex`, `.gz`, `.tar` or `.tar.gz`.

Everything is read once, sequentially, into bounded memory; nothing is unpacked to disk.
"""

import gzip
import io
import os
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from data.documents import Drop, Record
from data.errors import raise_passing
from data.sources.arxiv import papers
from data.sources.arxiv.names import arxiv_url, stem
from data.sources.arxiv.papers import Files, TooLarge, records
from data.sources.files import tars

MAX_UNPACKED = 1 << 30  # bytes of one paper with its figures; arXiv accepts less than a tenth of this
MAX_INNER = 4 << 20  # bytes of a tar inside a tar
MAX_NESTED = 2  # nesting of tars

_PACKED, _PACKED_TEX = (".tar", ".tar.gz", ".tgz"), ".tex.gz"
_BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, RecursionError)
_OTHERS = {
    b"%PDF": "PDF only",
    b"%!PS": "PostScript only",
    b"\xf7\x02": "DVI only",
    b"PK\x03\x04": "not TeX",
    b"<!DOCTYPE": "not TeX",
    b"<html": "not TeX",
}


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def read_file(path: Path) -> Iterator[Record | Drop]:
    """One paper: a .tex, .pdf or .tar, or a .gz of one."""
    with path.open("rb") as file:
        yield from _read_paper(file, path.name, str(path), 0)


def read_bulk(path: Path) -> Iterator[Record | Drop]:
    """The papers of a bulk tar, one per member."""
    with path.open("rb") as file:
        stream = _Stream(file, None, seekable=file)
        for number, (member, content) in enumerate(_members(stream, needs_end=True)):
            name = member.name.encode(errors="backslashreplace").decode()
            if member.isdir():
                continue
            if content is None or _climbs(member.name):
                yield Drop("not a file inside", str(path), number, name, malformed=True)
                continue
            try:
                yield from _read_paper(content, name, str(path), number)
            except _BROKEN as error:
                raise_passing(error)
                detail = f"{name}: {type(error).__name__}: {error}"
                yield Drop("malformed paper", str(path), number, detail, malformed=True)


def is_bulk(path: Path) -> bool:
    """Whether a tar holds papers rather than the files of one paper."""
    if path.name.lower().startswith("arxiv_src"):
        return True
    packed = False
    with path.open("rb") as file:
        for member, _ in _members(_Stream(file, None, seekable=file)):
            name = posixpath.basename(member.name).lower()
            if name.endswith((".tex", ".ltx", ".latex")):
                return False
            if name.endswith((".gz", ".pdf")) and arxiv_url(name):
                return True
            packed |= name.endswith(".gz")
    return packed


def _read_paper(raw: _Readable, name: str, file: str, number: int) -> Iterator[Record | Drop]:
    """A paper from its bytes: one file or a tar, gzipped or not."""
    stream = _Stream(raw, MAX_UNPACKED)
    kept = Files()
    try:
        for _ in range(MAX_NESTED):  # a server may have packed what was packed
            if stream.peek(2) == b"\x1f\x8b":
                stream = _Stream(gzip.GzipFile(fileobj=stream), MAX_UNPACKED)
        head = stream.peek(tarfile.BLOCKSIZE)
        kind = next((kind for magic, kind in _OTHERS.items() if head.lstrip().startswith(magic)), None)
        if kind or not head:
            yield Drop(kind or "empty", file, number, name)
            return
        if _is_tar(head):
            _keep_members(stream, kept, "", 0)
        else:
            kept.contents[stem(name) + ".tex"] = _content(stream)
    except TooLarge as error:
        yield Drop("too large", file, number, f"{name}: {error}", malformed=True)
        return
    yield from records(kept, file, number, name)


def _keep_members(stream: "_Stream", kept: Files, folder: str, depth: int) -> None:
    """Keep the files of a tar that may be TeX, packed or not; if it has none, those of the tars inside."""
    inner: dict[str, bytes] = {}
    for member, content in _members(stream):
        if content is None or _climbs(member.name):
            continue
        name = posixpath.join(folder, member.name)
        if kept.wants(name, member.size):
            kept.contents[name] = _content(content)
        elif (
            depth < MAX_NESTED
            and len(inner) < 10
            and name.lower().endswith((*_PACKED, _PACKED_TEX))
            and member.size <= MAX_INNER
        ):
            inner[name] = _content(content)
    while stream.read(tars.READ_BYTES):  # to the end, where gzip has its checksum
        pass
    has_tex = kept.has_tex()
    for name, packed in inner.items():
        is_tex = name.lower().endswith(_PACKED_TEX)
        if name[:-3] in kept.contents if is_tex else has_tex:
            continue
        nested = _Stream(io.BytesIO(packed), MAX_UNPACKED)
        if nested.peek(2) == b"\x1f\x8b":
            nested = _Stream(gzip.GzipFile(fileobj=nested), MAX_UNPACKED)
        if is_tex:
            try:
                content = _content(nested)
            except _BROKEN as error:
                raise_passing(error)
                continue
            if kept.wants(name[:-3], len(content)):
                kept.contents[name[:-3]] = content
        elif _is_tar(nested.peek(tarfile.BLOCKSIZE)):
            _keep_members(nested, kept, posixpath.dirname(name), depth + 1)


def _members(
    stream: "_Stream", needs_end: bool = False
) -> Iterator[tuple[tarfile.TarInfo, _Readable | None]]:
    """The members of a tar, with the content of those that are files. Raises one of `_BROKEN`."""
    for member, content in tars.members(stream, needs_end):
        yield member, None if tars.is_too_long(member.name) else content


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return len(head) == tarfile.BLOCKSIZE and not head.strip(b"\0")
    return True


def _content(stream: _Readable) -> bytes:
    """All of a file's bytes. Raises TooLarge."""
    content = bytearray()
    while piece := stream.read(1 << 16):
        content += piece
        if len(content) > papers.MAX_TEX:
            raise TooLarge(f"more than {papers.MAX_TEX >> 20} MiB of TeX")
    return bytes(content)


def _climbs(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/")


class _Stream(tars.Source):
    """A bounded stream of bytes that can be peeked at."""

    def __init__(self, raw: _Readable, limit: int | None, seekable: BinaryIO | None = None) -> None:
        self._raw, self._limit, self._seekable = raw, limit, seekable
        self._ahead = self.last = b""  # bytes peeked at; result of the last `read`
        self.position = 0

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer only at the end."""
        while len(self._ahead) < size and (piece := self._raw.read(size - len(self._ahead))):
            self._ahead += piece
        return self._ahead[:size]

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer only at the end. Raises TooLarge beyond the limit."""
        self.allow(size)
        return self._read(size)

    def _read(self, size: int) -> bytes:
        pieces, left = [self._ahead[:size]], size - len(self._ahead[:size])
        self._ahead = self._ahead[size:]
        while left and (piece := self._raw.read(left)):
            pieces.append(piece)
            left -= len(piece)
        self.last = b"".join(pieces)
        self.position += len(self.last)
        if self._limit is not None and self.position > self._limit:
            raise TooLarge(f"more than {self._limit >> 20:,} MiB unpacked")
        return self.last

    def tell(self) -> int:
        return self.position

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Skip forward to a position."""
        if whence != os.SEEK_SET or place < self.position:
            raise OSError(f"cannot go back from byte {self.position} to {place}")
        if self._seekable and not self._ahead:
            self._seekable.seek(place)
            self.position = place
        while self.position < place and self._read(min(place - self.position, 1 << 16)):
            pass
        return self.position
