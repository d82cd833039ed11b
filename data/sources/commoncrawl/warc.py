"""The records of a WARC or WET file, read by fastwarc; a damaged one is passed over, not what follows it.

fastwarc ends at the first header that it cannot read. Here that record becomes a `Fault`, and reading
goes on at the next place where a record begins: in gzip a member, in plain text a line `WARC/1.`. A
record is given only when what follows it begins where its Content-Length says, or is the file's end.
"""

import re
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastwarc.warc import ArchiveIterator, WarcRecord

MAX_RECORD = 32 << 20  # bytes, packed in HTTP or not; CommonCrawl cuts pages at 1 MiB, later at 5 MiB
_MEMBER = b"\x1f\x8b\x08"
_LINE = b"WARC/1."
_BLOCK = 1 << 20
_HEAD = 4096  # compressed bytes that are looked at to see whether a member begins a record
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class WarcPage:
    """One record as it stands in the file."""

    kind: str  # conversion, response, request, warcinfo, …
    url: str
    date: str
    body: bytes  # of a response: what HTTP carried, unpacked
    position: int  # in the file, where it begins
    status: int = 0  # of HTTP
    content_type: str = ""
    charset: str = ""


@dataclass(frozen=True)
class Fault:
    """A record that cannot be read, and why."""

    detail: str
    position: int
    whole: bool = False  # it ends where it should: the next one follows


def read_records(path: Path) -> Iterator[WarcPage | Fault]:
    """Every record in the file's order. Raises OSError where the file breaks off or is no WARC."""
    with path.open("rb") as file:
        first = file.read(len(_LINE))
        packed = first.startswith(_MEMBER)
        if not packed and first != _LINE and not first.startswith((b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")):
            raise OSError("not a WARC file (expected WARC/1. or gzip at its beginning)")
        file.seek(0)
        quirks = not packed and b"\r" not in file.readline(100)
        start = 0
        while True:
            file.seek(start)
            behind = yield from _read_from(file, start, packed, quirks)
            if behind is None:
                return
            start = _find(file, behind, packed)
            if start is None:
                raise OSError("no record begins after a damaged one")


def _read_from(
    file: BinaryIO, start: int, packed: bool, quirks: bool
) -> Generator[WarcPage | Fault, None, int | None]:
    """Records from `start` on, up to the first fault; returns a place in that one, None at the end."""
    held: WarcPage | None = None  # its length is believed once something follows it
    any_begun = False
    try:
        for record in ArchiveIterator(file, parse_http=False, quirks_mode=quirks):
            any_begun = True
            if held:
                yield held
                held = None
            taken = _take(record)
            if isinstance(taken, Fault):
                yield taken
                if taken.whole:
                    continue
                return taken.position + 1
            held = taken
    except OSError as error:
        if held is None:
            yield Fault(f"not a WARC record: {error}", start)
            return start + 1
        end = _end_if_whole(file, held.position, packed)
        if end is None:
            yield Fault("its Content-Length is wrong", held.position)
            return held.position + 1
        yield held
        yield Fault(f"not a WARC record: {error}", end)
        return end + 1
    if not any_begun:
        yield Fault("no record begins here", start)
        return start + 1
    if held is None:
        return None
    yield held
    # fastwarc takes some damage for the file's end.
    end = _end_if_whole(file, held.position, packed)
    if end is not None and _is_more(file, end):
        yield Fault("not a WARC record", end)
        return end + 1
    return None


def _is_more(file: BinaryIO, position: int) -> bool:
    file.seek(position)
    return bool(file.read(_HEAD).strip(b"\r\n\0"))


def _take(record: WarcRecord) -> WarcPage | Fault:
    """The record, held whole; raises nothing."""
    position, headers = record.stream_pos, record.headers
    kind = str(record.record_type).rpartition(".")[2]
    try:
        expected = int(headers.get("Content-Length") or "")
    except ValueError:
        return Fault("no Content-Length, or not a number", position)
    if expected < 0 or expected > MAX_RECORD:
        return Fault(f"a record of {expected:,} bytes, above {MAX_RECORD >> 20} MiB", position)
    try:
        record.freeze()
        if record.content_length != expected:
            return Fault(f"ends after {record.content_length:,} of {expected:,} bytes", position)
        url = (headers.get("WARC-Target-URI") or "").strip("<>")
        date = headers.get("WARC-Date") or ""
        if kind != "response" or not record.is_http:
            return WarcPage(kind, url, date, record.reader.read(), position)
        return _take_response(record, url, date, position)
    except OSError as error:
        return Fault(str(error), position)


def _take_response(record: WarcRecord, url: str, date: str, position: int) -> WarcPage | Fault:
    try:
        record.parse_http(auto_decode="all")
        body = record.reader.read(MAX_RECORD + 1)
    except OSError as error:
        return Fault(f"HTTP: {error}", position, whole=True)
    if len(body) > MAX_RECORD:
        return Fault(f"unpacks to more than {MAX_RECORD >> 20} MiB", position, whole=True)
    http, status = record.http_headers, 0
    if http is not None and http.status_code:
        status = int(http.status_code)
    content_type, charset = record.http_content_type or "", record.http_charset or ""
    return WarcPage("response", url, date, body, position, status, content_type, charset)


def _end_if_whole(file: BinaryIO, position: int, packed: bool) -> int | None:
    """Where the record at `position` ends, if that is where its Content-Length says."""
    file.seek(position)
    stream = zlib.decompressobj(31) if packed else None
    content, end = b"", position
    while len(content) <= 2 * MAX_RECORD and (block := file.read(_BLOCK)):
        if stream is None:
            content += block
            continue
        try:
            content += stream.decompress(block, 2 * MAX_RECORD - len(content) + 1)
        except zlib.error:
            return None
        end += len(block) - len(stream.unused_data)
        if stream.eof:
            break
    head, blank, body = content.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not blank or not length:
        return None
    n_body = int(length[1])
    after = body[n_body : n_body + 4]
    if packed:
        return end if stream.eof and len(body) == n_body + len(after) and not after.strip() else None
    return position + len(head) + 4 + n_body + 4 if after == b"\r\n\r\n" else None


def _find(file: BinaryIO, position: int, packed: bool) -> int | None:
    """Where the next record begins; None if none does."""
    mark = _MEMBER if packed else b"\n" + _LINE
    while True:
        file.seek(position)
        block = file.read(_BLOCK)
        if len(block) < len(mark):
            return None
        at = block.find(mark)
        while at >= 0:
            if not packed:
                return position + at + 1
            if _begins_record(file, position + at):
                return position + at
            at = block.find(mark, at + 1)
        position += len(block) - len(mark) + 1


def _begins_record(file: BinaryIO, position: int) -> bool:
    file.seek(position)
    try:
        return zlib.decompressobj(31).decompress(file.read(_HEAD), len(_LINE)) == _LINE
    except zlib.error:
        return False
