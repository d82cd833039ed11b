"""A recipe's two kinds of tasks: read and clean some slices; write their text without marked duplicates.

A task's output depends on its input alone and appears complete or not at all, so a task may be killed,
repeated or run twice at once. An error of the machine or the network is retried, and fails the task if it
persists; only faults in the data itself are counted as malformed records.
"""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from configs.existence import exists
from data import folders
from data.accounts import BROKEN, Quarantine, Report, account
from data.dedup import exact, stages
from data.documents import EXCERPT, Document, Drop, Record, parquet_writer, read_documents, write_parts
from data.errors import DataError, PassingError, is_passing, retried
from data.prepare.plan import INPUTS, Plan, Recipe, Slice, prefix
from data.remote import fetched, named, stamp_now
from data.sources.files import limits

LIVE_SECONDS = 1.0  # how often a task reports its progress


def read_task(plan: Plan, task: int) -> None:
    """Read and clean the slices of one task into `plan.read(task)`, which appears complete or not at all.

    Raises DataError if an input still cannot be read after several attempts, or has changed.
    """
    with limits.within(plan.limits):
        retried(partial(_read, plan, task))


def write_task(plan: Plan, task: int) -> None:
    """Write one task's documents to the text, leaving out those marked as duplicates; then its report."""
    report = sum_reports([plan.refined(task) / "report.json"])
    rows = stages.marked(plan.duplicates, task)
    first = 0
    for path in folders.matching(plan.refined(task), "*.parquet"):
        n_rows = pq.ParquetFile(path).metadata.num_rows
        dropped = {row - first: detail for row, detail in rows.items() if first <= row < first + n_rows}
        first += n_rows
        goal = plan.text / path.name
        if not dropped:
            if not exists(goal):
                folders.link(path, goal)
            continue
        for row, document in enumerate(read_documents(path)):
            if row in dropped:
                report.drop_kept(document, _duplicate(document, dropped[row]))
        if len(dropped) < n_rows:
            aside = folders.own(plan.folder / "aside" / path.name)
            with folders.replacing(goal, aside) as temporary:
                _copy_without(path, temporary, dropped)
    with folders.replacing(plan.written(task), folders.own(plan.written(task))) as temporary:
        temporary.write_text(json.dumps(report.as_dict()))


def sum_reports(paths: Iterable[Path]) -> Report:
    total = Report()
    for path in paths:
        total.add(Report(**json.loads(path.read_text())))
    return total


# ---- reading


def _read(plan: Plan, task: int) -> None:
    temporary = folders.aside(folders.own(plan.read(task)))
    try:
        report, quarantine, hashes = Report(), Quarantine(temporary / "quarantine.jsonl"), exact.Hashes()
        documents = account(_documents(plan, task), report, quarantine)
        if plan.recipe.duplicates == "exact":
            documents = _hashed(documents, hashes)
        write_parts(documents, temporary, prefix(task))
        quarantine.close()
        if plan.recipe.duplicates == "exact":
            hashes.write(temporary / "hashes.npy")
        (temporary / "report.json").write_text(json.dumps(report.as_dict()))
        (temporary / INPUTS).write_text(plan.inputs(task))
        folders.commit_once(temporary, plan.read(task))
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _documents(plan: Plan, task: int) -> Iterator[Document | Drop]:
    done = records = 0
    shown = time.monotonic()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPROF, _alarm)  # only once: it takes longer than cleaning a short record
    for one in plan.tasks[task]:
        _check_unchanged(plan, one.input)
        for item in _read_slice(plan.recipe, one):
            yield _cleaned(plan, item)
            records += 1
            if time.monotonic() > shown + LIVE_SECONDS:
                shown = time.monotonic()
                plan.live(task).write_text(json.dumps([done + _place(one), records]))
        _check_unchanged(plan, one.input)
        done += one.size
    plan.live(task).write_text(json.dumps([done, records]))


def _place(one: Slice) -> int:
    """How many bytes of a file this process has read so far, if Linux reports it; else 0."""
    if one.count > 1:
        return 0
    with suppress(OSError, ValueError):
        for number in os.listdir("/proc/self/fd"):
            if os.readlink(f"/proc/self/fd/{number}") == os.path.realpath(one.input):
                position = Path(f"/proc/self/fdinfo/{number}").read_text().split()[1]
                return min(one.size, int(position))
    return 0


def _check_unchanged(plan: Plan, path: Path) -> None:
    """Raises DataError if the input has changed since the work began."""
    try:
        now = stamp_now(path)
    except Exception as error:
        raise PassingError(f"{path}: cannot be read ({_why(error, path)})") from error
    if now != plan.stamps[path]:
        raise DataError(
            f"{path}: changed since this preparation began ({plan.stamps[path][0]:,} bytes then, {now[0]:,} "
            "now); run the same command again to read its new content"
        )


def _read_slice(recipe: Recipe, one: Slice) -> Iterator[Record | Drop]:
    """The records of one slice, then a drop for the rest if its data cannot be read.

    Raises PassingError if the machine or the network is at fault.
    """
    position = 0
    read = partial(recipe.read, index=one.index, n_slices=one.count) if recipe.slices else recipe.read
    is_fetched = False
    try:
        with fetched(one.input) as path:
            is_fetched = True
            for item in read(path):
                yield item if path == one.input else _renamed(item, path, one.input)
                position = item.record + 1
    except MemoryError:
        raise
    except limits.TooLarge as error:
        yield Drop("too large", str(one.input), position, f"{error}; read up to here", malformed=True)
    except Exception as error:  # a reader may raise any exception
        if is_passing(error) or not is_fetched:
            raise PassingError(f"{one.input}: cannot be read ({_why(error, one.input)})") from error
        detail = f"the file cannot be read from here on: {type(error).__name__}: {error}"
        yield Drop(BROKEN, str(one.input), position, detail, malformed=True)


def _why(error: Exception, path: Path) -> str:
    """Why `path` cannot be read; for a folder, also which file in it."""
    if not isinstance(error, OSError) or not error.strerror:
        return f"{type(error).__name__}: {error}"
    is_below = error.filename and str(error.filename) != str(path)
    return f"{error.filename}: {error.strerror}" if is_below else error.strerror


def _renamed(item: Record | Drop, path: Path, original: Path) -> Record | Drop:
    """The item, naming the original input instead of its local copy."""
    return replace(item, file=item.file.replace(str(path), named(original), 1))


def _cleaned(plan: Plan, item: Record | Drop) -> Document | Drop:
    if isinstance(item, Drop):
        return item
    try:
        with _AtMost(plan.seconds):
            return plan.recipe.clean(item)
    except MemoryError:
        raise
    except _TooLong:
        return item.drop("took too long", f"more than {plan.seconds:g} s")
    except Exception as error:
        return replace(item.drop("cannot be cleaned", f"{type(error).__name__}: {error}"), malformed=True)


class _TooLong(BaseException):
    """Raised inside a recipe; not an Exception, so that none of the recipe's handlers catches it."""


class _AtMost:
    """Raise _TooLong in the block after this much CPU time; no limit outside the main thread (signals).

    CPU time, not wall time, so that a paused or overloaded machine drops no record.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds if threading.current_thread() is threading.main_thread() else 0

    def __enter__(self) -> None:
        if self._seconds:
            signal.setitimer(signal.ITIMER_PROF, self._seconds)

    def __exit__(self, *error: object) -> None:
        if self._seconds:
            signal.setitimer(signal.ITIMER_PROF, 0)


def _alarm(number: int, frame: object) -> None:
    raise _TooLong


def _hashed(documents: Iterable[Document], hashes: exact.Hashes) -> Iterator[Document]:
    for document in documents:
        hashes.add(document)
        yield document


# ---- writing


def _duplicate(document: Document, detail: str) -> Drop:
    reason = "contained in another" if detail else "duplicate"
    return Drop(reason, document.file, document.record, detail or document.id, text=document.text[:EXCERPT])


def _copy_without(path: Path, goal: Path, dropped: Container[int]) -> None:
    first = 0
    with pq.ParquetFile(path) as file, parquet_writer(goal) as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            keep = np.array([first + row not in dropped for row in range(table.num_rows)], bool)
            first += table.num_rows
            if keep.any():
                bits = pa.py_buffer(np.packbits(keep, bitorder="little"))  # `pa.array` imports pandas
                writer.write_table(table.filter(pa.Array.from_buffers(pa.bool_(), len(keep), [None, bits])))
            del table  # free it before the next one is read
