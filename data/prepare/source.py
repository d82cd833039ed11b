"""One source, from its raw files to cleaned text with provenance, and on to its token store.

In: files in a source's own format. Out: `corpora/<source>/text/part-*.parquet`, a `report.json` that
counts every record by what became of it, and `tokens/`. The one idea: a recipe is three plain
functions (`inputs`, `read`, `clean`) that know nothing of who runs them (`data/prepare/recipe.py` does).
"""

import importlib
import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from data import folders, mixture, remote
from data.documents import text_files
from data.engine import EngineConfig
from data.errors import DataError
from data.mixture import DataConfig
from data.prepare.page import write_page
from data.progress import Progress

if TYPE_CHECKING:
    from data.ccnet.refine import CCNet
    from data.tokens.tokenizer import Tokenizer

RECIPES = (*mixture.RECIPES, "text")  # data/sources/<name>.py
MAKERS = ("ccnet-models", "sample", "all")  # recipes that are more, or other, than one source
STAGES = ("text", "tokens", "all")
CCNET_STEPS = ("paragraphs", "language", "perplexity", "references")  # in their order


@dataclass
class PrepareConfig:
    """What to prepare, from what, and where to; `configs/prepare.yaml` fills it."""

    data: DataConfig  # recipe=all: the weights by which the tokenizer sees the sources
    recipe: str = ""  # one of RECIPES | MAKERS
    input: list[str] = field(default_factory=list)  # files, folders and URLs
    source: str | None = None  # the name in the mixture; null: the recipe's
    corpora: str = "corpora"
    output: str | None = None  # null: <corpora>/<source>; a URL: a copy of that
    stage: str = "all"  # text | tokens | all; without a tokenizer all is text
    tokenizer: str | None = None  # a SentencePiece model
    vocab_size: int = 32000  # recipe=all: of the tokenizer that it trains
    seed: int = 0  # of the order in which documents are put in the token store
    heldout: float = 0.001  # share of the documents set apart for validation
    licences: list[str] | None = None  # recipe=github: those accepted; null: the paper's
    languages: list[str] = field(default_factory=lambda: ["en"])  # recipe=commoncrawl: those kept
    min_language: float = 0.5  # fastText's probability of a page's language (CCNet)
    group: int | None = None  # compare paragraphs within so many files (CCNet: 50); null: the whole input
    models: str | None = (
        None  # the folder of recipe=ccnet-models, or CCNet's own; null: <corpora>/ccnet-models
    )
    cutoffs: list[float] | None = None  # perplexities that end head and middle (CCNet's own English model:
    # 340,520); null: the corpus's own 30th and 60th percentiles
    min_reference: float = 0.25  # the classifier's probability (RedPajama)
    skip: list[str] = field(
        default_factory=list
    )  # of CCNet's steps: paragraphs, language, perplexity, references
    cited: list[str] = field(default_factory=list)  # recipe=ccnet-models: Wikipedia dumps, or lists of URLs
    lm_pieces: int = 65536  # recipe=ccnet-models: of the language model's vocabulary (CCNet)
    min_examples: int = 1000  # of each class that the classifier is trained on
    stand_in: bool = False  # too few pages are cited: Wikipedia's own articles, and the card says so
    max_broken: float = 0.1  # share of the inputs that may break off before their end
    record_seconds: float = 60.0  # that cleaning one record may take
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        if self.recipe not in (*RECIPES, *MAKERS):
            raise ValueError(
                f"recipe={self.recipe}: expected one of {', '.join(RECIPES)}, {', '.join(MAKERS)}"
            )
        if self.recipe == "sample":
            if self.input or self.output or self.tokenizer or self.source:
                raise ValueError(
                    "recipe=sample: makes its own text and tokenizer; it takes corpora= and no more"
                )
            return
        if self.stage not in STAGES:
            raise ValueError(f"stage={self.stage}: expected one of {', '.join(STAGES)}")
        if self.recipe == "all" and (len(self.input) != 1 or self.output or self.source):
            raise ValueError(
                "recipe=all: takes one YAML file that says where each dump lies (input=dumps.yaml, with "
                "`wikipedia: PATH` on a line), and corpora="
            )
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
        no_input = self.recipe == "ccnet-models" and "references" in self.skip
        if self.stage != "tokens" and not self.input and not no_input:
            raise ValueError("input: expected files or folders (input=PATH, or input=PATH,PATH)")
        if self.licences is not None and self.recipe not in ("github", "all"):
            raise ValueError(f"licences: only recipe=github chooses by licence, not recipe={self.recipe}")
        self._check_ccnet()
        if not 0 <= self.heldout < 1:
            raise ValueError(f"heldout={self.heldout}: expected a share from 0 up to, not including, 1")
        if not 0 <= self.max_broken <= 1:
            raise ValueError(f"max_broken={self.max_broken}: expected a share from 0 to 1")
        if not 0 < self.record_seconds <= 1e9:
            raise ValueError(f"record_seconds={self.record_seconds}: expected seconds above 0, at most 1e9")

    def _check_ccnet(self) -> None:
        for key in ("min_language", "min_reference"):
            if not 0 <= getattr(self, key) <= 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected a probability from 0 to 1")
        if self.group is not None and self.group < 1:
            raise ValueError(f"group={self.group}: expected at least 1 file, or null for the whole input")
        if not self.languages:
            raise ValueError("languages: expected at least one, by ISO code (languages=en,de)")
        for name in self.languages:
            if not re.fullmatch(r"[a-z]{2,3}", name):
                raise ValueError(f"languages={name}: expected ISO codes, as en or de")
        unknown = sorted({*self.skip} - {*CCNET_STEPS})
        if unknown:
            raise ValueError(f"skip={unknown[0]}: expected some of {', '.join(CCNET_STEPS)}")
        if "language" in self.skip and "perplexity" not in self.skip:
            raise ValueError("skip=language: a perplexity is of a language; skip=language,perplexity")
        if self.cutoffs is not None and not (
            len(self.cutoffs) == 2 and 0 < self.cutoffs[0] <= self.cutoffs[1]
        ):
            raise ValueError(f"cutoffs={self.cutoffs}: expected two rising perplexities, as cutoffs=340,520")
        if self.min_examples < 1:
            raise ValueError(f"min_examples={self.min_examples}: expected at least 1")

    @property
    def models_folder(self) -> Path:
        """Where CCNet's models lie, or are to lie."""
        return Path(self.models or Path(self.corpora) / "ccnet-models")

    @property
    def folder(self) -> Path:
        """Where this source's text and tokens are made."""
        if self.output and not remote.is_remote(self.output):
            return Path(self.output)
        return Path(self.corpora) / self.source


def prepare(config: PrepareConfig) -> None:
    """Run the stages asked for. Raises DataError; leaves nothing behind that only looks finished."""
    config.engine.check()
    if config.recipe == "sample":
        from data.prepare.sample import prepare_sample

        prepare_sample(Path(config.corpora))
        return
    if config.recipe == "all":
        from data.prepare.everything import prepare_all

        prepare_all(config)
        return
    if config.recipe == "ccnet-models":
        from data.prepare.ccnet_models import train_models

        train_models(config)
        return
    # Whatever can be wrong with the request is found before hours are spent on it.
    units = find_units(config) if config.stage != "tokens" else text_files(config.folder / "text")
    refine = None
    if config.recipe == "commoncrawl" and config.stage != "tokens":
        from data.prepare.ccnet import ccnet_of  # packages that no other recipe needs

        refine = ccnet_of(config, units)
    if config.output and remote.is_remote(config.output):
        remote.refuse_credentials(config.output)
    tokenizer = None
    if config.tokenizer and config.stage != "text":
        from data.tokens.tokenizer import Tokenizer  # an import that stage=text does not wait for

        tokenizer = Tokenizer(Path(config.tokenizer))
    try:
        with folders.locked(config.folder / ".lock"):
            if config.stage != "tokens":
                _prepare_text(config, units, refine)
            if tokenizer is not None:
                _prepare_tokens(config, tokenizer)
            if (config.folder / "report.json").is_file():
                write_page(config.folder)
            if config.output and remote.is_remote(config.output):
                remote.publish(config.folder, config.output)
    except OSError as error:  # what cannot be read is dropped and counted: this is the output
        raise DataError(f"{config.output or config.folder}: cannot be written ({error})") from None
    print(_next_step(config, tokenized=tokenizer is not None))


def recipe_of(config: PrepareConfig) -> ModuleType:
    """The module of a source. Raises DataError if a package that it needs is not installed."""
    try:
        return importlib.import_module(f"data.sources.{config.recipe}")
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in ("data", "configs"):
            raise
        raise DataError(
            f"recipe={config.recipe}: needs the package {error.name} (pip install -e '.[data]')"
        ) from None


def find_units(config: PrepareConfig) -> list[Path]:
    """What the recipe reads one by one, in order, each once. Raises DataError."""
    recipe = recipe_of(config)
    try:
        units = [unit for path in config.input for unit in recipe.inputs(remote.place(path))]
    except (OSError, ValueError) as error:
        raise DataError(f"input={','.join(config.input)}: cannot be read ({error})") from None
    return list(dict.fromkeys(units))


def _prepare_text(config: PrepareConfig, units: list[Path], refine: "CCNet | None" = None) -> None:
    from data.prepare.recipe import Recipe, make_text

    folder, module = config.folder, recipe_of(config)
    settings = {
        "recipe": config.recipe,
        "version": module.VERSION,
        "source": config.source,
        "licences": sorted(config.licences) if config.licences is not None else None,
    }
    if refine is not None:
        from data.prepare.ccnet import settings_of

        settings |= settings_of(config)
    progress = Progress(config.source)
    if _is_prepared(folder, settings | {"input": [[str(unit), *remote.stamp(unit)] for unit in units]}):
        shutil.rmtree(folder / "text.work", ignore_errors=True)  # of a run killed when it was all but over
        progress.say(f"{folder / 'text'} is there already, made with these settings")
        return
    clean = partial(module.clean, source=config.source)
    if config.licences is not None:
        clean = partial(clean, accepted=frozenset(name.lower() for name in config.licences))
    recipe = Recipe(module.read, clean, module.DUPLICATES, getattr(module, "slices", None), refine)
    make_text(
        recipe,
        units,
        folder,
        settings,
        progress=progress,
        on=config.engine,
        max_broken=config.max_broken,
        record_seconds=config.record_seconds,
    )


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
    from data.tokens.build import build_store  # imports that stage=text does not wait for
    from data.tokens.store import read_manifest

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
        on=config.engine,
    )


def _next_step(config: PrepareConfig, tokenized: bool) -> str:
    folder = config.folder
    if tokenized:
        own = "" if folder.name in mixture.RECIPES else f"data.weights.{folder.name}=1 "
        train = f"torchrun train/main.py data=mix {own}data.sources=[{folder.name}]"
        return f"{folder / 'tokens'} is ready. Next: {train} corpora={shlex.quote(str(folder.parent))}"
    where = f"output={shlex.quote(config.output)} " if config.output else ""
    if where == "" or remote.is_remote(config.output):
        where += f"corpora={shlex.quote(config.corpora)} "
    return (
        f"{folder / 'text'} is ready. Next, its tokens: relama prepare recipe={config.recipe} "
        f"source={config.source} stage=tokens tokenizer=PATH {where}"
        "(`relama tokenizer` trains a tokenizer on what is prepared)"
    )
