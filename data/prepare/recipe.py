"""Runs a recipe: raw units in, `text/`, `report.json` and `quarantine.jsonl` out, on any engine.

The units are put into groups by their sizes alone. Each group is read and cleaned by one task, into a
folder that appears whole; duplicates are found over all groups, range by range of a hash; then each
group is written without them. So a killed run goes on where it was, and the text is the same, byte for
byte, on every engine and for any number of tasks. Every record is kept, or counted under a reason.
"""

import errno
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data import engine, folders
from data.accounts import BROKEN, Quarantine, Report, account, megabytes
from data.dedup import exact, stages
from data.documents import EXCERPT, Document, Drop, Record, read_documents, write_parts
from data.engine import EngineConfig
from data.errors import DataError
from data.progress import Progress
from data.remote import fetched, stamp

GROUP_BYTES = 128 << 20  # of raw input, about: what one task reads before it commits
RECORD_SECONDS = 60.0  # the time that cleaning one record may take
LIVE_SECONDS = 1.0  # how often a task tells how far it is


@dataclass(frozen=True)
class Slice:
    """What a task reads of an input: all of it, or the `index`-th of `count` ranges."""

    input: Path
    size: int  # bytes
    index: int = 0
    count: int = 1


@dataclass(frozen=True)
class Recipe:
    """What a source does with its files: plain functions, that any process can be sent."""

    read: Callable[..., Iterable[Record | Drop]]  # of a local path; also index=, n_slices= if sliced
    clean: Callable[[Record], Document | Drop]
    duplicates: str | None = None  # None | "exact" | "contained"
    slices: Callable[[Path], int] | None = None  # how many slices a file is read in
    # Stages between reading and writing: (folders read, folders to make of the same shape, a folder for its
    # own files, engine, progress) → facts for the report (data/ccnet/refine.py).
    refine: Callable[[list[Path], list[Path], Path, EngineConfig, Progress], dict] | None = None


@dataclass(frozen=True)
class _Plan:
    recipe: Recipe
    groups: tuple[tuple[Slice, ...], ...]
    folder: Path  # of the work in progress
    seconds: float

    def done(self, group: int) -> Path:
        """What a group's reading made: its documents, their hashes, its report and its quarantine."""
        return self.folder / "read" / f"{group:05d}"

    def finished(self, group: int) -> Path:
        """What of it goes on to the text, duplicates apart."""
        return self.folder / "refined" / f"{group:05d}" if self.recipe.refine else self.done(group)

    def written(self, group: int) -> Path:
        """The report of a group whose text is written; that comes last."""
        return self.folder / "written" / f"{group:05d}.json"

    def text(self) -> Path:
        return self.folder / "text"


def make_text(
    recipe: Recipe,
    units: list[Path],
    folder: Path,
    settings: dict,
    *,
    progress: Progress,
    on: EngineConfig = engine.INLINE,
    max_broken: float = 1.0,
    record_seconds: float = RECORD_SECONDS,
) -> Report:
    """Write `folder/text`, `folder/report.json` and perhaps `folder/quarantine.jsonl`.

    `settings` tell what is made; work in progress that was made with others is refused. Raises DataError
    for that, if no document is left, or if more than the share `max_broken` of the units broke off.
    """
    started = time.monotonic()
    stamps = [stamp(unit) for unit in units]
    settings = settings | {"input": [[str(unit), *mark] for unit, mark in zip(units, stamps)]}
    slices = [one for unit, (size, _) in zip(units, stamps) for one in _slices(recipe, unit, size)]
    plan = _Plan(recipe, _grouped(slices), _work_folder(folder, settings), record_seconds)
    everything = range(len(plan.groups))

    _stage(
        plan,
        on,
        "read",
        partial(_read_group, plan),
        [g for g in everything if not plan.done(g).exists()],
        progress,
    )
    report = _sum(plan.done(group) / "report.json" for group in everything)
    broken = report.dropped.get(BROKEN, {"count": 0})["count"]
    if broken > max_broken * len(slices):
        raise DataError(
            f"{folder}: {broken} of {len(slices)} inputs cannot be read to their end, more than "
            f"max_broken={max_broken}; get them again, or accept what they hold with max_broken=1 "
            f"(first: {report.dropped[BROKEN]['examples'][0]['file']}; all: {_quarantined(plan, folder)})"
        )
    facts = {}
    if recipe.refine:
        read, finished = map(list, zip(*((plan.done(group), plan.finished(group)) for group in everything)))
        facts = recipe.refine(read, finished, plan.folder / "refine", on, progress)
    if recipe.duplicates and report.kept:
        status = partial(progress.show, f"looking for duplicates among {report.kept:,} documents")
        stages.find(
            recipe.duplicates,
            [plan.done(group) for group in everything],
            report.kept,
            plan.folder / "duplicates",
            on,
            status,
        )
    todo = [group for group in everything if not plan.written(group).exists()]
    _stage(plan, on, "write", partial(_write_group, plan), todo, progress)
    report = _sum(plan.written(group) for group in everything)
    account = {
        "settings": settings,
        "seconds": round(time.monotonic() - started, 1),
        **facts,
        **report.as_dict(),
    }
    folders.write_whole(folder / "report.json", json.dumps(account, indent=1, ensure_ascii=False))
    quarantined = _quarantined(plan, folder)
    if not report.kept:
        shutil.rmtree(plan.folder)
        raise DataError(f"{folder}: no document was left; {report.summary()} (see {folder / 'report.json'})")
    folders.commit(plan.text(), folder / "text")
    shutil.rmtree(plan.folder)
    progress.say(report.summary() + (f"; see {quarantined}" if quarantined else ""))
    return report


def _slices(recipe: Recipe, unit: Path, size: int) -> list[Slice]:
    count = recipe.slices(unit) if recipe.slices else 1
    return [Slice(unit, size // count, index, count) for index in range(count)]


def _grouped(slices: list[Slice]) -> tuple[tuple[Slice, ...], ...]:
    """Neighbours together, until they are GROUP_BYTES."""
    groups, size = [[]], 0
    for one in slices:
        if groups[-1] and size + one.size > GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(one)
        size += one.size
    return tuple(tuple(group) for group in groups)


def _work_folder(folder: Path, settings: dict) -> Path:
    """Where this run goes on, or begins. Raises DataError if another one was left unfinished there."""
    work = folder / "text.work"
    known = work / "settings.json"
    if known.exists():
        begun = json.loads(known.read_text())
        different = sorted(key for key in {*begun, *settings} if begun.get(key) != settings.get(key))
        if different:
            raise DataError(
                f"{work}: an unfinished run with another {', '.join(different)}; "
                "give the same again to go on with it, or delete this folder to begin anew"
            )
    else:
        shutil.rmtree(work, ignore_errors=True)
        for name in ("read", "live", "duplicates", "written", "text"):
            (work / name).mkdir(parents=True)
        folders.write_whole(known, json.dumps(settings))
    return work


def _stage(
    plan: _Plan, on: EngineConfig, name: str, work: engine.Work, items: list[int], progress: Progress
) -> None:
    sizes = [sum(one.size for one in group) for group in plan.groups]
    total, before = sum(sizes), sum(sizes) - sum(sizes[item] for item in items)
    started = time.monotonic()

    def status() -> None:
        if name == "write":
            left = sum(not plan.written(item).exists() for item in items)
            progress.show(f"writing, {len(items) - left:,} of {len(items):,} groups")
            return
        live = [_live(plan, item, sizes[item]) for item in items]
        done = before + sum(size for size, _ in live)
        rate = (done - before) / max(1e-3, time.monotonic() - started)
        wait = f", about {_duration((total - done) / rate)} left" if rate and done < total else ""
        progress.show(
            f"{megabytes(done)} of {megabytes(total)} read ({rate / 1e6:.1f} MB/s{wait}), "
            f"{sum(records for _, records in live):,} records"
        )

    engine.run(on, name, work, items, plan.folder / "logs", status)


def _live(plan: _Plan, group: int, size: int) -> tuple[int, int]:
    """Bytes and records that a group's task has read so far."""
    try:
        done, records = json.loads((plan.folder / "live" / f"{group:05d}.json").read_text())
        return min(done, size), records
    except (OSError, ValueError):
        return 0, 0


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


# ---- the tasks


def _read_group(plan: _Plan, group: int) -> None:
    """Read and clean one group; `plan.done(group)` appears whole."""
    temporary = folders.aside(folders.own(plan.done(group)))
    report, quarantine, hashes = Report(), Quarantine(temporary / "quarantine.jsonl"), exact.Hashes()
    documents = account(_documents(plan, group), report, quarantine)
    if plan.recipe.duplicates == "exact":
        documents = _hashed(documents, hashes)
    write_parts(documents, temporary, f"part-{group:05d}")
    quarantine.close()
    if plan.recipe.duplicates == "exact":
        hashes.write(temporary / "hashes.npy")
    (temporary / "report.json").write_text(json.dumps(report.as_dict()))
    _commit_once(temporary, plan.done(group))


def _documents(plan: _Plan, group: int) -> Iterator[Document | Drop]:
    done = records = 0
    shown = time.monotonic()
    for one in plan.groups[group]:
        for item in _read_slice(plan.recipe, one):
            yield _cleaned(plan, item)
            records += 1
            if time.monotonic() > shown + LIVE_SECONDS:
                shown = time.monotonic()
                (plan.folder / "live" / f"{group:05d}.json").write_text(json.dumps([done, records]))
        done += one.size
    (plan.folder / "live" / f"{group:05d}.json").write_text(json.dumps([done, records]))


def _read_slice(recipe: Recipe, one: Slice) -> Iterator[Record | Drop]:
    """The records of one slice; one that breaks off is set aside from there on."""
    position = 0
    read = partial(recipe.read, index=one.index, n_slices=one.count) if recipe.slices else recipe.read
    try:
        with fetched(one.input) as path:
            for item in read(path):
                yield item if path == one.input else _renamed(item, path, one.input)
                position = item.record + 1
    except MemoryError:
        raise
    except Exception as error:  # whatever a foreign reader raises, the run goes on and the file is counted
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise  # a reader's temporary folder is full: not the input's fault
        detail = f"the file cannot be read from here on: {type(error).__name__}: {error}"
        yield Drop(BROKEN, str(one.input), position, detail, malformed=True)


def _renamed(item: Record | Drop, path: Path, unit: Path) -> Record | Drop:
    """What was read from a copy names the place that it was copied from."""
    from dataclasses import replace

    return replace(item, file=item.file.replace(str(path), str(unit), 1))


def _cleaned(plan: _Plan, item: Record | Drop) -> Document | Drop:
    if isinstance(item, Drop):
        return item
    try:
        with _at_most(plan.seconds):
            return plan.recipe.clean(item)
    except MemoryError:
        raise
    except _TooLong:
        return item.drop("took too long", f"more than {plan.seconds:g} s")
    except Exception as error:
        from dataclasses import replace

        return replace(item.drop("cannot be cleaned", f"{type(error).__name__}: {error}"), malformed=True)


class _TooLong(BaseException):
    """Raised inside a recipe; not an Exception, so that none of its own handlers takes it."""


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raises _TooLong in the block after so many seconds; in the main thread, where signals arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _alarm(number: int, frame: object) -> None:
    raise _TooLong


def _hashed(documents: Iterable[Document], hashes: exact.Hashes) -> Iterator[Document]:
    for document in documents:
        hashes.add(document)
        yield document


def _write_group(plan: _Plan, group: int) -> None:
    """Put one group's documents into the text, without those that are marked."""
    parts = sorted(plan.finished(group).glob("*.parquet"))
    report = _sum([plan.finished(group) / "report.json"])
    rows = stages.marked(plan.folder / "duplicates", group)
    first = 0
    for part in parts:
        n_rows = pq.ParquetFile(part).metadata.num_rows
        going = {row - first: detail for row, detail in rows.items() if first <= row < first + n_rows}
        first += n_rows
        goal = plan.text() / part.name
        if not going:
            if not goal.exists():
                os.link(part, goal)
            continue
        for row, document in enumerate(read_documents(part)):
            if row in going:
                report.drop_kept(document, _duplicate(document, going[row]))
        if len(going) < n_rows:
            temporary = folders.own(goal)
            _copy_without(part, temporary, going)
            temporary.replace(goal)
    folders.write_whole(plan.written(group), json.dumps(report.as_dict()))


def _duplicate(document: Document, detail: str) -> Drop:
    reason = "contained in another" if detail else "duplicate"
    return Drop(reason, document.file, document.record, detail or document.id, text=document.text[:EXCERPT])


def _copy_without(part: Path, goal: Path, going: Container[int]) -> None:
    first = 0
    with (
        pq.ParquetFile(part) as file,
        pq.ParquetWriter(goal, file.schema_arrow, compression="zstd") as writer,
    ):
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            keep = [first + row not in going for row in range(table.num_rows)]
            first += table.num_rows
            if any(keep):
                writer.write_table(table.filter(pa.array(keep)))


# ---- files


def _commit_once(temporary: Path, goal: Path) -> None:
    for path in [*sorted(temporary.rglob("*")), temporary]:
        folders.sync(path)
    try:
        temporary.rename(goal)
    except OSError:
        if not goal.exists():
            raise
        shutil.rmtree(temporary)  # another process made the same
    folders.sync(goal.parent)


def _sum(paths: Iterable[Path]) -> Report:
    total = Report()
    for path in paths:
        total.add(Report(**json.loads(path.read_text())))
    return total


def _quarantined(plan: _Plan, folder: Path) -> Path | None:
    """All groups' quarantined records in one file, in their order; none if there are none."""
    goal = folder / "quarantine.jsonl"
    goal.unlink(missing_ok=True)
    found = [path for g in range(len(plan.groups)) if (path := plan.done(g) / "quarantine.jsonl").exists()]
    if not found:
        return None
    aside = goal.with_name(goal.name + ".tmp")
    with aside.open("wb") as out:
        for path in found:
            with path.open("rb") as lines:
                shutil.copyfileobj(lines, out)
    aside.replace(goal)
    return goal
