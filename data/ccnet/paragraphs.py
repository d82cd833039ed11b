"""A page's paragraphs (its lines) as 64-bit hashes of their normal form, as CCNet defines them.

In: text whose lines are stripped. Out: an array of `<u8`, one hash a line, in their order. The normal
form: lower case, every digit 0, control characters and CCNet's list of Unicode punctuation removed
(ASCII punctuation and accents are kept); the hash: the first eight bytes of SHA-1 (docs/recipe.md §2).
"""

import sys
from hashlib import sha1

import numpy as np

HASH = np.dtype("<u8")
# CCNet's own list. Its full-width 1 is a digit, and becomes 0 before the list is applied.
PUNCTUATION = "，。、„”“«»１」「《》´∶：？！（）；–—．～’…━〈〉【】％►"
CONTROLS = (*range(32), *range(127, 160))

_NORMAL: dict[int, str | None] = dict.fromkeys((*map(ord, PUNCTUATION), *CONTROLS))
_NORMAL |= {code: "0" for code in range(sys.maxunicode + 1) if chr(code).isdecimal()}
del _NORMAL[ord("\n")]  # between paragraphs


def normalise(text: str) -> str:
    """The normal form of every line at once; lines keep their numbers."""
    return text.lower().translate(_NORMAL)


def hashes(text: str) -> np.ndarray:
    """(lines,) HASH: equal for equal normal forms."""
    lines = normalise(text).split("\n")
    return np.frombuffer(b"".join([sha1(line.encode()).digest()[:8] for line in lines]), HASH)


def without(text: str, removed: np.ndarray) -> str:
    """The text without the lines marked in `removed`, (lines,) bool."""
    if not removed.any():
        return text
    return "\n".join([line for line, is_removed in zip(text.split("\n"), removed.tolist()) if not is_removed])
