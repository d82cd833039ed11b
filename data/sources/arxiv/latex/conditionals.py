r"""Finds the branch that a conditional of TeX chooses.

In: a text and the position of an `\if…`. Out: which branch it chooses, as far as the text (`\iffalse`,
`\if0`, `\ifnum 0=1`), flags (`\newif`) and numbers determine it; and where that branch is. Undecided
conditionals stay in the text. Rules: The TeXbook, chapter 20.
"""

import re
from collections.abc import Container
from dataclasses import dataclass

from data.sources.arxiv.latex.numbers import read_length, read_number
from data.sources.arxiv.latex.syntax import Arguments, Lookup, after_word, append, value_of

MAX_DEPTH = 20  # nesting of conditionals in a macro's value
MAX_LENGTH = 1 << 18  # length of such a value

ELSE = -1  # the branch after \else
# What comparisons.py makes of tests of arguments: whether two are the same, or one is a command.
COMPARISON, IS_COMMAND = "ifarg@same", "ifarg@command"

_TOKEN = re.compile(
    r"%[^\n]*|\\(?:newif\s*+\\if[A-Za-z@]++|let\s*+\\if[A-Za-z@]++\s*+=?\s*+\\if[A-Za-z@]++"
    r"|(?P<unless>unless\s*+\\(?=if))?+(?P<word>if[A-Za-z@]*+|(?:else|or|fi)(?![A-Za-z@]))|.)",
    re.DOTALL,
)
# Macros of etoolbox, ifthen and other packages that take their branches as arguments.
WITH_ARGUMENTS = re.compile(
    r"if(?:f|thenelse|boolexp[re]|str(?:equal|empty)|blank|num(?:comp|equal|greater|less|odd)|dim(?:comp|equal|greater|less)"
    r"|bool|toggle|undef|(?:def|cs)(?:def|undef|string|strequal|empty|void|macro|param|prefix|protected|counter"
    r"|length|dimen)?|inlist(?:cs)?|tagged|empty|notempty|thispageodd|packageloaded)$"
)
_PRIMITIVES = (
    "if ifcat ifnum ifdim ifodd ifvmode ifhmode ifmmode ifinner ifvoid ifhbox ifvbox ifx ifeof iftrue iffalse"
    " ifcase ifdefined ifcsname iffontchar ifincsname ifabsnum ifabsdim ifcondition"
)
_TEX = frozenset((*_PRIMITIVES.split(), COMPARISON, IS_COMMAND))
_GROUPS = re.compile(
    r"(?:\s*+\{(?:[^{}\\]++|\\.|\{(?:[^{}\\]++|\\.|\{(?:[^{}\\]++|\\.|\{[^{}]*+\})*+\})*+\})*+\}){2}",
    re.DOTALL,
)
_LONGEST = 1 << 13  # characters of such groups
_NEWIF = re.compile(r"\\newif\s*+\{?\s*+\\(if[A-Za-z]++)")
# Those of them that can be decided, and how many arguments their tests take.
N_TEST_ARGUMENTS = {
    **dict.fromkeys(("ifthenelse", "ifboolexpr", "iftoggle", "nottoggle", "ifbool", "notbool"), 1),
    **dict.fromkeys(("ifdef", "ifundef", "ifcsdef", "ifcsundef", "@ifundefined", "ifnumodd"), 1),
    **dict.fromkeys(("ifblank", "ifstrempty", "ifdefempty", "ifcsempty", "ifdefvoid", "ifcsvoid"), 1),
    **dict.fromkeys(("ifstrequal", "IfStrEq", "IfEq", "ifdefstring", "ifcsstring"), 2),
    **dict.fromkeys(
        (f"if{kind}{word}" for kind in ("num", "dim") for word in ("equal", "greater", "less")), 2
    ),
    **dict.fromkeys(("ifnumcomp", "ifdimcomp"), 3),
}
# Of the packages ifdraft and subfiles, decided where these are loaded; a flag of such a name has no argument.
DRAFTS = ("ifdraft", "ifoptiondraft", "ifoptionfinal", "ifSubfilesClassLoaded")
TEST = re.compile(
    rf"\\({'|'.join(sorted(N_TEST_ARGUMENTS, key=len, reverse=True))}|(?:{'|'.join(DRAFTS)})(?=\s*+\{{))"
    r"(?![A-Za-z@])"
)
_ALIAS = re.compile(r"\\let\s*+\\[A-Za-z@]++\s*+=?\s*+\Z")
_CHARACTERS = re.compile(
    r"\s*+(?:\\([A-Za-z@]++)[ \t]*+|([^\s\\{}%#$&]))(?:%[^\n]*+\n[ \t]*+)?"
    r"(?:\\([A-Za-z@]++)[ \t]*|(\s)|([^#{}$&%\\]))"
)
RELATION = re.compile(r"\s*+([<=>])")
_DEFINED = re.compile(r"\s*+\\([A-Za-z@]++)(?:[ \t]++|%[^\n]*+\n[ \t]*+)?")
_NAMED = re.compile(r"[ \t]*+([A-Za-z@:*-]{1,60})[ \t]*+\\endcsname(?![A-Za-z@])[ \t]?")
# The test of \expandafter\ifx\csname NAME\endcsname\relax, which is true if the name is not defined.
NAMED_TEST = re.compile(r"\s*+\\ifx\s*+\\csname" + _NAMED.pattern + r"\s*+\\relax(?![A-Za-z@])[ \t]*+")
_TOKENS = re.compile(
    r"\s*+(\\[A-Za-z@]++(?:[ \t]++)?|\\.|[^\s\\{}%#])\s*+(\\[A-Za-z@]++(?:[ \t]++)?|\\.|[^\s\\{}%#])"
)
UNDEFINED = ("\\undefined", "\\@undefined")  # \let to these forgets a name
_EMPTY = ("\\empty", "\\@empty")


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch of a conditional, from `start` to `end`, and where the conditional ends."""

    start: int
    end: int
    fi: int


def declared_flags(text: str) -> frozenset[str]:
    r"""The flags that `\newif` declares anywhere in a text."""
    return frozenset(_NEWIF.findall(text)) if "\\newif" in text else frozenset()


def takes_branches(word: str, text: str, position: int, flags: Container[str] = ()) -> bool:
    r"""Whether an `\if…` takes its branches as arguments, and has no `\fi`.

    One that is neither TeX's nor a known flag does if two groups follow, as in biblatex's `\ifentrytype`.
    """
    if WITH_ARGUMENTS.match(word):
        return True
    if word in _TEX or word in flags:
        return False
    return _GROUPS.match(text, position, position + _LONGEST) is not None


def branch(text: str, position: int, number: int, flags: Container[str] = ()) -> Branch | None:
    r"""Branch `number` of a conditional with a test that ends at `position`; None if unterminated.

    `\or` separates branches, counted from 0. A missing one is the branch after `\else` or, without
    that, an empty one at `\fi`. `flags`: see `takes_branches`.
    """
    depth, start, is_else = 1, position, False
    found: list[tuple[int, int]] = []
    for mark in _TOKEN.finditer(text, position):
        word = mark["word"]
        if word is None:
            continue
        if word == "fi":
            depth -= 1
        elif word in ("else", "or"):
            if depth > 1 or is_else:
                continue
        elif not takes_branches(word, text, mark.end(), flags):
            depth += 1
            continue
        else:
            continue
        if word != "fi" or depth == 0:
            found.append((start, mark.start()))
            start = mark.end()
        if depth == 0:
            otherwise = found.pop() if is_else else (mark.start(), mark.start())
            first, last = found[number] if 0 <= number < len(found) else otherwise
            return Branch(first, last, mark.end())
        is_else = is_else or word == "else"
    return None


def decided(
    name: str, text: str, start: int, position: int, lookup: Lookup = lambda name: None
) -> tuple[int, int] | None:
    r"""The number of the branch that the conditional `\name` at `start` chooses, and where its test ends.

    None if unknown. `name` may begin with `unless\`.
    """
    if _is_named(text, start, position):
        return None
    unless, _, name = name.rpartition("\\")
    if name == "ifcase":
        number, position = read_number(text, position, lookup)
        return None if number is None else (max(number, ELSE), position)
    found = _is_true(name, text, position, lookup)
    if found is None:
        return None
    is_true, end = found
    return (0 if is_true == (not unless) else ELSE), end


def _is_true(name: str, text: str, position: int, lookup: Lookup) -> tuple[bool, int] | None:
    """Whether a test that begins at `position` is true, and where it ends; None if unknown."""
    if name in (COMPARISON, IS_COMMAND):
        read = Arguments()
        one = read.argument(text, position)
        if one and name == IS_COMMAND:
            return one[0].lstrip().startswith("\\"), one[1]
        other = read.argument(text, one[1]) if one else None
        return (one[0].strip() == other[0].strip(), other[1]) if one and other else None
    if name in ("iffalse", "iftrue"):
        return name == "iftrue", position
    if name == "if":
        found = _CHARACTERS.match(text, position)
        if found is None:
            return None
        first = value_of(found[1], lookup) if found[1] else found[2]
        second = value_of(found[3], lookup) if found[3] else (found[4] or found[5])
        if not first or not second:
            return None
        return first[0] == second[0], found.end()
    if name in ("ifnum", "ifdim"):
        read = read_number if name == "ifnum" else read_length
        left, position = read(text, position, lookup)
        relation = RELATION.match(text, position)
        right, position = read(text, relation.end(), lookup) if relation else (None, position)
        if relation is None or left is None or right is None:
            return None
        return compared(left, relation[1], right), position
    if name in ("ifdefined", "ifcsname"):
        found = (_DEFINED if name == "ifdefined" else _NAMED).match(text, position)
        known = lookup("\\" + found[1]) if found else None
        return (known, found.end()) if found and isinstance(known, bool) else None
    if name == "ifx":
        found = _TOKENS.match(text, position)
        same = _is_same(found[1].rstrip(), found[2].rstrip(), lookup) if found else None
        return (same, found.end()) if found and same is not None else None
    if name == "ifodd":
        number, position = read_number(text, position, lookup)
        return None if number is None else (number % 2 == 1, position)
    value = lookup(name)
    return (value, position) if isinstance(value, bool) else None


def compared(left: int, relation: str, right: int) -> bool:
    return {"<": left < right, "=": left == right, ">": left > right}[relation]


def _is_same(one: str, other: str, lookup: Lookup) -> bool | None:
    """Whether two tokens mean the same, as far as known."""
    if one == other:
        return True
    for name, compared in ((one, other), (other, one)):
        if compared in UNDEFINED:
            known = lookup(name) if name[0] == "\\" else True
            return not known if isinstance(known, bool) else None
    values = []
    for token in (one, other):
        if token[0] != "\\" or (len(token) == 2 and not token[1].isalpha()):
            values.append(token + " ")  # never a macro's value
        elif token in _EMPTY:
            values.append("")
        else:
            values.append(value_of(token[1:], lookup))
    return values[0] == values[1] if None not in values else None


def _is_named(text: str, start: int, end: int) -> bool:
    r"""Whether a conditional is only mentioned: \let\ifdraft\iffalse, \newcommand{\ifdraft}{\iffalse}."""
    return text[end : end + 20].lstrip().startswith("}") or bool(
        _ALIAS.search(text, max(0, start - 80), start)
    )


def resolved(text: str, lookup: Lookup, depth: int = 0) -> str:
    """A text with its decidable conditionals replaced by the branches they choose."""
    if depth > MAX_DEPTH or len(text) > MAX_LENGTH:
        return text
    out: list[str] = []
    place = 0
    for mark in _TOKEN.finditer(text):
        word = mark["word"]
        if word is None or mark.start() < place or word in ("else", "or", "fi"):
            continue
        found = decided((mark["unless"] or "") + word, text, mark.start(), mark.end(), lookup)
        if found is None:
            continue
        chosen = branch(text, found[1], found[0])
        if chosen is None:
            break
        first = min(after_word(text, mark.start(), chosen.start), chosen.end)
        append(out, text[place : mark.start()])
        append(out, resolved(text[first : chosen.end], lookup, depth + 1))
        place = after_word(text, chosen.end, chosen.fi)
    append(out, text[place:])
    return "".join(out)
