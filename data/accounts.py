"""Accounts for a source's records: counts by reason, with examples; languages; lengths; the quarantine.

In: the documents and drops of one task. Out: a `Report`, which summed over all tasks is the same no matter
how the input was divided; and, for every record that could not be read, a line in `quarantine.jsonl` with its
file, number and error.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from configs.sizes import decimal
from data.documents import EXCERPT, Document, Drop

EXAMPLES = 3  # kept for each reason
MANY = 1000  # most different reasons, languages or notes that are counted separately
OTHERS = "(others)"
BROKEN = "malformed file"  # the reason given for a file that could not be read to the end


@dataclass
class Report:
    """Counts of records: read, kept, and dropped by reason."""

    read: int = 0
    kept: int = 0
    text_bytes: int = 0
    dropped: dict[str, dict] = field(default_factory=dict)  # reason: count, examples
    languages: dict[str, int] = field(default_factory=dict)  # language, if known: documents
    lengths: dict[str, int] = field(default_factory=dict)  # key: documents of 2^(key-1) to 2^key - 1 bytes
    notes: dict[str, int] = field(default_factory=dict)  # correction made while reading: documents

    def keep(self, document: Document) -> None:
        size = document.n_bytes
        self.read += 1
        self.kept += 1
        self.text_bytes += size
        self._shape(document, size, 1)

    def drop(self, drop: Drop) -> None:
        self.read += 1
        self._count(drop)

    def drop_kept(self, document: Document, drop: Drop) -> None:
        """Count as dropped a document that was counted as kept."""
        size = document.n_bytes
        self.kept -= 1
        self.text_bytes -= size
        self._shape(document, size, -1)
        self._count(drop)

    def add(self, other: "Report") -> None:
        """Add the counts from `other`, and its examples while there is room."""
        self.read += other.read
        self.kept += other.kept
        self.text_bytes += other.text_bytes
        for reason, theirs in other.dropped.items():
            ours = self._dropped(reason)
            ours["count"] += theirs["count"]
            ours["examples"] = (ours["examples"] + theirs["examples"])[:EXAMPLES]
        for name in ("languages", "lengths", "notes"):
            for key, count in getattr(other, name).items():
                _add(getattr(self, name), key, count)

    def summary(self) -> str:
        """What was read, kept and dropped, in one line."""
        dropped = ", ".join(f"{reason} ({counted['count']:,})" for reason, counted in self._reasons())
        kept = f"{self.kept:,} kept ({decimal(self.text_bytes)})"
        return f"{self.read:,} record{'s' * (self.read != 1)} read, {kept}; dropped: {dropped or 'none'}"

    def example(self) -> str:
        """What was wrong with the first record dropped for the most frequent reason."""
        for _, counted in self._reasons():
            for one in counted["examples"]:
                detail = f": {one['detail']}" if one["detail"] else ""
                return f", such as {Path(one['file']).name}#{one['record']}{detail}"
        return ""

    def _reasons(self) -> list[tuple[str, dict]]:
        """The reasons with their counts and examples, the most frequent first."""
        return sorted(self.dropped.items(), key=lambda item: (-item[1]["count"], item[0]))

    def as_dict(self) -> dict:
        """A plain dict for JSON. Every table is sorted by key, so the order of the tasks does not matter."""
        plain = asdict(self)
        for name in ("dropped", "languages", "notes"):
            plain[name] = dict(sorted(plain[name].items()))
        plain["lengths"] = dict(sorted(plain["lengths"].items(), key=lambda item: int(item[0])))
        return plain

    def _count(self, drop: Drop) -> None:
        counted = self._dropped(drop.reason)
        counted["count"] += 1
        if len(counted["examples"]) < EXAMPLES:
            example = {"file": drop.file, "record": drop.record, "detail": drop.detail[:EXCERPT]}
            counted["examples"].append(example | ({"text": drop.text} if drop.text else {}))

    def _dropped(self, reason: str) -> dict:
        reason = reason[:EXCERPT]
        if reason not in self.dropped and len(self.dropped) >= MANY:
            reason = OTHERS
        return self.dropped.setdefault(reason, {"count": 0, "examples": []})

    def _shape(self, document: Document, size: int, count: int) -> None:
        _add(self.lengths, str(size.bit_length()), count)
        if '"language"' in document.meta:
            _add(self.languages, str(json.loads(document.meta).get("language")), count)
        if '"note"' in document.meta and (note := json.loads(document.meta).get("note")):
            _add(self.notes, str(note), count)


def account(items: Iterable[Document | Drop], report: Report, quarantine: "Quarantine") -> Iterator[Document]:
    """Yield the documents; count documents and drops, and quarantine malformed records."""
    for item in items:
        if isinstance(item, Document):
            report.keep(item)
            yield item
        else:
            report.drop(item)
            if item.malformed:
                quarantine.write(item)


class Quarantine:
    """Writes a JSON line for every malformed record; the first one creates the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = None

    def write(self, drop: Drop) -> None:
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace")
        place = {
            "file": drop.file,
            "record": drop.record,
            "reason": drop.reason,
            "detail": drop.detail[:EXCERPT],
        }
        print(json.dumps(place), file=self._file)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _add(counts: dict[str, int], key: str, count: int) -> None:
    key = key[:EXCERPT]
    if key not in counts and len(counts) >= MANY:
        key = OTHERS
    counts[key] = counts.get(key, 0) + count
    if counts[key] == 0:
        del counts[key]
