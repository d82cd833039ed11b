r"""TeX's conditionals: which branch they choose, and where their branches are.

In: a text and the position of an `\if…`. Out: whether it is true, as far as the text (`\iffalse`,
`\if0`, `\ifnum 0=1`) or flags (`\newif`) determine it; and its branches. Undecided ones are left in the text.
Rules: The TeXbook, chapter 20.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from data.sources.arxiv.latex.syntax import after_word

MAX_DEPTH = 20  # nesting of conditionals in a macro's value
MAX_LENGTH = 1 << 18  # length of such a value

# What a control sequence means: a flag's True or False, a macro's string, None if unknown. With a backslash
# before the name: whether it is defined, None if unknown.
Lookup = Callable[[str], bool | str | None]

_TOKEN = re.compile(
    r"%[^\n]*|\\(?:newif\s*+\\if[A-Za-z@]++|let\s*+\\if[A-Za-z@]++\s*+=?\s*+\\if[A-Za-z@]++"
    r"|(if[A-Za-z@]*+|else(?![A-Za-z@])|fi(?![A-Za-z@]))|.)",
    re.DOTALL,
)
# Macros of the packages etoolbox, ifthen and others whose branches are arguments.
WITH_ARGUMENTS = re.compile(
    r"iff$|ifthenelse|if(?:cs)?(?:def$|undef|string|empty|blank|num[a-z]|dim[a-z]|bool|toggle|strequal|in[a-z])"
)
_ALIAS = re.compile(r"\\let\s*+\\[A-Za-z@]++\s*+=?\s*+\Z")
_CHARACTERS = re.compile(
    r"\s*+(?:\\([A-Za-z@]++)[ \t]*+|([^\s\\{}%#$&]))(?:%[^\n]*+\n[ \t]*+)?(?:\\([A-Za-z@]++)[ \t]*|(\s)|(.))"
)
_NUMBERS = re.compile(
    r"\s*+(?:\\([A-Za-z@]++)|(-?\d++))\s*+([<=>])\s*+(?:\\([A-Za-z@]++)|(-?\d++))(?:\s|\\relax(?![A-Za-z]))?"
)
_DEFINED = re.compile(r"\s*+\\([A-Za-z@]++)(?:[ \t]++|%[^\n]*+\n[ \t]*+)?")
_NAMED = re.compile(r"[ \t]*+([A-Za-z@:*-]{1,60})[ \t]*+\\endcsname(?![A-Za-z@])[ \t]?")
_TOKENS = re.compile(
    r"\s*+(\\[A-Za-z@]++(?:[ \t]++)?|\\.|[^\s\\{}%#])\s*+(\\[A-Za-z@]++(?:[ \t]++)?|\\.|[^\s\\{}%#])"
)
_UNDEFINED = ("\\undefined", "\\@undefined")
_EMPTY = ("\\empty", "\\@empty")
_NUMBER = re.compile(r"\s*+(-?\d++)\s?")


@dataclass(frozen=True, slots=True)
class Branches:
    r"""The branches of a conditional; without `\else` the second is empty, at `\fi`."""

    first_end: int
    second_start: int
    second_end: int
    end: int


def branches(text: str, position: int) -> Branches | None:
    """The branches of a conditional whose test ends at `position`, or None if it is unterminated."""
    depth, middle = 1, None
    for mark in _TOKEN.finditer(text, position):
        word = mark[1]
        if word is None:
            continue
        if word == "fi":
            depth -= 1
            if depth == 0:
                first_end, second_start = middle or (mark.start(), mark.start())
                return Branches(first_end, second_start, mark.start(), mark.end())
        elif word == "else":
            if depth == 1 and middle is None:
                middle = mark.start(), mark.end()
        elif not WITH_ARGUMENTS.match(word):
            depth += 1
    return None


def decided(
    name: str, text: str, start: int, position: int, lookup: Lookup = lambda name: None
) -> tuple[bool, int] | None:
    r"""Whether the conditional `\name` at `start` is true, and where its test ends; None if unknown."""
    if _is_named(text, start, position):
        return None
    if name in ("iffalse", "iftrue"):
        return name == "iftrue", position
    if name == "if":
        found = _CHARACTERS.match(text, position)
        if found is None:
            return None
        first = _value(found[1], lookup) if found[1] else found[2]
        second = _value(found[3], lookup) if found[3] else (found[4] or found[5])
        if not first or not second:
            return None
        return first[0] == second[0], found.end()
    if name == "ifnum":
        found = _NUMBERS.match(text, position)
        if found is None:
            return None
        left = _value(found[1], lookup) if found[1] else found[2]
        right = _value(found[4], lookup) if found[4] else found[5]
        if not (left and right and _NUMBER.fullmatch(left) and _NUMBER.fullmatch(right)):
            return None
        a, b = int(left), int(right)
        return {"<": a < b, "=": a == b, ">": a > b}[found[3]], found.end()
    if name in ("ifdefined", "ifcsname"):
        found = (_DEFINED if name == "ifdefined" else _NAMED).match(text, position)
        known = lookup("\\" + found[1]) if found else None
        return (known, found.end()) if found and isinstance(known, bool) else None
    if name == "ifx":
        found = _TOKENS.match(text, position)
        same = _is_same(found[1].rstrip(), found[2].rstrip(), lookup) if found else None
        return (same, found.end()) if found and same is not None else None
    if name == "ifodd":
        found = _NUMBER.match(text, position)
        return (int(found[1]) % 2 == 1, found.end()) if found else None
    value = lookup(name)
    return (value, position) if isinstance(value, bool) else None


def _is_same(one: str, other: str, lookup: Lookup) -> bool | None:
    """Whether two tokens mean the same, as far as known."""
    if one == other:
        return True
    for name, compared in ((one, other), (other, one)):
        if compared in _UNDEFINED:
            known = lookup(name) if name[0] == "\\" else True
            return not known if isinstance(known, bool) else None
    values = []
    for token in (one, other):
        if token[0] != "\\" or (len(token) == 2 and not token[1].isalpha()):
            values.append(token + " ")  # never a macro's value
        elif token in _EMPTY:
            values.append("")
        else:
            values.append(_value(token[1:], lookup))
    return values[0] == values[1] if None not in values else None


def _value(name: str, lookup: Lookup) -> str | None:
    value = lookup(name)
    return value if isinstance(value, str) else None


def _is_named(text: str, start: int, end: int) -> bool:
    r"""Whether a conditional is only mentioned: \let\ifdraft\iffalse, \newcommand{\ifdraft}{\iffalse}."""
    return text[end : end + 20].lstrip().startswith("}") or bool(
        _ALIAS.search(text, max(0, start - 80), start)
    )


def resolved(text: str, lookup: Lookup, depth: int = 0) -> str:
    """A text whose decidable conditionals are replaced by the branches they choose."""
    if depth > MAX_DEPTH or len(text) > MAX_LENGTH:
        return text
    out: list[str] = []
    place = 0
    for mark in _TOKEN.finditer(text):
        word = mark[1]
        if word is None or mark.start() < place or word in ("else", "fi"):
            continue
        found = decided(word, text, mark.start(), mark.end(), lookup)
        if found is None:
            continue
        found_branches = branches(text, found[1])
        if found_branches is None:
            break
        first, last = (
            (found[1], found_branches.first_end)
            if found[0]
            else (found_branches.second_start, found_branches.second_end)
        )
        first = min(after_word(text, mark.start(), first), last)
        out += [text[place : mark.start()], resolved(text[first:last], lookup, depth + 1)]
        place = after_word(text, last, found_branches.end)
    return "".join(out) + text[place:]
