"""Bytes and characters of a plain file: gzip members, and texts in UTF-16 or UTF-32 as UTF-8.

A damaged gzip file gives what comes before the damage, then raises `zlib.error` or `EOFError`. As in gzip(1),
zero bytes after the last member are ignored.
"""

import codecs
import io
import re
import zlib
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 16
_MARKS = (  # of UTF-32 before those of UTF-16, which are their beginning
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")  # not written in text; \b, \f and escapes may be
_MOST_CONTROLS = 0.001  # share of a text's characters: a log may have a few


class Gzip(io.RawIOBase):
    """The bytes in all members of a gzip file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._inflate: zlib._Decompress | None = zlib.decompressobj(31)
        self._packed = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer, /) -> int:  # pyright: ignore[reportMissingParameterType]  (a writable buffer)
        room = memoryview(buffer)
        while packed := self._packed or self._file.read(_CHUNK):
            if self._inflate is None:  # between two members
                self._packed = packed.lstrip(b"\0")
                if self._packed:
                    self._inflate = zlib.decompressobj(31)
                continue
            unpacked = self._inflate.decompress(packed, len(room))
            self._packed = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._packed, self._inflate = self._inflate.unused_data, None
            if unpacked:
                room[: len(unpacked)] = unpacked
                return len(unpacked)
        if self._inflate is not None:
            raise EOFError("the gzip file is truncated")
        return 0

    def close(self) -> None:
        self._file.close()
        super().close()


class Recoded(io.RawIOBase):
    """The characters of a UTF-16 or UTF-32 stream as UTF-8. What is invalid stays invalid."""

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
    """What Arrow can open: the path, or the open file if its path is not UTF-8, which Arrow's must be."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.open("rb")
    return str(path)


def encoding_of(beginning: bytes) -> str:
    """The encoding that a byte order mark names: utf-8-sig, utf-16 or utf-32."""
    return next((name for mark, name in _MARKS if beginning.startswith(mark)), "utf-8-sig")


def decoded(content: bytes) -> str:
    """A file's text by its byte order mark, else UTF-16 if every other byte is zero, else UTF-8.

    Raises UnicodeDecodeError if it is none of these, and ValueError if it is not text.
    """
    encoding = encoding_of(content)
    zeros = [content[side::2].count(0) for side in (0, 1)] if encoding == "utf-8-sig" else [0, 0]
    if max(zeros) > len(content) // 4 and not min(zeros):
        encoding = "utf-16-be" if zeros[0] else "utf-16-le"
    text = content.decode(encoding)
    n_controls = len(_CONTROL.findall(text)) if _CONTROL.search(text) else 0
    if n_controls > _MOST_CONTROLS * len(text):
        raise ValueError(f"{n_controls:,} control characters: binary data, not text")
    return text
