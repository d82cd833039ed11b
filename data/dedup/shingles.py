"""A text's shingles (five consecutive words, ignoring case, accents and punctuation) as 64-bit hashes."""

import re
from collections.abc import Iterator

import numpy as np
import xxhash

from data.sources.files.normal_form import normalized
from data.splitmix import GAMMA, mix_array

SHINGLE = 5  # words
PIECE = 1 << 20  # characters folded at a time
_WORD = re.compile(r"[^\W_]+")
_MIXED_WORD = re.compile("[\u3040-\u30ff\u3400-\u9fff]|[^\\W_\u3040-\u30ff\u3400-\u9fff]+")
_BETWEEN = re.compile(r"[\W_]")
_ACCENT = re.compile("[\u0300-\u036f]")


def shingles(text: str) -> np.ndarray:
    """The sorted hashes of all different shingles, (n,) uint64; fewer than five words are one shingle."""
    words = _word_hashes(text)
    if not len(words):
        return words
    width = min(SHINGLE, len(words))
    n = len(words) - width + 1
    mixed = np.zeros(n, np.uint64)
    for first in range(width):
        mixed *= np.uint64(GAMMA)
        mixed += words[first : first + n]
    mix_array(mixed).sort()
    return mixed[changes(mixed)]  # far faster than np.unique


def _word_hashes(text: str) -> np.ndarray:
    known: dict[str, int] = {}
    found = []
    for piece in _pieces(text):
        words = _words(piece)
        for word in set(words) - known.keys():
            known[word] = xxhash.xxh3_64_intdigest(word.encode())
        found.append(np.fromiter(map(known.__getitem__, words), np.uint64, len(words)))
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of about PIECE characters, cut between words."""
    start = 0
    while start < len(text):
        cut = _BETWEEN.search(text, start + PIECE)
        stop = cut.end() if cut else len(text)
        yield text[start:stop]
        start = stop


def _words(text: str) -> list[str]:
    """The words: lower-case letters and digits, without accents; each ideograph or kana is one word."""
    if text.isascii():
        return _WORD.findall(text.lower())
    folded = _ACCENT.sub("", normalized("NFKD", text).casefold())
    return _MIXED_WORD.findall(folded.replace("æ", "ae").replace("œ", "oe"))


def changes(column: np.ndarray) -> np.ndarray:
    """Where a value differs from the one before it, (n,) bool; the first always does."""
    return np.append(np.ones(min(1, len(column)), bool), column[1:] != column[:-1])
