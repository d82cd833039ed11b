"""Text that is already clean: copied unchanged, with its provenance.

In: JSON lines, Parquet, CSV or TSV with a column `text` (or `content`), as in RedPajama, Dolma and the Hub,
or plain `.txt` and `.md` files in UTF-8, UTF-16 or UTF-32. Out: a document for each. Only empty text, invalid
Unicode and exact duplicates are dropped.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from data.documents import Document, Drop, Record
from data.errors import DataError
from data.sources.files import delimited, limits, packed, rows
from data.sources.files.json_values import value_in

VERSION = 11  # this recipe's version: raise it when the same input gives other text
DUPLICATES = "exact"

_COLUMNS = ("text", "content", "raw_content")  # the last is RedPajama-V2's
_PLAIN = tuple(kind + pack for kind in (".txt", ".md") for pack in ("", *rows.COMPRESSIONS))
_FIRST = 100  # rows that show whether a file has a text
_HALF = re.compile("[\ud800-\udfff]")
_NOTES = ("readme", "license", "licence", "copying", "notice", "changelog", "citation", "requirements")
_INPUT = (
    "JSON lines or arrays (.jsonl, .json), .csv, .tsv, .txt, .md (also .gz, .bz2, .xz, .zst), .parquet, "
    ".arrow, or a folder of these"
)


def inputs(path: Path) -> list[Path]:
    """The files to read. In a folder with rows of text, .txt, .md and other .csv files only describe them.

    Beside texts, rows without a text (package.json, metadata.parquet) describe the folder, as their
    first hundred tell.
    """
    if path.is_file() and delimited.is_delimited(path):
        if not _has_text(path):
            raise _without_text(path)
        return [path]
    if path.is_file() and (rows.has_rows(path) or _is_plain(path)):
        return [path]
    files = rows.visible_files(path)
    plain = [file for file in files if _is_plain(file)]
    tables = [file for file in files if delimited.is_delimited(file) and _has_text(file)]
    found = sorted([*filter(rows.are_rows, files), *tables])
    is_described = all(file.name.lower().startswith(_NOTES) for file in plain)
    if found and (is_described or tables or any(map(_may_have_text, found))):
        return found
    other = next(filter(delimited.is_delimited, files), None)
    if other and is_described:
        raise _without_text(other)
    if not plain:
        raise rows.expected(path, _INPUT)
    return plain


def left_out(path: Path) -> str | None:
    """What a folder holds besides `inputs`, in a sentence; None if it holds nothing else."""
    taken = set(inputs(path))
    if path in taken:
        return None
    others = [file for file in rows.visible_files(path) if file not in taken and file.name not in rows.ABOUT]
    if not others:
        return None
    why = ""
    if any(map(_is_plain, others)):
        why = (
            "; .txt and .md beside rows of text only describe them: to read them, give them as another source"
        )
    elif any(map(rows.are_rows, others)):
        why = f"; the rows have no column {' or '.join(_COLUMNS)}"
    return f"{path}: not read: {rows.kinds_of(others)}{why}"


def read(path: Path) -> Iterator[Record | Drop]:
    """Each row of a file, or its one text."""
    return read_rows(path) if rows.has_rows(path) or delimited.is_delimited(path) else _read_plain(path)


def clean(record: Record, *, source: str) -> Document | Drop:
    """The text unchanged."""
    cleaned = record.document(source, record.text)
    if isinstance(cleaned, Drop) and (half := _HALF.search(record.text)):
        return replace(cleaned, detail=_described_half(ord(half[0])))
    return cleaned


def _described_half(found: int) -> str:
    """What half of a surrogate pair in a text means."""
    if 0xDC80 <= found <= 0xDCFF:  # as readers keep bytes that are not UTF-8
        return f"a byte 0x{found - 0xDC00:02x} that is not UTF-8; {packed.CONVERT}"
    return f"half of a surrogate pair: \\u{found:04x}"  # as JSON may have


def read_rows(path: Path) -> Iterator[Record | Drop]:
    """Each row that has a text, with its other columns as `meta`."""
    for row in (delimited.delimited_rows if delimited.is_delimited(path) else rows.read_rows)(path):
        if isinstance(row, Drop):
            yield row
            continue
        number, columns = row
        text = _text(columns)
        if text is None:
            detail = f"expected text as {' or '.join(_COLUMNS)}, found {_described(columns) or 'nothing'}"
            yield Drop("malformed record", str(path), number, detail, malformed=True)
            continue
        meta = _flat(columns)
        url = _name(meta.pop("url", None))
        license = _name(meta.pop("license", None)) or _name(meta.pop("licence", None))
        yield Record(str(path), number, text, url, license, meta)


def _name(value: object) -> str:
    """A URL or license; "" for a missing one, which is NaN in pandas."""
    return "" if not value or value != value else str(value)


def _described(columns: dict) -> str:
    """The names of the columns, and what those that should hold the text do hold."""
    shown = []
    for name, value in columns.items():
        is_bytes = isinstance(value, bytes)
        kind = "null" if value is None else "bytes that are not UTF-8" if is_bytes else type(value).__name__
        shown.append(f"{name} ({kind})" if name.lower() in _COLUMNS else name)
    return ", ".join(shown)


def _text(columns: dict) -> str | None:
    """Take the text out of a row: from the first known column with a nonempty string or UTF-8 bytes."""
    found = None
    for name in _COLUMNS:
        for column in [column for column in columns if column.lower() == name]:
            value = columns[column]
            if isinstance(value, bytes):
                with suppress(UnicodeDecodeError):
                    value = value.decode("utf-8-sig")
            if isinstance(value, str) and (found is None or value.strip()):
                found = (column, value)
                if value.strip():
                    del columns[column]
                    return value
    if found is not None:
        del columns[found[0]]
        return found[1]
    return None


def _read_plain(path: Path) -> Iterator[Record | Drop]:
    try:
        with rows.open_plain(path) as file:
            content = limits.read_whole(file)
    except limits.TooLarge as error:
        yield Drop(
            "malformed record", str(path), 0, f"{error}; cut the file, or raise record_bytes", malformed=True
        )
        return
    try:
        text = packed.decoded(content)
    except UnicodeDecodeError as error:
        detail = f"not UTF-8: {error}; {packed.CONVERT}"
        yield Drop("malformed record", str(path), 0, detail, malformed=True)
        return
    except ValueError as error:
        yield Drop("malformed record", str(path), 0, str(error), malformed=True)
        return
    text = packed.with_line_feeds(text)
    yield Record(str(path), 0, text if "\n" in text else text.replace("\r", "\n"))


def _flat(columns: dict) -> dict:
    """The other columns; the entries of RedPajama's `meta` and Dolma's `metadata` become columns."""
    inner = {}
    for name in ("meta", "metadata"):
        if isinstance(value := value_in(columns.get(name)), dict):
            inner |= value
            del columns[name]
    return inner | columns


def _has_text(path: Path) -> bool:
    """Whether CSV has a column of text. Raises DataError if it has two of the same name."""
    try:
        found = [name for name in delimited.columns(path) if name.lower() in _COLUMNS]
    except rows.UNREADABLE:
        return True  # reading it will report what is wrong
    if len(set(found)) < len(found):
        raise DataError(f"input={path}: two columns of the same name ({', '.join(found)}); rename one")
    return bool(found)


def _may_have_text(path: Path) -> bool:
    """Whether a file's first rows have a text. True if they cannot be read: reading all will report why."""
    try:
        first = list(islice(rows.read_rows(path), _FIRST))
    except (*rows.UNREADABLE, ValueError):  # TooLarge, or a server that sends only whole files
        return True
    return any(isinstance(row, Drop) or _text(row[1]) is not None for row in first)


def _without_text(path: Path) -> DataError:
    found = ", ".join(delimited.columns(path)) or "none"
    return DataError(f"input={path}: no column {' or '.join(_COLUMNS)}; its columns: {found}; rename one")


def _is_plain(path: Path) -> bool:
    return path.name.lower().endswith(_PLAIN)
