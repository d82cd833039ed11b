"""Text that is already cleaned: it is carried over as it is, with its provenance.

In: JSON lines or parquet with a column `text` (or `content`), as RedPajama, Dolma and the Hub lay
them out, or plain `.txt` and `.md` files. Out: a document for each. Only what cannot be trained on
is left out: empty text, halves of characters, and exact duplicates.
"""

import ast
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from data.documents import Document, Drop, Record
from data.sources import rows

VERSION = 2  # of what this recipe gives: raise it when the same input gives other text
DUPLICATES = "exact"

_PLAIN = (".txt", ".md", ".txt.gz", ".txt.zst")
_INPUT = "JSON lines (.jsonl, .json; .gz or .zst), .parquet, .arrow, .txt or .md, or a folder of these"


def inputs(path: Path) -> list[Path]:
    """The files to read. In a folder that holds rows, .txt and .md files only describe them."""
    if path.is_file() and (rows.has_rows(path) or _is_plain(path)):
        return [path]
    found = rows.files_in(path) or [file for file in rows.visible_files(path) if _is_plain(file)]
    if not found:
        raise rows.expected(path, _INPUT)
    return found


def read(path: Path) -> Iterator[Record | Drop]:
    """Each row, or the one text, of a file."""
    return read_rows(path) if rows.has_rows(path) else _read_plain(path)


def clean(record: Record, *, source: str) -> Document | Drop:
    """The text as it is."""
    return record.document(source, record.text)


def read_rows(path: Path) -> Iterator[Record | Drop]:
    """Each row that has a text; what else it has is kept as `meta`."""
    for row in rows.read_rows(path):
        if isinstance(row, Drop):
            yield row
            continue
        number, columns = row
        column = "text" if "text" in columns else "content"
        text = columns.pop(column, None)
        if not isinstance(text, str):
            detail = f"expected a string as text or content, found {', '.join(columns) or 'nothing'}"
            yield Drop("malformed record", str(path), number, detail, malformed=True)
            continue
        meta = _flat(columns)
        url = meta.pop("url", None) or ""
        licence = meta.pop("license", None) or meta.pop("licence", None) or ""
        yield Record(str(path), number, text, str(url), str(licence), meta)


def _read_plain(path: Path) -> Iterator[Record | Drop]:
    with rows.open_plain(path) as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Drop("malformed record", str(path), 0, f"not UTF-8: {error}", malformed=True)
        return
    yield Record(str(path), 0, text.replace("\r\n", "\n"))


def _flat(columns: dict) -> dict:
    """The columns beside the text, with RedPajama's `meta` and Dolma's `metadata` opened."""
    inner = {}
    for name in ("meta", "metadata"):
        if isinstance(value := _opened(columns.get(name)), dict):
            inner |= value
            del columns[name]
    return inner | columns


def _opened(value: object) -> object:
    """What is written in a string: JSON, or a Python literal, as RedPajama's `meta` is on the Hub."""
    if not isinstance(value, str):
        return value
    for reader in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return reader(value)
    return value


def _is_plain(path: Path) -> bool:
    return path.name.lower().endswith(_PLAIN)
