"""One source, from its raw files to cleaned text with provenance, and on to its token store.

In: files in a source's own format. Out: `corpora/<source>/text/part-*.parquet`, a `report.json` that
counts every record by what became of it, and `tokens/`. The one idea: a recipe is three plain
functions (`inputs`, `read`, `clean`) that know nothing of who runs them; here they run in one process.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import xxhash

from data import folders
from data.documents import Document, Drop, Record, write_parts
from data.errors import DataError
from data.progress import Progress
from data.sources import c4, github, text
from data.sources.rows import UNREADABLE

RECIPES = {"github": github, "c4": c4, "text": text}
STAGES = ("text", "tokens", "all")
# Sources of the paper's mixture without a recipe: their text comes already cleaned.
BROUGHT = ("commoncrawl", "wikipedia", "books", "arxiv", "stackexchange")
EXAMPLES = 3  # of each reason, in the report


@dataclass
class PrepareConfig:
    """What to prepare, from what, and where to; `configs/prepare.yaml` fills it."""

    recipe: str = ""  # github | c4 | text | sample
    input: list[str] = field(default_factory=list)  # files and folders
    source: str | None = None  # the name in the mixture; null: the recipe's
    corpora: str = "corpora"
    output: str | None = None  # null: <corpora>/<source>
    stage: str = "all"  # text | tokens | all; without a tokenizer all is text
    tokenizer: str | None = None  # a SentencePiece model
    seed: int = 0  # of the order in which documents are put in the token store
    heldout: float = 0.001  # share of the documents set apart for validation
    licences: list[str] | None = None  # recipe=github: those accepted; null: the paper's
    workers: int | None = None  # processes that tokenise; null: one for each core

    def __post_init__(self) -> None:
        choices = ", ".join([*RECIPES, "sample"])
        if self.recipe in BROUGHT:
            raise ValueError(
                f"recipe={self.recipe}: no recipe of its own yet; bring text that is already cleaned with "
                f"`relama prepare recipe=text source={self.recipe} input=… tokenizer=…`"
            )
        if self.recipe not in (*RECIPES, "sample"):
            raise ValueError(f"recipe={self.recipe}: expected one of {choices}")
        if self.recipe == "sample":
            return
        if self.stage not in STAGES:
            raise ValueError(f"stage={self.stage}: expected one of {', '.join(STAGES)}")
        if self.recipe == "text" and not self.source:
            raise ValueError(
                "source: recipe=text needs the name of its source (source=wikipedia, source=novels)"
            )
        self.source = self.source or self.recipe
        if not re.fullmatch(r"\w[\w-]*", self.source):
            raise ValueError(f"source={self.source}: expected letters, digits, _ and - (it names a folder)")
        if self.stage == "tokens" and not self.tokenizer:
            raise ValueError(
                "tokenizer: stage=tokens needs one (tokenizer=PATH; `relama tokenizer` trains it)"
            )
        if self.stage != "tokens" and not self.input:
            raise ValueError("input: expected files or folders (input=PATH, or input=PATH,PATH)")
        if self.licences is not None and self.recipe != "github":
            raise ValueError(f"licences: only recipe=github chooses by licence, not recipe={self.recipe}")
        if not 0 <= self.heldout < 1:
            raise ValueError(f"heldout={self.heldout}: expected a share from 0 up to, not including, 1")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers={self.workers}: expected null or at least 1")

    @property
    def folder(self) -> Path:
        """Where this source's text and tokens go."""
        return Path(self.output or Path(self.corpora) / self.source)


@dataclass
class Report:
    """What became of every record; written beside the text."""

    settings: dict
    read: int = 0
    kept: int = 0
    text_bytes: int = 0
    dropped: dict[str, dict] = field(default_factory=dict)

    def drop(self, drop: Drop) -> None:
        counted = self.dropped.setdefault(drop.reason, {"count": 0, "examples": []})
        counted["count"] += 1
        if len(counted["examples"]) < EXAMPLES:
            counted["examples"].append({"file": drop.file, "record": drop.record, "detail": drop.detail})

    def summary(self) -> str:
        """One line: what was read, kept and dropped."""
        reasons = sorted(self.dropped.items(), key=lambda item: -item[1]["count"])
        dropped = ", ".join(f"{reason} {counted['count']:,}" for reason, counted in reasons) or "none"
        size = f"{self.text_bytes / 1e6:,.1f} MB"
        return f"{self.read:,} records read, {self.kept:,} kept ({size}); dropped: {dropped}"


def prepare(config: PrepareConfig) -> None:
    """Run the stages asked for. Raises DataError; leaves nothing behind that only looks finished."""
    if config.recipe == "sample":
        from data.sample import prepare_sample  # it needs this module

        prepare_sample(Path(config.corpora))
        return
    folder = config.folder
    tokenize = _tokenizing(config) if config.tokenizer and config.stage != "text" else None
    try:
        with folders.locked(folder / ".lock"):
            if config.stage != "tokens":
                _prepare_text(config, folder)
            if tokenize is not None:
                tokenize()
    except OSError as error:  # what cannot be read is dropped and counted: this is the output
        raise DataError(f"{folder}: cannot be written ({error})") from None
    print(_next_step(config, tokenized=tokenize is not None))


def _tokenizing(config: PrepareConfig) -> Callable[[], object]:
    """The stage from text to tokens, with its tokenizer opened before hours are spent on the text."""
    from data.store import build_store  # imports that stage=text does not wait for
    from data.tokenizer import Tokenizer

    return partial(
        build_store,
        config.folder / "text",
        config.folder / "tokens",
        Tokenizer(Path(config.tokenizer)),
        source=config.source,
        seed=config.seed,
        heldout=config.heldout,
        workers=config.workers or os.cpu_count() or 1,
    )


def write_text(
    items: Iterable[Document | Drop], folder: Path, settings: dict, *, deduplicate: bool, progress: Progress
) -> Report:
    """Write `folder/text` and `folder/report.json`. Raises DataError if no document is left."""
    report = Report(settings)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folders.aside(folder / "text")
    items = _deduplicated(items) if deduplicate else items
    with _Quarantine(folder / "quarantine.jsonl") as quarantine:
        write_parts(_counted(items, report, quarantine, progress), temporary)
    folders.write_whole(folder / "report.json", json.dumps(asdict(report), indent=1))
    if not report.kept:
        temporary.rmdir()
        raise DataError(f"{folder}: no document was left; {report.summary()} (see {folder / 'report.json'})")
    folders.commit(temporary, folder / "text")
    progress.say(report.summary())
    return report


def read_all(units: list[Path], read: Callable[[Path], Iterable[Record | Drop]]) -> Iterator[Record | Drop]:
    """The records of all files, in order; a file that breaks off is set aside from there on."""
    for unit in units:
        position = 0
        try:
            for item in read(unit):
                yield item
                position = item.record + 1
        except UNREADABLE as error:
            detail = f"the file cannot be read from here on: {error}"
            yield Drop("malformed file", str(unit), position, detail, malformed=True)


def _prepare_text(config: PrepareConfig, folder: Path) -> None:
    recipe = RECIPES[config.recipe]
    units = [unit for path in config.input for unit in recipe.inputs(Path(path).expanduser())]
    units = list(dict.fromkeys(units))
    settings = {
        "recipe": config.recipe,
        "version": recipe.VERSION,
        "source": config.source,
        "licences": sorted(config.licences) if config.licences is not None else None,
        "input": [[str(unit), unit.stat().st_size if unit.is_file() else None] for unit in units],
    }
    progress = Progress(config.source)
    if _is_prepared(folder, settings):
        progress.say(f"{folder / 'text'} is there already, made with these settings")
        return
    clean = partial(recipe.clean, source=config.source)
    if config.licences is not None:
        clean = partial(clean, accepted=frozenset(name.lower() for name in config.licences))
    items = (item if isinstance(item, Drop) else clean(item) for item in read_all(units, recipe.read))
    write_text(items, folder, settings, deduplicate=recipe.DEDUPLICATE, progress=progress)


def _is_prepared(folder: Path, settings: dict) -> bool:
    """Whether the text is there, made with these settings. Raises DataError if made with others."""
    if not (folder / "text").exists():
        return False
    try:
        made = json.loads((folder / "report.json").read_text())["settings"]
    except (OSError, ValueError, KeyError):
        made = {}
    different = [key for key in settings if made.get(key) != settings[key]]
    if different:
        raise DataError(
            f"{folder / 'text'} is there already, made with another {', '.join(different)}; move it away, "
            "choose another output=, or make tokens of it as it is with stage=tokens"
        )
    return True


def _deduplicated(items: Iterable[Document | Drop]) -> Iterator[Document | Drop]:
    """Keeps the first of each text. Holds a hash of each: about 100 bytes a document."""
    seen = set()
    for item in items:
        if isinstance(item, Document):
            digest = xxhash.xxh3_128_digest(item.text.encode())
            if digest in seen:
                item = Drop("duplicate", item.file, item.record)
            else:
                seen.add(digest)
        yield item


def _counted(
    items: Iterable[Document | Drop], report: Report, quarantine: "_Quarantine", progress: Progress
) -> Iterator[Document]:
    for item in items:
        report.read += 1
        if isinstance(item, Document):
            report.kept += 1
            report.text_bytes += len(item.text.encode())
            yield item
        else:
            report.drop(item)
            if item.malformed:
                quarantine.write(item)
        size = f"{report.text_bytes / 1e6:,.1f} MB"
        progress.show(f"{report.read:,} records read, {report.kept:,} kept, {size}, now in {item.file}")


class _Quarantine:
    """`quarantine.jsonl`: the file, place and fault of every malformed record; no file if there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(path.name + ".tmp")
        self._file = None

    def __enter__(self) -> "_Quarantine":
        return self

    def write(self, drop: Drop) -> None:
        if self._file is None:
            self._file = self._aside.open("w")
        place = {"file": drop.file, "record": drop.record, "reason": drop.reason, "detail": drop.detail}
        print(json.dumps(place), file=self._file)

    def __exit__(self, *failure: object) -> None:
        self._path.unlink(missing_ok=True)
        if self._file is not None:
            self._file.close()
            self._aside.replace(self._path)


def _next_step(config: PrepareConfig, tokenized: bool) -> str:
    if tokenized:
        own = "" if config.source in (*RECIPES, *BROUGHT) else f"data.weights.{config.source}=1 "
        train = f"torchrun train/main.py data=mix {own}data.sources=[{config.source}]"
        return f"{config.folder / 'tokens'} is ready. Next: {train} corpora={config.corpora}"
    return (
        f"{config.folder / 'text'} is ready. Next, its tokens: relama prepare recipe={config.recipe} "
        f"source={config.source} stage=tokens tokenizer=PATH corpora={config.corpora}"
        " (`relama tokenizer` trains a tokenizer on what is prepared)"
    )
