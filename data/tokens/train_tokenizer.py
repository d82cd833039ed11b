"""`relama tokenizer data=… output=…`: trains SentencePiece with LLaMA's settings on the mixture's text.

In: cleaned text, sampled by the mixture's weights. Out: one `tokenizer.model`, refused if decoding does not
give back the encoded text. OpenLLaMA had to start over because its first tokenizers lost newlines, then
repeated spaces (docs/recipe.md §3).
"""

import io
import json
import random
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sentencepiece

from configs.existence import exists, is_dir
from configs.load import entry, load
from configs.sizes import decimal
from data import folders
from data.documents import read_documents, text_files
from data.errors import DataError, OtherSettings
from data.mixture import DataConfig, folder_hint, some_of
from data.progress import Progress
from data.remote import stamp
from data.tokens.llama import SETTINGS, VOCAB_SIZE
from data.tokens.store import checksum
from data.tokens.tokenizer import PROBES, Tokenizer, refuse_lossy

LONGEST = SETTINGS["max_sentence_length"]  # bytes; SentencePiece ignores longer lines
# SentencePiece writes this number into the model, so it must not depend on the machine's cores.
THREADS = 16
CHECKED = 1000  # texts kept for the round-trip test


@dataclass
class TokenizerConfig:
    """The tokenizer's training text and size."""

    data: DataConfig
    corpora: str = "corpora"  # the folder of the prepared sources
    output: str | None = None  # null: <corpora>/tokenizer/tokenizer.model
    vocab_size: int = VOCAB_SIZE  # pieces
    max_bytes: int = 1_000_000_000  # of text; SentencePiece needs about four times this in memory
    seed: int = 0  # of the random sample of the text
    replace: bool = False  # whether a tokenizer with other settings may be replaced
    threads: int | None = None  # null: 16, on any machine

    def __post_init__(self) -> None:
        if self.vocab_size < 300:
            raise ValueError(
                f"vocab_size={self.vocab_size}: expected at least 300; bytes and control pieces take 259"
            )
        for key in ("max_bytes", "threads"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected at least 1")

    @property
    def path(self) -> Path:
        return Path(self.output or Path(self.corpora) / "tokenizer" / "tokenizer.model")


def train_tokenizer(
    texts: Iterable[str],
    output: Path,
    *,
    vocab_size: int,
    seed: int = 0,
    threads: int | None = None,
    settings: dict | None = None,
    key: str = "vocab_size",
) -> Path:
    """Train on `texts` and write the model, complete or not at all, and a record of its `settings`.

    Raises DataError if there is too little text for `vocab_size` (which the command calls `key`), or if the
    model does not round-trip.
    """
    sentences = _Sentences(texts, seed)
    sentencepiece.set_random_generator_seed(seed % 2**32)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            vocab_size=vocab_size,
            num_threads=threads or THREADS,
            minloglevel=2,
            **SETTINGS,
        )
    except RuntimeError as error:
        raise DataError(_too_little(key, vocab_size, str(error), sentences.long)) from None
    output.parent.mkdir(parents=True, exist_ok=True)
    with folders.replacing(output) as temporary:
        temporary.write_bytes(model.getvalue())
        trained = Tokenizer(temporary)
        refuse_lossy(trained, PROBES)
        lost = refuse_lossy(trained, sentences.kept)
        if settings is not None:  # before the model, which is refused if it has no record
            record = settings | {"xxh3": checksum(temporary)}
            folders.write_whole(_record(output), json.dumps(record, indent=1))
    left_out = f"; ignored {sentences.long:,} bytes in lines above {LONGEST} bytes" if sentences.long else ""
    checked = f"{len(sentences.kept):,} text{'s' * (len(sentences.kept) != 1)}"
    but = f", except for {lost:,} \N{LOWER ONE EIGHTH BLOCK} (U+2581), which become spaces" if lost else ""
    Progress("tokenizer").say(
        f"{vocab_size:,} pieces, from {decimal(sentences.used)} of text{left_out}; "
        f"{checked} encoded and decoded without loss{but}"
    )
    return output


def sample_texts(config: TokenizerConfig) -> Iterator[str]:
    """max_bytes of text, divided by the sources' weights; a source with less than its share gives all."""
    weights = config.data.chosen()
    files = {source: text_files(Path(config.corpora) / source / "text") for source in weights}
    for source, weight in weights.items():
        left = share = int(config.max_bytes * weight / sum(weights.values()))
        # Random order, so that the limit does not select only the first files.
        for path in random.Random(f"{config.seed}/{source}").sample(files[source], len(files[source])):
            if left <= 0:
                break
            for document in read_documents(path):
                yield document.text
                left -= len(document.text.encode())
                if left <= 0:
                    break
        if left > 0 and len(weights) > 1:  # so the sample differs from the mixture
            Progress("tokenizer").say(
                f"{source} has only {share - left:,} bytes of text for a share of {share:,}; using all of it"
            )


def settings_of(config: TokenizerConfig) -> dict:
    """Everything that determines the model's bytes. Raises DataError if a source has no text."""
    corpora = Path(config.corpora)
    weights = config.data.chosen()
    try:
        files = [path for source in weights for path in text_files(corpora / source / "text")]
    except DataError as error:
        there = sorted({path.parents[1].name for path in corpora.glob("*/text/*.parquet")})
        hint = f"; or choose {some_of(there)}" if there else folder_hint(corpora)
        raise DataError(f"{error}{hint}") from None
    return {
        "weights": weights,
        "vocab_size": config.vocab_size,
        "max_bytes": config.max_bytes,
        "seed": config.seed,
        "threads": config.threads or THREADS,
        "text": [[str(path.relative_to(corpora)), *stamp(path)] for path in files],
    }


def _record(model: Path) -> Path:
    """The file that records a model's settings."""
    return model.with_name(model.name + ".json")


def _is_trained(model: Path, settings: dict, may_replace: bool, vocab_size: str) -> bool:
    """Whether the model exists, made with these settings. Raises DataError if it was made with others."""
    if not exists(model):
        return False
    try:
        made = json.loads(_record(model).read_text())
    except (OSError, ValueError):
        made = None
    if isinstance(made, dict) and made.pop("xxh3", None) not in (None, checksum(model)):  # old ones have none
        made = None  # the record belongs to a model that was to replace this one
    if made == json.loads(json.dumps(settings)):
        return True
    if may_replace:
        return False
    if isinstance(made, dict):
        before = {key: made.get(key) for key in settings if made.get(key) != settings[key]}
        before = {vocab_size if key == "vocab_size" else key: value for key, value in before.items()}
        different = [f"{key} ({value})" if isinstance(value, int) else key for key, value in before.items()]
        how = f"made with a different {', '.join(different)}"
    else:
        how = "with no record of its settings"
    raise OtherSettings(
        f"{model} already exists, {how}, and token stores may need it",
        "move it away, give another output=, or give replace=true",
    )


class _Sentences:
    """The texts' lines (LLaMA has no newline piece); keeps some texts for the round-trip test."""

    def __init__(self, texts: Iterable[str], seed: int) -> None:
        self._texts, self._random = texts, random.Random(seed)
        self.kept: list[str] = []
        self.used = self.long = 0  # bytes

    def __iter__(self) -> Iterator[str]:
        for number, text in enumerate(self._texts):
            if len(self.kept) < CHECKED:
                self.kept.append(text[:10_000])
            elif (place := self._random.randrange(number + 1)) < CHECKED:  # every text is equally likely
                self.kept[place] = text[:10_000]
            for line in text.split("\n"):
                size = len(line.encode())
                if size > LONGEST:
                    self.long += size
                elif line:
                    self.used += size
                    yield line


def _too_little(key: str, vocab_size: int, error: str, ignored: int) -> str:
    """SentencePiece's error as one line that says what would work; `ignored` bytes were in overlong lines."""
    if most := re.search(r"value <= (\d+)", error):
        problem = f"too little text for more than {most[1]} pieces; give more text or {key}={most[1]}"
    elif least := re.search(r"required_chars\. \d+ vs (\d+)", error):
        problem = f"bytes and the text's characters alone take {least[1]} pieces; give more than that"
    else:
        problem = "no text to train on" + error.rpartition("]")[2].strip()
    if ignored:
        problem += f"; {ignored:,} bytes are in lines above {LONGEST:,} bytes, which are left out: break them"
    return f"{key}={vocab_size}: {problem}"


def make_tokenizer(config: TokenizerConfig, key: str = "vocab_size") -> None:
    """Train the requested tokenizer unless it exists. Raises DataError.

    `key` is what the command calls `vocab_size`.
    """
    if is_dir(config.path):
        raise DataError(
            f"output={config.path}: is a folder; give a file name, such as tokenizer.model in that folder"
        )
    settings = settings_of(config)
    try:
        if _is_trained(config.path, settings, config.replace, key):
            Progress("tokenizer").say(f"{config.path} already exists with these settings; skipping")
        else:
            folders.refuse_unwritable(config.path)  # before the training
            train_tokenizer(
                sample_texts(config),
                config.path,
                vocab_size=config.vocab_size,
                seed=config.seed,
                threads=config.threads,
                settings=settings,
                key=key,
            )
    except OSError as error:
        raise DataError(f"{config.path}: cannot be written ({error.strerror or error})") from None


def run(argv: list[str]) -> None:
    config = load("tokenizer", TokenizerConfig, argv)
    make_tokenizer(config)
    name = shlex.quote(str(config.path))
    print(f"{config.path} is ready. Next: relama prepare recipe=… stage=tokens tokenizer={name}")


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(DataError,))
