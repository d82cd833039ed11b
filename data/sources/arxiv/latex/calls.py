r"""Expands calls of macros with their arguments.

In: the macros known so far, and the place of a call in a text. Out: its value, with the macros in it
expanded. An argument is expanded before it is put in its place, so no text is read twice; a macro inside
its own value is left as written, and what grows beyond `MAX_CALL` is left unexpanded, so nothing
recurses and nothing explodes.
"""

import re
from collections.abc import Callable

from data.sources.arxiv.latex import conditionals
from data.sources.arxiv.latex.arguments import answered, as_text, ended, taken
from data.sources.arxiv.latex.definitions.bodies import DONE, PROGRAMS
from data.sources.arxiv.latex.definitions.kinds import Abbreviation, Alias, Macro
from data.sources.arxiv.latex.definitions.lookahead import PEEKS, peeked
from data.sources.arxiv.latex.definitions.names import Names
from data.sources.arxiv.latex.definitions.romans import written
from data.sources.arxiv.latex.syntax import (
    MAX_GROUP,
    MAX_OPTION,
    WORD,
    Arguments,
    append,
    append_value,
    as_argument,
    blanks_end,
)

MAX_CALL = 1 << 16  # characters that one call may produce, beyond four times its arguments
MAX_DEPTH = 32  # nesting of values
_CALL_WORK = 1 << 22  # characters read and produced for one call in the paper's own text
_GROWTH, _SLACK = 8, 4 << 20  # all calls may produce this many times the paper's length, plus this
_READING = 100  # what reading a body as text costs, in such characters
_TRAILING = re.compile(r"\\([A-Za-z]+)\Z")
_PARTS = re.compile(r"\\([A-Za-z]+|.)|[{}]", re.DOTALL)
_LAST_CALLS = 3  # look at this many calls at a value's end for one whose arguments follow
_UNENDED = 500  # give up on such calls after this many with an argument that never ended


class TooMuch(Exception):
    """A paper's macros expand to far more text than the paper has."""


class _Explodes(Exception):
    """A macro expands to more text than one call may produce."""


class Calls:
    """The macros of a paper up to the current position, and the values of their calls."""

    def __init__(self, names: Names) -> None:
        self.names, self.macros = names, names.macros
        self.defining: set[str] = set()  # those that define others
        self.helpers: set[str] = set()  # names made by `lookahead.by_letters`, which no text may show
        self.read = Arguments()
        self._cache: dict[str, str] = {}  # values of macros without arguments
        # Those of them that take nothing from the text after a call, and whether \xspace ends them.
        self._ready: dict[str, tuple[str, bool]] = {}
        self._blocked = 0  # how often a macro was met inside its own value
        self._lacking = 0  # how often a call lacked arguments
        self._open: set[str] = set()  # names in the cache whose value has such a call
        self._unended = 0  # calls at a value's end with an argument that never ended
        self._work, self._call_limit, self._budget = 0, 0, _SLACK
        self.drafts: dict[str, bool] = {}  # what the package ifdraft's commands answer
        self.decide: Callable[[str], str | None] = lambda value: None  # see predicates.resolved

    def allow(self, length: int) -> None:
        """Allow as much expansion as a text of this length may have."""
        self._budget += _GROWTH * length

    def put(self, name: str, macro: Macro | None) -> None:
        """Define a name, or forget its definition."""
        self.forget_values()
        self.defining.discard(name)
        if macro and macro.traits.defines:
            self.defining.add(name)
        if macro is None:
            self.macros.pop(name, None)
        else:
            self.macros[name] = macro

    def forget_values(self) -> None:
        """Call this when a flag changes."""
        self._cache.clear()
        self._ready.clear()
        self._open.clear()

    def top(self, text: str, name: str, position: int) -> tuple[str, int] | None:
        """The value of a call in the paper's own text, and the call's end; None if it is left unexpanded.

        Raises TooMuch.
        """
        if name in self._ready:
            value, is_spaced = self._ready[name]
            self._spend(len(value), name)
            return ended(value, is_spaced, text, position)
        while name in self.macros and name not in self.defining:
            self._call_limit = self._work + _CALL_WORK
            try:
                found = self._call(text, name, position, frozenset(), 0)
            except _Explodes as explosion:
                self.put(explosion.args[0], None)
                continue
            if found is None or not self.helpers.isdisjoint(WORD.findall(found[0]) if self.helpers else ()):
                return None
            self._keep(name)
            return found[0].replace(DONE, ""), found[1]
        return None

    def uses_defining(self, name: str, value: str) -> bool:
        """Whether a call's value calls a macro that defines others, and its body can be read as text."""
        if not self.defining or self.defining.isdisjoint(WORD.findall(value)):
            return False
        macro = self.macros.get(name)
        if macro is None or isinstance(macro, Alias):
            return False
        return not (macro.spaced or macro.traits.has_tests or macro.traits.peeks)

    def inserted(self, text: str, name: str, position: int) -> tuple[str, int] | None:
        """What is read in place of a call of a macro that defines others, and the call's end."""
        found = as_text(self.macros[name], text, position, self.read)
        if found is not None:
            self._spend(len(found[0]) + _READING, name)
        return None if found is None or "\\ifarg@" in found[0] else found

    def _keep(self, name: str) -> None:
        """Remember the value of a macro that takes nothing from what follows its call."""
        macro = self.macros.get(name)
        if macro is None or macro.parameters or macro.traits.peeks or isinstance(macro, Abbreviation):
            return
        if name in self._open:
            return
        value = macro.literal if isinstance(macro, Alias) else self._cache.get(name)
        last = _TRAILING.search(value) if value is not None else None
        if value is not None and (last is None or last[1] not in self.macros):
            self._ready[name] = value.replace(DONE, ""), macro.spaced

    def expanded(self, macro: Macro) -> Macro:
        r"""The macro with the value that it has now, as \edef reads it."""
        if macro.parameters or "\\" not in macro.literal:
            return macro
        self.macros[DONE] = macro
        found = self.top("", DONE, 0)
        self.put(DONE, None)
        return Macro([found[0]], spaced=macro.spaced) if found else macro

    def in_full(self, text: str) -> str:
        """A text with its macros expanded, or unchanged if they expand too far."""
        self._call_limit = self._work + _CALL_WORK
        try:
            return self._inner(text, frozenset(), 0).replace(DONE, "")
        except _Explodes:
            return text

    def _call(
        self, text: str, name: str, position: int, active: frozenset[str], depth: int
    ) -> tuple[str, int] | None:
        out: list[str] = []
        for _ in range(MAX_DEPTH):
            lacking = self._lacking
            found = self._value(text, name, position, active, depth)
            if found is None:
                break
            value, position = found
            unfinished = self._unfinished(value, active) if self._lacking > lacking else None
            if unfinished is not None:
                before, name, tail = unfinished
                found = self._finished(name, tail, text, position, active, depth)
                if found is None:
                    append(out, value)
                    return "".join(out), position
                append(out, before)
                value, position = found
            last = _TRAILING.search(value, max(0, len(value) - 60)) if value[-1:].isalpha() else None
            following = self.macros.get(last[1]) if last else None
            takes_more = following and (following.parameters.count or following.traits.peeks)
            if not last or last[1] in active or not takes_more:
                if not out:
                    return value, position
                append(out, value)
                return "".join(out), position
            append(out, value[: last.start()])  # its last macro takes arguments from what follows
            name = last[1]
        if not out:
            return None
        append(out, "\\" + name)
        return "".join(out), position

    def _unfinished(self, value: str, active: frozenset[str]) -> tuple[str, str, str] | None:
        """A call at a value's end whose last arguments follow: what is before it, its name, what is after."""
        level, marks = 0, []
        for mark in _PARTS.finditer(value):
            level += (mark[0] == "{") - (mark[0] == "}")
            macro = self.macros.get(mark[1]) if level == 0 and mark[1] else None
            if macro and macro.parameters.count and mark[1] not in active:
                marks.append(mark)
        for mark in marks[-_LAST_CALLS:]:
            if taken(self.macros[mark[1]], value, mark.end(), Arguments()) is None:
                return value[: mark.start()], mark[1], value[mark.end() :]
        return None

    def _finished(
        self, name: str, tail: str, text: str, position: int, active: frozenset[str], depth: int
    ) -> tuple[str, int] | None:
        """The value of a call that begins with `tail`, at a value's end, and continues in the text."""
        for most in (MAX_OPTION, MAX_GROUP):
            if self._unended > (_UNENDED if most == MAX_OPTION else _UNENDED // 10):
                break
            whole = tail + text[position : position + most]
            found = taken(self.macros[name], whole, 0, read := Arguments())
            if found is not None and found[2] > len(tail):
                value = self._value(whole, name, 0, active, depth)
                return (value[0], position + value[1] - len(tail)) if value else None
            self._unended += read.has_failed
            if position + most >= len(text):
                break
        return None

    def _value(
        self, text: str, name: str, position: int, active: frozenset[str], depth: int
    ) -> tuple[str, int] | None:
        """The value of one call, and its end; None if it is left unexpanded."""
        macro = self.macros[name]
        if macro.traits.defines:
            return None
        given = 0
        if macro.parameters:
            filled = self._filled(macro, text, position, active, depth)
            if filled is None:
                return None
            value, position, given = filled
            if "\\" in value:
                chosen = self._chosen(macro, value)
                if chosen is not None and macro.traits.peeks:
                    chosen, position = self._peeked(chosen, text, position, depth)
                if chosen is None:
                    return None
                value = self._inner(chosen, active | {name}, depth + 1)
        elif isinstance(macro, Abbreviation) and text.startswith(".", position):
            value = self._inner(macro.before_dot, active | {name}, depth + 1)
        elif isinstance(macro, Alias):
            value = macro.literal
        elif macro.traits.peeks:
            chosen = self._chosen(macro, macro.literal)
            if chosen is not None:
                chosen, position = self._peeked(chosen, text, position, depth)
            if chosen is None:
                return None
            value = self._inner(chosen, active | {name}, depth + 1)
        else:
            value = self._cached(macro, name, active, depth)
            if value is None:
                return None
        self._spend(len(value) + given, name)
        if self._work > self._call_limit or len(value) > MAX_CALL + 4 * given:
            raise _Explodes(name)
        return ended(value, macro.spaced, text, position, has_arguments=given > 0)

    def _filled(
        self, macro: Macro, text: str, position: int, active: frozenset[str], depth: int
    ) -> tuple[str, int, int] | None:
        """A body with a call's arguments in it, the call's end, and the arguments' length."""
        traits = macro.traits
        found = taken(macro, text, position, self.read)
        if found is None:
            self._lacking += 1
            return None
        body, arguments, position = found
        if traits.keeps and any("\\" in argument for argument in arguments):
            return None
        given = arguments
        arguments = [
            self._inner(argument, active, depth + 1) if "\\" in argument else argument for argument in given
        ]
        out: list[str] = []
        for piece in body:
            if isinstance(piece, str):
                append(out, piece)
            else:
                is_name = given[piece - 1][:1] == "\\" and WORD.fullmatch(given[piece - 1]) is not None
                append(out, as_argument(out, arguments[piece - 1]) if is_name else arguments[piece - 1])
        value = "".join(out)
        if traits.asks:
            value = answered(value, self.read)
        if traits.has_romans and (value := written(value)) is None:
            return None
        return value, position, sum(map(len, arguments))

    def _cached(self, macro: Macro, name: str, active: frozenset[str], depth: int) -> str | None:
        """The value of a macro without arguments, which stays the same until a definition or flag changes."""
        if name in self._cache:
            self._lacking += name in self._open
            return self._cache[name]
        blocked, lacking = self._blocked, self._lacking
        chosen = self._chosen(macro, macro.literal)
        if chosen is None:
            return None
        value = self._inner(chosen, active | {name}, depth + 1)
        if blocked == self._blocked:
            self._cache[name] = value
            if lacking < self._lacking:
                self._open.add(name)
        return value

    def _peeked(self, value: str, text: str, position: int, depth: int) -> tuple[str | None, int]:
        """A value with its branches chosen by what follows; None if that is not known yet."""
        if depth and blanks_end(text, position) >= len(text):
            return None, position
        return peeked(value, text, position, self.read) or (None, position)

    def _spend(self, length: int, name: str) -> None:
        """Count the characters that a call of `name` read and produced."""
        self._work += length + 16
        if self._work > self._budget:
            raise TooMuch(f"at \\{name}")

    def _chosen(self, macro: Macro, value: str) -> str | None:
        """A value with the branches that flags and tests choose; None if a test is undecided."""
        traits = macro.traits
        value = conditionals.resolved(value, self.names.asked) if traits.is_conditional else value
        chosen = self.decide(value) if traits.has_tests else value
        if not traits.may_program or not chosen:
            return chosen
        return None if PROGRAMS.search(PEEKS.sub("", chosen) if traits.peeks else chosen) else chosen

    def _inner(self, text: str, active: frozenset[str], depth: int) -> str:
        """A value or argument with its macros expanded, except those that are being expanded already."""
        if depth > MAX_DEPTH or self.macros.keys().isdisjoint(WORD.findall(text)):
            return text
        out: list[str] = []
        start = position = 0
        while mark := WORD.search(text, position):
            position = mark.end()
            name = mark[1]
            if name not in self.macros:
                continue
            if name in active:
                self._blocked += 1
                append(out, text[start : mark.start()])
                append(out, "\\" + DONE + name)
                start = position
                continue
            found = self._call(text, name, position, active, depth)
            if found is not None:
                append_value(out, text[start : mark.start()], found[0])
                start = position = found[1]
        append(out, text[start:])
        return "".join(out)
