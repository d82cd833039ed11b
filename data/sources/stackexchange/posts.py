"""The rows of a Stack Exchange `Posts.xml`, plain or in a `.7z`, in bounded memory and in one pass.

The bytes are pushed through expat, a piece at a time: every `<row …/>` becomes a call with its
attributes. Where the XML is not well-formed, that row alone is set aside: inside of a well-formed row no
`<` can stand, so reading goes on at the next `<row`. Nothing of an archive is ever unpacked to a file.
"""

import codecs
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from xml.parsers import expat

import py7zr

MAX_ROW = 16 << 20  # characters in a row; the longest post that the site takes is 30,000 before its HTML
MAX_DEPTH = 100  # of elements in each other; Posts.xml has two
PIECE = 1 << 18  # bytes at a time, however they come
MAX_RATIO = 100  # by which an archive may grow (about 5 is usual), beyond the first
FREE_BYTES = 1 << 30
MAX_DICTIONARY = 1 << 30  # bytes that a decompressor may hold; 7-Zip's own largest preset takes 2**28
TOO_LARGE = f"larger than {MAX_ROW >> 20} MiB"

_ROW = b"<row"
_DECLARATION = len(codecs.BOM_UTF8) + 1  # bytes: a file's own `<?xml` begins before
_LZMA, _LZMA2, _PPMD = b"\x03\x01\x01", b"\x21", b"\x03\x04\x01"  # 7z's names of its methods


class Unreadable(OSError):
    """The file cannot be read, or not from here on; what was read before stands."""


def unpacked_size(path: Path) -> int:
    """Bytes of XML in a file, by its own account. Raises Unreadable."""
    if not _is_archive(path):
        return path.stat().st_size
    with path.open("rb") as file:
        return _member(_archive(file, path)).uncompressed


def read_posts(path: Path, rows: "Rows") -> None:
    """Push all of a Posts.xml or an archive that holds one into `rows`. Raises Unreadable."""
    with path.open("rb") as file:
        if _is_archive(path):
            _unpack(file, path, rows)
        else:
            while piece := file.read(PIECE):
                rows.feed(piece)
    rows.close()


class Rows:
    """Expat, and the way back to the next row where it stumbles.

    Calls `row(number, attributes)` for every row and `bad(number, reason, detail)` in the stead of one that
    cannot be read; `number` counts both from 0.
    """

    def __init__(
        self, row: Callable[[int, dict[str, str]], None], bad: Callable[[int, str, str], None]
    ) -> None:
        self._row, self._bad = row, bad
        self._number = 0  # of the next row
        self._bytes = 0  # parsed or passed over so far
        self._failed = (-1, 0)  # the byte where expat stumbled last, and why
        self._decoder: codecs.IncrementalDecoder | None = None  # of UTF-16
        self._pending = bytearray()
        self._carry = b""  # the beginning of a `<row`, perhaps
        self._tail = b""
        self._begin()

    def feed(self, data: bytes) -> None:
        """Any number of bytes; they are parsed in pieces of one size, so that nothing depends on the cut."""
        if not self._bytes and not self._pending and data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            self._decoder = codecs.getincrementaldecoder("utf-16")()
        if self._decoder:
            data = self._decode(data)
        for start in range(0, len(data), PIECE):
            self._pending += data[start : start + PIECE]
            if len(self._pending) >= PIECE:
                self._parse(bytes(self._pending[:PIECE]))
                del self._pending[:PIECE]

    def close(self) -> None:
        """There is no more. Raises Unreadable if that is not the end of the XML."""
        if self._decoder:
            self._pending += self._decode(b"", final=True)
        self._parse(bytes(self._pending))
        if self._parser is None:
            if not self._tail.rstrip().endswith(b"</posts>"):
                raise Unreadable(f"the XML is not well-formed and has no end (byte {self._bytes:,})")
            return
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise Unreadable(f"the XML breaks off: {_said(error)} (byte {self._bytes:,})") from None

    def _decode(self, data: bytes, final: bool = False) -> bytes:
        try:
            return self._decoder.decode(data, final).encode()
        except UnicodeError as error:
            raise Unreadable(f"neither UTF-8 nor UTF-16: {error}") from None

    def _begin(self, prefix: bytes = b"") -> None:
        """A new parser. Entities of its own making have no place in a dump: no DTD is read at all."""
        self._parser = expat.ParserCreate("UTF-8")  # the bytes are, whatever they declare
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        if hasattr(self._parser, "SetReparseDeferralEnabled"):  # else a whole row may be kept back
            self._parser.SetReparseDeferralEnabled(False)
        self._depth = self._idle = 0
        self._stray = False  # words where only rows should stand, since the last row
        self._parser.Parse(prefix, False)
        self._origin = self._bytes - len(prefix)  # what expat counts from

    def _parse(self, data: bytes) -> None:
        """One piece, well-formed or not."""
        data = self._without_instructions(data)
        self._tail = (self._tail + data)[-32:]
        end = self._bytes + len(data)
        data = self._carry + data
        first, place = end - len(data), 0
        while True:
            if self._parser is None:
                place = data.find(_ROW, place)
                if place < 0:
                    break
                self._bytes = first + place
                self._begin(b"<posts>")
            self._idle += 1
            try:
                self._parser.Parse(memoryview(data)[place:], False)
            except expat.ExpatError as error:
                place = self._recover(error, first)
                continue
            if self._idle * PIECE > 2 * MAX_ROW:
                self._skip(TOO_LARGE, f"up to byte {end:,}")
                self._parser = None
            break
        self._bytes = end
        self._carry = b"" if self._parser else data[1 - len(_ROW) :]

    def _without_instructions(self, data: bytes) -> bytes:
        """Of the same length; a `<?`, perhaps a damaged `<row`, would hide all that follows: it is broken."""
        if data.startswith(b"?") and self._tail.endswith(b"<") and self._bytes > _DECLARATION:
            data = b"\x01" + data[1:]
        start = max(0, _DECLARATION - self._bytes)
        return data[:start] + data[start:].replace(b"<?", b"<\x01")

    def _recover(self, error: expat.ExpatError, first: int) -> int:
        """Where in the piece that begins at byte `first` to look for the next row."""
        at = self._origin + self._parser.ErrorByteIndex
        again = (at, error.code) == self._failed  # a fault of a whole row is found at its beginning, twice
        if not again:
            self._skip("malformed record", f"{_said(error)} (byte {at:,})")
        self._failed, self._parser = (at, error.code), None
        return max(0, at - first) + again

    def _skip(self, reason: str, detail: str) -> None:
        self._bad(self._number, reason, detail)
        self._number += 1

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._idle = 0
        self._stray = False
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable(f"not a Posts.xml: more than {MAX_DEPTH} elements in each other")
        if tag != "row":
            if self._depth > 1:
                self._skip("malformed record", f"an element {tag[:20]} in the place of a row")
            return
        if sum(map(len, attributes.values())) > MAX_ROW:
            self._skip(TOO_LARGE, attributes.get("Id", "")[:20])
            return
        self._number += 1
        self._row(self._number - 1, attributes)

    def _end(self, tag: str) -> None:
        self._idle = 0
        self._depth -= 1

    def _text(self, text: str) -> None:
        self._idle = 0
        if not self._stray and not text.isspace():
            self._stray = True
            self._skip("malformed record", f"text in the place of a row: {text[:40]}")

    def _refuse(self, *declared: object) -> None:
        raise Unreadable("not a Posts.xml: it has a DTD, which is not read")


def _said(error: expat.ExpatError) -> str:
    return f"not well-formed: {expat.ErrorString(error.code)}"


class _Into(py7zr.Py7zIO, py7zr.WriterFactory):
    """What py7zr writes a member to: it goes on to the parser, and is not kept."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def create(self, filename: str) -> "_Into":
        return self

    def write(self, data: bytes) -> int:
        self._rows.feed(data)
        return len(data)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        pass

    def size(self) -> int:
        return 0

    def close(self) -> None:
        pass


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(".7z")


def _unpack(file: BinaryIO, path: Path, rows: Rows) -> None:
    archive = _archive(file, path)
    name = _member(archive).filename
    try:
        archive.extract(targets=[name], factory=_Into(rows))
    except Unreadable:
        raise
    except OSError as error:
        if error.errno is not None:  # the system's, a full disk perhaps; bz2 raises OSError without a number
            raise
        raise Unreadable(f"the archive is damaged: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged archive does anything to the reader
        raise Unreadable(f"the archive is damaged: {type(error).__name__}: {error}") from error


def _archive(file: BinaryIO, path: Path) -> py7zr.SevenZipFile:
    """The archive, if it is whole so far as its header tells, and not a bomb. Raises Unreadable."""
    limit = max(FREE_BYTES, MAX_RATIO * path.stat().st_size)
    try:
        archive = py7zr.SevenZipFile(file, max_extract_size=limit)
        streams = archive.header.main_streams
        folders = streams.unpackinfo.folders if streams else []
        held = max((_dictionary(coder) for folder in folders for coder in folder.coders), default=0)
        size = sum(member.uncompressed for member in archive.list())
    except MemoryError:
        raise
    except Exception as error:  # a damaged header does anything to the reader
        raise Unreadable(f"not a readable 7z archive: {type(error).__name__}: {error}") from error
    if archive.needs_password():
        raise Unreadable("the archive is encrypted")
    if size > limit:
        raise Unreadable(f"the archive would unpack to {size:,} bytes, more than {limit:,}")
    if held > MAX_DICTIONARY:
        raise Unreadable(f"the archive needs {held:,} bytes to unpack, more than {MAX_DICTIONARY:,}")
    return archive


def _dictionary(coder: dict) -> int:
    """Bytes that a 7z method holds while it unpacks."""
    method, settings = coder["method"], coder["properties"] or b""
    if method in (_LZMA, _PPMD):
        return int.from_bytes(settings[1:5], "little")
    if method == _LZMA2:
        return (2 | settings[0] & 1) << (settings[0] // 2 + 11)
    return 0


def _member(archive: py7zr.SevenZipFile) -> py7zr.FileInfo:
    """The one Posts.xml of an archive, wherever it says that it belongs: nothing is ever put there."""
    members = [member for member in archive.list() if not member.is_directory]
    found = [member for member in members if PurePosixPath(member.filename).name.lower() == "posts.xml"]
    if len(found) != 1:
        holds = ", ".join(member.filename[:60] for member in members[:5]) or "nothing"
        raise Unreadable(f"{len(found)} files Posts.xml in the archive, expected one (it holds {holds})")
    return found[0]
