"""Finds a source's duplicates, in stages between reading and writing.

In: the folders that the reading tasks made. Out: files under `marks` that tell each writing task which rows
to drop, and why. `exact` finds equal texts (`data/dedup/exact.py`), `contained` finds books inside other
books (`data/dedup/containment.py`). Every task makes a file or folder that appears complete or not at all.
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
    kind: str, read: list[Path], n_documents: int, marks: Path, on: EngineConfig, status: Callable[[], None]
) -> None:
    """Mark the documents to drop; `kind` is "exact" or "contained". Does not repeat finished tasks."""

    def stage(name: str, made: list[Path], work: Callable[[int], None]) -> None:
        todo = [item for item, path in enumerate(made) if not path.exists()]
        engine.run(on, name, work, todo, marks.parent / "logs", status)

    if kind == "exact":
        hash_files = [folder / "hashes.npy" for folder in read]
        made = [marks / f"{index:05d}.npy" for index in range(exact.n_partitions(n_documents))]
        stage("duplicates", made, partial(_mark, hash_files, made))
        return
    texts = [path for folder in read for path in folders.matching(folder, "*.parquet")]
    sketches = [marks / "sketches" / f"{place:05d}" for place in range(len(texts))]
    (marks / "sketches").mkdir(exist_ok=True)
    stage("sketch", sketches, partial(_sketch, texts, sketches))
    n_partitions = containment.n_partitions(sketches)
    counts = [marks / f"candidates-{index:05d}" for index in range(n_partitions)]
    stage("candidates", counts, partial(_candidates, sketches, counts))
    measured = [marks / f"measured-{index:05d}.npy" for index in range(min(len(texts), 4 * n_partitions))]
    stage("measure", measured, partial(_measure, texts, sketches, counts, measured))
    if not (marks / DETAILS).exists():
        _decide(read, texts, sketches, measured, marks)


def marked(marks: Path, task: int) -> dict[int, str]:
    """The rows to drop from a reading task's documents, each with a detail ("" for an exact duplicate)."""
    rows: dict[int, str] = {}
    for path in folders.matching(marks, "[0-9]*.npy"):
        table = np.load(path, mmap_mode="r")
        start, stop = np.searchsorted(table["task"], (task, task + 1))
        rows |= dict.fromkeys(table["row"][start:stop].tolist(), "")
    if (marks / DETAILS).exists():
        details = json.loads((marks / DETAILS).read_text()).get(str(task), {})
        rows |= {int(row): detail for row, detail in details.items()}
    return rows


def _mark(hash_files: list[Path], made: list[Path], index: int) -> None:
    goal = made[index]
    with folders.replacing(goal, folders.own(goal)) as temporary, temporary.open("wb") as file:
        np.save(file, exact.mark(hash_files, index, len(made)))


def _sketch(texts: list[Path], sketches: list[Path], place: int) -> None:
    containment.sketch(texts[place], sketches[place])


def _candidates(sketches: list[Path], counts: list[Path], index: int) -> None:
    containment.candidates(sketches, index, len(counts), counts[index])


def _measure(
    texts: list[Path], sketches: list[Path], counts: list[Path], measured: list[Path], index: int
) -> None:
    containment.measure(texts, sketches, counts, index, len(measured), measured[index])


def _decide(
    read: list[Path], texts: list[Path], sketches: list[Path], measured: list[Path], marks: Path
) -> None:
    """Write the books to drop, by task and row, each with its holder and the share found there."""
    place_of, n_rows = {}, dict.fromkeys(range(len(read)), 0)
    task_of = {folder: number for number, folder in enumerate(read)}
    for file, path in enumerate(texts):
        task = task_of[path.parent]
        place_of[file] = (task, n_rows[task])
        n_rows[task] += pq.ParquetFile(path).metadata.num_rows
    details: dict[str, dict[str, str]] = {}
    for book in containment.decide(sketches, measured):
        task, first = place_of[book.file]
        holder = read_row(texts[book.held_by_file], book.held_by_row)
        detail = (
            f"{book.share:.1%} of its shingles occur in {holder.id} ({holder.file}, record {holder.record})"
        )
        details.setdefault(str(task), {})[str(first + book.row)] = detail
    folders.write_whole(marks / DETAILS, json.dumps(details))
