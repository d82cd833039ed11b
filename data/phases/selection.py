"""Finds documents in the token stores by URL, file and record, license, id or pattern.

In: `document=…`, or a text file with one description per line. Out: the documents' token ranges, by source.
Reads only the provenance columns of the cleaned text, and the stores' document tables.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from data.errors import DataError
from data.phases.kept import Ranges, merged
from data.tokens.store import Span, TokenStore

pc: Any = pyarrow.compute  # Any, because pyarrow creates its functions at import
COLUMNS = ("id", "url", "file", "record", "licence")
SEARCHED = 100_000  # most URLs and ids to search for similar names
EXPLAINED = "`relama explain run=NAME step=N` prints those of a step's documents"
REMEDY = {  # by kind, what to give instead of an unknown description if no name is similar
    "url": f"give a URL or an id ({EXPLAINED}), re:PATTERN, or a text file with one per line",
    "record": f"give FILE#RECORD as a recipe read it ({EXPLAINED})",
    "license": "none of its documents has a license",
    "pattern": f"a pattern is searched for in ids, URLs, files and licenses ({EXPLAINED})",
}


@dataclass(frozen=True)
class Wanted:
    """One description: `kind` is url (a URL or an id), record (FILE#NUMBER), license or pattern."""

    kind: str
    value: str
    typed: str = field(default="", compare=False)  # as typed, after its key or its file and line

    @classmethod
    def of(cls, text: str, where: str = "document=") -> "Wanted":
        """The description in `text`. Raises DataError for a pattern that is not a regular expression."""
        typed = where + text
        if text.startswith(("license:", "licence:")):
            return cls("license", text.partition(":")[2], typed)
        if text.startswith("re:"):
            try:
                pc.match_substring_regex(pa.array([""]), text[3:])
            except pa.ArrowInvalid as error:
                raise DataError(f"{typed}: not a regular expression ({error})") from None
            return cls("pattern", text[3:], typed)
        if re.fullmatch(r".+#\d+", text) and "://" not in text.partition("#")[0][-8:]:
            return cls("record", text, typed)
        return cls("url", text, typed)


def wanted_in(text: str, key: str = "document") -> list[Wanted]:
    """The descriptions that a key gives: one, or one per line of a text file. Raises DataError."""
    path = Path(text)
    if "://" in text or not path.is_file():
        return [Wanted.of(text, f"{key}=")]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{key}={text}: not a readable text file ({error}); expected a document per line"
        ) from None
    found = [
        Wanted.of(line.strip(), f"{key}={text}, line {number}: ")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]
    if not found:
        raise DataError(f"{key}={text}: names no document; expected one per line")
    return found


def select(stores: dict[str, TokenStore], wanted: list[Wanted]) -> dict[str, list[Span]]:
    """Where the documents are in each store. Raises DataError for a description that matches nothing."""
    unknown, found = set(wanted), {}
    urls, records, others = _sorted_out(wanted)
    for source, store in stores.items():
        rows: dict[int, list[int]] = {}
        for number in range(len(store.text_files)):
            for first, table in _provenance(store, number):
                for row, one in _found(table, urls, records, others):
                    unknown.discard(one)
                    rows.setdefault(number, []).append(first + row)
        if rows and (spans := list(store.spans_of({file: np.unique(at) for file, at in rows.items()}))):
            found[source] = spans
    if unknown:
        one = min(unknown, key=lambda one: one.value)
        raise DataError(f"{one.typed}: no token store knows it; {_near(stores, one) or REMEDY[one.kind]}")
    return found


def shown(spans: Iterable[Span]) -> Ranges:
    """The token ranges that show the documents' text, without the control tokens at their ends.

    A document of only control tokens counts as shown by these.
    """
    return merged((s.start + 1, s.stop - 1) if s.stop - s.start > 2 else (s.start, s.stop) for s in spans)


Urls = dict[str, Wanted]  # by URL or id
Records = dict[int, list[tuple[str, Wanted]]]  # the files wanted, by record number


def _sorted_out(wanted: Iterable[Wanted]) -> tuple[Urls, Records, list[Wanted]]:
    """URLs and ids by value, records by number (so a thousand are found as fast as one), and the others."""
    urls: Urls = {}
    records: Records = {}
    others = []
    for one in wanted:
        if one.kind == "url":
            urls[one.value] = one
        elif one.kind == "record":
            file, _, record = one.value.rpartition("#")
            records.setdefault(int(record), []).append((file, one))
        else:
            others.append(one)
    return urls, records, others


def _found(
    table: pa.Table, urls: Urls, records: Records, others: list[Wanted]
) -> Iterator[tuple[int, Wanted]]:
    """The matching rows of a provenance table, each with the description it matches."""
    for column in ("url", "id") if urls else ():
        for row, name in enumerate(table[column].to_pylist()):
            if name in urls:
                yield row, urls[name]
    if records:
        files = table["file"]
        for row, record in enumerate(table["record"].to_pylist()):
            for file, one in records.get(record, []):
                if f"/{files[row].as_py()}".endswith(f"/{file}"):
                    yield row, one
    for one in others:
        yield from ((int(row), one) for row in np.flatnonzero(_matches(table, one)))


def _matches(table: pa.Table, one: Wanted) -> np.ndarray:
    """Which rows of a provenance table have the license or match the pattern, (rows,) bool."""
    if one.kind == "license":
        found = pc.equal(pc.utf8_lower(table["licence"]), one.value.lower())
    else:
        parts = [
            pc.match_substring_regex(table[name], one.value) for name in ("id", "url", "file", "licence")
        ]
        found = pc.or_(pc.or_(parts[0], parts[1]), pc.or_(parts[2], parts[3]))
    return np.asarray(pc.fill_null(found, False))


def _provenance(store: TokenStore, number: int) -> Iterator[tuple[int, pa.Table]]:
    """The provenance of a file of cleaned text, one row group at a time, each with its first row's number."""
    try:
        with store.open_text(number) as text, pq.ParquetFile(text, pre_buffer=False) as file:
            first = 0
            for group in range(file.num_row_groups):
                # If one of Arrow's threads still holds `text` when Python exits, it aborts the process.
                table = file.read_row_group(group, columns=list(COLUMNS), use_threads=False)
                yield first, table
                first += table.num_rows
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{store.text_files[number]}: not readable ({error}); the cleaned text tells which documents a "
            "store has: restore it"
        ) from None


def _near(stores: dict[str, TokenStore], one: Wanted) -> str:
    """A hint with the names most similar to an unknown one; empty if none is similar."""
    if one.kind == "pattern":
        return ""
    value, cutoff, parts = one.value, 0.5, 0
    column = "url" if "://" in value else "id"
    if one.kind == "license":
        column, cutoff = "licence", 0.0  # there are few licenses, so some are always worth showing
    elif one.kind == "record":
        column, value = "file", value.rpartition("#")[0]
        parts = value.count("/") + 1
    names = set(islice(_names(stores, column, parts), SEARCHED))
    near = difflib.get_close_matches(value, names, n=3, cutoff=cutoff)
    if one.kind == "record" and value in near:
        return "its file is known, without this record"
    return f"the nearest: {', '.join(near)}" if near else ""


def _names(stores: dict[str, TokenStore], column: str, parts: int) -> Iterator[str]:
    """The values of a column; if `parts` is not 0, only the last `parts` parts of each path."""
    for store in stores.values():
        for number in range(len(store.text_files)):
            for _, table in _provenance(store, number):
                for name in filter(None, table[column].unique().to_pylist()):
                    yield "/".join(name.split("/")[-parts:]) if parts else name
