"""Runs a recipe on any engine: raw inputs in; `text/`, `report.json` and `quarantine.jsonl` out.

The inputs' sizes alone decide how they are divided into tasks (`data/prepare/plan.py`). Each task reads and
cleans its slices into a folder that appears complete or not at all; duplicates are found across all tasks,
one partition of the hashes at a time; then each task writes its text without them (`data/prepare/tasks.py`).
So killed work can be resumed, and the text is the same, byte for byte, on every engine. Every record is
either kept or counted under a reason.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from configs.existence import exists
from configs.sizes import decimal
from data import engine, folders
from data.accounts import BROKEN, Report
from data.dedup import stages
from data.engine import EngineConfig
from data.errors import DataError
from data.prepare.plan import Plan, Recipe, in_tasks, keep_read, slices_of, work_folder
from data.prepare.tasks import read_task, sum_reports, write_task
from data.progress import Progress
from data.remote import stamp
from data.sources.files.limits import DEFAULT, Limits

__all__ = ["Recipe", "make_text"]

PYTHON = sys.version_info[:3]
# Before, possessive repeats (*+, ++) match too much: https://github.com/python/cpython/issues/106052
LEAST_PYTHON = (3, 11, 5)
RECORD_SECONDS = 60.0  # most CPU time for cleaning one record


def make_text(
    recipe: Recipe,
    inputs: list[Path],
    folder: Path,
    settings: dict,
    *,
    progress: Progress,
    on: EngineConfig = engine.INLINE,
    max_broken: float = 1.0,
    record_seconds: float = RECORD_SECONDS,
    limits: Limits = DEFAULT,
) -> Report:
    """Write `folder/text`, `folder/report.json` and, if a record is malformed, `folder/quarantine.jsonl`.

    Raises DataError if `folder` has unfinished work with other `settings`, if no document is left, or if more
    than a share `max_broken` of the inputs could not be read to the end; also if this Python is too old.
    """
    if PYTHON < LEAST_PYTHON:
        here, least = (".".join(map(str, version)) for version in (PYTHON, LEAST_PYTHON))
        raise DataError(
            f"Python {here}: some of its regular expressions match too much, so it would clean text wrongly; "
            f"use Python {least} or newer (PYTHON=python3.12 make install; text that is ready can be used)"
        )
    started = time.monotonic()
    stamps = {path: stamp(path) for path in inputs}
    settings = settings | {"input": [[str(path), *mark] for path, mark in stamps.items()]}
    slices = [one for path, (size, _) in stamps.items() for one in slices_of(recipe, path, size)]
    work = work_folder(folder, settings, progress)
    plan = Plan(recipe, in_tasks(slices), stamps, work, record_seconds, limits)
    everything = range(len(plan.tasks))
    keep_read(plan)

    todo = [task for task in everything if not exists(plan.read(task))]
    engine.run(
        on, "read", partial(read_task, plan), todo, plan.folder / "logs", _reading(plan, todo, progress)
    )
    report = sum_reports(plan.read(task) / "report.json" for task in everything)
    _refuse_broken(plan, folder, report, max_broken)
    facts = {}
    if recipe.refine:
        read, refined = [plan.read(task) for task in everything], [plan.refined(task) for task in everything]
        facts = recipe.refine(read, refined, plan.folder / "refine", on, progress)
    if recipe.duplicates and report.kept:
        status = partial(progress.show, f"looking for duplicates among {report.kept:,} documents")
        read = [plan.read(task) for task in everything]
        stages.find(recipe.duplicates, read, report.kept, plan.duplicates, on, status)
    todo = [task for task in everything if not exists(plan.written(task))]
    engine.run(
        on, "write", partial(write_task, plan), todo, plan.folder / "logs", _writing(plan, todo, progress)
    )
    report = sum_reports(plan.written(task) for task in everything)
    content = {
        "settings": settings,
        "seconds": round(time.monotonic() - started, 1),
        **facts,
        **report.as_dict(),
    }
    folders.write_whole(folder / "report.json", json.dumps(content, indent=1, ensure_ascii=False))
    quarantined = _quarantined(plan, folder)
    if not report.kept:
        shutil.rmtree(work.parent)
        found = report.summary() + report.example()
        raise DataError(f"{folder}: no document is left; {found} (see {folder / 'report.json'})")
    _verify(plan, report)
    folders.commit(plan.text, folder / "text")
    shutil.rmtree(work.parent, ignore_errors=True)  # a file server may keep open files for a while
    progress.say(report.summary() + (f"; see {quarantined}" if quarantined else ""))
    return report


def _refuse_broken(plan: Plan, folder: Path, report: Report, max_broken: float) -> None:
    if BROKEN not in report.dropped:
        return
    quarantined, n_inputs = _quarantined(plan, folder), len(plan.stamps)
    n_broken = len(_broken_inputs(quarantined)) if quarantined else 0
    if n_broken > max_broken * n_inputs:
        first = report.dropped[BROKEN]["examples"][0]
        raise DataError(
            f"{folder}: {n_broken} of {n_inputs} inputs cannot be read to their end, more than "
            f"max_broken={max_broken}; get them again and run the same command, which then reads only them, "
            "or give max_broken=1 to use their readable part "
            f"(first: {first['file']}: {' '.join(first['detail'].split())}; all: {quarantined})"
        )


def _broken_inputs(quarantined: Path) -> set[str]:
    """The inputs of which a slice could not be read to its end."""
    with quarantined.open(encoding="utf-8") as lines:
        drops = (json.loads(line) for line in lines)
        return {drop["file"] for drop in drops if drop["reason"] == BROKEN}


def _verify(plan: Plan, report: Report) -> None:
    """Raise DataError unless the text has as many documents as the report counts."""
    found = sum(pq.ParquetFile(path).metadata.num_rows for path in folders.matching(plan.text, "*.parquet"))
    if found != report.kept:
        raise DataError(
            f"{plan.text}: {found:,} documents, but {report.kept:,} were counted; delete "
            f"{plan.folder.parent} and run the same command again"
        )


def _reading(plan: Plan, todo: list[int], progress: Progress) -> Callable[[], None]:
    """A function that shows how much has been read, the speed and the time left."""
    total = sum(plan.size(task) for task in range(len(plan.tasks)))
    before = total - sum(plan.size(task) for task in todo)
    started = time.monotonic()

    def status() -> None:
        live = [_live(plan, task) for task in todo]
        done = before + sum(size for size, _ in live)
        records = f"{sum(records for _, records in live):,} records"
        if done == before or total < 1e5:  # not every reader reports its position in its first file
            size = f" {decimal(total - before)}" if total >= 1e5 else ""
            progress.show(f"reading{size}, {records}")
            return
        rate = (done - before) / max(1e-3, time.monotonic() - started)
        wait = f", about {_duration((total - done) / rate)} left" if rate and done < total else ""
        progress.show(f"{decimal(done)} of {decimal(total)} read ({decimal(rate)}/s{wait}), {records}")

    return status


def _writing(plan: Plan, todo: list[int], progress: Progress) -> Callable[[], None]:
    def status() -> None:
        done = sum(exists(plan.written(task)) for task in todo)
        progress.show(f"writing, {done:,} of {len(todo):,} tasks")

    return status


def _live(plan: Plan, task: int) -> tuple[int, int]:
    """How many bytes and records a task has read so far."""
    try:
        done, records = json.loads(plan.live(task).read_text())
        return min(done, plan.size(task)), records
    except (OSError, ValueError):
        return 0, 0


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _quarantined(plan: Plan, folder: Path) -> Path | None:
    """Collect all tasks' quarantined records into one file, in order; None if there are none."""
    goal = folder / "quarantine.jsonl"
    tasks = range(len(plan.tasks))
    found = [path for task in tasks if exists(path := plan.read(task) / "quarantine.jsonl")]
    if not found:
        goal.unlink(missing_ok=True)
        return None
    with folders.replacing(goal) as temporary, temporary.open("wb") as out:
        for path in found:
            with path.open("rb") as lines:
                shutil.copyfileobj(lines, out)
    return goal
