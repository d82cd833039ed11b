"""Rows of CSV and TSV files (RFC 4180), one dict at a time, plain or compressed.

A row with more or fewer fields than the header is quarantined, and reading continues. If a row never closes a
quotation mark, only its first line is lost. Two other styles are recognized: CSV that writes a quotation mark
as \\" (MySQL, Spark), and TSV that gives quotation marks no meaning.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from configs.sizes import binary
from data.documents import Drop
from data.sources.files import limits, rows

SUFFIXES = tuple(kind + pack for kind in (".csv", ".tsv") for pack in ("", *rows.COMPRESSIONS))
_DELIMITERS = ",;\t|"  # the one that occurs most in the header; in a .tsv, a tab
_HEADER = 1 << 16  # most bytes of the header
_SAMPLE = 1 << 20  # bytes that show how a file writes quotation marks
_SEPARATOR_LINE = re.compile(r"sep=[^\w\s]?")  # Excel's, above the header
_BACKSLASHED = re.compile(
    r"""[^"\\,;\t\r\n]\\"[^",;\t\r\n]"""
)  # in RFC 4180, no such text follows a quotation
_DOUBLED = re.compile(r"""[^",;\t\r\n]""[^",;\t\r\n]""")
_QUOTED = re.compile(r'"(?:[^"]|"")*+"')


def is_delimited(path: Path) -> bool:
    """Whether the file has a suffix of CSV or TSV."""
    return path.name.lower().endswith(SUFFIXES)


def columns(path: Path) -> list[str]:
    """The names in the header; empty if there is none."""
    return _names(path, _header(path))


def _names(path: Path, header: str) -> list[str]:
    lines, style = io.StringIO(header.lstrip("\r\n"), newline=""), _separator(path, header)
    return [name.strip() for name in next(csv.reader(lines, **style), [])]


def _header(path: Path) -> str:
    """The lines of the header: names in quotes may contain line ends."""
    header, n_read = "", 0
    with rows.open_plain(path) as raw:
        file = rows.in_utf8(raw)
        while n_read < _HEADER:
            line = file.readline(_HEADER).decode("utf-8-sig", errors="replace")
            if not line:
                break
            n_read += len(line)
            if not header and (not line.strip() or _SEPARATOR_LINE.fullmatch(line.strip())):
                continue
            header += line
            if header.count('"') % 2 == 0:
                return header
    return header.lstrip("\r\n").partition("\n")[0] + "\n"  # a quote that is never closed is text


def delimited_rows(path: Path) -> Iterator[tuple[int, dict] | Drop]:
    """Each row with its number from 0, or a malformed `Drop`."""
    text = _header(path)
    header = _names(path, text)
    with rows.open_plain(path) as raw:
        lines = _Lines(rows.in_utf8(raw))
        style = _separator(path, text) | _style(lines.sample(), _delimiter(path, text), len(header))
        found = csv.reader(lines, strict=True, **style)
        while (above := next(found, None)) is not None and _is_above_header(above):
            pass
        number = 0
        while True:
            lines.taken.clear()
            # The csv module has one bound for all readers, and others may change it between two rows.
            before = csv.field_size_limit(limits.record_bytes())
            try:
                row = next(found, None)
                problem = ""
            except csv.Error as error:
                row, problem = [], f"not CSV: {error}"
                if len(lines.taken) == 1 and "\r" not in lines.taken[0][:-2]:
                    # Text after a closing quotation mark belongs to the field.
                    row, problem = next(csv.reader(lines.taken, **style), []), ""
                elif lines.taken:
                    lines.put_back()
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


def _is_above_header(row: list[str]) -> bool:
    """Whether a row is an empty line, or Excel's about the separator."""
    first = row[0].strip() if row else ""
    return (len(row) < 2 and not first) or _SEPARATOR_LINE.fullmatch(first) is not None


def _style(sample: str, delimiter: str, n_columns: int) -> dict[str, Any]:
    """How a file writes quotation marks, as options of the csv module."""
    if delimiter == "\t":
        fields = [line.split("\t") for line in sample.split("\n")[:-1] if line.strip()]
        is_table = all(len(line) == n_columns for line in fields)
        if is_table and any(
            field.startswith('"') and not _QUOTED.fullmatch(field.rstrip("\r"))
            for line in fields
            for field in line
        ):
            return {"quoting": csv.QUOTE_NONE}
    elif _BACKSLASHED.search(sample) and not _DOUBLED.search(sample):
        return {"escapechar": "\\", "doublequote": False}
    return {}


class _Lines:
    """The lines of a file. Raises csv.Error for a line larger than a record may be, without holding it."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._lines = rows.bounded_lines(file)
        sample = file.peek(_SAMPLE)
        if b"\r" in sample and b"\n" not in sample:  # the line ends of old Macs
            self._lines = _split(self._lines)
        self._again: list[str] = []
        self.taken: list[str] = []  # of the current row

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self._again:
            text = self._again.pop()
        else:
            line = next(self._lines)
            if line is None:
                raise csv.Error(f"a line above {binary(limits.record_bytes())}")
            text = line.decode(errors="surrogateescape").removeprefix("\ufeff").replace("\0", "\ufffd")
        self.taken.append(text)
        return text

    def sample(self) -> str:
        """The file's beginning, before any line is taken."""
        return self._file.peek(_SAMPLE)[:_SAMPLE].decode(errors="replace").removeprefix("\ufeff")

    def put_back(self) -> None:
        """Take the current row's lines again, except the first."""
        self._again += reversed(self.taken[1:])


def _split(lines: Iterator[bytes | None]) -> Iterator[bytes | None]:
    """Lines that end in carriage returns alone."""
    for held in lines:
        if held is None:
            yield None
        else:
            yield from (line + b"\n" for line in held.removesuffix(b"\r").split(b"\r"))


def _separator(path: Path, header: str) -> dict[str, Any]:
    """What separates the fields, as options of the csv module: a space may follow each delimiter."""
    delimiter = _delimiter(path, header)
    is_spaced = 0 < header.count(delimiter) == header.count(f"{delimiter} ")
    return {"delimiter": delimiter, "skipinitialspace": is_spaced}


def _delimiter(path: Path, header: str) -> str:
    if ".tsv" in path.name.lower()[-8:]:
        return "\t"
    return max(_DELIMITERS, key=header.count)
