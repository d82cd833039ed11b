r"""Chooses by what follows a call, as `\@ifnextchar`, `\@ifstar` and `\@testopt` do (source2e, ltdefns).

In: a macro's value with such a command, and the text after the call. Out: the value with the branch that
TeX takes. Its commands often have an @ in their names, which only definitions may use: `by_letters` gives
those of a paper's preamble other names.
"""

import re

from data.sources.arxiv.latex.definitions.styles import STYLES
from data.sources.arxiv.latex.syntax import Arguments

PEEKS = re.compile(r"\\(@ifnextchar|kernel@ifnextchar|@ifstar|@testopt)(?![A-Za-z@])")
_NAME = r"\\(?=[A-Za-z@]*@)([A-Za-z@]++)"
_DEFINED = re.compile(rf"\\(?:def|gdef|newcommand\*?|renewcommand\*?)\s*+\{{?\s*+{_NAME}")
_WORD = re.compile(_NAME)
# The package suffix: another command for a name with a star.
_SUFFIX = re.compile(
    r"\\WithSuffix\s*+((?:\\(?:long|global|protected)\s*+)*+\\(?:(?:re)?newcommand|providecommand|g?def))\*?+"
    r"\s*+\{?\s*+\\([A-Za-z]++)\s*+\*\s*+\}?"
)
# A meaning that is kept, \let\old@hat\hat, but no conditional, which files that are input use too.
_KEPT = re.compile(rf"\\let\s*+(?!\\if){_NAME}[ \t]*+=?[ \t]?\\(?!if|(?:fi|else)(?![A-Za-z@]))[A-Za-z@]")
_AFTER = re.compile(rf"\\futurelet\s*+\\[A-Za-z@]++\s*+{_NAME}")  # bodies.py knows those that add a period
_LETTERS = re.compile(r"\\([A-Za-z]++)")
CHOOSES = re.compile(rf"{PEEKS.pattern}|{STYLES.pattern}|\\WithSuffix|{_KEPT.pattern}")
_MOST = 10  # choices of one call
_BRANCHES = 300  # look for names in this many characters


def by_letters(preamble: str, plain: set[str]) -> tuple[str, set[str]]:
    """The preamble with letters for @ in some names of macros, and those names.

    They are chosen by what follows or by size, or are in `plain`: short for text.
    """
    suffixed = _SUFFIX.findall(preamble)
    preamble = _SUFFIX.sub(_with_star, preamble)
    chosen = {
        name
        for mark in CHOOSES.finditer(preamble)
        for name in _WORD.findall(preamble, mark.end(), mark.end() + _BRANCHES)
    }
    chosen = chosen.intersection(_DEFINED.findall(preamble)).union(_KEPT.findall(preamble), plain)
    chosen.difference_update(_AFTER.findall(preamble))
    names = {name: name.replace("@", "At") for name in chosen}
    known = set(_LETTERS.findall(preamble))
    names = {name: new for name, new in names.items() if new not in known}
    if names:
        preamble = _WORD.sub(lambda mark: "\\" + names.get(mark[1], mark[1]), preamble)
    stars = {name + with_star for _, name in suffixed for with_star in ("WithStar", "WithoutStar")}
    return preamble, stars.union(names.values())


def _with_star(mark: re.Match) -> str:
    r"""A definition by \WithSuffix as one of a helper, which \@ifstar chooses."""
    name = "\\" + mark[2]
    choice = f"\\@ifstar{{{name}WithStar}}{{{name}WithoutStar}}"
    return f"\\let{name}WithoutStar{name}\\def{name}{{{choice}}}{mark[1]}{name}WithStar "


def peeked(value: str, text: str, position: int, read: Arguments) -> tuple[str, int] | None:
    """A value with its branches chosen by the text after it, and where the call ends; None if unclear."""
    for _ in range(_MOST):
        mark = PEEKS.search(value)
        if mark is None:
            return value, position
        word, end = mark[1], mark.end()
        given: list[str] = []
        for _ in range(3 if word.endswith("nextchar") else 2):
            argument = read.argument(value, end)
            if argument is None:
                return None
            given.append(argument[0])
            end = argument[1]
        rest = value[end:]
        following = rest.lstrip() or text[position : position + 1000].lstrip()
        if word == "@ifstar":
            chosen = given[0 if following[:1] == "*" else 1]
            if following[:1] == "*" and rest.strip():
                rest = rest.lstrip()[1:]
            elif following[:1] == "*":
                position = text.index("*", position) + 1
        elif word == "@testopt":
            chosen = given[0] + ("" if following[:1] == "[" else f"[{given[1]}]")
        else:
            chosen = given[1 if following[:1] == given[0].strip().replace("\\bgroup", "{") else 2]
        value = value[: mark.start()] + chosen + rest
    return None
