"""`relama find run=NAME document=…`: which steps trained on a document, and which will.

In: the run's order.json and its stores' provenance. Out: the steps, how many of its tokens they saw, the
newest checkpoint before them, and the steps that will see them.
"""

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from configs import terminal
from configs.checks import require
from configs.load import entry, load
from configs.overrides import as_key
from data import explain
from data.cache.config import CacheConfig
from data.errors import DataError
from data.folders import find_run
from data.phases.selection import select, shown, wanted_in
from train.checkpoint.folder import complete_steps
from train.config import RunError
from train.run.configuration import read_run_config
from train.run.lineage import ancestors, shared

SHOWN = 8  # steps that a line lists


@dataclass
class FindConfig:
    """Which run, and which documents."""

    run: str  # a name under runs/, or a path
    document: str  # URL | FILE#RECORD | license:NAME | re:PATTERN over provenance | id | a text file of these
    corpora: str | None = None  # where the prepared sources are now; null: where the run read them
    json: bool = False  # print JSON, with every step
    cache: CacheConfig = field(default_factory=CacheConfig)

    def __post_init__(self) -> None:
        require(bool(self.document), "document", "", "a URL, FILE#RECORD, license:NAME, re:PATTERN or an id")


@dataclass
class Found:
    """What a run has seen of some documents, and what it will see. A token counts each time it is seen."""

    documents: dict[str, int]  # by source
    tokens: int  # of their text
    reached: int  # the run's last trained step
    last_step: int
    trained: list[int]  # steps
    tokens_trained: int
    coming: list[int]
    tokens_coming: int
    checkpoint: str | None  # RUN@STEP, the newest kept checkpoint before all of these steps


def find(folder: Path, document: str, cache: CacheConfig | None = None, corpora: str | None = None) -> Found:
    """What the run has seen of `document`, and what it will see.

    Raises DataError or RunError if there is no such run, or no store knows the document.
    """
    order, steps, stores = explain.read_run(folder, cache or CacheConfig(), corpora)
    last_step = read_run_config(folder).steps
    reached = explain.last_step(folder) or max((step for _, step in ancestors(folder)), default=0)
    spans = select(stores, wanted_in(document))
    places = [
        place
        for source, found in spans.items()
        for place in explain.seen(order, steps, source, shown(found), steps.sample(last_step))
    ]
    done, coming = ([p for p in places if (p.step <= reached) is past] for past in (True, False))
    trained = sorted({place.step for place in done})
    return Found(
        {source: len(found) for source, found in spans.items()},
        sum(b - a for found in spans.values() for a, b in shown(found)),
        reached,
        last_step,
        trained,
        sum(place.tokens for place in done),
        sorted({place.step for place in coming}),
        sum(place.tokens for place in coming),
        _before(folder, trained[0]) if trained else None,
    )


def lines(found: Found, run: str, document: str) -> Iterator[str]:
    """What to print."""
    if not found.documents:
        yield "known to the run's corpora, but held out: no training sequence has it"
        return
    each = ", ".join(f"{source} {count:,}" for source, count in found.documents.items())
    count = sum(found.documents.values())
    yield f"{count:,} document{'s' * (count != 1)} ({each}), {found.tokens:,} tokens of text"
    if not found.trained:
        yield f"not trained on up to step {found.reached:,}"
    else:
        yield f"trained on in {_steps(found.trained)}, {found.tokens_trained:,} tokens in total"
        kept = found.checkpoint or "none was kept; start a new run"
        yield f"newest checkpoint that had not seen it: {kept}"
    if found.coming:
        yield f"to come: {_steps(found.coming)} of {found.last_step:,}, {found.tokens_coming:,} tokens"
    else:
        yield f"nothing to come up to step {found.last_step:,}"
    if found.checkpoint:
        parent, _, step = found.checkpoint.rpartition("@")
        file = shlex.quote(document) if Path(document).is_file() else "FILE"
        yield f"next: relama branch run={shlex.quote(parent)} at={step} to=NEW without={file}"


def _before(folder: Path, step: int) -> str | None:
    """The newest kept checkpoint before `step`, of the run or of an ancestor of a branch."""
    for run, last in [(folder, step - 1), *shared(folder)]:
        kept = [saved for saved in complete_steps(run / "checkpoints") if saved <= min(last, step - 1)]
        if kept:
            return f"{run}@{kept[-1]}"
    return None


def _steps(steps: list[int]) -> str:
    is_long = len(steps) > SHOWN + 1
    listed = ", ".join(f"{step:,}" for step in (steps[:SHOWN] if is_long else steps))
    more = f", … {steps[-1]:,}" if is_long else ""
    return f"{len(steps):,} step{'s' * (len(steps) != 1)} ({listed}{more})"


def run(argv: list[str]) -> None:
    config = load("find", FindConfig, as_key("run", argv))
    found = find(find_run(config.run), config.document, config.cache, config.corpora)
    text = [json.dumps(asdict(found))] if config.json else lines(found, config.run, config.document)
    for line in text:
        terminal.write(line, wrap=not config.json)


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError))
