"""Runs a recipe in one process: every record is written, or counted with the reason why not.

In: a recipe's items. Out: `text/part-*.parquet`; `report.json`, what became of the records and examples
of each reason; `quarantine.jsonl`, the place of each record that could not be read. A file that breaks
off does not end the run; a run that keeps nothing is an error, and one that was killed leaves no `text/`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import xxhash

from data import folders
from data.documents import Document, Drop, Record, write_parts
from data.errors import DataError
from data.progress import Progress
from data.sources.rows import UNREADABLE

EXAMPLES = 3  # of each reason, in the report


@dataclass
class Report:
    """What became of every record; written beside the text."""

    settings: dict
    read: int = 0
    kept: int = 0
    text_bytes: int = 0
    dropped: dict[str, dict] = field(default_factory=dict)

    def drop(self, drop: Drop) -> None:
        counted = self.dropped.setdefault(drop.reason, {"count": 0, "examples": []})
        counted["count"] += 1
        if len(counted["examples"]) < EXAMPLES:
            counted["examples"].append({"file": drop.file, "record": drop.record, "detail": drop.detail})

    def summary(self) -> str:
        """One line: what was read, kept and dropped."""
        reasons = sorted(self.dropped.items(), key=lambda item: -item[1]["count"])
        dropped = ", ".join(f"{reason} {counted['count']:,}" for reason, counted in reasons) or "none"
        size = f"{self.text_bytes / 1e6:,.1f} MB"
        return f"{self.read:,} records read, {self.kept:,} kept ({size}); dropped: {dropped}"


def write_text(
    items: Iterable[Document | Drop], folder: Path, settings: dict, *, deduplicate: bool, progress: Progress
) -> Report:
    """Write `folder/text` and `folder/report.json`. Raises DataError if no document is left."""
    report = Report(settings)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folders.aside(folder / "text")
    items = _deduplicated(items) if deduplicate else items
    with _Quarantine(folder / "quarantine.jsonl") as quarantine:
        write_parts(_counted(items, report, quarantine, progress), temporary)
    folders.write_whole(folder / "report.json", json.dumps(asdict(report), indent=1))
    if not report.kept:
        temporary.rmdir()
        raise DataError(f"{folder}: no document was left; {report.summary()} (see {folder / 'report.json'})")
    folders.commit(temporary, folder / "text")
    progress.say(report.summary())
    return report


def read_all(units: list[Path], read: Callable[[Path], Iterable[Record | Drop]]) -> Iterator[Record | Drop]:
    """The records of all files, in order; a file that breaks off is set aside from there on."""
    for unit in units:
        position = 0
        try:
            for item in read(unit):
                yield item
                position = item.record + 1
        except UNREADABLE as error:
            detail = f"the file cannot be read from here on: {error}"
            yield Drop("malformed file", str(unit), position, detail, malformed=True)


def clean_all(
    items: Iterable[Record | Drop], clean: Callable[[Record], Document | Drop]
) -> Iterator[Document | Drop]:
    """Each record cleaned; what was dropped before passes through, to be counted."""
    return (item if isinstance(item, Drop) else clean(item) for item in items)


def _deduplicated(items: Iterable[Document | Drop]) -> Iterator[Document | Drop]:
    """Keeps the first of each text. Holds a hash of each: about 100 bytes a document."""
    seen = set()
    for item in items:
        if isinstance(item, Document):
            digest = xxhash.xxh3_128_digest(item.text.encode())
            if digest in seen:
                item = Drop("duplicate", item.file, item.record)
            else:
                seen.add(digest)
        yield item


def _counted(
    items: Iterable[Document | Drop], report: Report, quarantine: "_Quarantine", progress: Progress
) -> Iterator[Document]:
    for item in items:
        report.read += 1
        if isinstance(item, Document):
            report.kept += 1
            report.text_bytes += len(item.text.encode())
            yield item
        else:
            report.drop(item)
            if item.malformed:
                quarantine.write(item)
        size = f"{report.text_bytes / 1e6:,.1f} MB"
        progress.show(f"{report.read:,} records read, {report.kept:,} kept, {size}, now in {item.file}")


class _Quarantine:
    """`quarantine.jsonl`: the file, place and fault of every malformed record; no file if there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(path.name + ".tmp")
        self._file = None

    def __enter__(self) -> "_Quarantine":
        return self

    def write(self, drop: Drop) -> None:
        if self._file is None:
            self._file = self._aside.open("w")
        place = {"file": drop.file, "record": drop.record, "reason": drop.reason, "detail": drop.detail}
        print(json.dumps(place), file=self._file)

    def __exit__(self, *failure: object) -> None:
        self._path.unlink(missing_ok=True)
        if self._file is not None:
            self._file.close()
            self._aside.replace(self._path)
