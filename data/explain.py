"""`relama explain run=NAME step=S`: the data that any step of a run was trained on, by file and record.

In: the run's order.json, which the trainer wrote. Out: the source, epoch, shard, documents and text of each
sequence in the step. No log is needed, because the order is a function of the sample number. `seen` is the
inverse, for `relama find`: it computes which samples show a stretch of tokens, without going through the
past.
"""

import json
import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from configs import regular_file, terminal
from configs.load import entry, load
from configs.overrides import as_key
from data.cache.config import CacheConfig
from data.cache.store import open_store
from data.documents import Document, read_row
from data.errors import DataError
from data.folders import find_run, run_with
from data.mixture import tokens_of
from data.order import Order, Sample
from data.phases.kept import Ranges, holes_of
from data.phases.steps import Steps
from data.remote import is_remote
from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer

AGAIN = "run the command that trains this run again to restore it"
TEXT = "    | "  # precedes each line of a document


@dataclass
class ExplainConfig:
    """The step to explain, and how much of it to show."""

    run: str  # a name under runs/, or a path (/absolute or ./relative)
    step: int  # 1, 2, …
    limit: int | None = None  # sequences; null: all of the global batch
    width: int | None = 400  # characters to show of each document; null: all
    corpora: str | None = None  # where the prepared sources are now; null: where the run read them
    cache: CacheConfig = field(default_factory=CacheConfig)

    def __post_init__(self) -> None:
        if self.step < 1:
            raise ValueError(f"step={self.step}: expected 1 or above; a run's first step is 1")
        for key in ("limit", "width"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected null or at least 1")

    @property
    def folder(self) -> Path:
        return find_run(self.run)


def explain(
    folder: Path,
    step: int,
    limit: int | None = None,
    width: int | None = None,
    cache: CacheConfig | None = None,
    corpora: str | None = None,
) -> Iterator[str]:
    """The lines to print about `step`. Raises DataError if the run, a store or a text is missing."""
    order, steps, stores = read_run(folder, cache or CacheConfig(), corpora)
    tokenizer = Tokenizer(next(iter(stores.values())).tokenizer)
    first, batch = steps.sample(step - 1), steps.batch(step)
    shown = min(batch, limit or batch)
    rest = "" if shown == batch else f" (limit={shown}: the first {shown} of them)"
    reached = last_step(folder)
    ahead = "" if reached is None or step <= reached else f"not reached yet (run at step {reached:,}): "
    yield f"step {step:,}: {ahead}samples {first:,} to {first + batch - 1:,}{rest}"
    for n in range(first, first + shown):
        sample, seq_len = order.locate(n), order.seq_len(n)
        if sample.source not in stores:
            raise DataError(
                f"sample {n:,}: the tokens of {sample.source} are no longer where the run or its parents "
                "read them; restore them"
            )
        yield from _explain_sample(n, sample, seq_len, stores[sample.source], tokenizer, width)


def last_step(folder: Path) -> int | None:
    """The last step in the run's metrics; None if they are missing or unreadable."""
    try:
        with open(folder / "metrics.jsonl", "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - (1 << 16)))
            return int(json.loads(file.read().splitlines()[-1])["step"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _explain_sample(
    n: int, sample: Sample, seq_len: int, store: TokenStore, tokenizer: Tokenizer, width: int | None
) -> Iterator[str]:
    start, stop = sample.index * seq_len, sample.index * seq_len + seq_len + 1
    shard, offset = store.place_of(start)
    yield ""
    yield f"sample {n:,}: {sample.source}, epoch {sample.epoch}, sequence {sample.index:,}"
    yield f"  {seq_len} tokens and the last label, from token {offset:,} of {store.place}/{shard.name}"
    for span in store.documents(start, stop):
        document = _read_document(store.text_of(span), span.row, store.text_place(span))
        low, high = max(start, span.start), min(stop, span.stop)
        length = span.stop - span.start
        yield f"  document {document.id}, tokens {low - span.start:,} to {high - span.start:,} of {length:,}"
        yield f"    record {document.record:,} of {document.file}"
        yield f"    url {document.url or 'unknown'}, license {document.licence or 'unknown'}"
        yield f"    row {span.row:,} of {store.text_place(span)}"
        text = tokenizer.decode(store.read(low, high))
        cut = "" if width is None or len(text) <= width else f" … {len(text) - width:,} characters more"
        yield from (f"{TEXT}{line}" for line in (text[:width] + cut).split("\n"))


def _read_document(text_file: Path, row: int, place: str) -> Document:
    if not text_file.is_file():
        raise DataError(
            f"{place}: missing; restore the cleaned text to where it was when its tokens were made"
        )
    return read_row(text_file, row)


def read_run(
    folder: Path, cache: CacheConfig, corpora: str | None = None
) -> tuple[Order, Steps, dict[str, TokenStore]]:
    """The run's order, its steps' samples, and its stores. Raises DataError if their tokens have changed.

    The stores are where the run read them or, if `corpora` is given, there.
    """

    def opened(source: str, place: str) -> TokenStore:
        now = place if corpora is None else tokens_of(corpora, source)
        if not is_remote(now) and not Path(now).is_dir():
            raise DataError(
                f"{now}: missing, though {folder} was trained on the tokens of {source}; restore them, or "
                "give the folder that has all of the run's sources as corpora=FOLDER"
            )
        return open_store(now, cache=cache)

    path = folder / "order.json"
    try:
        known = json.loads(regular_file.content(path))
        order, steps = Order.from_json(known["order"]), Steps.of(known["global_batch"])
        folders, fingerprints = dict(known["stores"]), dict(known["fingerprints"])
        places = [*folders.values(), *(folders[source] for source in order.segments[-1].block)]
        if not all(isinstance(place, str) for place in places):
            raise ValueError(f"stores is {str(folders)[:40]!r}")
    except FileNotFoundError:
        remedy = AGAIN if run_with(folder) else "expected run=NAME or the path of a training run"
        raise DataError(f"{path}: missing; {remedy}") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = "not JSON" if isinstance(error, json.JSONDecodeError) else f"{type(error).__name__}: {error}"
        raise DataError(f"{path}: not the order of a run ({why}); {AGAIN}") from None
    stores = {source: opened(source, place) for source, place in folders.items()}
    every = {source for part in order.segments for source in part.block}
    for source, (place, fingerprint) in _of_the_past(folder, every - {*folders}).items():
        with suppress(DataError):  # if it is gone, its samples will say so
            stores[source], fingerprints[source] = opened(source, place), fingerprint
    for source, store in stores.items():
        if store.fingerprint != fingerprints.get(source):
            raise DataError(
                f"{store.place}: not the tokens that {folder} was trained on (their fingerprint differs); "
                "restore the original token store"
            )
    for segment in order.segments:
        for source in segment.block:
            if source in stores and segment.n_sequences[source] > stores[source].n_sequences(segment.seq_len):
                raise DataError(
                    f"{path}: not the order of a run (it reads more of {source} than {stores[source].place} "
                    "has)"
                )
    return order, steps, stores


def _of_the_past(folder: Path, wanted: set[str]) -> dict[str, tuple[str, str]]:
    """Where known, the place and fingerprint of sources that only the runs before a branch read."""
    found: dict[str, tuple[str, str]] = {}
    seen: set[Path] = set()
    while wanted - {*found} and folder.resolve() not in seen:
        seen.add(folder.resolve())
        try:
            folder = folder / json.loads(regular_file.content(folder / "lineage.json"))["parent"]
            known = json.loads(regular_file.content(folder / "order.json"))
            for source in (wanted - {*found}) & {*known["stores"]}:
                found[source] = str(known["stores"][source]), known["fingerprints"][source]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            break
    return found


@dataclass(frozen=True)
class Seen:
    """A sample that shows some of the tokens, how many it shows, and the step that trains on it."""

    step: int
    sample: int
    tokens: int


def seen(order: Order, steps: Steps, source: str, ranges: Ranges, stop: int) -> Iterator[Seen]:
    """The samples below `stop` that show tokens in `ranges`, segment by segment."""
    for number, segment in enumerate(order.segments):
        if source not in segment.block:
            continue
        length = segment.seq_len
        for index, n in order.samples_of_sequences(number, source, holes_of(ranges, length), stop):
            tokens = _overlap(ranges, index * length, index * length + length + 1)
            yield Seen(steps.step_of(n), n, tokens)


def _overlap(ranges: Ranges, start: int, stop: int) -> int:
    """How many tokens of the sorted `ranges` are in [start, stop)."""
    total, at = 0, max(0, bisect_right(ranges, (start, 1 << 62)) - 1)
    while at < len(ranges) and ranges[at][0] < stop:
        total += max(0, min(ranges[at][1], stop) - max(ranges[at][0], start))
        at += 1
    return total


def run(argv: list[str]) -> None:
    config = load("explain", ExplainConfig, as_key("run", argv))
    for line in explain(config.folder, config.step, config.limit, config.width, config.cache, config.corpora):
        terminal.write(line, wrap=not line.startswith(TEXT))


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(DataError,))
