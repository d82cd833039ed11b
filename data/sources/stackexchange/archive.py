"""Unpacks the one `Posts.xml` in a site's `.7z` piece by piece, into a function and never to a file."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import py7zr

from data.sources.files.limits import Expansion, largest_expansion

MAX_DICTIONARY = 1 << 30  # most bytes that a decompressor may hold; 7-Zip's largest preset takes 2**28
_LZMA, _LZMA2, _PPMD = b"\x03\x01\x01", b"\x21", b"\x03\x04\x01"  # 7z's names of its methods


class Unreadable(OSError):
    """The file cannot be read any further; everything read so far is valid."""


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(".7z")


def unpacked_size(path: Path) -> int:
    """Bytes of XML in a file, according to its header. Raises Unreadable or TooLarge."""
    if not is_archive(path):
        return path.stat().st_size
    with path.open("rb") as file:
        return _member(_archive(file, path)).uncompressed


def unpack(file: BinaryIO, path: Path, feed: Callable[[bytes], None]) -> None:
    """Pass the bytes of the Posts.xml in the archive `file` to `feed`, piece by piece.

    Raises Unreadable or TooLarge.
    """
    archive = _archive(file, path)
    name = _member(archive).filename
    try:
        archive.extract(targets=[name], factory=_Into(feed))
    except Unreadable:
        raise
    except OSError as error:
        if error.errno is not None:  # from the system, such as a full disk; bz2's OSErrors have no number
            raise
        raise Unreadable(f"the archive is damaged: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged archive can raise anything
        raise Unreadable(f"the archive is damaged: {type(error).__name__}: {error}") from error


class _Into(py7zr.Py7zIO, py7zr.WriterFactory):
    """What py7zr takes for the file to write a member to: it passes the bytes on and keeps nothing."""

    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self._feed = feed

    def create(self, filename: str) -> "_Into":
        return self

    def write(self, s: bytes | bytearray) -> int:
        self._feed(bytes(s))
        return len(s)

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


def _archive(file: BinaryIO, path: Path) -> py7zr.SevenZipFile:
    """The archive, if its header is intact and its size and memory are within bounds.

    Raises Unreadable, or TooLarge for what it would unpack to.
    """
    n_packed = path.stat().st_size
    try:
        archive = py7zr.SevenZipFile(file, max_extract_size=largest_expansion(n_packed))
        streams = archive.header.main_streams
        folders = streams.unpackinfo.folders if streams and streams.unpackinfo else []
        held = max((_dictionary(coder) for folder in folders for coder in folder.coders), default=0)
        size = sum(member.uncompressed for member in archive.list())
    except MemoryError:
        raise
    except Exception as error:  # a damaged header can raise anything
        raise Unreadable(f"not a readable 7z archive: {type(error).__name__}: {error}") from error
    if archive.needs_password():
        raise Unreadable("the archive is encrypted")
    Expansion(n_packed).add(size)
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
    """The one Posts.xml of an archive, in any folder, since nothing is ever written to that path."""
    members = [member for member in archive.list() if not member.is_directory]
    found = [member for member in members if PurePosixPath(member.filename).name.lower() == "posts.xml"]
    if len(found) != 1:
        holds = ", ".join(member.filename[:60] for member in members[:5]) or "nothing"
        # Since 2024, Stack Overflow's own archive holds one for each table.
        inner = next((one.filename for one in members if one.filename.lower().endswith("posts.7z")), "")
        if not found and inner:
            raise Unreadable(f"an archive of archives: unpack it and give its {inner[:60]} in its place")
        raise Unreadable(f"the archive has {len(found)} files Posts.xml, expected one (it holds {holds})")
    return found[0]
