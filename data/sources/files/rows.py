"""Reads files of rows, one dict at a time: JSON lines and arrays (also compressed), Parquet, saved datasets.

A line or an element that is not a JSON object is quarantined with its position, and reading continues. A
truncated file gives the rows before the break, then raises one of `UNREADABLE`.
"""

import codecs
import io
import json
import lzma
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from configs.sizes import binary
from data import folders
from data.documents import Drop
from data.errors import DataError
from data.sources.files import limits, packed, tables
from data.sources.files.json_values import LENIENT, json_values, raw_decode

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, pa.ArrowException)
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
_BEGINNINGS = {  # of compressed files, whatever they are named
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "bz2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
}
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_PAGE = "HTML or XML, as of a server's error; download the file again"
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_LINES = tuple(
    kind + pack for kind in (".jsonl", ".json", ".ndjson", ".jsonlines") for pack in ("", *COMPRESSIONS)
)
SUFFIXES = (*_LINES, ".parquet", ".arrow")
_BETWEEN = re.compile(
    r"[\s,\x1e]*+"
)  # objects on one line; the last is that of JSON text sequences (RFC 7464)
_CACHED = re.compile(r"cache-[0-9a-f]{16}(?:_\d+_of_\d+)?\.arrow")
KINDS = 5  # most kinds of files to name in a message
# Files next to a saved dataset, or on the Hub.
ABOUT = ("dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json")


def has_rows(path: Path) -> bool:
    """Whether the file has a suffix of JSON, Parquet or Arrow."""
    return path.name.lower().endswith(SUFFIXES)


def are_rows(path: Path) -> bool:
    """Whether a file in a folder has rows, and is not one that describes a saved dataset."""
    return has_rows(path) and path.name not in ABOUT


def visible_files(folder: Path) -> list[Path]:
    """All regular files under a folder, sorted, without hidden files and folders and datasets' caches."""
    if isinstance(folder, Path):
        found = folders.files_below(folder) if folder.is_dir() else []
    else:  # remote
        found = sorted(path for path in folder.rglob("*") if path.name and path.is_file())  # a web folder: ""
    return _without_caches([path for path in found if not folders.is_hidden(path.relative_to(folder))])


def _without_caches(files: list[Path]) -> list[Path]:
    """Without what Hugging Face's datasets keeps beside saved rows: the results of `map` and the like."""
    cached = {file for file in files if _CACHED.fullmatch(file.name)}
    if not cached:
        return files
    described = {file.parent for file in files if file.name == ABOUT[0]}
    whole = {file.parent for file in files if file.name.endswith(".arrow") and file not in cached}
    return [file for file in files if file not in cached or file.parent not in described & whole]


def links_in(folder: Path) -> list[Path]:
    """The visible links under a folder to folders outside it, which `visible_files` does not follow."""
    if not isinstance(folder, Path) or not folder.is_dir():
        return []
    walked = folders.walk(folder, needs_hidden=False)
    below = (Path(place, name) for place, names, _ in walked for name in names)
    links = [path for path in below if path.is_symlink() and not folders.is_hidden(path.relative_to(folder))]
    return sorted(link for link in links if not link.resolve().is_relative_to(folder.resolve()))


def expected(path: Path, kinds: str) -> DataError:
    """The error for an input with none of the kinds of files that a recipe reads."""
    if path.exists():
        there = kinds_of([path] if path.is_file() else visible_files(path))
        problem = f"nothing here to read ({there or 'no file'})"
        if "?" in path.name and not isinstance(path, Path):
            problem += (
                f"; a query (?…) hides the kind of file: curl -Lo FILE '{path}' gets it, then give FILE"
            )
        if links := links_in(path):
            problem += f"; links to folders are not followed ({links[0].name}): give the folder itself"
    elif isinstance(path, Path) and path.is_symlink():
        problem = f"a link to {path.readlink()}, which leads to nothing"
    else:
        problem = "no such file or folder"
        if any(sign in path.name for sign in "*?["):
            problem += " (patterns are not expanded: give the folder, or files separated by commas)"
    return DataError(f"input={path}: {problem}; expected {kinds}")


def kinds_of(files: Iterable[Path]) -> str:
    """How many files of each kind, the most frequent kinds first: 2 .pdf, 1 without a suffix."""
    counts = Counter(file.suffix.lower() or "without a suffix" for file in files).most_common()
    shown = [f"{count:,} {kind}" for kind, count in counts[:KINDS]]
    return ", ".join([*shown, "…"] if len(counts) > KINDS else shown)


def read_rows(path: Path) -> Iterator[tuple[int, dict] | Drop]:
    """Each row with its number from 0, or a malformed `Drop` for a row that cannot be read."""
    if not path.name.lower().endswith((".parquet", ".arrow")):
        return _json_lines(path)
    if packed.is_page(_beginning(path)):
        raise EOFError(_PAGE)
    return (tables.arrow_rows if path.name.lower().endswith(".arrow") else tables.parquet_rows)(path)


def open_plain(path: Path) -> io.BufferedReader:
    """The file's bytes, decompressed if necessary. Reading raises TooLarge beyond `max_expansion`."""
    kind = _compression(path)
    if kind in packed.FORMATS:
        stream = packed.Unpacked(path, kind)
    else:
        stream = packed.Zstd(path) if kind else pa.input_stream(packed.for_arrow(path), compression=None)
    return io.BufferedReader(limits.Counted(stream, path.stat().st_size), 1 << 20)


def _compression(path: Path) -> str:
    """How a file is compressed: by its first bytes, because a download may be unpacked, or by its suffix."""
    beginning = _beginning(path)
    found = next((kind for kind, first in _BEGINNINGS.items() if first.match(beginning)), "")
    is_text = beginning and (packed.other_format(beginning) or not _NO_TEXT.search(beginning))
    return found or ("" if is_text else COMPRESSIONS.get(path.suffix.lower(), ""))


def _beginning(path: Path) -> bytes:
    """The file's first bytes. Raises EOFError for what Git LFS puts in the place of a file."""
    with path.open("rb") as file:
        beginning = file.read(512)
    if beginning.startswith(_POINTER):
        raise EOFError("Git LFS has not fetched this file (`git lfs pull` does)")
    return beginning


def _json_lines(path: Path) -> Iterator[tuple[int, dict] | Drop]:
    with open_plain(path) as raw:
        if other := packed.other_format(raw.peek(1 << 16)):
            yield Drop("malformed record", str(path), 0, f"not JSON but {other}", malformed=True)
            return
        file = in_utf8(raw)
        beginning = file.peek(1 << 16).removeprefix(codecs.BOM_UTF8).lstrip(b"\0 \t\r\n")
        if beginning.startswith(b"[") or _is_object_begun(beginning):
            yield from json_values(file, path)
            return
        number = -1
        for line in bounded_lines(file):
            number += 1
            if line is None:
                detail = f"a line above {binary(limits.record_bytes())}"
                yield Drop("malformed record", str(path), number, detail, malformed=True)
                continue
            if b"\0" in line:  # a crash or a full disk leaves them between rows, or beside one
                line = line.strip(b"\0 \t\r\n")
                if not line:
                    yield Drop("malformed record", str(path), number, "only zero bytes", malformed=True)
            if not line or line.isspace():
                continue
            try:
                limits.check_json(line)
                rows = [json.loads(line)]
            except limits.TooLarge as error:
                yield Drop("malformed record", str(path), number, str(error), malformed=True)
                continue
            except (ValueError, RecursionError) as error:
                rows = _objects(line)
                if not rows:
                    yield Drop("malformed record", str(path), number, _problem(line, error), malformed=True)
                    continue
            for place, row in enumerate(rows):
                number += place > 0
                if isinstance(row, dict):
                    yield number, row
                else:
                    detail = f"expected a JSON object on each line, not a {type(row).__name__}"
                    yield Drop("malformed record", str(path), number, detail, malformed=True)


def _problem(line: bytes, error: Exception) -> str:
    """Why a line has no rows, and what to do."""
    if packed.is_page(line):
        return f"not JSON but {_PAGE}"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: {error}; {packed.CONVERT}"
    if b"\0" in line:
        return "zero bytes within the row"
    return f"not JSON: {error}"


def _is_object_begun(beginning: bytes) -> bool:
    """Whether the first line ends within an object, between two values."""
    line, ended, _ = beginning.partition(b"\n")
    line = line.rstrip()
    if line == b"{":
        return True
    return bool(ended) and line[:1] == b"{" and line[-1:] in (b",", b":", b"{", b"[") and not _objects(line)


def _objects(line: bytes) -> list[dict]:
    """The objects in a line that has several, a comma as in an array, or a control character; else none."""
    found: list[dict] = []
    if b"\0" in line:  # damage within a row
        return []
    try:
        text = line.decode()
        place = _BETWEEN.match(text).end()  # pyright: ignore[reportOptionalMemberAccess] - matches ""
        while place < len(text):
            row, place = raw_decode(text, place, LENIENT)
            if not isinstance(row, dict):
                return []
            found.append(row)
            place = _BETWEEN.match(text, place).end()  # pyright: ignore[reportOptionalMemberAccess] - matches ""
    except (ValueError, RecursionError):
        return []
    return found


def in_utf8(file: io.BufferedReader) -> io.BufferedReader:
    """The file's bytes in UTF-8, whatever encoding its byte order mark names."""
    encoding = packed.encoding_of(file.peek(1 << 16))
    return file if encoding == "utf-8-sig" else io.BufferedReader(packed.Recoded(file, encoding), 1 << 20)


def bounded_lines(file: io.BufferedReader) -> Iterator[bytes | None]:
    """Each line; None for a line larger than `record_bytes`, which is not held."""
    limit = limits.record_bytes()
    while line := file.readline(limit + 1):
        if len(line) <= limit:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(limit)
        yield None
