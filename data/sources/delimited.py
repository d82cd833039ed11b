"""Rows of CSV and TSV files (RFC 4180), one dict at a time, plain, gzip or zstd.

A row with another number of fields than the header is quarantined, and reading continues.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from data.documents import Drop
from data.sources import limits, rows

SUFFIXES = tuple(kind + pack for kind in (".csv", ".tsv") for pack in ("", ".gz", ".zst"))
_DELIMITERS = ",;\t"  # the one that occurs most in the header; in a .tsv, a tab
_HEADER = 1 << 16  # bytes of it, at most


def is_delimited(path: Path) -> bool:
    """Whether the file's suffix is that of CSV or TSV."""
    return path.name.lower().endswith(SUFFIXES)


def columns(path: Path) -> list[str]:
    """The names in the header; empty if there is none."""
    return _names(path, _header(path))


def _names(path: Path, header: str) -> list[str]:
    reader = csv.reader(io.StringIO(header.lstrip("\r\n"), newline=""), delimiter=_delimiter(path, header))
    return next(reader, [])


def _header(path: Path) -> str:
    """The lines of the header: names in quotes may contain line ends."""
    header = ""
    with rows.open_plain(path) as raw:
        file = rows.in_utf8(raw)
        while line := file.readline(_HEADER).decode("utf-8-sig", errors="replace"):
            header += line
            if header.count('"') % 2 == 0 and header.strip():
                return header
            if len(header) >= _HEADER:
                break
    return header.lstrip("\r\n").partition("\n")[0] + "\n"  # a quote that is never closed is text


def delimited_rows(path: Path) -> Iterator[tuple[int, dict] | Drop]:
    """Each row with its number from 0, or a malformed `Drop`."""
    text = _header(path)
    header = _names(path, text)
    with rows.open_plain(path) as raw:
        found = csv.reader(_Lines(raw), delimiter=_delimiter(path, text))
        while next(found, None) == []:  # empty lines above the header
            pass
        number = 0
        while True:
            # The csv module has one bound for all readers, and others may set it between two rows.
            before = csv.field_size_limit(limits.record_bytes())
            try:
                row = next(found, None)
                problem = ""
            except csv.Error as error:
                row, problem = [], f"not CSV: {error}"
            finally:
                csv.field_size_limit(before)
            if row is None:
                return
            if not problem and not row:  # an empty line
                continue
            if not problem and len(row) != len(header):
                problem = f"{len(row)} fields, expected {len(header)} as in the header"
            if problem:
                yield Drop("malformed record", str(path), number, problem, malformed=True)
            else:
                yield number, dict(zip(header, row))
            number += 1


class _Lines:
    """The lines of a file. Raises csv.Error for one above the bound of a record, which is not held."""

    def __init__(self, raw: io.BufferedReader) -> None:
        self._lines = rows.bounded_lines(rows.in_utf8(raw))

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if line is None:
            raise csv.Error(f"a line above {limits.megabytes(limits.record_bytes())}")
        return line.decode(errors="surrogateescape").removeprefix("\ufeff").replace("\0", "\ufffd")


def _delimiter(path: Path, header: str) -> str:
    if ".tsv" in path.name.lower()[-8:]:
        return "\t"
    return max(_DELIMITERS, key=header.count)
