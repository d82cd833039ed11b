r"""Finds the marks of a text that expansion looks at; keeps how far a text is read, and what came of it."""

import re
from functools import lru_cache

from data.sources.arxiv.latex.syntax import QUOTED, after_word, append, line_rest
from data.sources.arxiv.latex.verbatim import Verbatim, alternatives


@lru_cache(maxsize=64)
def marks_of(verbatim: Verbatim, letters: str) -> re.Pattern:
    """A pattern of text without marks, then a mark, given what is verbatim and which letters names have.

    Groups without marks count as text: most groups have none, and they change nothing.
    """
    characters = re.escape(verbatim.short)
    short = f"|(?P<short>[{characters}])" if characters else ""
    plain = rf"[^{{}}\\{characters}]*+"
    return re.compile(
        rf"{plain}(?:\{{{plain}\}}{plain})*+(?P<mark>[{{}}]"
        r"|\\(?:(?P<env>begin|end)[ \t]*\{(?P<name>[A-Za-z]*\*?)\}"
        rf"|(?P<verb>{alternatives(verbatim.commands | verbatim.language_commands)})(?![A-Za-z])"
        rf"|(?P<word>{QUOTED}|[{letters}]+|.)|\Z){short}|\Z)",
        re.DOTALL,
    )


class Reading:
    """How far one file has been read."""

    def __init__(self, text: str, pattern: re.Pattern) -> None:
        self.text = text
        self.pattern = pattern  # of its marks
        self.start = 0  # what comes before is in `out`, or left out
        self.position = 0  # where reading continues
        self.prefixes: tuple[int, int] = (-1, -1)  # the last \long, \global, …
        self.jumps: list[tuple[int, int]] = []  # from the end of a kept branch to the end of its conditional


class Output:
    """What has been made of a paper so far."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.opaque: list[tuple[int, int]] = []  # spans that are verbatim or unexpanded definitions
        self._counted, self._length = 0, 0  # pieces already measured, and their length

    def keep(self, here: Reading, end: int) -> None:
        """Append what has been read up to `end` and not yet been appended."""
        append(self.pieces, here.text[here.start : end])

    def append_opaque(self, piece: str) -> None:
        append(self.pieces, piece)
        self._length += sum(map(len, self.pieces[self._counted :]))
        self._counted = len(self.pieces)
        self.opaque.append((self._length - len(piece), self._length))

    def cut(self, here: Reading, begin: int, end: int, *, is_word: bool = False) -> None:
        """Leave out begin to end; also the line if nothing else is on it or, after a word, the blanks."""
        text, pieces = here.text, self.pieces
        line = max(here.start, text.rfind("\n", max(here.start, begin - 200), begin) + 1)
        self.keep(here, line)
        at_start = not pieces or pieces[-1].endswith("\n")
        rest = line_rest(text, end) if at_start and not text[line:begin].strip(" \t") else end
        if rest == end:
            append(pieces, text[line:begin])
            rest = after_word(text, begin, end) if is_word else end
        here.start = here.position = rest
