"""Reads the records of a WARC or WET file; a damaged record is lost, but not those after it.

A record is its head, as many bytes as its Content-Length says, and an empty line or two. It is accepted if
the next record or the end of the file follows. A length that is too small (some writers give one) is
corrected if the next record shows the end; any other unreadable record becomes a `Fault`. Reading resumes
where the next record begins and never goes back, so the time is linear in the file's size, however many
records are damaged.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from configs.sizes import binary
from data.sources.commoncrawl.members import START, Piece, read_pieces
from data.sources.files import limits

MAX_RECORD = 32 << 20  # bytes, unpacked; CommonCrawl cuts pages at 1 MiB, later at 5 MiB
_MAX_HEAD = 1 << 20
_TYPES = {"warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"}
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_NEXT = re.compile(rb"\nWARC/[01]\.\d")
_NEXT_BYTES = len(b"\nWARC/1.0")
_BLANK = b"\r\n\0"
_BLANKS = re.compile(rb"[\r\n\0]*")


@dataclass(frozen=True)
class WarcRecord:
    """One record as stored."""

    kind: str  # conversion, response, request, warcinfo, …; "" if unknown
    headers: dict[str, str]  # names in lower case
    body: bytes
    note: str = ""  # what was corrected


@dataclass(frozen=True)
class Fault:
    """A record that cannot be read, and why."""

    detail: str


def read_records(path: Path) -> Iterator[WarcRecord | Fault]:
    """Every record, in order. Raises OSError if the file is truncated or not a WARC file."""
    with path.open("rb") as file:
        segment = _Segment(read_pieces(file))
        while segment.begin():
            yield from _read_segment(segment)
        if segment.broken:
            raise OSError("the file ends within its last record, or no record begins after a damaged one")


def parse_headers(head: bytes) -> dict[str, str]:
    """The fields below a head's first line, unfolded, by lower-case name; the first of a name counts."""
    headers: dict[str, str] = {}
    name = ""
    try:
        text = head.decode()
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    for line in text.replace("\r\n", "\n").split("\n")[1:]:
        if line[:1] in (" ", "\t"):
            if name:
                headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or name in headers:
            name = ""
        else:
            headers[name] = value.strip()
    return headers


@dataclass
class _Segment:
    """Bytes between two places where a record certainly begins, read only as far as needed."""

    pieces: Iterator[Piece]
    data: bytearray = field(default_factory=bytearray)
    damage: str = ""  # why the segment ends early
    broken: bool = False  # whether the last record read is truncated
    _next: Piece | None = None

    def begin(self) -> bool:
        """Go to the next segment; False at the file's end."""
        self.data.clear()
        self.damage = ""
        piece = self._next or next(self.pieces, None)
        self._next = None
        if piece is None:
            return False
        self._take(piece)
        return True

    def more(self) -> bool:
        """Read more; False at the segment's end."""
        if self.damage:
            return False
        if self._next is None:
            self._next = next(self.pieces, None)
        if self._next is None or self._next.begins:
            return False
        self._take(self._next)
        self._next = None
        return True

    def has(self, size: int) -> bool:
        """Whether this many bytes are left, after reading more if needed."""
        while len(self.data) < size:
            if not self.more():
                return False
        return True

    def find_next(self, start: int, limit: int = 2 * MAX_RECORD) -> int:
        """The position of the line end before the next record; -1 if none in the segment within the limit."""
        while not (found := _NEXT.search(self.data, start)):
            start = max(start, len(self.data) - _NEXT_BYTES + 1)
            if start > limit or not self.more():
                return -1
        return found.start()

    def more_than(self, size: int) -> bool:
        return self.has(size + 1)

    def fault(self, start: int, detail: str) -> Fault:
        """Drop the record with a body at `start`, because of the segment's damage or else `detail`."""
        self.skip_to_record(max(0, start - 1))
        return Fault(self.damage or detail)

    def skip_to_record(self, start: int) -> None:
        """Drop everything up to the next line that begins a record, or to the end, without holding it."""
        while not (found := _NEXT.search(self.data, start)):
            left = len(self.data) - _NEXT_BYTES + 1
            if left > start:
                del self.data[:left]
                start = 0
            if not self.more():
                self.data.clear()
                return
        del self.data[: found.start() + 1]

    def skip_blank(self) -> bool:
        """Drop empty lines; return whether anything follows."""
        while True:
            blank = _BLANKS.match(self.data)
            if blank and blank.end():
                del self.data[: blank.end()]
            if self.data:
                return True
            if not self.more():
                return False

    def _take(self, piece: Piece) -> None:
        self.data += piece.data
        self.damage = piece.damage


def _read_segment(segment: _Segment) -> Iterator[WarcRecord | Fault]:
    found: WarcRecord | Fault | None = None
    while segment.skip_blank():
        segment.broken = False
        found = _read_record(segment)
        yield found
    if segment.damage:
        segment.broken = True
        if found is None:
            yield Fault(segment.damage)


def _read_record(segment: _Segment) -> WarcRecord | Fault:
    """Take the record that begins here from the segment; a `Fault` if it cannot be read."""
    segment.has(len(START))
    if not segment.data.startswith(START):
        return segment.fault(0, f"not a WARC record (expected {START.decode()})")
    ends = _find_head_end(segment)
    if ends is None:
        return segment.fault(0, "its head has no end")
    n_head, start = ends
    headers = parse_headers(bytes(segment.data[:n_head]))
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        return segment.fault(start, "its Content-Length is missing or not a number")
    size = int(length[:20])
    limit = limits.record_bytes(MAX_RECORD)
    if size > limit:
        return segment.fault(start, f"a record of {size:,} bytes, above {binary(limit)}")
    end: int | None = start + size
    if not segment.has(end):
        segment.broken = segment.find_next(start - 1) < 0
        return segment.fault(start, f"it ends after {len(segment.data) - start:,} of {size:,} bytes")
    note = ""
    if not _ends_at(segment, end):
        end, note = _corrected_end(segment, start, end), "Content-Length too small"
        if end is None:
            return segment.fault(start, "its Content-Length is wrong")
    kind = headers.get("warc-type", "").lower()
    body = bytes(memoryview(segment.data)[start:end])
    del segment.data[:end]
    return WarcRecord(kind if kind in _TYPES else "", headers, body, note)


def _find_head_end(segment: _Segment) -> tuple[int, int] | None:
    """The end of the record's head and the beginning of its body; None if another record comes first."""
    start = 0
    while not (found := _HEAD_END.search(segment.data, start)):
        start = max(0, len(segment.data) - 3)
        if start > _MAX_HEAD or not segment.more():
            return None
    return None if _NEXT.search(segment.data, 0, found.end()) else found.span()


def _ends_at(segment: _Segment, end: int) -> bool:
    """Whether a record may end here: the next one, or the segment's end, follows empty lines."""
    segment.has(end + 4 + len(START))
    after = bytes(segment.data[end : end + 4 + len(START)])
    rest = after.lstrip(_BLANK)
    if not rest and not segment.more_than(end + len(after)):
        return not segment.damage
    return rest.startswith(START) or after.startswith((b"\r\n\r\n", b"\n\n"))


def _corrected_end(segment: _Segment, start: int, end: int) -> int | None:
    """The end of a record that is longer than its Content-Length; None if it cannot be determined."""
    following = segment.find_next(start - 1, limit=start + MAX_RECORD)
    if 0 <= following < end:
        return None  # its length reaches into another record
    if following < 0:
        if segment.damage or segment.more():  # the next record may be beyond the limit
            return None
        following = len(segment.data)
    else:
        following += 1
    for blank in (b"\r\n\r\n", b"\n\n"):
        if segment.data.endswith(blank, 0, following):
            return max(end, following - len(blank))
    return following
