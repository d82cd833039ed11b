"""Turns a SentencePiece unigram model into tables for `data/ccnet/c/pieces.c`.

In: the library's processor and the facts of its file. Out: a function that gives a line's pieces as the
library does: their numbers, and the text of any characters that no piece has. Lines of printable ASCII are
normalized here, because built-in normalizations change only their spaces; the library normalizes the rest.
"""

import random
from collections.abc import Callable

import numpy as np
from sentencepiece import SentencePieceProcessor

from data.errors import Unfit
from data.tokens.sentencepiece_file import BYTE, CONTROL, UNIGRAM, UNKNOWN, UNUSED, Facts
from data.tokens.sentencepiece_model import SPACE

try:
    from data.ccnet import native
except ImportError:  # not compiled: there was no C compiler when Relama was installed
    native = None

Encode = Callable[[str], list[int | str] | None]
_UNKNOWN_PENALTY = np.float32(10)  # how far below the lowest score (unigram_model.cc)
_KEEP_ASCII = ("identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf")  # that is, lower-case ASCII
_PROBES = (
    "",
    " ",
    "a",
    "  two  spaces ",
    "the river rose again , and many left .",
    "naïve ﬁ ½ 漢",
    "~!@#$%^&*()_+",
)


def encoder(processor: SentencePieceProcessor, facts: Facts) -> Encode:
    """A function that gives a lower-case line's pieces, or None if a space is among its unknown characters.

    Raises Unfit if the compiled code cannot serve this model.
    """
    if native is None:
        raise Unfit("data/ccnet/c/native.c is not compiled")
    try:
        table = _table(facts, native.Pieces)
    except (AttributeError, TypeError, ValueError) as error:  # the compiled module may be an older version
        raise Unfit(str(error)) from None
    if facts.model_type != UNIGRAM or facts.has_user_defined or facts.space_is_suffix:
        raise Unfit("not a plain unigram model")
    if not (facts.adds_space and facts.removes_spaces and facts.escapes_spaces):
        raise Unfit("a model with other rules for spaces")
    if facts.normalization not in _KEEP_ASCII:
        raise Unfit(f"normalization {facts.normalization!r}")

    by_library = library_encoder(processor, facts)

    def encode(line: str) -> list[int | str] | None:
        if line.isascii() and line.isprintable():
            words = line.split()
            pieces = table.encode(" " + " ".join(words)) if words else []
        else:
            pieces = table.encode(processor.normalize(line).replace(SPACE, " "))
        return by_library(line) if pieces is None else pieces  # None: longer than about 40 KB

    if any(encode(probe) != by_library(probe) for probe in _probes(facts)):
        raise Unfit("the library encodes a probe differently")
    return encode


def library_encoder(processor: SentencePieceProcessor, facts: Facts) -> Encode:
    """The same function from the library alone, for any model and any line."""
    ordinary = np.flatnonzero(~np.isin(facts.kinds, (CONTROL, UNKNOWN))).tolist()
    numbers: dict[str, int | str] = {facts.pieces[i]: i for i in ordinary}

    def encode(line: str) -> list[int | str] | None:
        words: list[str] = processor.encode(line, out_type=str)
        return [numbers.get(word, word) for word in words] if " ".join(words).split() == words else None

    return encode


def _table(facts: Facts, make: Callable):
    """The compiled table of the pieces that stand for text."""
    ordinary = np.flatnonzero(~np.isin(facts.kinds, (CONTROL, UNKNOWN, BYTE, UNUSED))).tolist()
    texts = {i: facts.pieces[i].replace(SPACE, " ") for i in ordinary}
    order = sorted(texts, key=texts.__getitem__)  # in the order of their UTF-8 bytes
    scores = facts.scores[order]
    return make(
        [texts[i] for i in order],
        np.array(order, np.int32).data,
        scores.data,
        float(scores.min() - _UNKNOWN_PENALTY),
    )


def _probes(facts: Facts) -> list[str]:
    draw = random.Random(0)
    pieces = [piece.replace(SPACE, " ") for piece in facts.pieces[3:]]
    joined = ["".join(draw.choices(pieces, k=40)).lower() for _ in range(50)]
    return [*_PROBES, *joined, *("".join(draw.choices("etaonrs ,", k=300)) for _ in range(100))]  # near ties
