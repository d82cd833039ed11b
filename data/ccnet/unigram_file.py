"""A SentencePiece unigram model as tables for `data/ccnet/c/pieces.c`.

In: the library's processor. Out: a function that gives a line's pieces, as the library does. Lines of
printable ASCII are normalized here, because built-in normalizations change only their spaces; the library
normalizes all others.
"""

import random
from collections.abc import Callable

import numpy as np
from sentencepiece import SentencePieceProcessor

from data.errors import Unfit
from data.tokens import sentencepiece_file
from data.tokens.sentencepiece_model import SPACE

try:
    from data.ccnet import native
except ImportError:  # not compiled: there was no C compiler when Relama was installed
    native = None

Encode = Callable[[str], list[int] | None]
_UNKNOWN_PENALTY = np.float32(10)  # below the least score (unigram_model.cc)
_KEEP_ASCII = ("identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf")  # in lower case, that is
_PROBES = (
    "",
    " ",
    "a",
    "  two  spaces ",
    "the river rose again , and many left .",
    "naïve ﬁ ½ 漢",
    "~!@#$%^&*()_+",
)


def encoder(processor: SentencePieceProcessor) -> Encode:
    """The numbers of a lower-case line's pieces. Raises Unfit.

    None if the unknown piece is among them, or if the line is longer than about 40 KB.
    """
    if native is None:
        raise Unfit("data/ccnet/c/native.c is not compiled")
    try:
        facts = sentencepiece_file.facts(processor.serialized_model_proto())
        table = _table(processor, native.Pieces)
    except (AttributeError, TypeError, ValueError) as error:  # a module compiled before this was written
        raise Unfit(str(error)) from None
    if facts.model_type != sentencepiece_file.UNIGRAM or facts.has_user_defined or facts.space_is_suffix:
        raise Unfit("not a plain unigram model")
    if not (facts.adds_space and facts.removes_spaces and facts.escapes_spaces):
        raise Unfit("a model with other rules for spaces")
    if facts.normalization not in _KEEP_ASCII:
        raise Unfit(f"normalization {facts.normalization!r}")

    def encode(line: str) -> list[int] | None:
        if line.isascii() and line.isprintable():
            words = line.split()
            return table.encode(" " + " ".join(words)) if words else []
        return table.encode(processor.normalize(line).replace(SPACE, " "))

    if any(encode(probe) not in (processor.encode(probe), None) for probe in _probes(processor)):
        raise Unfit("the library encodes a probe differently")
    return encode


def _table(processor: SentencePieceProcessor, make: Callable):
    ordinary = [
        i
        for i in range(processor.vocab_size())
        if not (processor.is_control(i) or processor.is_unknown(i) or processor.is_byte(i))
    ]
    scores = {i: processor.get_score(i) for i in ordinary if not processor.is_unused(i)}
    texts = {i: processor.id_to_piece(i).replace(SPACE, " ") for i in scores}
    order = sorted(texts, key=lambda i: texts[i].encode())
    least = np.float32(min(scores.values())) - _UNKNOWN_PENALTY
    return make(
        [texts[i] for i in order],
        np.array(order, np.int32).data,
        np.array([scores[i] for i in order], np.float32).data,
        float(least),
    )


def _probes(processor: SentencePieceProcessor) -> list[str]:
    draw = random.Random(0)
    pieces = [processor.id_to_piece(i).replace(SPACE, " ") for i in range(3, processor.vocab_size())]
    joined = ["".join(draw.choices(pieces, k=40)).lower() for _ in range(50)]
    return [*_PROBES, *joined, *("".join(draw.choices("etaonrs ,", k=300)) for _ in range(100))]  # near ties
