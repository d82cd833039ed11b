"""Which documents of a source go because they stand elsewhere in it: the stages between reading and writing.

In: the folders that the groups' reading made. Out: files under `marks`, from which each group's writing
takes the rows that go, with a word on why. `exact`: equal texts (`data/dedup/exact.py`); `contained`: books
that stand in another (`data/dedup/containment.py`). Each stage's tasks make files that appear whole.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from data import engine, folders
from data.dedup import containment, exact
from data.documents import read_row
from data.engine import EngineConfig

DETAILS = "details.json"


def find(
    kind: str, groups: list[Path], n_documents: int, marks: Path, on: EngineConfig, status: Callable[[], None]
) -> None:
    """Mark what goes; `kind` is "exact" or "contained". Stages that are done are not done again."""

    def stage(name: str, made: list[Path], work: Callable[[int], None]) -> None:
        todo = [item for item, path in enumerate(made) if not path.exists()]
        engine.run(on, name, work, todo, marks.parent / "logs", status)

    if kind == "exact":
        parts = exact.n_parts(n_documents)
        runs = [group / "hashes.npy" for group in groups]
        made = [marks / f"{part:05d}.npy" for part in range(parts)]
        stage("duplicates", made, partial(_mark_part, runs, made))
        return
    texts = [path for group in groups for path in sorted(group.glob("*.parquet"))]
    runs = [marks / "sketches" / f"{place:05d}" for place in range(len(texts))]
    (marks / "sketches").mkdir(exist_ok=True)
    stage("sketch", runs, partial(_sketch, texts, runs))
    parts = containment.n_parts(runs)
    counts = [marks / f"candidates-{part:05d}" for part in range(parts)]
    stage("candidates", counts, partial(_candidates, runs, counts))
    measured = [marks / f"measured-{part:05d}.npy" for part in range(min(len(texts), 4 * parts))]
    stage("measure", measured, partial(_measure, texts, runs, counts, measured))
    if not (marks / DETAILS).exists():
        _decide(groups, texts, runs, measured, marks)


def marked(marks: Path, group: int) -> dict[int, str]:
    """The rows of a group that go, and what there is to say of each."""
    rows: dict[int, str] = {}
    for path in sorted(marks.glob("[0-9]*.npy")):
        table = np.load(path, mmap_mode="r")
        start, stop = np.searchsorted(table["group"], (group, group + 1))
        rows |= dict.fromkeys(table["row"][start:stop].tolist(), "")
    if (marks / DETAILS).exists():
        details = json.loads((marks / DETAILS).read_text()).get(str(group), {})
        rows |= {int(row): detail for row, detail in details.items()}
    return rows


def _mark_part(runs: list[Path], made: list[Path], part: int) -> None:
    temporary = folders.own(made[part])
    with temporary.open("wb") as file:
        np.save(file, exact.mark(runs, part, len(made)))
    folders.sync(temporary)
    temporary.replace(made[part])


def _sketch(texts: list[Path], runs: list[Path], place: int) -> None:
    containment.sketch(texts[place], runs[place])


def _candidates(runs: list[Path], counts: list[Path], part: int) -> None:
    containment.candidates(runs, part, len(counts), counts[part])


def _measure(
    texts: list[Path], runs: list[Path], counts: list[Path], measured: list[Path], part: int
) -> None:
    containment.measure(texts, runs, counts, part, len(measured), measured[part])


def _decide(
    groups: list[Path], texts: list[Path], runs: list[Path], measured: list[Path], marks: Path
) -> None:
    """The books that go, by the group and the row in it, each with its holder and the share."""
    place_of, n_rows = {}, dict.fromkeys(range(len(groups)), 0)
    group_of = {group: number for number, group in enumerate(groups)}
    for file, path in enumerate(texts):
        group = group_of[path.parent]
        place_of[file] = (group, n_rows[group])
        n_rows[group] += pq.ParquetFile(path).metadata.num_rows
    details: dict[str, dict[str, str]] = {}
    for book in containment.decide(runs, measured):
        group, first = place_of[book.file]
        holder = read_row(texts[book.held_by_file], book.held_by_row)
        words = (
            f"{book.share:.1%} of its shingles stand in {holder.id} ({holder.file}, record {holder.record})"
        )
        details.setdefault(str(group), {})[str(first + book.row)] = words
    folders.write_whole(marks / DETAILS, json.dumps(details))
