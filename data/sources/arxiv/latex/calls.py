r"""Expands calls of macros with their arguments.

In: the macros known so far, and the place of a call in a text. Out: its value, with the macros in it
expanded. An argument is expanded before it is put in its place, so no text is read twice; a macro inside
its own value is left as written, and what grows beyond `MAX_CALL` is left unexpanded, so nothing
recurses and nothing explodes.
"""

import re
from collections.abc import Callable, Mapping

from data.sources.arxiv.latex import conditionals
from data.sources.arxiv.latex.arguments import answered, call_arguments, fence_body
from data.sources.arxiv.latex.definitions.bodies import DONE, PROGRAMS, Macro, inserted
from data.sources.arxiv.latex.definitions.lookahead import peeked
from data.sources.arxiv.latex.definitions.romans import written
from data.sources.arxiv.latex.syntax import (
    MAX_GROUP,
    MAX_OPTION,
    WORD,
    Arguments,
    append,
    append_value,
    blanks_end,
)

MAX_CALL = 1 << 16  # characters that one call may produce, beyond four times its arguments
MAX_DEPTH = 32  # nesting of values
_CALL_WORK = 1 << 22  # characters read and produced for one call in the paper's own text
_GROWTH, _SLACK = (
    8,
    4 << 20,
)  # characters that all calls may produce: a multiple of the paper's length, plus this
_READING = 100  # what reading a body as text costs, in such characters
_SPACED = re.compile(r"[A-Za-z0-9$(\[`]|\\[A-Za-z]")  # \xspace adds a space before these
# TeX drops spaces after a name. We keep them, as most authors expect, except in a plural, `\name s`.
_PLURAL = re.compile(r"[ \t]+(?=s(?![A-Za-z0-9]))")
_USES = re.compile(r"\\([A-Za-z@]++)")
_TESTS = re.compile(
    r"\\if(?:(?:defined|def|undef)\s*+\{?\s*+\\[A-Za-z@]++|x\s*+(?:\\@?undefined\s*+\\[A-Za-z@]++"
    r"|\\[A-Za-z@]++\s*+\\@?undefined(?![A-Za-z@])))"
)
# Names of TeX's engines and converters, which no paper defines.
_ENGINES = re.compile(r"pdf|lua|[Xx]e|direct|HCode|[eu]?p?TeX|Umath|tex4ht|LaTeXML|latexml|hevea|kanji|jisx")
_TRAILING = re.compile(r"\\([A-Za-z]+)\Z")
_PARTS = re.compile(r"\\([A-Za-z]+|.)|[{}]", re.DOTALL)
_LAST_CALLS = 3  # look at this many calls at a value's end for one whose arguments follow
_UNENDED = 500  # give up on such calls after this many with an argument that never ended


class TooMuch(Exception):
    """A paper's macros expand to far more text than the paper has."""


class _Explodes(Exception):
    """A macro expands to more text than one call may produce."""


def _ended(
    value: str, is_spaced: bool, text: str, position: int, *, has_arguments: bool = False
) -> tuple[str, int]:
    """The value of a call that ends here, with a space if it adds one, and where reading continues."""
    if is_spaced and not value.startswith("\\ensuremath") and _SPACED.match(text, position):
        return value + " ", position
    if has_arguments or text[position : position + 1] not in (" ", "\t"):
        return value, position
    plural = _PLURAL.match(text, position)
    return value, plural.end() if plural else position


class Calls:
    """The macros of a paper up to the current position, and the values of their calls."""

    def __init__(
        self, flags: Mapping[str, bool | None], numbers: Mapping[str, int | None], text: str = ""
    ) -> None:
        self.macros: dict[str, Macro] = {}
        self.defining: set[str] = set()  # those that define others
        self.helpers: set[str] = set()  # names made by `lookahead.by_letters`, which no text may show
        self.read = Arguments()
        self.defined: set[str] = set()  # every name that the paper has defined
        self._flags, self._numbers, self._text = flags, numbers, text
        self._untested: str | None = None  # the text without tests
        self._used: set[str] | None = None  # control words in it
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
        if macro and macro.defines:
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

    def asked(self, name: str) -> bool | str | None:
        """What a name means to a conditional; with a backslash, whether it is defined."""
        if name[:1] == "\\":
            return self.is_defined(name[1:])
        if name in self._flags:
            return self._flags[name]
        if name in self._numbers:
            number = self._numbers[name]
            return None if number is None else str(number)
        macro = self.macros.get(name)
        return macro.literal.strip() if macro and not macro.arguments and not macro.final else None

    def is_defined(self, name: str) -> bool | None:
        """Whether the paper has defined a name; None if a package, or a part that is cut off, may have."""
        if name in self.defined:
            return True
        if not self._text:
            return None
        return None if self._is_used(name) or _ENGINES.match(name) else False

    def _is_used(self, name: str) -> bool:
        """Whether a control word occurs outside tests. Few papers ask twice, so first search for one."""
        if self._untested is None:
            self._untested = _TESTS.sub("", self._text)
            use = re.compile(rf"\\{re.escape(name)}(?![A-Za-z@])")
            return _USES.fullmatch("\\" + name) is not None and use.search(self._untested) is not None
        if self._used is None:
            self._used = set(_USES.findall(self._untested))
        return name in self._used

    def top(self, text: str, name: str, position: int) -> tuple[str, int] | None:
        """The value of a call in the paper's own text, and the call's end; None if it is left unexpanded.

        Raises TooMuch.
        """
        if name in self._ready:
            value, is_spaced = self._ready[name]
            self._spend(len(value), name)
            return _ended(value, is_spaced, text, position)
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
        return macro is not None and not (
            macro.final or macro.spaced or macro.has_tests or macro.asks or macro.peeks
        )

    def inserted(self, text: str, name: str, position: int) -> tuple[str, int] | None:
        """What is read in place of a call of a macro that defines others, and the call's end."""
        macro = self.macros[name]
        body = macro.body
        if macro.is_fence:
            body, position = fence_body(macro, text, position, self.read)
        arguments: list[str] = []
        if macro.arguments or macro.delimiters:
            found = call_arguments(macro, text, position, self.read)
            if found is None:
                return None
            arguments, position = found
        parts = (piece if isinstance(piece, str) else f"#{piece}" for piece in body)
        value = inserted("".join(parts), arguments)
        if macro.is_conditional:
            value = conditionals.resolved(value, lambda name: None)  # others, when they are read
        self._spend(len(value) + _READING, name)
        return None if "\\ifarg@" in value else (value, position)

    def _keep(self, name: str) -> None:
        """Remember the value of a macro that takes nothing from what follows its call."""
        macro = self.macros.get(name)
        if macro is None or macro.arguments or macro.delimiters or macro.is_fence or macro.peeks:
            return
        if macro.before_dot is not None or name in self._open:
            return
        value = macro.literal if macro.final else self._cache.get(name)
        last = _TRAILING.search(value) if value is not None else None
        if value is not None and (last is None or last[1] not in self.macros):
            self._ready[name] = value.replace(DONE, ""), macro.spaced

    def expanded(self, macro: Macro) -> Macro:
        r"""The macro with the value that it has now, as \edef reads it."""
        if macro.arguments or macro.delimiters or "\\" not in macro.literal:
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
            if not last or not following or last[1] in active or not (following.arguments or following.peeks):
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
            if macro and macro.arguments and mark[1] not in active:
                marks.append(mark)
        for mark in marks[-_LAST_CALLS:]:
            if call_arguments(self.macros[mark[1]], value, mark.end(), Arguments()) is None:
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
            found = call_arguments(self.macros[name], whole, 0, read := Arguments())
            if found is not None and found[1] > len(tail):
                value = self._value(whole, name, 0, active, depth)
                return (value[0], position + value[1] - len(tail)) if value else None
            self._unended += read.has_failed
            if position + most >= len(text):
                break
        return None

    def _value(
        self, text: str, name: str, position: int, active: frozenset[str], depth: int
    ) -> tuple[str, int] | None:
        macro = self.macros[name]
        if macro.defines:
            return None
        given = 0
        body = macro.body
        if macro.is_fence:
            body, position = fence_body(macro, text, position, self.read)
        if macro.arguments or macro.delimiters:
            found = call_arguments(macro, text, position, self.read)
            if found is None:
                self._lacking += 1
                return None
            arguments, position = found
            if macro.keeps and any("\\" in argument for argument in arguments):
                return None
            arguments = [
                self._inner(argument, active, depth + 1) if "\\" in argument else argument
                for argument in arguments
            ]
            given = sum(map(len, arguments))
            filled: list[str] = []
            for piece in body:
                append(filled, piece if isinstance(piece, str) else arguments[piece - 1])
            value = "".join(filled)
            if macro.asks:
                value = answered(value, self.read)
            if macro.has_romans and (value := written(value)) is None:
                return None
            if "\\" in value:
                chosen = self._chosen(macro, value)
                if chosen is not None and macro.peeks:
                    chosen, position = self._peeked(chosen, text, position, depth)
                if chosen is None:
                    return None
                value = self._inner(chosen, active | {name}, depth + 1)
        elif macro.before_dot is not None and text.startswith(".", position):
            value = self._inner(macro.before_dot, active | {name}, depth + 1)
        elif macro.final:
            value = macro.literal
        elif macro.peeks:
            chosen, position = self._peeked(macro.literal, text, position, depth)
            if chosen is None:
                return None
            value = self._inner(chosen, active | {name}, depth + 1)
        elif name in self._cache:
            value = self._cache[name]
            self._lacking += name in self._open
        else:
            blocked, lacking = self._blocked, self._lacking
            chosen = self._chosen(macro, macro.literal)
            if chosen is None:
                return None
            value = self._inner(chosen, active | {name}, depth + 1)
            if blocked == self._blocked:
                self._cache[name] = value
                if lacking < self._lacking:
                    self._open.add(name)
        self._spend(len(value) + given, name)
        if self._work > self._call_limit or len(value) > MAX_CALL + 4 * given:
            raise _Explodes(name)
        return _ended(value, macro.spaced, text, position, has_arguments=given > 0)

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
        value = conditionals.resolved(value, self.asked) if macro.is_conditional else value
        chosen = self.decide(value) if macro.has_tests else value
        return None if macro.may_program and chosen and PROGRAMS.search(chosen) else chosen

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
