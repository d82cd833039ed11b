"""The token store: flat token shards with tables of document ends, and a manifest with their checksums.

tokens/  manifest.json  tokenizer.model (or .json)  train-00000.bin  train-00000.docs  heldout-00000.bin …
The shards of a split form one stream of tokens; each document is BOS ids EOS. The manifest is written last,
so a folder without one is not a store. `data/tokens/build.py` writes it.
"""

import errno
import json
import mmap
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import xxhash

from configs import regular_file
from configs.existence import is_file
from data.errors import DataError, is_passing
from data.folders import is_plain
from data.tokens.manifest import json_in_pieces, manifest_problem

VERSION = 1
TOKENIZERS = ("tokenizer.model", "tokenizer.json")  # SentencePiece's, and Hugging Face tokenizers'
SCANNED = 1 << 20  # documents of a shard compared at once
OPEN = 128  # most shards open, and most document tables mapped; a process may open about 1,000 files
# A document's end within its shard, and the text file and row it came from.
DOCUMENT = np.dtype([("end", "<u8"), ("file", "<u4"), ("row", "<u4")])
AGAIN = "rebuild it with `relama prepare … stage=tokens`"
Opened = TypeVar("Opened")
_numbers = count()  # one for each store opened in this process


@dataclass(frozen=True)
class Span:
    """A document's range [start, stop) of the token stream, and its row in the cleaned text."""

    start: int
    stop: int
    text_file: Path
    row: int


class TokenStore:
    """One split of one source's tokens, read in place. Raises a DataError that names a damaged file."""

    def __init__(self, folder: Path, split: str, manifest: dict) -> None:
        self.folder, self.split = folder, split
        self.source: str = manifest["source"]
        self.dtype = np.dtype(manifest["dtype"])
        self.vocab_size: int = manifest["tokenizer"]["vocab_size"]
        self.tokenizer_fingerprint: str = manifest["tokenizer"]["fingerprint"]
        self.fingerprint: str = manifest["xxh3"]
        part = manifest["splits"][split]
        self.n_tokens: int = part["tokens"]
        self.n_documents: int = part["documents"]
        self.n_bytes: int = part["bytes"]  # of text in UTF-8
        self._files: list[str] = manifest["text_files"]
        self._shards: list[dict] = part["shards"]
        self._ends = np.cumsum([shard["tokens"] for shard in self._shards], dtype=np.int64)
        self._check_files()
        self._number = next(_numbers)

    @property
    def place(self) -> str:
        """Where the store is: its folder, or its URL if it is in a bucket."""
        return str(self.folder)

    @property
    def tokenizer(self) -> Path:
        """The tokenizer that made these tokens. Raises DataError if it is not available."""
        try:
            return tokenizer_in(self.folder)
        except OSError as error:
            raise _unreadable(Path(error.filename or self.folder), error) from None

    @classmethod
    def open(cls, folder: Path, split: str = "train") -> "TokenStore":
        """Open the store in `folder`; this checks sizes, and `verify` checks contents."""
        manifest = read_manifest(folder)
        if split not in manifest["splits"]:
            raise DataError(f"{folder / 'manifest.json'}: no split {split}; {AGAIN}")
        return cls(folder, split, manifest)

    def verify(self) -> None:
        """Read every shard and compare its checksum. Raises a DataError that names the first that differs."""
        for shard in self._shards:
            self._check_content(shard["file"], shard["xxh3"])
            self._check_content(shard["documents_file"], shard["documents_xxh3"])
        from data.tokens.tokenizer import read_fingerprint  # here, because reading tokens does not need it

        path = self.tokenizer
        try:
            found = read_fingerprint(path)
        except OSError as error:
            raise _unreadable(path, error) from None
        if found != self.tokenizer_fingerprint:
            raise DataError(f"{path}: not the tokenizer that made these tokens; {AGAIN}")

    @property
    def contents(self) -> list[tuple]:
        """Each shard's tokens and checksums, in order: equal lists are equal streams."""
        keys = ("tokens", "xxh3", "documents", "documents_xxh3")
        return [tuple(shard[key] for key in keys) for shard in self._shards]

    def n_sequences(self, seq_len: int) -> int:
        """How many sequences of `seq_len` tokens the split holds, each followed by its last label."""
        return max(0, (self.n_tokens - 1) // seq_len)

    def sequence(self, i: int, seq_len: int) -> np.ndarray:
        """Tokens [seq_len·i, seq_len·i + seq_len + 1) of the stream, (seq_len + 1,)."""
        return self.read(seq_len * i, seq_len * i + seq_len + 1)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Tokens [start, stop) of the stream, across shards. Raises IndexError outside the stream."""
        if not 0 <= start <= stop <= self.n_tokens:
            raise IndexError(f"{self.folder}: tokens {start} to {stop}, but the split has {self.n_tokens}")
        shard = int(np.searchsorted(self._ends, start, side="right"))
        parts = [np.empty(0, self.dtype)]
        while start < stop:
            first = int(self._ends[shard]) - self._shards[shard]["tokens"]
            end = min(stop, int(self._ends[shard]))
            parts.append(self._slice(shard, start - first, end - first))
            start, shard = end, shard + 1
        return parts[1] if len(parts) == 2 else np.concatenate(parts)  # one shard needs no copy

    def documents(self, start: int, stop: int) -> Iterator[Span]:
        """The documents that overlap tokens [start, stop), in order."""
        shard = int(np.searchsorted(self._ends, start, side="right"))
        while start < stop and shard < len(self._shards):
            first = int(self._ends[shard]) - self._shards[shard]["tokens"]
            table = self._documents(shard)
            place = int(np.searchsorted(table["end"], start - first, side="right"))
            begin = first + (int(table["end"][place - 1]) if place else 0)
            for document in table[place:]:
                if begin >= stop:
                    return
                end = first + int(document["end"])
                yield Span(begin, end, self._text_file(int(document["file"])), int(document["row"]))
                begin = end
            start, shard = int(self._ends[shard]), shard + 1

    def text_of(self, span: Span) -> Path:
        """The file of cleaned text that a document came from."""
        return span.text_file

    def text_place(self, span: Span) -> str:
        """Where that file is, as shown to people: a path or a URL."""
        return str(span.text_file)

    def open_text(self, number: int) -> BinaryIO:
        """Text file `number`, opened for reading ranges. Raises OSError or DataError."""
        return open(self.text_files[number], "rb")

    @property
    def text_files(self) -> list[Path]:
        """The files of cleaned text that the documents came from, by number."""
        return [(self.folder / name).resolve() for name in self._files]

    def spans_of(self, rows: Mapping[int, np.ndarray]) -> Iterator[Span]:
        """The documents that came from these rows of the text files (by number), in stream order."""
        wanted = np.unique(np.concatenate([(file << 32) + at.astype(np.uint64) for file, at in rows.items()]))
        first = 0
        for shard, described in enumerate(self._shards):
            table = self._documents(shard)
            for begin in range(0, len(table), SCANNED):
                part = table[begin : begin + SCANNED]
                keys = (part["file"].astype(np.uint64) << np.uint64(32)) + part["row"]
                places = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
                for at in np.flatnonzero(wanted[places] == keys):
                    place = begin + int(at)
                    start = int(table["end"][place - 1]) if place else 0
                    file, row = int(table["file"][place]), int(table["row"][place])
                    yield Span(first + start, first + int(table["end"][place]), self._text_file(file), row)
            first += described["tokens"]

    def place_of(self, token: int) -> tuple[Path, int]:
        """The shard that holds this token of the stream, and the token's place in it."""
        shard = int(np.searchsorted(self._ends, token, side="right"))
        first = int(self._ends[shard]) - self._shards[shard]["tokens"]
        return self.folder / self._shards[shard]["file"], token - first

    def _slice(self, shard: int, start: int, stop: int) -> np.ndarray:
        return _tokens(self.folder, self._shards[shard]["file"], self.dtype, self._number, start, stop)

    def _documents(self, shard: int) -> np.ndarray:
        name = self._shards[shard]["documents_file"]
        return _with_room(lambda: _mapped(self.folder, name, DOCUMENT, self._number))

    def _text_file(self, number: int) -> Path:
        if number >= len(self._files):
            raise DataError(
                f"{self.folder / 'manifest.json'}: lists {len(self._files)} text files, but a document "
                f"is from file {number}; {AGAIN}"
            )
        return (self.folder / self._files[number]).resolve()

    def _check_files(self) -> None:
        for shard in self._shards:
            self._check_size(shard["file"], shard["tokens"] * self.dtype.itemsize)
            self._check_size(shard["documents_file"], shard["documents"] * DOCUMENT.itemsize)
        if not is_file(self.tokenizer):
            raise DataError(f"{self.tokenizer}: missing; {AGAIN}")

    def _refuse_outside(self, name: str) -> None:
        if not is_plain(name):
            raise DataError(
                f"{self.folder / 'manifest.json'}: names {name!r}, which is outside its folder, so this is "
                f"not a Relama token store; {AGAIN}"
            )

    def _check_size(self, name: str, expected: int) -> None:
        self._refuse_outside(name)
        path = self.folder / name
        try:
            size = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            raise DataError(f"{path}: missing, though its manifest names it; {AGAIN}") from None
        except OSError as error:
            raise _unreadable(path, error) from None
        if size != expected:
            raise DataError(f"{path}: {size:,} bytes, but the manifest says {expected:,}; {AGAIN}")

    def _check_content(self, name: str, expected: str) -> None:
        try:
            found = checksum(self.folder / name)
        except OSError as error:
            raise _unreadable(self.folder / name, error) from None
        if found != expected:
            raise DataError(f"{self.folder / name}: altered since it was written (checksum); {AGAIN}")


def _tokens(folder: Path, name: str, dtype: np.dtype, store: int, start: int, stop: int) -> np.ndarray:
    """Tokens [start, stop) of a shard. Raises DataError.

    Reads rather than maps them: if a disk or network drive fails, a mapped page kills the process.
    """
    low, high = start * dtype.itemsize, stop * dtype.itemsize
    try:
        file = _with_room(lambda: _opened(folder, name, store))
        content = os.pread(file.fileno(), high - low, low)
        while len(content) < high - low:  # one read returns at most 2 GiB
            piece = os.pread(file.fileno(), high - low - len(content), low + len(content))
            if not piece:
                raise DataError(f"{folder / name}: cut short while it was read; restore it, or {AGAIN}")
            content += piece
    except OSError as error:
        raise _unreadable(folder / name, error) from None
    return np.frombuffer(content, dtype)


def _with_room(opening: Callable[[], Opened]) -> Opened:
    """Call `opening`; if no file descriptors are left, close the cached files and call it again."""
    try:
        return opening()
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        _opened.cache_clear()
        _mapped.cache_clear()
        return opening()


@lru_cache(maxsize=OPEN)
def _opened(folder: Path, name: str, store: int) -> BinaryIO:
    """A shard's file, opened once; `store` tells apart stores that were at one path at different times."""
    file = open(folder / name, "rb", buffering=0)  # noqa: SIM115 - the cache holds it
    if hasattr(os, "posix_fadvise"):  # or the system would read 128 KiB ahead at each access
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
    return file


@lru_cache(maxsize=OPEN)
def _mapped(folder: Path, name: str, dtype: np.dtype, store: int) -> np.ndarray:
    """A whole file as a memory-mapped array."""
    with open(folder / name, "rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_RANDOM"):
        pages.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(pages, dtype)


def tokenizer_in(folder: Path) -> Path:
    """The tokenizer kept in `folder`; if there is none, the path where a tokenizer.model would be."""
    found = (folder / name for name in TOKENIZERS if is_file(folder / name))
    return next(found, folder / TOKENIZERS[0])


def tokenizer_files(path: Path) -> dict[str, Path]:
    """The files to copy to keep the tokenizer at `path`, by the names of their copies."""
    if path.suffix != ".json":
        return {TOKENIZERS[0]: path}
    names = path.with_name("tokenizer_config.json")  # names BOS and EOS
    return ({names.name: names} if is_file(names) else {}) | {TOKENIZERS[1]: path}


def read_manifest(folder: Path) -> dict:
    """A store's manifest.json. Raises DataError if it is missing, torn, altered or of another version."""
    path = folder / "manifest.json"
    try:
        return parse_manifest(regular_file.content(path), str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: missing, so this is not a complete token store; {AGAIN}") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that cannot be read; a passing one does not mean that the store is damaged."""
    mend = "fix the cause and run the same command again" if is_passing(error) else AGAIN
    return DataError(f"{path}: cannot be read ({error.strerror or error}); {mend}")


def parse_manifest(content: bytes, path: str) -> dict:
    """A manifest from its bytes. Raises DataError if it is torn, altered or of another version."""
    try:
        text = content.decode("utf-8")
        del content  # with 10⁶ shards a quarter of a GiB, as is its text
        manifest = json.loads(text)
        del text
        expected = manifest_checksum(manifest) if isinstance(manifest, dict) else ""
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable ({error}); {AGAIN}") from None
    if not isinstance(manifest, dict) or manifest.get("version") != VERSION:
        raise DataError(f"{path}: not a manifest of version {VERSION}; {AGAIN}")
    if manifest.get("xxh3") != expected:
        raise DataError(f"{path}: altered since it was written (checksum); {AGAIN}")
    if problem := manifest_problem(manifest):
        raise DataError(f"{path}: not written by Relama ({problem}); {AGAIN}")
    return manifest


def manifest_checksum(manifest: dict) -> str:
    """The checksum of everything in the manifest but the checksum itself."""
    digest = xxhash.xxh3_128()
    for piece in json_in_pieces({key: value for key, value in manifest.items() if key != "xxh3"}):
        digest.update(piece.encode())
    return digest.hexdigest()


def checksum(path: Path) -> str:
    """A file's xxh3-128, in constant memory."""
    digest = xxhash.xxh3_128()
    with open(path, "rb") as file, regular_file.named(path):
        while piece := file.read(1 << 22):
            digest.update(piece)
    return digest.hexdigest()
