"""The keys of `relama prepare`, and the combinations that are refused immediately."""

import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from configs.checks import near
from data import mixture, remote
from data.download.config import RECIPES as DOWNLOADABLE
from data.download.config import DumpsConfig
from data.engine import EngineConfig
from data.mixture import DataConfig
from data.tokens.llama import VOCAB_SIZE

RECIPES = (*mixture.RECIPES, "text")  # data/sources/<name>
MAKERS = ("ccnet-models", "sample", "all")  # recipes that do not make exactly one source
STAGES = ("text", "tokens", "all")
CCNET_STEPS = ("paragraphs", "language", "perplexity", "references")  # in their order


@dataclass
class CCNetConfig:
    """CCNet's steps (recipe=commoncrawl), and how their models are trained (recipe=ccnet-models)."""

    languages: list[str] = field(default_factory=lambda: ["en"])  # languages to keep, by ISO code
    min_language: float = 0.5  # lowest fastText probability of a page's language (CCNet)
    group: int | None = None  # compare paragraphs within this many files (CCNet: 50); null: the entire input
    models: str | None = None  # folder of recipe=ccnet-models, or CCNet's own; null: <corpora>/ccnet-models
    cutoffs: list[float] | None = (
        None  # ends of head and middle (CCNet's English model: 340,520); null: 30th and 60th percentiles
    )
    min_reference: float = 0.25  # lowest probability from the classifier of references (RedPajama)
    skip: list[str] = field(default_factory=list)  # any of: paragraphs, language, perplexity, references
    cited: list[str] = field(default_factory=list)  # recipe=ccnet-models: Wikipedia dumps, or lists of URLs
    lm_pieces: int = 65536  # recipe=ccnet-models: vocabulary of the language model (CCNet)
    min_examples: int = 1000  # recipe=ccnet-models: fewest training examples in each class of the classifier
    stand_in: bool = False  # if too few pages are cited, use Wikipedia's own articles, noted on the card

    def __post_init__(self) -> None:
        for key in ("min_language", "min_reference"):
            if not 0 <= getattr(self, key) <= 1:
                raise ValueError(f"ccnet.{key}={getattr(self, key)}: expected a probability from 0 to 1")
        if self.group is not None and self.group < 1:
            raise ValueError(
                f"ccnet.group={self.group}: expected at least 1 file, or null for the entire input"
            )
        if not self.languages:
            raise ValueError("ccnet.languages: expected at least one ISO code (ccnet.languages=en,de)")
        for name in self.languages:
            if not re.fullmatch(r"[a-z]{2,3}", name):
                raise ValueError(f"ccnet.languages={name}: expected ISO codes, such as en or de")
        unknown = sorted({*self.skip} - {*CCNET_STEPS})
        if unknown:
            raise ValueError(f"ccnet.skip={unknown[0]}: expected some of {', '.join(CCNET_STEPS)}")
        if "language" in self.skip and "perplexity" not in self.skip:
            raise ValueError(
                "ccnet.skip=language: the perplexity step needs the language; give "
                "ccnet.skip=language,perplexity"
            )
        if self.cutoffs is not None and not (
            len(self.cutoffs) == 2 and 0 < self.cutoffs[0] <= self.cutoffs[1]
        ):
            raise ValueError(
                f"ccnet.cutoffs={self.cutoffs}: expected two increasing perplexities (ccnet.cutoffs=340,520)"
            )
        if self.min_examples < 1:
            raise ValueError(f"ccnet.min_examples={self.min_examples}: expected at least 1")


CCNET_KEYS = tuple(key.name for key in fields(CCNetConfig))  # in earlier versions, keys without `ccnet.`


@dataclass
class PrepareConfig:
    """What to prepare, from which inputs, and where; `configs/prepare.yaml` fills it."""

    URLS = ("output",)  # keys of a place that may be a URL

    data: DataConfig  # recipe=all: the sources' weights in the tokenizer's training text
    recipe: str = (  # commoncrawl | c4 | github | wikipedia | books | arxiv | stackexchange | text
        ""  # | ccnet-models | sample | all
    )
    input: list[str] = field(default_factory=list)  # files, folders and URLs
    source: str | None = None  # the name in the mixture; null: the recipe's
    corpora: str = "corpora"  # the folder of the prepared sources
    output: str | None = None  # null: <corpora>/<source>; a URL: copy that folder there
    stage: str = "all"  # text | tokens | all; without a tokenizer, all means text
    tokenizer: str | None = None  # a SentencePiece model, or a tokenizer.json
    vocab_size: int = VOCAB_SIZE  # recipe=all: pieces of the tokenizer that it trains
    seed: int = 0  # for the order of the documents in the token store
    heldout: float = 0.001  # share of the documents held out for validation
    replace: bool = False  # whether a token store or sample with other settings may be replaced
    licences: list[str] | None = None  # recipe=github: the licenses accepted; null: the paper's
    ccnet: CCNetConfig = field(default_factory=CCNetConfig)  # recipe=commoncrawl and ccnet-models
    max_broken: float = 0.1  # largest share of the inputs that may be unreadable before their end
    record_seconds: float = 60.0  # most CPU time for cleaning one record
    record_bytes: int = 64 << 20  # largest record, unpacked; a larger one is quarantined
    max_expansion: float = 100.0  # a compressed file may unpack to this many times its size, or to 1 GiB
    download: bool = False  # fetch the publisher's files first: books, c4, stackexchange, wikipedia
    dumps: DumpsConfig = field(default_factory=DumpsConfig)  # which files download=true fetches
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        if self.recipe not in (*RECIPES, *MAKERS):
            recipes = [*RECIPES, *MAKERS]
            alike = [name for name in recipes if self.recipe and name.startswith(self.recipe.lower())]
            alike = alike or near(self.recipe, recipes, cutoff=0.7)
            meant = f"did you mean {alike[0]}? " if len(alike) == 1 else ""
            raise ValueError(f"recipe={self.recipe}: {meant}expected one of {', '.join(recipes)}")
        if self.recipe == "sample":
            if self.input or self.output or self.tokenizer or self.source:
                raise ValueError(
                    "recipe=sample: makes its own text and tokenizer; give only corpora= and replace="
                )
            return
        if self.download and (self.recipe not in DOWNLOADABLE or self.stage == "tokens"):
            raise ValueError(
                f"download=true: expected recipe={'|'.join(DOWNLOADABLE)} and stage=all|text; docs/data.md "
                "says how to fetch other sources; then give input=PATH"
            )
        if self.stage not in STAGES:
            raise ValueError(f"stage={self.stage}: expected one of {', '.join(STAGES)}")
        if self.recipe == "all" and (len(self.input) != 1 or self.output or self.source):
            raise ValueError(
                "recipe=all: expected one YAML file that lists the dumps (input=dumps.yaml, with lines such "
                "as `wikipedia: PATH`), and corpora=, without output= and source="
            )
        is_missing = any(not remote.is_remote(path) and not Path(path).exists() for path in self.input)
        is_refused_later = is_missing and self.stage != "tokens"  # the recipe's error says what it reads
        if self.recipe == "text" and not self.source and not is_refused_later:
            raise ValueError(
                "source: recipe=text needs a name for the source (source=wikipedia, source=novels)"
            )
        self.source = self.source or self.recipe
        if not re.fullmatch(r"\w[\w-]*", self.source):
            raise ValueError(f"source={self.source}: expected letters, digits, _ and - (it names a folder)")
        if self.stage == "tokens" and not self.tokenizer:
            raise ValueError(
                "tokenizer: stage=tokens needs a tokenizer (tokenizer=PATH; `relama tokenizer` trains one)"
            )
        no_input = self.recipe == "ccnet-models" and "references" in self.ccnet.skip
        if self.stage != "tokens" and not (self.input or no_input or self.download):
            fetch = ", or download=true to fetch them" if self.recipe in DOWNLOADABLE else ""
            raise ValueError(f"input: expected files or folders (input=PATH, or input=PATH,PATH){fetch}")
        if self.licences is not None and self.recipe not in ("github", "all"):
            raise ValueError(f"licences: only recipe=github selects by license, not recipe={self.recipe}")
        if not 0 <= self.heldout < 1:
            raise ValueError(f"heldout={self.heldout}: expected a share of at least 0 and below 1")
        if not 0 <= self.max_broken <= 1:
            raise ValueError(f"max_broken={self.max_broken}: expected a share from 0 to 1")
        if not 0 < self.record_seconds <= 1e9:
            raise ValueError(f"record_seconds={self.record_seconds}: expected seconds above 0, at most 1e9")
        if not 1 << 16 <= self.record_bytes <= 1 << 30:
            raise ValueError(
                f"record_bytes={self.record_bytes}: expected bytes from 65536 to {1 << 30} (1 GiB)"
            )
        if not self.max_expansion >= 1:
            raise ValueError(f"max_expansion={self.max_expansion}: expected a factor of at least 1")

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source or self.recipe

    @property
    def models_folder(self) -> Path:
        """The folder of CCNet's models, which may not exist yet."""
        return Path(self.ccnet.models or Path(self.corpora) / "ccnet-models")

    @property
    def folder(self) -> Path:
        """The folder that holds this source's text and tokens."""
        if self.output and not remote.is_remote(self.output):
            return Path(self.output)
        return Path(self.corpora) / self.name


def renamed_key(key: str) -> str | None:
    """The key that replaced an old one; None for any other key."""
    return f"ccnet.{key}" if key in CCNET_KEYS else None
