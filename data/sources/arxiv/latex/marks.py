r"""Finds the marks of a text that expansion looks at, and keeps how far a text has been read."""

import re
from functools import lru_cache

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
        rf"|(?P<word>[{letters}]+|.)|\Z){short}|\Z)",
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
