"""One source, from its raw files to cleaned text with provenance, and on to its token store.

In: files in a source's own format. Out: `corpora/<source>/text/part-*.parquet`, a `report.json` that
counts every record by what became of it, and `tokens/`. The one idea: a recipe is three plain
functions (`inputs`, `read`, `clean`) that know nothing of who runs them (`data/run_recipe.py` does).
"""

import json
import os
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from data import folders
from data.documents import text_files
from data.errors import DataError
from data.progress import Progress
from data.run_recipe import clean_all, read_all, write_text
from data.sources import c4, github, text

if TYPE_CHECKING:
    from data.tokenizer import Tokenizer

RECIPES = {"github": github, "c4": c4, "text": text}
STAGES = ("text", "tokens", "all")
# Sources of the paper's mixture without a recipe: their text comes already cleaned.
BROUGHT = ("commoncrawl", "wikipedia", "books", "arxiv", "stackexchange")


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
        if self.recipe in BROUGHT:
            raise ValueError(
                f"recipe={self.recipe}: no recipe of its own yet; bring text that is already cleaned with "
                f"`relama prepare recipe=text source={self.recipe} input=… tokenizer=…`"
            )
        if self.recipe not in (*RECIPES, "sample"):
            raise ValueError(f"recipe={self.recipe}: expected one of {', '.join(RECIPES)}, sample")
        if self.recipe == "sample":
            if self.input or self.output or self.tokenizer or self.source:
                raise ValueError(
                    "recipe=sample: makes its own text and tokenizer; it takes corpora= and no more"
                )
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


def prepare(config: PrepareConfig) -> None:
    """Run the stages asked for. Raises DataError; leaves nothing behind that only looks finished."""
    if config.recipe == "sample":
        from data.sample import prepare_sample

        prepare_sample(Path(config.corpora))
        return
    # Whatever can be wrong with the request is found before hours are spent on it.
    units = _units(config) if config.stage != "tokens" else text_files(config.folder / "text")
    tokenizer = None
    if config.tokenizer and config.stage != "text":
        from data.tokenizer import Tokenizer  # an import that stage=text does not wait for

        tokenizer = Tokenizer(Path(config.tokenizer))
    try:
        with folders.locked(config.folder / ".lock"):
            if config.stage != "tokens":
                _prepare_text(config, units)
            if tokenizer is not None:
                _prepare_tokens(config, tokenizer)
    except OSError as error:  # what cannot be read is dropped and counted: this is the output
        raise DataError(f"{config.folder}: cannot be written ({error})") from None
    print(_next_step(config, tokenized=tokenizer is not None))


def _units(config: PrepareConfig) -> list[Path]:
    """What the recipe reads one by one, in order, each once."""
    recipe = RECIPES[config.recipe]
    try:
        units = [unit for path in config.input for unit in recipe.inputs(Path(path).expanduser())]
    except OSError as error:
        raise DataError(f"input={','.join(config.input)}: cannot be read ({error})") from None
    return list(dict.fromkeys(units))


def _prepare_text(config: PrepareConfig, units: list[Path]) -> None:
    folder, recipe = config.folder, RECIPES[config.recipe]
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
    items = clean_all(read_all(units, recipe.read), clean)
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


def _prepare_tokens(config: PrepareConfig, tokenizer: "Tokenizer") -> None:
    """stage=tokens makes the store anew; stage=all leaves one that is newer than its text."""
    from data.build_store import build_store  # imports that stage=text does not wait for
    from data.store import read_manifest

    text_folder, output = config.folder / "text", config.folder / "tokens"
    made = output / "manifest.json"
    newest = max((path.stat().st_mtime_ns for path in text_folder.glob("*.parquet")), default=0)
    if config.stage == "all" and made.exists() and made.stat().st_mtime_ns >= newest:
        manifest = read_manifest(output)
        settings = (manifest["tokenizer"]["fingerprint"], manifest["seed"], manifest["heldout"])
        if settings == (tokenizer.fingerprint, config.seed, config.heldout):
            Progress(config.source).say(f"{output} is there already, made with these settings")
            return
    build_store(
        text_folder,
        output,
        tokenizer,
        source=config.source,
        seed=config.seed,
        heldout=config.heldout,
        workers=config.workers or os.cpu_count() or 1,
    )


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
