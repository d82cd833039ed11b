"""A recipe's functions, and the tasks its work is divided into.

In: a recipe and its inputs. Out: tasks of about TASK_BYTES, which depend on the inputs' sizes alone, and the
paths of each task's files in the work folder. That folder is named after the settings, so a process left over
from an attempt with other settings cannot write into it.
"""

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import xxhash

from configs.existence import exists, is_dir
from data import folders, remote
from data.documents import Document, Drop, Record
from data.engine import EngineConfig
from data.errors import DataError
from data.progress import Progress
from data.sources.files.limits import DEFAULT, Limits

WORK = "text.work"  # the folder of unfinished work
INPUTS = "inputs.json"  # in a reading task's folder: what it has read
LIMITS = ("record_seconds", "record_bytes", "max_expansion")  # settings that earlier versions did not record
TASK_BYTES = 128 << 20  # about how much raw input one task reads before it commits


@dataclass(frozen=True)
class Slice:
    """The part of an input that a task reads: all of it, or the `index`-th of `count` ranges."""

    input: Path
    size: int  # bytes
    index: int = 0
    count: int = 1


@dataclass(frozen=True)
class Recipe:
    """How a source's files are read and cleaned: plain functions that can be sent to any process."""

    read: Callable[..., Iterable[Record | Drop]]  # takes a local path; also index=, n_slices= if sliced
    clean: Callable[[Record], Document | Drop]
    duplicates: str | None = None  # None | "exact" | "contained"
    slices: Callable[[Path], int] | None = None  # the number of slices of an input
    # Stages between reading and writing: (folders read, folders to make in the same form, a folder for the
    # stages' own files, engine, progress) → facts for the report (data/ccnet/refine.py).
    refine: Callable[[list[Path], list[Path], Path, EngineConfig, Progress], dict] | None = None


@dataclass(frozen=True)
class Plan:
    """The tasks, and where each reads and writes its files."""

    recipe: Recipe
    tasks: tuple[tuple[Slice, ...], ...]
    stamps: dict[Path, tuple[int, str]]  # each input's `data.remote.stamp` when the work began
    folder: Path  # holds the work in progress
    seconds: float  # most CPU time for cleaning one record
    limits: Limits = DEFAULT  # bounds on what is read

    def read(self, task: int) -> Path:
        """A reading task's folder: documents and their hashes, a report and a quarantine."""
        return self.folder / "read" / f"{task:05d}"

    def refined(self, task: int) -> Path:
        """The folder of the task's documents as they will be written to the text, still with duplicates."""
        return self.folder / "refined" / f"{task:05d}" if self.recipe.refine else self.read(task)

    def written(self, task: int) -> Path:
        """The report of a writing task; it appears last, so it also marks the task as done."""
        return self.folder / "written" / f"{task:05d}.json"

    def live(self, task: int) -> Path:
        """The file with a reading task's progress: [bytes, records]."""
        return self.folder / "live" / f"{task:05d}.json"

    def inputs(self, task: int) -> str:
        """What a reading task reads: its slices, and their inputs' stamps."""
        return json.dumps(
            [(str(one.input), *self.stamps[one.input], one.index, one.count) for one in self.tasks[task]]
        )

    @property
    def duplicates(self) -> Path:
        return self.folder / "duplicates"

    @property
    def text(self) -> Path:
        return self.folder / "text"

    def size(self, task: int) -> int:
        """How many bytes of input a task reads."""
        return sum(one.size for one in self.tasks[task])


def prefix(task: int) -> str:
    """How the names of a task's Parquet files begin."""
    return f"part-{task:05d}"


def slices_of(recipe: Recipe, path: Path, size: int) -> list[Slice]:
    count = recipe.slices(path) if recipe.slices else 1
    return [Slice(path, size // count, index, count) for index in range(count)]


def in_tasks(slices: list[Slice]) -> tuple[tuple[Slice, ...], ...]:
    """The slices in order, grouped into tasks of up to TASK_BYTES; a larger slice is a task by itself."""
    tasks: list[list[Slice]] = [[]]
    size = 0
    for one in slices:
        if tasks[-1] and size + one.size > TASK_BYTES:
            tasks.append([])
            size = 0
        tasks[-1].append(one)
        size += one.size
    return tuple(map(tuple, tasks))


def recorded(made: dict, settings: dict) -> dict:
    """The settings as recorded, with those of `settings` where an earlier version recorded less."""
    unknown = {key: settings[key] for key in LIMITS if key in settings}
    return unknown | made | {"input": remote.completed(made.get("input"), settings["input"])}


def work_folder(folder: Path, settings: dict, progress: Progress) -> Path:
    """The folder to work in, new or resumed. Raises DataError if work with other settings is unfinished.

    Inputs may be added, taken away and replaced, as long as one keeps its name.
    """
    work = folder / WORK
    known = work / "settings.json"
    if is_dir(work / "read"):
        progress.say(f"{work}: left unfinished by an earlier version; starting over")
        shutil.rmtree(work)
    if exists(known):
        begun = json.loads(known.read_text())
        same = recorded(begun, settings)
        different = sorted(key for key in {*same, *settings} if same.get(key) != settings.get(key))
        if different == ["input"] and _names(begun) & _names(settings):
            begun = settings
            folders.write_whole(known, json.dumps(settings))
            progress.say("the inputs have changed since this preparation began; only new content is read")
        elif different:
            raise DataError(
                f"{work}: an unfinished preparation used a different {', '.join(different)}; rerun with the "
                "original settings to resume, or delete this folder to start again"
            )
    else:
        begun = settings
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        folders.write_whole(known, json.dumps(settings))
    own = work / xxhash.xxh3_64_hexdigest(json.dumps(begun, sort_keys=True).encode())
    for name in ("read", "live", "duplicates", "written", "text", "aside"):
        (own / name).mkdir(parents=True, exist_ok=True)
    return own


def _names(settings: dict) -> set[str]:
    return {name for name, *_ in settings["input"]}


def keep_read(plan: Plan) -> None:
    """Take over what was read from the same content before `input=` or one of its files changed."""
    others = (path for path in folders.matching(plan.folder.parent, "*") if path != plan.folder)
    read = [
        path for other in others for path in folders.matching(other / "read", "*") if path.name.isdecimal()
    ]
    made = {path.read_text(): path.parent for task in read if exists(path := task / INPUTS)}
    if not made:
        return
    for task in range(len(plan.tasks)):
        found = made.get(plan.inputs(task))
        if found is None or exists(plan.read(task)):
            continue
        moved = folders.own(plan.read(task))
        found.rename(moved)
        for path in folders.matching(moved, "*.parquet"):
            path.rename(path.with_name(path.name.replace(prefix(int(found.name)), prefix(task), 1)))
        moved.rename(plan.read(task))
