"""Opens a KenLM file for `data/ccnet/c/ngrams.c` to search.

In: a binary file from `build_binary trie` (not quantized, pointers not compressed) and the pieces of its
vocabulary. Out: a function that scores a line, given as the numbers of known pieces and the texts of others.
The layout follows KenLM's binary_format.hh, vocab.hh and trie.hh, version 5.
"""

import mmap
import struct
from collections.abc import Callable
from pathlib import Path

from data.errors import Unfit

try:
    from data.ccnet import native
except ImportError:  # not compiled: there was no C compiler when Relama was installed
    native = None

_MAGIC = b"mmap lm http://kheafield.com/code format version 5\n\0"
_FIXED, _COUNTS = 88, 108  # where the parameters and the numbers of n-grams begin
_TRIE = 2  # KenLM's model type for a plain trie
Score = Callable[[list[int | str]], float]


def scorer(path: Path, pieces: list[str], unknown: int) -> Score:
    """A function that gives log10 of a line's probability; no line has the piece `unknown`. Raises Unfit."""
    if native is None:
        raise Unfit("data/ccnet/c/native.c is not compiled")
    words = pieces[:unknown] + pieces[unknown + 1 :]
    if " ".join(words).split() != words:
        raise Unfit("a piece with a space, which KenLM would read as two words")
    try:
        with path.open("rb") as opened:
            file = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        order, _, kind, _, version = struct.unpack_from("<B3xfi?3xI", file, _FIXED)
        if file[: len(_MAGIC)] != _MAGIC or (kind, version) != (_TRIE, 1):
            raise Unfit(f"{path}: not a plain trie")
        counts = file[_COUNTS : _COUNTS + 8 * order]
        vocabulary = -(-(_COUNTS + 8 * order) // 8) * 8
        return native.Ngrams(file, counts, vocabulary, [*pieces, "<s>", "</s>"]).score
    except (struct.error, ValueError, TypeError, AttributeError) as error:
        raise Unfit(f"{path}: {error}") from None
