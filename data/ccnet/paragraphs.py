"""A page's paragraphs (its lines) as 64-bit hashes of their normal form, as CCNet defines them.

In: text with stripped lines. Out: an array of `<u8` with one hash per line, in order. The normal form is
lower case, has every digit replaced by 0, and lacks control characters and the Unicode punctuation in CCNet's
list; it keeps ASCII punctuation and accents. The hash is the first eight bytes of its SHA-1 (docs/recipe.md
§2).
"""

from hashlib import sha1

import numpy as np

HASH = np.dtype("<u8")
# CCNet's own list. Its full-width 1 has no effect: it is a digit, so it becomes 0 instead.
PUNCTUATION = "，。、„”“«»１」「《》´∶：？！（）；–—．～’…━〈〉【】％►"
CONTROLS = (*range(32), *range(127, 160))


class Translation(dict[int, str | int | None]):
    """A table for `str.translate` that adds digits and other characters when it first meets them.

    A table of every digit would take a quarter of a second to make.
    """

    def __missing__(self, code: int) -> str | int:
        self[code] = found = "0" if chr(code).isdecimal() else code
        return found


_REMOVED = {*map(ord, PUNCTUATION), *CONTROLS} - {ord("\n")}  # a newline separates paragraphs
_NORMAL = Translation({code: None for code in _REMOVED if not chr(code).isdecimal()})


def normalize(text: str) -> str:
    """The text with every line in its normal form; no line is added or removed."""
    return text.lower().translate(_NORMAL)


def hashes(text: str) -> np.ndarray:
    """The hash of each line's normal form, (lines,) HASH."""
    lines = normalize(text).split("\n")
    return np.frombuffer(b"".join([sha1(line.encode()).digest()[:8] for line in lines]), HASH)


def without(text: str, removed: np.ndarray) -> str:
    """The text without the lines marked in `removed`, (lines,) bool."""
    if not removed.any():
        return text
    return "\n".join([line for line, is_removed in zip(text.split("\n"), removed.tolist()) if not is_removed])
