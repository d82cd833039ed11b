"""Reads the rows of a Stack Exchange `Posts.xml`, plain or in a `.7z`, in bounded memory and in one pass.

The bytes pass through expat, a piece at a time: every `<row …/>` becomes a call with its attributes. If the
XML is not well-formed, only that row is quarantined: a well-formed row contains no `<`, so reading resumes at
the next `<row`.
"""

import codecs
from collections.abc import Callable
from pathlib import Path
from xml.parsers import expat

from data.sources.stackexchange.archive import Unreadable, is_archive, unpack
from data.sources.stackexchange.characters import Characters, encoding_of

MAX_ROW = 16 << 20  # most characters in a row; sites accept posts of up to 30,000, before their HTML
MAX_DEPTH = 100  # most levels of nested elements; Posts.xml has two
PIECE = 1 << 18  # bytes parsed at a time
TOO_LARGE = f"larger than {MAX_ROW >> 20} MiB"

_ROW = b"<row"
_BEGINNING = 1 << 16  # bytes that show a file's encoding
_SPACE = b" \t\r\n"
_DECLARATION = len(codecs.BOM_UTF8) + 1  # bytes; a file's own `<?xml` begins before this position


def read_posts(path: Path, rows: "Rows") -> None:
    """Push a Posts.xml, plain or in an archive, into `rows`. Raises Unreadable."""
    with path.open("rb") as file:
        if is_archive(path):
            unpack(file, path, rows.feed)
        else:
            while piece := file.read(PIECE):
                rows.feed(piece)
    rows.close()


class Rows:
    """Expat, resumed at the next row after an error.

    Calls `row(number, attributes)` for every row and `bad(number, reason, detail)` for every row that cannot
    be read; `number` counts both from 0.
    """

    def __init__(
        self, row: Callable[[int, dict[str, str]], None], bad: Callable[[int, str, str], None]
    ) -> None:
        self._row, self._bad = row, bad
        self._number = 0  # of the next row
        self._bytes = 0  # parsed or skipped so far
        self._failed = (-1, 0)  # the byte of expat's last error, and its code
        self._beginning: bytes | None = b""  # until it shows the encoding
        self._decoder: codecs.IncrementalDecoder | None = None  # None: UTF-8
        self._characters = Characters()
        self._pending = bytearray()
        self._carry = b""  # the last bytes, which may begin a `<row`
        self._tail = b""
        self._parser: expat.XMLParserType | None = self._begin()

    def feed(self, data: bytes) -> None:
        """Take any number of bytes. They are parsed in pieces of a fixed size, however the calls cut them."""
        if self._beginning is not None:
            self._beginning += data
            if len(self._beginning) < _BEGINNING:
                return
            data = self._begun()
        self._take(self._characters(self._in_utf8(data)))

    def _begun(self) -> bytes:
        """The bytes held back until they show the encoding."""
        beginning, self._beginning = self._beginning or b"", None
        # XML forbids white space above its declaration, but editors leave it.
        declared = beginning.lstrip(_SPACE)
        beginning = declared if declared.startswith(b"<?xml") else beginning
        if encoding := encoding_of(beginning):
            self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        return beginning

    def _in_utf8(self, data: bytes, final: bool = False) -> bytes:
        return self._decoder.decode(data, final).encode() if self._decoder else data

    def _take(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            self._pending += data[start : start + PIECE]
            if len(self._pending) >= PIECE:
                self._parse(bytes(self._pending[:PIECE]))
                del self._pending[:PIECE]

    def close(self) -> None:
        """End the input. Raises Unreadable if the XML is not complete."""
        rest = self._begun() if self._beginning is not None else b""
        self._take(self._characters(self._in_utf8(rest, final=True), final=True))
        self._parse(bytes(self._pending))
        if self._parser is None:
            if not self._tail.rstrip().endswith(b"</posts>"):
                raise Unreadable(f"the XML is not well-formed and has no end (byte {self._bytes:,})")
            return
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise Unreadable(f"the XML is truncated: {_reason(error)} (byte {self._bytes:,})") from None

    def _begin(self, prefix: bytes = b"") -> expat.XMLParserType:
        """A new parser, which refuses a DTD: dumps declare no entities."""
        parser = expat.ParserCreate("UTF-8")  # from `Characters`, whatever the file declares
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        if hasattr(parser, "SetReparseDeferralEnabled"):  # or it may delay a complete row
            parser.SetReparseDeferralEnabled(False)
        self._depth = self._idle = 0
        self._stray = False  # text between rows, since the last row
        parser.Parse(prefix, False)
        self._origin = self._bytes - len(prefix)  # expat's byte 0
        return parser

    def _parse(self, data: bytes) -> None:
        """Parse one piece, well-formed or not."""
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
                self._parser = self._begin(b"<posts>")
            self._idle += 1
            try:
                self._parser.Parse(memoryview(data)[place:], False)
            except expat.ExpatError as error:
                place = self._recover(error, self._origin + self._parser.ErrorByteIndex, first)
                continue
            if self._idle * PIECE > 2 * MAX_ROW:
                self._skip(TOO_LARGE, f"up to byte {end:,}")
                self._parser = None
            break
        self._bytes = end
        self._carry = b"" if self._parser else data[1 - len(_ROW) :]

    def _without_instructions(self, data: bytes) -> bytes:
        """Break every `<?`: as a damaged `<row`, it would hide everything after it. Keeps the length."""
        if data.startswith(b"?") and self._tail.endswith(b"<") and self._bytes > _DECLARATION:
            data = b"\x01" + data[1:]
        start = max(0, _DECLARATION - self._bytes)
        return data[:start] + data[start:].replace(b"<?", b"<\x01")

    def _recover(self, error: expat.ExpatError, at: int, first: int) -> int:
        """The place in the piece from byte `first` at which to resume after an error at byte `at`."""
        # expat finds an error in a complete row at the row's beginning, and finds it twice.
        again = (at, error.code) == self._failed
        if not again:
            self._skip("malformed record", f"{_reason(error)} (byte {at:,})")
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
            raise Unreadable(f"not a Posts.xml: more than {MAX_DEPTH} nested elements")
        if tag != "row":
            if self._depth > 1:
                self._skip("malformed record", f"expected a row, found an element {tag[:20]}")
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
            self._skip("malformed record", f"expected a row, found text: {text[:40]}")

    def _refuse(self, *declared: object) -> None:
        raise Unreadable("not a Posts.xml: a DTD is refused")


def _reason(error: expat.ExpatError) -> str:
    return f"not well-formed: {expat.ErrorString(error.code)}"
