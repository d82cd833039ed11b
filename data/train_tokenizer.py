"""`relama tokenizer data=… output=…`: SentencePiece with LLaMA's settings, on the mixture's text.

In: cleaned text, sampled by the mixture's weights. Out: one `tokenizer.model`, refused if it does not
give back the text it is given. OpenLLaMA's first tokenizers lost newlines, then repeated spaces, and
cost it a restart (RECIPE §3).
"""

import io
import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sentencepiece

from configs.load import entry, load
from data import folders
from data.errors import DataError
from data.mixture import DataConfig
from data.progress import Progress
from data.tokenizer import PROBES, SPACE, Tokenizer

# Read from LLaMA's own tokenizer.model (RECIPE §3).
SETTINGS = {
    "model_type": "bpe",
    "character_coverage": 0.99995,
    "input_sentence_size": 200_000_000,
    "shuffle_input_sentence": True,
    "max_sentence_length": 4192,
    "max_sentencepiece_length": 16,
    "seed_sentencepiece_size": 1_000_000,
    "split_digits": True,
    "split_by_number": True,
    "split_by_whitespace": True,
    "split_by_unicode_script": True,
    "allow_whitespace_only_pieces": True,
    "byte_fallback": True,
    "hard_vocab_limit": True,
    "normalization_rule_name": "identity",
    "add_dummy_prefix": True,
    "remove_extra_whitespaces": False,
    "unk_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "pad_id": -1,
    "unk_surface": " \u2047 ",
}
CHECKED = 1000  # texts kept for the round trip


@dataclass
class TokenizerConfig:
    """What the tokenizer learns from, and how large it becomes."""

    data: DataConfig
    corpora: str = "corpora"
    output: str | None = None  # null: <corpora>/tokenizer/tokenizer.model
    vocab_size: int = 32000
    max_bytes: int = 2_000_000_000  # of text, over all sources
    seed: int = 0
    threads: int | None = None  # null: one for each core

    def __post_init__(self) -> None:
        if not 300 <= self.vocab_size <= 2**32:
            raise ValueError(f"vocab_size={self.vocab_size}: expected at least 300 (259 are bytes and controls)")
        if self.max_bytes < 1:
            raise ValueError(f"max_bytes={self.max_bytes}: expected at least 1")

    @property
    def path(self) -> Path:
        return Path(self.output or Path(self.corpora) / "tokenizer" / "tokenizer.model")


def train_tokenizer(
    texts: Iterable[str], output: Path, *, vocab_size: int, seed: int = 0, threads: int | None = None
) -> Path:
    """Write the model trained on `texts` to `output`, whole or not at all.

    Raises DataError if there is too little text for `vocab_size`, or if the model does not round-trip.
    """
    checked: list[str] = []
    sentencepiece.set_random_generator_seed(seed)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_sentences(texts, checked),
            model_writer=model,
            vocab_size=vocab_size,
            num_threads=threads or os.cpu_count() or 1,
            minloglevel=2,
            **SETTINGS,
        )
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"vocab_size={vocab_size}: SentencePiece cannot learn that many pieces from this text "
            f"({_last_line(error)}); give more text or a smaller vocab_size"
        ) from None
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(output.name + ".tmp")
    temporary.write_bytes(model.getvalue())
    try:
        lost = refuse_lossy(Tokenizer(temporary), [*PROBES, *checked])
        Progress("tokenizer").say(
            f"{vocab_size:,} pieces; {len(checked):,} texts come back as they were, but for {lost:,} U+2581"
        )
    except DataError:
        temporary.unlink()
        raise
    temporary.replace(output)
    return output


def refuse_lossy(tokenizer: Tokenizer, texts: Iterable[str]) -> int:
    """How many U+2581 the texts lost, which SentencePiece cannot keep. Raises DataError for any other loss."""
    lost = 0
    for text in texts:
        lost += text.count(SPACE)
        back = tokenizer.decode(tokenizer.encode(text))
        if back != text.replace(SPACE, " "):
            at = next((i for i, (a, b) in enumerate(zip(text, back)) if a != b), min(len(text), len(back)))
            raise DataError(
                f"{tokenizer.path}: does not give back the text it encodes: {text[max(0, at - 10) : at + 10]!r} "
                f"became {back[max(0, at - 10) : at + 10]!r}; train one with `relama tokenizer` (RECIPE §3's settings)"
            )
    return lost


def sample_texts(config: TokenizerConfig) -> Iterator[str]:
    """Text of each source by its weight, max_bytes in all; a source with less gives what it has."""
    from data.documents import read_documents, text_files

    weights = config.data.chosen()
    files = {source: text_files(Path(config.corpora) / source / "text") for source in weights}
    for source, weight in weights.items():
        left = int(config.max_bytes * weight / sum(weights.values()))
        # Files in a drawn order, so that a cap does not mean the first crawl's first pages only.
        for path in random.Random(f"{config.seed}/{source}").sample(files[source], len(files[source])):
            if left <= 0:
                break
            for document in read_documents(path):
                yield document.text
                left -= len(document.text.encode())
                if left <= 0:
                    break


def _sentences(texts: Iterable[str], checked: list[str]) -> Iterator[str]:
    """Lines, for LLaMA's tokenizer has no newline piece; the first texts are kept for the round trip."""
    for text in texts:
        if len(checked) < CHECKED:
            checked.append(text[:10_000])
        for line in text.split("\n"):
            if line:
                yield line.replace("\0", "")  # SentencePiece refuses NUL; it has a byte piece


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def run(argv: list[str]) -> None:
    config = load("tokenizer", TokenizerConfig, argv)
    with folders.locked(config.path.parent / ".lock"):
        train_tokenizer(
            sample_texts(config), config.path, vocab_size=config.vocab_size, seed=config.seed, threads=config.threads
        )
    print(
        f"{config.path} is ready: {config.vocab_size:,} pieces. Next: relama prepare recipe=… source=… stage=tokens "
        f"tokenizer={config.path}"
    )


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(DataError,))
