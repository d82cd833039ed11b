"""Runs CCNet's steps in order: remove repeated paragraphs; filter by language, perplexity and references.

In: folders of pages, one per task (Parquet and report.json). Out: folders in the same form with the kept
pages, reports that count every other page under a reason, and facts about the whole (thresholds, numbers of
paragraphs). Every task makes a folder that appears complete or not at all, so the result is the same on every
engine and after any restart.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from data import engine, folders
from data.accounts import Quarantine, Report, account
from data.ccnet import language, paragraphs, perplexity, references, repeats
from data.documents import EXCERPT, Document, Drop, read_documents, write_parts
from data.engine import EngineConfig
from data.errors import DataError
from data.progress import Progress

T = TypeVar("T")
Facts = dict[str, str | float]  # about a page
BATCH = 64  # pages
_as_json = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True)
class CCNet:
    """The requested steps, and their thresholds and models."""

    models: Path | None  # a folder with <language>.sp.model, <language>.arpa.bin and references.bin
    languages: tuple[str, ...] = ("en",)
    min_language: float = 0.5  # (CCNet)
    cutoffs: tuple[float, float] | None = None  # perplexities; None: the corpus's own percentiles
    min_reference: float = 0.25  # (RedPajama)
    skip: frozenset[str] = frozenset()  # any of paragraphs, language, perplexity, references
    sets: dict[str, int] = field(default_factory=dict)  # file: the set its paragraphs are compared in (or 0)

    def folder(self) -> Path:
        """The folder of the models. Raises DataError if none was given."""
        if self.models is None:
            raise DataError("ccnet.models: expected the folder of the models")
        return self.models

    @cached_property
    def references_file(self) -> Path:
        return self.folder() / references.FILE

    def check(self) -> None:
        """Load every model that will be used, to find faults early. Raises DataError."""
        if "language" not in self.skip:
            language.load(language.model_file(self.models))
        if "perplexity" not in self.skip:
            for name in self.languages:
                perplexity.load(self.folder(), name)
        if "references" not in self.skip:
            references.load(self.references_file)

    def __call__(
        self, read: list[Path], refined: list[Path], work: Path, on: EngineConfig, progress: Progress
    ) -> dict:
        """Make `refined` from `read`, keeping other files under `work`. Returns the facts."""
        hashed, scored = ([work / name / folder.name for folder in read] for name in ("hashed", "scored"))
        for folder in (*hashed[:1], *scored[:1], *refined[:1], work / "partitions" / "0"):
            folder.parent.mkdir(parents=True, exist_ok=True)

        def stage(name: str, made: list[Path], task: Callable[[int], None]) -> None:
            todo = [item for item, path in enumerate(made) if not path.exists()]
            status = partial(_say, progress, name, [made[item] for item in todo])
            engine.run(on, name, task, todo, work.parent / "logs", status)

        reduced: list[tuple[repeats.Partition, Path]] = []
        if "paragraphs" not in self.skip:
            stage("hash", hashed, partial(_hash, self, read, hashed))
            found = repeats.partitions(hashed)
            reduced = [(which, work / "partitions" / f"{place:06d}") for place, which in enumerate(found)]
            stage("compare", [path for _, path in reduced], partial(_compare, hashed, reduced))
        stage("score", scored, partial(_score, self, read, hashed, reduced, scored))
        limits = self._limits(scored)
        stage("select", refined, partial(_select, self, limits, scored, refined))
        numbers = [json.loads((folder / "paragraphs.json").read_text()) for folder in scored]
        return {
            "cutoffs": {name: {"head": head, "middle": middle} for name, (head, middle) in limits.items()},
            "paragraphs": {key: sum(number[key] for number in numbers) for key in ("read", "removed")},
        }

    def _limits(self, scored: list[Path]) -> dict[str, tuple[float, float]]:
        """For each language with pages, the perplexities where head and middle end."""
        if "perplexity" in self.skip:
            return {}
        if self.cutoffs:
            return dict.fromkeys(self.languages, self.cutoffs)
        limits = {}
        for name in self.languages:
            counts = np.zeros(1, np.int64)  # grown as needed: the largest takes a tenth of a second
            for folder in scored:
                values, numbers = np.load(folder / f"perplexity-{name}.npy")
                counts = np.pad(counts, (0, max(0, int(values.max(initial=0)) + 1 - len(counts))))
                counts[values] += numbers
            if counts.any():
                limits[name] = perplexity.cutoffs(counts)
        return limits


def _hash(ccnet: CCNet, read: list[Path], hashed: list[Path], task: int) -> None:
    pages = ((ccnet.sets.get(page.file, 0), paragraphs.hashes(page.text)) for page in _pages(read[task]))
    repeats.write_hashes(pages, hashed[task])


def _compare(hashed: list[Path], reduced: list[tuple[repeats.Partition, Path]], item: int) -> None:
    which, folder = reduced[item]
    repeats.reduce_partition(hashed, which, folder)


def _score(
    ccnet: CCNet,
    read: list[Path],
    hashed: list[Path],
    reduced: list[tuple[repeats.Partition, Path]],
    scored: list[Path],
    task: int,
) -> None:
    """Remove repeated paragraphs, keep the requested languages, and measure each page's perplexity."""
    counted, numbers = {"read": 0, "removed": 0}, {name: [] for name in ccnet.languages}
    repeated = repeats.repeated(hashed[task], task, reduced) if reduced else {}
    unique = _unique(ccnet, read[task], hashed[task], repeated, counted) if reduced else None
    pages = _ahead(unique or _pages(read[task]))
    identified = _ahead(page if isinstance(page, Drop) else _identified(ccnet, page) for page in pages)
    measured = (page if isinstance(page, Drop) else _measured(ccnet, *page, numbers) for page in identified)
    temporary = _refined(measured, read[task], scored[task])
    (temporary / "paragraphs.json").write_text(json.dumps(counted))
    for name, tenths in numbers.items():
        np.save(
            temporary / f"perplexity-{name}.npy", np.array(np.unique(tenths, return_counts=True), np.int64)
        )
    folders.commit_once(temporary, scored[task])


def _unique(
    ccnet: CCNet, read: Path, hashed: Path, repeated: dict[int, np.ndarray], counted: dict[str, int]
) -> Iterator[Document | Drop]:
    """The pages without the paragraphs that occur more than once; no copy is kept."""
    with repeats.opened_order(hashed) as read_hashes:
        for page in _pages(read):
            hashes = read_hashes(page.text.count("\n") + 1)
            removed = repeats.isin_sorted(hashes, repeated[ccnet.sets.get(page.file, 0)])
            n_removed = int(np.count_nonzero(removed))
            counted["read"] += len(hashes)
            counted["removed"] += n_removed
            if n_removed == len(hashes):
                yield _drop(page, "every paragraph is repeated")
            else:
                yield replace(page, text=paragraphs.without(page.text, removed)) if n_removed else page


def _ahead(items: Iterable[T]) -> Iterator[T]:
    """The items, made in batches, so that a model's tables stay in the CPU's cache from page to page."""
    items = iter(items)
    while batch := list(islice(items, BATCH)):
        yield from batch


def _identified(ccnet: CCNet, page: Document) -> tuple[Document, Facts] | Drop:
    """The page and what was found about it, if it is in a requested language; else a drop."""
    if "language" in ccnet.skip:
        return page, {}
    name, score = language.identify(page.text, language.model_file(ccnet.models))
    if score < ccnet.min_language:
        return _drop(page, "no sure language", f"{name} {score:.2f}")
    if name not in ccnet.languages:
        return _drop(page, f"language {name}", f"{score:.2f}")
    return page, {"language": name, "language_score": round(score, 4)}


def _measured(ccnet: CCNet, page: Document, found: Facts, numbers: dict[str, list[int]]) -> Document:
    """The page with what was found and its perplexity. Adds the perplexity, in tenths, to `numbers`."""
    if "perplexity" not in ccnet.skip:
        name = str(found["language"])
        value = round(perplexity.load(ccnet.folder(), name).perplexity(page.text), 1)
        found["perplexity"] = value
        numbers[name].append(perplexity.tenths(value))
    return replace(page, meta=_as_json(json.loads(page.meta) | found)) if found else page


def _select(
    ccnet: CCNet, limits: dict[str, tuple[float, float]], scored: list[Path], refined: list[Path], task: int
) -> None:
    """Keep the pages in head and middle that resemble the ones Wikipedia cites."""
    if not limits and "references" in ccnet.skip:  # there is nothing to select by
        temporary = folders.aside(folders.own(refined[task]))
        for path in scored[task].iterdir():
            folders.link(path, temporary / path.name)
    else:
        chosen = (_chosen(ccnet, limits, page) for page in _pages(scored[task]))
        temporary = _refined(chosen, scored[task], refined[task])
    folders.commit_once(temporary, refined[task])


def _chosen(ccnet: CCNet, limits: dict[str, tuple[float, float]], page: Document) -> Document | Drop:
    meta = json.loads(page.meta)
    if limits:
        meta["bucket"] = perplexity.bucket(meta["perplexity"], *limits[meta["language"]])
        if meta["bucket"] == "tail":
            return _drop(page, "perplexity: tail", f"{meta['perplexity']}")
    if "references" not in ccnet.skip:
        probability = references.probability(page.text, ccnet.references_file)
        if probability < ccnet.min_reference:
            return _drop(page, "unlike Wikipedia's references", f"{probability:.3f}")
        meta["reference"] = round(probability, 4)
    return replace(page, meta=_as_json(meta))


def _refined(items: Iterator[Document | Drop], before: Path, goal: Path) -> Path:
    """A temporary folder for `goal`: the kept pages, and a report that counts all records of `before`."""
    temporary = folders.aside(folders.own(goal))
    report = Report(**json.loads((before / "report.json").read_text()))
    report = Report(read=report.read - report.kept, dropped=report.dropped)
    quarantine = Quarantine(temporary / "quarantine.jsonl")
    write_parts(account(items, report, quarantine), temporary, f"part-{goal.name}")
    quarantine.close()
    (temporary / "report.json").write_text(json.dumps(report.as_dict()))
    return temporary


def _pages(folder: Path) -> Iterator[Document]:
    for path in folders.matching(folder, "*.parquet"):
        yield from read_documents(path)


def _drop(page: Document, reason: str, detail: str = "") -> Drop:
    return Drop(reason, page.file, page.record, detail, text=page.text[:EXCERPT])


def _say(progress: Progress, name: str, made: list[Path]) -> None:
    progress.show(f"{name}: {sum(path.exists() for path in made):,} of {len(made):,}")
