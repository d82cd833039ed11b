"""C4: the public English files, without further cleaning (docs/recipe.md §2).

In: `c4-train.NNNNN-of-01024.json.gz` (text, timestamp, url), or the same rows as JSON lines or Parquet. Out:
a document for each row. C4's validation files are never trained on.
"""

from collections.abc import Iterator
from pathlib import Path

from data.documents import Document, Drop, Record
from data.sources import text
from data.sources.files import rows

VERSION = 1  # this recipe's version: raise it when the same input gives other text
DUPLICATES = None  # C4 was deduplicated when it was made

_INPUT = "c4-train.*.json.gz, JSON lines or Parquet with text and url, or a folder of these"


def inputs(path: Path) -> list[Path]:
    """The files to read; in a folder, all but C4's validation files, which may have a folder of their own."""
    if path.is_file() and rows.has_rows(path):
        return [path]
    files = filter(rows.are_rows, rows.visible_files(path))
    found = [file for file in files if "validation" not in str(file.relative_to(path))]
    if not found:
        raise rows.expected(path, _INPUT)
    return found


def read(path: Path) -> Iterator[Record | Drop]:
    """Each row of a file."""
    return text.read_rows(path)


def clean(record: Record, *, source: str = "c4") -> Document | Drop:
    """The page, unchanged. A row without a URL is dropped, because held-out pages of C4 are chosen by URL."""
    if not record.url:
        return record.drop("no url")
    return record.document(source, record.text)
