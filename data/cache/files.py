"""The files that are read in full from a token store in a bucket, and its cleaned text.

The manifest, the tokenizer and the document tables are copied to the cache, complete or not at all. Of the
cleaned text, `explain` copies single files, and `find` reads columns by ranges.
"""

import io
import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import xxhash

from configs.existence import exists, is_file
from data import folders
from data.bucket import Bucket
from data.errors import DataError
from data.tokens.store import AGAIN, TOKENIZERS, parse_manifest, tokenizer_in

TRIES = 3  # tries for a tokenizer that arrives with wrong content
READ = 1 << 20  # bytes per request for a range of a text file


def remote_manifest(bucket: Bucket) -> dict:
    """The manifest.json of a store in a bucket. Raises DataError."""
    where = bucket.at("manifest.json")

    def check(content: bytes) -> str | None:
        if content.lstrip()[:1] == b"<":
            return "a web page in place of the manifest; does the server ask for a login?"
        try:
            parse_manifest(content, where)
        except DataError as error:
            return str(error).removeprefix(f"{where}: ")
        return None

    try:
        return parse_manifest(bucket.read("manifest.json", check=check), where)
    except FileNotFoundError:
        raise DataError(
            f"{where}: missing, so this is not a complete token store; "
            "`relama prepare … output=URL` uploads one"
        ) from None


def local_tokenizer(bucket: Bucket, folder: Path, fingerprint: str) -> Path:
    """A copy of the store's tokenizer. Raises DataError if it is missing or has another fingerprint."""
    from data.tokens.tokenizer import fingerprint_of  # here, because reading tokens does not need it

    def is_right() -> bool:
        with suppress(DataError, OSError):
            return fingerprint_of(tokenizer_in(folder)) == fingerprint
        return False

    for _ in range(TRIES):
        if is_right():
            return tokenizer_in(folder)
        for name in (*TOKENIZERS, "tokenizer_config.json"):
            with suppress(FileNotFoundError):
                keep(folder / name, bucket.read_agreed(name))
                if name == TOKENIZERS[0]:
                    break
    path = tokenizer_in(folder)
    if not is_file(path):
        raise DataError(f"{bucket.at(path.name)}: missing; {AGAIN}")
    if not is_right():
        raise DataError(f"{bucket.at(path.name)}: not the tokenizer that made these tokens; {AGAIN}")
    return path


def keep(path: Path, content: bytes) -> None:
    """Write a file to the cache, complete or not at all."""
    temporary = path.with_name(f"{folders.own(path).name}.{threading.get_ident()}")
    try:
        with folders.replacing(path, temporary):
            temporary.write_bytes(content)
    except OSError as error:
        raise DataError(
            f"cache.path: {path}: cannot be written ({error.strerror}); make room, or choose another disk"
        ) from None


def whole(bucket: Bucket, name: str, size: int, xxh3: str) -> bytes:
    """All of an object, with this size and checksum. Raises DataError."""

    def check(content: bytes) -> str | None:
        return None if xxhash.xxh3_128_hexdigest(content) == xxh3 else "differs from its checksum"

    if size == 0:
        return b""
    try:
        return bucket.read(name, 0, size, check)
    except FileNotFoundError:
        raise DataError(f"{bucket.at(name)}: missing, though its manifest names it") from None


def local_text(bucket: Bucket, folder: Path, text_file: Path) -> Path:
    """A copy of a file of cleaned text in `folder`, the store's place in the cache. A missing file is not
    copied; whoever reads it reports that."""
    path, found = folder / "text" / text_file.name, _beside(bucket, folder, text_file)
    if found and not exists(path):
        path.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            keep(path, found[0].read(found[1]))
    return path


def open_text(bucket: Bucket, folder: Path, text_file: Path) -> BinaryIO:
    """A file of cleaned text, opened for reading ranges. Raises DataError if it is not next to the tokens."""
    found = _beside(bucket, folder, text_file)
    try:
        if found:
            return cast(BinaryIO, io.BufferedReader(_Ranges(*found), READ))
    except FileNotFoundError:
        pass
    where = text_place(bucket, folder, text_file)
    raise DataError(f"{where}: missing; upload the cleaned text, SOURCE/text, next to SOURCE/tokens")


def text_place(bucket: Bucket, folder: Path, text_file: Path) -> str:
    """Where a file of cleaned text is in the bucket, or should be."""
    found = _beside(bucket, folder, text_file)
    return found[0].at(found[1]) if found else f"{bucket.url}: its text, {text_file.name}"


def _beside(bucket: Bucket, folder: Path, text_file: Path) -> tuple[Bucket, str] | None:
    """The bucket's folder with both the store and its text, and the text file's name in it; else None."""
    relative = os.path.relpath(text_file, folder.resolve())
    if not re.fullmatch(r"\.\./[^/]+/[^/]+", relative):
        return None
    return Bucket(bucket.url.rpartition("/")[0]), relative.removeprefix("../")


class _Ranges(io.RawIOBase):
    """An object in a bucket as a file. Raises FileNotFoundError or DataError."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket, self._name, self._size, self._at = bucket, name, bucket.size(name), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] (any writable buffer)
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        content = self._bucket.read(self._name, self._at, stop)
        buffer[: len(content)] = content
        self._at = stop
        return len(content)
