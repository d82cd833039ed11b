"""The status, type and unpacked body of a stored HTTP response.

The headers of stored responses are often wrong: crawlers keep Transfer-Encoding and Content-Encoding after
unpacking the body (CommonCrawl until 2018), and servers name encodings that do not exist. So each encoding is
tried, and if it does not fit, the bytes are used unchanged. A truncated body (crawlers cut long ones) gives
everything before the cut. Each correction is noted and counted.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import brotli

from configs.sizes import binary
from data.sources.commoncrawl.members import GZIP, ZSTD, zstd
from data.sources.commoncrawl.warc import MAX_RECORD, parse_headers
from data.sources.files import limits
from data.sources.files.packed import Inflate

_STATUS = re.compile(rb"[^ \t\r\n]+[ \t]+(\d{3})(?!\d)")
_HEAD_END = re.compile(rb"\r{0,2}\n(?:\r{0,2}\n|(?=<))")  # some servers forget the empty line
_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")  # as in MIME sniffing (WHATWG, §3)
_MARKS = (b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf")  # byte order marks of UTF-16 and UTF-8
_SNIFFED = 1445  # bytes that MIME sniffing examines
_STEP = 1 << 20  # bytes unpacked before the total is checked
_SLICE = 256  # most packed bytes lost to damage
_HTML = re.compile(  # MIME sniffing's tags (WHATWG, §7.1)
    rb"\s*<(?:!--|(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)\b)",
    re.IGNORECASE,
)
_TAG = re.compile(rb"<(?:!doctype|html|head|meta|title|body|div|p|table)\b", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s\"';,]+)", re.IGNORECASE)
_PLAIN = {"", "identity"}
_TYPE_END = re.compile(r"[;,\s]")  # some servers put a space before the parameters, or send two types
_TYPE = re.compile(r"[\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+", re.ASCII)  # other values are not types
_UNKNOWN = {"unknown/unknown", "application/unknown", "*/*"}  # no types (MIME sniffing, §5)
_XML = {"application/xml", "text/xml"}
_XHTML = re.compile(
    rb"\s*+(?:<\?xml\b[^>]*+>\s*+)?(?:<!--.{0,1000}?-->\s*+)?(?:<!doctype\s+html\b[^>]*+>\s*+)?<html\b",
    re.IGNORECASE | re.DOTALL,
)


class ResponseError(ValueError):
    """A response has a body that cannot be decoded."""


@dataclass(frozen=True)
class Response:
    status: int  # 0: no status line
    content_type: str  # lower case, without parameters; "text/html" if it is missing and the body is HTML
    charset: str  # as declared, or ""
    body: bytes
    note: str = ""  # headers that were wrong


def parse_response(stored: bytes) -> Response:
    """The response in a record. Raises ResponseError."""
    head, body = _split(stored.lstrip(b"\r\n"))
    status = _STATUS.match(head)
    while status and status[1].startswith(b"1"):  # 100 Continue and the like precede the response
        head, body = _split(body)
        status = _STATUS.match(head)
    headers = parse_headers(head)
    body, note = _decode(body, headers)
    declared = headers.get("content-type", "")
    content_type = _TYPE_END.split(declared.strip(), maxsplit=1)[0].lower()
    if content_type in _UNKNOWN or not _TYPE.fullmatch(content_type):
        content_type = ""
    start = body[3:] if body.startswith(_MARKS[2]) else body
    if _XHTML.match(start) if content_type in _XML else not content_type and _HTML.match(start):
        content_type = "text/html"
    charset = _CHARSET.search(declared)
    return Response(int(status[1]) if status else 0, content_type, charset[1] if charset else "", body, note)


def _split(stored: bytes) -> tuple[bytes, bytes]:
    """The head, and everything after it."""
    ends = _HEAD_END.search(stored)
    return (stored[: ends.start()], stored[ends.end() :]) if ends else (stored, b"")


def is_binary(body: bytes) -> bool:
    """Whether these bytes are not text in any encoding, by MIME sniffing's rule."""
    return not body.startswith(_MARKS) and bool(_BINARY.search(body[:_SNIFFED]))


def _decode(body: bytes, headers: dict[str, str]) -> tuple[bytes, str]:
    """The decoded body, and a note that names the wrong headers. Raises ResponseError."""
    untrue = []
    for header in ("transfer-encoding", "content-encoding"):
        for name in reversed(headers.get(header, "").lower().split(",")):
            name = name.partition(";")[0].strip(" \t\"'")
            if name in _PLAIN or not body:
                continue
            decode = _DECODERS.get(name.removeprefix("x-"))
            decoded = decode(body) if decode else None
            if decoded is None:
                untrue.append(header)
            else:
                body = decoded
    if "html" in headers.get("content-type", "html").lower() or untrue:  # not an image
        body, undeclared = _undeclared(body)
        untrue += undeclared
    if untrue and is_binary(body) and not _TAG.search(body[:_SNIFFED].replace(b"\0", b"")):
        raise ResponseError(f"wrong {untrue[-1]}: the body can be neither decoded nor read as stored")
    return body, f"wrong {' and '.join(sorted({*untrue}))}" if untrue else ""


def _undeclared(body: bytes) -> tuple[bytes, list[str]]:
    """The body without encodings that no header declares, and the headers that should have declared them."""
    wrong = []
    bare = body.lstrip(b"\r\n")
    chunk = _CHUNK.match(bare)
    if chunk and _LINE_END.match(bare, chunk.end() + int(chunk[1], 16)):
        content = _dechunk(bare)
        if content and (is_binary(content) or _HTML.match(content)):
            bare = body = content
            wrong.append("transfer-encoding")
    if not is_binary(bare):
        return body, wrong
    for decode in (_gunzip, _unzstd, _unbrotli, _inflate):
        decoded = decode(bare)
        if decoded is not None and (bare.startswith((GZIP, ZSTD)) or _TAG.search(decoded[:_SNIFFED])):
            return decoded, [*wrong, "content-encoding"]
    return body, wrong


def _dechunk(body: bytes) -> bytes | None:
    """The content of a chunked body, up to the first invalid chunk; None if it does not begin with one."""
    parts, at = [], 0
    while head := _CHUNK.match(body, at):
        length = int(head[1], 16)
        end = head.end() + length
        line_end = _LINE_END.match(body, end)
        if length and not line_end and end < len(body) and not parts:
            return None
        parts.append(body[head.end() : end])
        if not length or not line_end:
            break
        at = line_end.end()
    return b"".join(parts) if parts else None


_Member = Inflate | zstd.ZstdDecompressor


def _gunzip(body: bytes) -> bytes | None:
    return _unpack(body, lambda: Inflate(47))  # gzip or zlib: servers confuse the two


def _inflate(body: bytes) -> bytes | None:
    """The body unpacked as zlib, the standard's format, or as raw deflate, which some servers send."""
    decoded = _gunzip(body)
    return _unpack(body, lambda: Inflate(-15)) if decoded is None else decoded


def _unzstd(body: bytes) -> bytes | None:
    return _unpack(body, zstd.ZstdDecompressor)


def _unbrotli(body: bytes) -> bytes | None:
    if not is_binary(body):
        return None
    stream, parts, size, left = brotli.Decompressor(), [], 0, body
    try:
        while not stream.is_finished() and (left or not stream.can_accept_more_data()):
            parts.append(stream.process(left, output_buffer_limit=_STEP))
            left = b""
            size += len(parts[-1])
            _check(size)
    except brotli.error:
        return None
    return b"".join(parts) or None


def _unpack(body: bytes, unpacker: Callable[[], _Member]) -> bytes | None:
    """All members of a body, as far as they can be unpacked; None if it is not packed in this way."""
    if not is_binary(body):
        return None
    for piece in (len(body), _SLICE):  # at once or, to keep everything before damage, in small slices
        unpacked, is_intact = _unpack_by(body, unpacker, piece)
        if is_intact:
            return unpacked or None
    return None if is_binary(unpacked) else unpacked or None


def _unpack_by(body: bytes, unpacker: Callable[[], _Member], piece: int) -> tuple[bytes, bool]:
    """The bytes unpacked from slices of `piece` bytes, and whether the body was intact."""
    stream, parts, size = unpacker(), [], 0
    try:
        for start in range(0, len(body), piece):
            left = body[start : start + piece]
            while left or not stream.needs_input:
                if stream.eof:
                    stream = unpacker()
                parts.append(stream.decompress(left, _STEP))
                left = stream.unused_data if stream.eof else b""
                size += len(parts[-1])
                _check(size)
                if stream.eof and not left:
                    break
    except (zlib.error, zstd.ZstdError):
        return b"".join(parts), False
    return b"".join(parts), True


def _check(size: int) -> None:
    limit = limits.record_bytes(MAX_RECORD)
    if size > limit:
        raise ResponseError(f"unpacks to more than {binary(limit)}")


_DECODERS: dict[str, Callable[[bytes], bytes | None]] = {
    "chunked": _dechunk,
    "gzip": _gunzip,
    "deflate": _inflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
