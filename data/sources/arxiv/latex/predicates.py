r"""Decides tests that take their branches as arguments: ifthen's, etoolbox's, xstring's and the kernel's.

In: a text and the place just after `\ifthenelse` or its kin. Out: whether the test is true, None if
unknown, and where it ends. Sources: the packages' manuals.
"""

import re

from data.sources.arxiv.latex.calls import Calls
from data.sources.arxiv.latex.conditionals import DRAFTS, N_TEST_ARGUMENTS, RELATION, TEST, compared
from data.sources.arxiv.latex.numbers import read_length, read_number
from data.sources.arxiv.latex.syntax import append

_SIGN = re.compile(r"\s*+\\(?:([A-Za-z]++)|([()]))")
_LENGTHS = re.compile(r"[<=>]")  # between two lengths
_OPERATORS = {"and": "and", "AND": "and", "or": "or", "OR": "or"}
_TO_IFTHEN = (  # \ifboolexpr's words
    (re.compile(r"\bbool\s*+\{"), r"\\boolean{"),
    (re.compile(r"\btogl\s*+\{"), r"\\boolean{toggle "),
    (re.compile(r"(?<![A-Za-z\\])(not|and|or)(?![A-Za-z])"), r"\\\1"),
    (re.compile(r"(?<!\\)([()])"), r"\\\1"),
)
_RELATIONS = {"equal": "=", "greater": ">", "less": "<"}
COMMANDS = frozenset(N_TEST_ARGUMENTS)
_NESTED = 10  # nesting of tests in a macro's value


class _Unknown(Exception):
    """A test that cannot be decided."""


def answer(word: str, text: str, position: int, calls: Calls) -> tuple[bool | None, int]:
    """Whether a test is true, and where its arguments end; None if that is unknown."""
    if word in DRAFTS:
        return calls.drafts.get(word), position
    arguments = []
    for _ in range(N_TEST_ARGUMENTS[word]):
        found = calls.read.argument(text, position)
        if found is None:
            return None, position
        arguments.append(found[0])
        position = found[1]
    try:
        return _answer(word, arguments, calls), position
    except _Unknown:
        return None, position


def _answer(word: str, arguments: list[str], calls: Calls) -> bool | None:
    first, last = arguments[0], arguments[-1]
    name = first.strip().removeprefix("\\")
    if word == "ifthenelse":
        return _Test(first, calls).value()
    if word == "ifboolexpr":
        for pattern, to in _TO_IFTHEN:
            first = pattern.sub(to, first)
        return _Test(first, calls).value()
    if word in ("iftoggle", "nottoggle", "ifbool", "notbool"):
        value = calls.names.asked(f"toggle {name}" if "toggle" in word else f"if{name}")
        return (value if word[0] == "i" else not value) if isinstance(value, bool) else None
    if word in ("ifdef", "ifundef", "ifcsdef", "ifcsundef", "@ifundefined"):
        is_defined = calls.names.is_defined(name) if re.fullmatch(r"[A-Za-z@]+", name) else None
        return is_defined if is_defined is None or "un" not in word else not is_defined
    if word in ("ifblank", "ifstrempty"):
        return None if "\\" in first or "#" in first else not (first.strip() if word == "ifblank" else first)
    if word == "ifstrequal":
        return None if "\\" in first + last or "#" in first + last else first == last
    if word in ("IfStrEq", "IfEq"):
        return _same(first, last, calls)
    if word.startswith(("ifdef", "ifcs")):
        value = calls.names.asked(name)
        if not isinstance(value, str):
            return True if "void" in word and calls.names.is_defined(name) is False else None
        return value == last if word.endswith("string") else not value
    if word == "ifnumodd":
        return _number(first, calls) % 2 == 1
    relation = _RELATIONS.get(word[5:]) or arguments[1].strip()
    if relation not in "<=>":
        return None
    read = _length if word.startswith("ifdim") else _number
    return compared(read(first, calls), relation, read(last, calls))


def _same(one: str, other: str, calls: Calls) -> bool:
    one, other = calls.in_full(one).strip(), calls.in_full(other).strip()
    if "\\" in one + other or "#" in one + other:
        raise _Unknown
    return one == other


def _number(text: str, calls: Calls) -> int:
    number, end = read_number(text, 0, calls.names.asked)
    if number is None or text[end:].strip():
        raise _Unknown
    return number


def _length(text: str, calls: Calls) -> int:
    size, end = read_length(text, 0, calls.names.asked)
    if size is None or text[end:].strip():
        raise _Unknown
    return size


def resolved(value: str, calls: Calls, depth: int = 0) -> str | None:
    """A macro's value with its tests replaced by the branches they choose; None if one is undecided."""
    out: list[str] = []
    place = 0
    for mark in TEST.finditer(value):
        if mark.start() < place:
            continue
        is_true, end = answer(mark[1], value, mark.end(), calls)
        branches = []
        for _ in range(2):
            found = calls.read.argument(value, end)
            if found is None or is_true is None or depth > _NESTED:
                return None
            branches.append(found[0])
            end = found[1]
        chosen = resolved(branches[0 if is_true else 1], calls, depth + 1)
        if chosen is None:
            return None
        append(out, value[place : mark.start()])
        append(out, chosen)
        place = end
    append(out, value[place:])
    return "".join(out)


class _Test:
    r"""A test of ifthen or xifthen: `\equal`, `\boolean`, `\isempty`, numbers, …, joined by operators."""

    def __init__(self, text: str, calls: Calls) -> None:
        self._text, self._calls, self._at = text, calls, 0

    def value(self) -> bool | None:
        value = self._joined()
        if self._text[self._at :].strip():
            raise _Unknown
        return value

    def _joined(self) -> bool | None:
        value = self._single()
        while (sign := _SIGN.match(self._text, self._at)) and sign[1] in _OPERATORS:
            self._at = sign.end()
            other = self._single()
            decisive = _OPERATORS[sign[1]] == "or"
            if decisive in (value, other):
                value = decisive
            else:
                value = None if None in (value, other) else not decisive
        return value

    def _single(self) -> bool | None:
        sign = _SIGN.match(self._text, self._at)
        if sign and sign[2] == "(":
            self._at = sign.end()
            value = self._joined()
            close = _SIGN.match(self._text, self._at)
            if close is None or close[2] != ")":
                raise _Unknown
            self._at = close.end()
            return value
        if sign and sign[1] in ("not", "NOT"):
            self._at = sign.end()
            value = self._single()
            return None if value is None else not value
        if sign and sign[1] in ("equal", "boolean", "isodd", "isundefined", "lengthtest", "isempty"):
            self._at = sign.end()
            return self._asked(sign[1])
        left, at = read_number(self._text, self._at, self._calls.names.asked)
        relation = RELATION.match(self._text, at)
        if relation is None:
            raise _Unknown
        right, self._at = read_number(self._text, relation.end(), self._calls.names.asked)
        return None if left is None or right is None else compared(left, relation[1], right)

    def _asked(self, word: str) -> bool | None:
        one = self._argument()
        if word == "equal":
            other = self._argument()
            try:
                return _same(one, other, self._calls)
            except _Unknown:
                return None
        name = one.strip()
        if word in ("isempty", "lengthtest"):
            one = self._calls.in_full(one)
            if word == "isempty":
                return None if "#" in one else not one.strip()
            sign = _LENGTHS.search(one)
            parts = (one[: sign.start()], one[sign.end() :]) if sign else ("", "")
            return (
                compared(_length(parts[0], self._calls), sign[0], _length(parts[1], self._calls))
                if sign
                else None
            )
        if word == "boolean":
            value = self._calls.names.asked(name if name.startswith("toggle ") else f"if{name}")
            return value if isinstance(value, bool) else None
        if word == "isundefined":
            is_defined = self._calls.names.is_defined(name.removeprefix("\\"))
            return None if is_defined is None else not is_defined
        return _number(one, self._calls) % 2 == 1 if word == "isodd" else None

    def _argument(self) -> str:
        found = self._calls.read.argument(self._text, self._at)
        if found is None:
            raise _Unknown
        self._at = found[1]
        return found[0]
