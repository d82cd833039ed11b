"""Measures how unlike Wikipedia a text is: its perplexity under SentencePiece and KenLM models, as in CCNet.

In: text and the two model files of its language, under CCNet's names (`en.sp.model`, `en.arpa.bin`). Out:
10^(-log10 p / (tokens + 1)), with the page as one line. Pages below the corpus's own 30th percentile are
`head`, those below its 60th are `middle`, and the rest are `tail`. Thresholds do not carry over from one
model to another.

`data/ccnet/c` finds SentencePiece's own pieces and KenLM's own scores in less than half the time. The
libraries are used if that code is not compiled, cannot read a file or differs on a probe.
"""

import random
import unicodedata
from functools import lru_cache
from pathlib import Path

import kenlm
import numpy as np
import sentencepiece

from data.ccnet import kenlm_file, unigram_file
from data.ccnet.paragraphs import CONTROLS, Translation
from data.errors import DataError, Unfit
from data.sources.files.normal_form import normalized
from data.tokens import sentencepiece_file
from data.tokens.sentencepiece_file import CONTROL, UNKNOWN, Facts

HEAD, MIDDLE = 30, 60  # percentiles (CCNet)
MOST = 1_000_000  # a higher perplexity counts as this, so that the table of counts by tenths is bounded
# CCNet's replacement for each of its punctuation marks.
_PUNCTUATION = dict(
    zip("，。、„”“«»」「《》´∶：？！（）；–．～’━〈〉【】％►", ',.,"""""""""\'::?!();-.~\'-<>[]%-')
)
_PUNCTUATION |= {"—": " - ", "…": "...", "．": ". "}
_NORMAL = Translation(dict.fromkeys(CONTROLS) | {ord(k): v for k, v in _PUNCTUATION.items()})


class _Accents(dict[int, int | None]):
    """A table for `str.translate` that removes combining marks."""

    def __missing__(self, code: int) -> int | None:
        self[code] = found = None if unicodedata.category(chr(code)) == "Mn" else code
        return found


_ACCENTS = _Accents()

_PROBES = ("the river rose again in the night , and many people left .", "a b c d", "0 0 0 . . .")


def normalize(text: str) -> str:
    """The text in lower case, without accents, control characters or newlines.

    Digits become 0, and punctuation marks become CCNet's replacements.
    """
    text = text.strip().lower()
    if not text.isascii():
        text = normalized("NFD", text).translate(_ACCENTS)
    return text.translate(_NORMAL)


class LanguageModel:
    """The two models of one language."""

    def __init__(self, pieces: Path, ngrams: Path) -> None:
        """Raises DataError if either file is not a model, or if they do not match."""
        for path in (pieces, ngrams):
            if not path.is_file():
                raise DataError(
                    f"{path}: no such model; `relama prepare recipe=ccnet-models` trains it "
                    "(docs/guides/commoncrawl.md)"
                )
        try:
            self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
        except (RuntimeError, OSError) as error:
            raise DataError(f"{pieces}: not a SentencePiece model ({_line(error)})") from None
        self.ngrams = _load_ngrams(ngrams)
        try:
            facts = sentencepiece_file.facts(self.pieces.serialized_model_proto())
        except ValueError as error:
            raise DataError(f"{pieces}: {_line(error)}") from None
        names = [facts.pieces[i] for i in _ordinary(facts)]
        asked = names[:: max(1, len(names) // 1000)]
        known = sum(name in self.ngrams for name in asked)
        if known < len(asked) / 2:
            raise DataError(
                f"{ngrams}: contains only {known} of {len(asked)} pieces of {pieces.name}, so it was "
                "trained with another vocabulary; give two models that were trained together"
            )
        self._score = self._faster(ngrams, facts)
        try:
            self._encode = unigram_file.encoder(self.pieces, facts)
        except Unfit:
            self._encode = unigram_file.library_encoder(self.pieces, facts)

    def perplexity(self, text: str) -> float:
        """The perplexity of the text as one line; at least 1."""
        line = normalize(text)
        if self._score is not None and (pieces := self._encode(line)) is not None:
            return _perplexity(self._score(pieces), len(pieces))
        return self._by_library(line)

    def _by_library(self, line: str) -> float:
        words = " ".join(self.pieces.encode(line, out_type=str))
        return _perplexity(self.ngrams.score(words), len(words.split()))

    def _faster(self, ngrams: Path, facts: Facts) -> kenlm_file.Score | None:
        """A compiled function with KenLM's own scores, if it can read the file and agrees on probes."""
        names = facts.pieces
        try:
            score = kenlm_file.scorer(ngrams, names, self.pieces.unk_id())
        except Unfit:
            return None
        ordinary = _ordinary(facts)
        draw = random.Random(0)
        probes = [[], *(draw.choices(ordinary, k=size) for size in (1, 2, 5, 200))]
        probes += [self.pieces.encode(line) for line in _PROBES]
        for probe in probes:
            texts = [names[i] for i in probe]
            if {score(probe), score(texts)} != {self.ngrams.score(" ".join(texts))}:
                return None
        return score


def _ordinary(facts: Facts) -> list[int]:
    """The numbers of the pieces that stand for text, including byte pieces."""
    return np.flatnonzero(~np.isin(facts.kinds, (CONTROL, UNKNOWN))).tolist()


@lru_cache(maxsize=8)
def load(models: Path, language: str) -> LanguageModel:
    """A language's models, loaded once per process. Raises DataError."""
    return LanguageModel(models / f"{language}.sp.model", models / f"{language}.arpa.bin")


def tenths(perplexity: float) -> int:
    """The perplexity in tenths, rounded as in CCNet."""
    return round(10 * min(round(perplexity, 1), MOST))


def cutoffs(counts: np.ndarray) -> tuple[float, float]:
    """The ends of head and middle, from counts by `tenths`: at least 30 % and 60 % of pages are below."""
    below = np.cumsum(counts)
    total = int(below[-1])
    places = (-(-total * percent // 100) for percent in (HEAD, MIDDLE))
    # One tenth above the page at that place, so that pages with the same perplexity are below too.
    head, middle = ((int(np.searchsorted(below, max(1, place))) + 1) / 10 for place in places)
    return head, middle


def bucket(perplexity: float, head: float, middle: float) -> str:
    """The bucket of a perplexity: head, middle or tail."""
    return "head" if perplexity < head else "middle" if perplexity < middle else "tail"


def _perplexity(score: float, n_words: int) -> float:
    return 10.0 ** (-score / (n_words + 1))


def _load_ngrams(path: Path) -> kenlm.Model:
    config = kenlm.Config()
    config.show_progress = False
    with path.open("rb") as file:
        begins = file.read(64)
    # KenLM would read any other file to the end before failing.
    if not begins.startswith(b"mmap lm http://kheafield.com/code") and b"\\data\\" not in begins:
        raise DataError(f"{path}: not a KenLM model")
    try:
        return kenlm.Model(str(path), config)
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable KenLM model ({_line(error)})") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
