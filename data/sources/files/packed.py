"""Turns any file into plain bytes: unpacks gzip, bzip2, xz and zstd, and recodes UTF-16 and UTF-32 as UTF-8.

A damaged file gives everything before the damage, then raises `zlib.error`, `lzma.LZMAError`, `OSError` or
`EOFError`. As in gzip(1) and xz(1), zero bytes after the last member are ignored.
"""

import bz2
import codecs
import io
import lzma
import re
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa

_CHUNK = 1 << 16
_LAST = 64  # bytes to unpack at once where a file of zstd may be truncated
_XZ_MEMORY = 256 << 20  # xz -9 needs 65 MiB; a header may claim far more
_MARKS = (  # of UTF-32 before those of UTF-16, which are their beginning
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")  # never in text; \b, \f and escapes may be
_MOST_CONTROLS = 0.001  # share of a text's characters: a log may have a few
_UNMARKED = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_NOT_IN_TEXT = ("Cc", "Cn", "Co", "Cs")  # Unicode's categories
_SAMPLE = 1 << 16  # bytes
_LEAST_COMMON = 0.01  # least share of ASCII and CJK punctuation in a text of any script
_OTHER_FORMATS = (  # by their first bytes, and what gives their text
    (b"%PDF-", "a PDF; pdftotext extracts its text"),
    (b"PK\x03\x04", "a ZIP archive, as .docx, .odt and .epub are; unpack it, or save its text as .txt"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document (.doc, .xls); save its text as .txt"),
    (b"{\\rtf", "RTF; save its text as .txt"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it"),
    (b"\x1f\x9d", "compressed by compress(1); gzip -d unpacks it"),
    (b"\x1f\x8b\x08", "compressed twice; gzip -d unpacks it once"),
    (b"\xfd7zXZ\0", "compressed twice; xz -d unpacks it once"),
    (b"\x28\xb5\x2f\xfd", "compressed twice; zstd -d unpacks it once"),
    (b"\x04\x22\x4d\x18", "compressed by lz4; lz4 -d unpacks it"),
)
# A server's page in the place of a file: an error, or a form to log in.
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<(?:!doctype\s+html|html[\s>]|head[\s>]|\?xml\s)", re.IGNORECASE)
_TAR = re.compile(rb"ustar(?:\0|  )")
_TAR_MARK = 257  # where it stands in the first header
_ISO_2022 = re.compile(r"\x1b\$(?:[@AB]|[()][A-Z])")  # begins Chinese, Japanese or Korean characters
_MANY_RETURNS = re.compile(r"(?<!\r)\r++\n")
CONVERT = "convert it: iconv -f ENCODING -t UTF-8"
_END_OF_FILE = "\x1a"  # CP/M and DOS put it after a text's last line


class _Member(Protocol):
    """One of the standard library's decompressors, for one member of a file."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflate:
    """zlib's decompressor with the interface of bz2, lzma and zstd.

    wbits 31: gzip, 47: gzip or zlib, -15: raw deflate.
    """

    def __init__(self, wbits: int = 31) -> None:
        self._stream = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Raises zlib.error."""
        if self._stream.unconsumed_tail:
            data = self._stream.unconsumed_tail + data
        out = self._stream.decompress(data, max(max_length, 0))
        self.needs_input = max_length < 0 or len(out) < max_length
        return out


def _unxz() -> _Member:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


FORMATS: dict[str, Callable[[], _Member]] = {"gzip": Inflate, "bz2": bz2.BZ2Decompressor, "xz": _unxz}


class Unpacked(io.RawIOBase):
    """The bytes in all members of a compressed file; `kind` is one of `FORMATS`."""

    def __init__(self, path: Path, kind: str) -> None:
        self._file = path.open("rb")
        self._kind = kind
        self._member: _Member | None = FORMATS[kind]()
        self._packed = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer, /) -> int:  # pyright: ignore[reportMissingParameterType]  (a writable buffer)
        room = memoryview(buffer)
        while True:
            if self._member is None:  # between two members
                if not (packed := self._packed or self._file.read(_CHUNK)):
                    return 0
                self._packed = packed.lstrip(b"\0")
                if not self._packed:
                    continue
                self._member = FORMATS[self._kind]()
            unpacked = self._member.decompress(self._packed, len(room))
            self._packed = b""
            if self._member.eof:
                self._packed, self._member = self._member.unused_data, None
            elif not unpacked:
                self._packed = self._file.read(_CHUNK)
                if not self._packed:
                    raise EOFError(f"the {self._kind} file is truncated")
            if unpacked:
                room[: len(unpacked)] = unpacked
                return len(unpacked)

    def close(self) -> None:
        self._file.close()
        super().close()


class Zstd(io.RawIOBase):
    """The bytes in all frames of a file compressed by zstd."""

    def __init__(self, path: Path) -> None:
        source = for_arrow(path)
        self._file = pa.OSFile(source) if isinstance(source, str) else pa.PythonFile(source)
        self._size = path.stat().st_size
        self._stream = pa.CompressedInputStream(self._file, "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer, /) -> int:  # pyright: ignore[reportMissingParameterType]  (a writable buffer)
        # Where a truncated file ends, Arrow drops what it has unpacked in the same call.
        at_once = _LAST if self._file.tell() >= self._size else _CHUNK
        try:
            return self._stream.readinto(memoryview(buffer)[:at_once])
        except OSError as error:
            if "too much memory" not in str(error):
                raise
            detail = "made by zstd --long, with a window above 128 MiB; zstd -d --long=31 unpacks it"
            raise OSError(detail) from error

    def close(self) -> None:
        self._stream.close()
        super().close()


class Recoded(io.RawIOBase):
    """The characters of a UTF-16 or UTF-32 stream as UTF-8. Invalid input stays invalid."""

    def __init__(self, raw: io.BufferedReader, encoding: str) -> None:
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer, /) -> int:  # pyright: ignore[reportMissingParameterType]  (a writable buffer)
        room = memoryview(buffer)
        while not self._ready:
            content = self._raw.read(_CHUNK)
            try:
                text = self._decoder.decode(content, final=not content)
                self._ready = text.encode(errors="surrogatepass")
            except UnicodeDecodeError:
                self._ready = b"\xff\n"  # invalid in UTF-8, too
                self._decoder.reset()
            if not content:
                break
        size = min(len(room), len(self._ready))
        room[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


def for_arrow(path: Path) -> str | BinaryIO:
    """What Arrow can open: the path, or the open file if it is remote or not UTF-8, as Arrow requires."""
    try:
        if isinstance(path, Path) and str(path).encode():
            return str(path)
    except UnicodeEncodeError:
        pass
    return path.open("rb")


def encoding_of(beginning: bytes) -> str:
    """A text's encoding, by its byte order mark or, for UTF-16 and UTF-32 without one, by its characters.

    Anything else is taken for UTF-8.
    """
    marked = next((name for mark, name in _MARKS if beginning.startswith(mark)), "")
    return marked or (_unmarked(beginning[:_SAMPLE]) if b"\0" in beginning[:_SAMPLE] else "utf-8-sig")


def _unmarked(sample: bytes) -> str:
    """The encoding that makes a sample with zero bytes text with the most common characters."""
    decoder = codecs.getincrementaldecoder("utf-8")
    if _is_text(decoder("replace").decode(sample)):
        return "utf-8-sig"
    # Text except for stray zero bytes. In UTF-16, such text has one for each character.
    n_zero = sample.count(0)
    if 2 * n_zero < len(sample) - n_zero and _is_text(decoder("replace").decode(sample.replace(b"\0", b""))):
        return "utf-8-sig"
    found = {}
    for encoding in _UNMARKED:
        text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
        common = sum("\t" <= char <= "~" or "\u3001" <= char <= "\u3002" or char == "\uff0c" for char in text)
        if common > _LEAST_COMMON * len(text) and _is_text(text):
            found[common] = encoding
    return found[max(found)] if found else "utf-8-sig"


def _is_text(text: str) -> bool:
    """Whether all but very few characters are assigned and not controls."""
    foreign = sum(
        char == "\ufffd" or (char not in "\t\n\r\f\b\x1a\x1b" and unicodedata.category(char) in _NOT_IN_TEXT)
        for char in text
    )
    return foreign <= _MOST_CONTROLS * len(text)


def with_line_feeds(text: str) -> str:
    """`text` with LF for CR LF; each transfer of the file as text may have added another CR."""
    text = text.replace("\r\n", "\n")
    return _MANY_RETURNS.sub("\n", text) if "\r\n" in text else text


def other_format(content: bytes) -> str:
    """What a file is whose first bytes are those of another format; "" for any other file."""
    if _TAR.match(content, _TAR_MARK):
        return "a tar archive; unpack it"
    return next((what for first, what in _OTHER_FORMATS if content.startswith(first)), "")


def is_page(content: bytes) -> bool:
    """Whether a file begins as HTML or XML, although its name promises another format."""
    return _PAGE.match(content) is not None


def decoded(content: bytes) -> str:
    """A file's text in the encoding that `encoding_of` finds, without DOS's end-of-file mark.

    Raises UnicodeDecodeError if the bytes do not fit that encoding, and ValueError if they are not text.
    """
    if other := other_format(content):
        raise ValueError(f"not text but {other}")
    text = content.decode(encoding_of(content))
    text = text.removesuffix(_END_OF_FILE)
    if "\x1b$" in text and _ISO_2022.search(text):
        raise ValueError(f"in ISO-2022, not UTF-8; {CONVERT}")
    n_controls = len(_CONTROL.findall(text)) if _CONTROL.search(text) else 0
    if n_controls > _MOST_CONTROLS * len(text):
        raise ValueError(f"{n_controls:,} control characters: binary data, not text")
    return text
