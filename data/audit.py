"""`relama audit`: compares the mixture that a run would see with Table 1 of the paper.

In: the mixture, and the manifests of the stores under `corpora`. Out: each source's tokens, share, epochs at
the run's length, and bytes per token, next to the paper's; then every source that is missing, repeated too
often or weighted differently. `strict=true` makes these findings an error.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from configs import terminal
from configs.errors import reason
from configs.load import entry, load
from configs.table import table as aligned
from data import folders
from data.cache.config import CacheConfig
from data.cache.store import open_store
from data.errors import DataError
from data.mixture import DataConfig, has_manifest, sources_in
from data.remote import is_remote

PAPER_TOKENS = 1.4e12  # docs/recipe.md §1
PAPER_BATCH = 1 << 22


@dataclass(frozen=True)
class Paper:
    """A row of Table 1 (docs/recipe.md §1); its bytes per token follow from the other columns."""

    share: float
    epochs: float  # at 1.4T tokens
    bytes_per_token: float


TABLE_1 = {
    "commoncrawl": Paper(0.670, 1.10, 3.87),
    "c4": Paper(0.150, 1.06, 3.95),
    "github": Paper(0.045, 0.64, 3.33),
    "wikipedia": Paper(0.045, 2.45, 3.23),
    "books": Paper(0.045, 2.23, 3.01),
    "arxiv": Paper(0.025, 1.06, 2.79),
    "stackexchange": Paper(0.020, 1.03, 2.87),
}
BOOKS3 = (
    "Books3, part of the paper's books, was withdrawn and is not available; "
    "add your own books in its place (docs/data.md)"
)


@dataclass
class AuditConfig:
    """What to audit, at which length, and with which tolerances; `configs/audit.yaml` fills it."""

    data: DataConfig
    corpora: str = "corpora"  # the folder of the prepared sources
    tokens: float | None = None  # the run's length; null: from steps=, or 1.4e12 for the paper's sources
    steps: int | None = None  # the run's length in steps, instead of tokens=
    global_batch: int = PAPER_BATCH  # tokens
    share_tolerance: float = 0.05  # relative to the share in Table 1
    epochs_tolerance: float = 0.5  # excess over the epochs of Table 1, relative to them
    cache: CacheConfig = field(default_factory=CacheConfig)
    strict: bool = False  # whether a finding is an error
    json: bool = False  # print JSON instead of the table
    output: str | None = None  # a file for the same JSON

    def __post_init__(self) -> None:
        if self.tokens is not None and self.steps is not None:
            raise ValueError(f"tokens={self.tokens:g}: give either tokens or steps, not both")
        for key in ("tokens", "steps", "global_batch"):
            value = getattr(self, key)
            if value is not None and not 1 <= value < float("inf"):
                raise ValueError(f"{key}={value}: expected at least 1")
        for key in ("share_tolerance", "epochs_tolerance"):
            if not 0 <= getattr(self, key) < float("inf"):
                raise ValueError(f"{key}={getattr(self, key)}: expected 0 or above")

    @property
    def length(self) -> float | None:
        """How many tokens the run sees; None for your own mixture without steps= or tokens=."""
        if self.steps is not None:
            return self.steps * self.global_batch
        if self.tokens is None and TABLE_1.keys() & self.data.chosen().keys():
            return PAPER_TOKENS
        return self.tokens


@dataclass
class Row:
    """One source of the mixture; unknown values are None."""

    source: str
    share: float
    tokens: int | None = None  # tokens to train on
    documents: int | None = None
    bytes_per_token: float | None = None
    epochs: float | None = None
    heldout_tokens: int | None = None
    heldout_documents: int | None = None
    paper: Paper | None = None


@dataclass
class Audit:
    """The result: `findings` are differences from the paper, `notes` are other facts worth knowing."""

    length: float | None  # tokens
    rows: list[Row]
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def audit(config: AuditConfig) -> Audit:
    """Read the manifests. Raises DataError for a damaged store, or stores with different tokenizers."""
    corpora = config.corpora
    if not is_remote(corpora) and not Path(corpora).is_dir():
        raise DataError(f"corpora={corpora}: no such folder; `relama prepare` makes it")
    weights = config.data.chosen()
    total = sum(weights.values())
    tokenizers: dict[str, str] = {}
    rows = [_row(source, weight / total, config, tokenizers) for source, weight in weights.items()]
    if len(set(tokenizers.values())) > 1:
        each = ", ".join(f"{source} {fingerprint[:8]}" for source, fingerprint in tokenizers.items())
        raise DataError(
            f"{corpora}/: the stores have different tokenizers ({each}); rebuild them with one tokenizer: "
            "`relama prepare … stage=tokens tokenizer=…`"
        )
    return Audit(config.length, rows, list(_findings(rows, corpora, config)), list(_notes(rows, corpora)))


def _row(source: str, share: float, config: AuditConfig, tokenizers: dict[str, str]) -> Row:
    row = Row(source, share, paper=TABLE_1.get(source))
    place, length = f"{config.corpora.rstrip('/')}/{source}/tokens", config.length
    if not has_manifest(place):
        return row
    train, heldout = (open_store(place, split, config.cache) for split in ("train", "heldout"))
    tokenizers[source] = train.tokenizer_fingerprint
    row.tokens, row.documents = train.n_tokens, train.n_documents
    row.heldout_tokens, row.heldout_documents = heldout.n_tokens, heldout.n_documents
    if train.n_tokens:
        row.bytes_per_token = train.n_bytes / train.n_tokens
        row.epochs = None if length is None else length * share / train.n_tokens
    return row


def _findings(rows: list[Row], corpora: str, config: AuditConfig) -> Iterator[str]:
    """Sources that are missing, repeated too often, or weighted differently from the paper."""
    absent = [source for source in TABLE_1 if source not in {row.source for row in rows}]
    if absent:
        yield f"MISSING: the mixture lacks {', '.join(absent)} (Table 1)"
    for row in rows:
        if row.tokens is None:
            yield (
                f"MISSING: {row.source} has no token store ({corpora}/{row.source}/tokens); "
                "make it with `relama prepare`"
            )
        elif not row.tokens:
            yield f"MISSING: {row.source} has no tokens to train on"
    for row in rows:
        if row.paper and abs(row.share / row.paper.share - 1) > config.share_tolerance:
            yield (
                f"SHARE: {row.source} is {row.share:.1%} of the mixture, and {row.paper.share:.1%} in the "
                f"paper (more than {config.share_tolerance:.0%} off)"
            )
    for row in rows:
        if row.paper and row.epochs and row.epochs > row.paper.epochs * (1 + config.epochs_tolerance):
            yield (
                f"REPEATED: {row.source} will be seen {_epochs(row.epochs)} times, and {row.paper.epochs} in "
                f"the paper (more than {config.epochs_tolerance:.0%} above)"
            )


def _notes(rows: list[Row], corpora: str) -> Iterator[str]:
    if any(row.source == "books" for row in rows):
        yield f"MISSING: {BOOKS3}"
    known = {row.source for row in rows}
    others = [source for source in sources_in(corpora) if source not in known]
    if others:
        yield f"not in the mixture, but has a token store: {', '.join(others)}"


def table(found: Audit) -> Iterator[str]:
    """The lines to print."""
    headings = ("source", "tokens", "share", "paper", "epochs", "paper", "bytes/token", "paper")
    lines: list[tuple[str, ...]] = []
    for row in found.rows:
        paper = row.paper
        lines.append(
            (
                row.source,
                _count(row.tokens),
                f"{row.share:.1%}",
                f"{paper.share:.1%}" if paper else "–",
                _epochs(row.epochs),
                f"{paper.epochs:.2f}" if paper else "–",
                "–" if row.bytes_per_token is None else f"{row.bytes_per_token:.2f}",
                f"{paper.bytes_per_token:.2f}" if paper else "–",
                _count(row.documents),
                _count(row.heldout_documents),
            )
        )
    over = "" if found.length is None else f" over {_count(found.length)} tokens"
    yield f"the mixture{over}, compared with the paper's (Table 1, 1.4T tokens)"
    if found.length is None:
        yield "the mixture has none of the paper's sources: give steps= or tokens= to see the epochs"
    yield ""
    yield from aligned((*headings, "documents", "held-out"), lines)
    if found.findings or found.notes:
        yield ""
        yield from (f"! {line}" for line in (*found.findings, *found.notes))


def _count(number: float | None) -> str:
    """A number: in full if small, otherwise to three digits."""
    if number is None:
        return "–"
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if number >= unit:
            return f"{number / unit:.3g}{letter}" if number < 1000 * unit else f"{number / unit:,.0f}{letter}"
    return f"{number:,.0f}"


def _epochs(epochs: float | None) -> str:
    if epochs is None:
        return "–"
    return f"{epochs:.2f}" if epochs < 1000 else f"{epochs:,.0f}"


def run(argv: list[str]) -> None:
    config = load("audit", AuditConfig, argv)
    found = audit(config)
    account = json.dumps(asdict(found), indent=1)
    for line in account.splitlines() if config.json else table(found):
        terminal.write(line, wrap=not config.json)
    if config.output is not None:
        try:
            folders.write_whole(Path(config.output), account + "\n")
        except OSError as error:
            raise DataError(f"output={config.output}: cannot be written ({reason(error)})") from None
    if config.strict and found.findings:
        raise DataError(f"strict=true: {'; '.join(found.findings)}")


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(DataError,))
