r"""The macros that an author defined, written out where they are used.

In: LaTeX without comments. Out: the same without the definitions that could be expanded, and with their
values in place of their names, as TeX would read them. The one idea: an argument is expanded before it
is put in its place, so no text is read twice; a macro inside its own value is left as it is written, and
what grows beyond `MAX_CALL` is left unexpanded, so nothing recurses and nothing explodes.

Left alone, definition and uses: names of LaTeX's own structure (`PROTECTED`), environments, and macros
that program (conditionals, `\csname`, names with @, definitions inside definitions).
"""

import re

from data.sources.arxiv.definitions import DEFINERS, DONE, Definition, Macro, call_arguments, read_definition
from data.sources.arxiv.syntax import (
    VERBATIM,
    WORD,
    Arguments,
    blanks_end,
    ends_in_word,
    inline_end,
    line_rest,
)

MAX_CALL = 1 << 16  # characters that one call may give, beside four times its arguments
MAX_DEPTH = 32  # of values inside values
_CALL_WORK = 1 << 22  # characters read and given for one call in the paper's own text
_GROWTH, _SLACK = 8, 4 << 20  # characters that all calls may give: times the paper's length, and beside it

_STRUCTURE = (
    "part chapter section subsection subsubsection paragraph subparagraph appendix begin end item label ref"
    " pageref eqref cite citep citet citealt citealp citeauthor citeyear nocite bibitem bibliography"
    " bibliographystyle printbibliography input include subfile import documentclass documentstyle usepackage"
    " caption footnote footnotetext title author date abstract maketitle thanks includegraphics newcommand"
    " renewcommand providecommand def gdef edef xdef let newenvironment renewenvironment newtheorem url href"
    " path verb left right hline tableofcontents document enddocument par relax"
)
PROTECTED = frozenset(_STRUCTURE.split())
# What LaTeX itself uses: such a definition has an effect of its own, so it stays where it is.
_SETTING = re.compile(
    r"the(?:page|part|chapter|(?:sub)*section|(?:sub)?paragraph|equation|figure|table|footnote|enum[iv]+|theorem)$"
    r"|(?:label|p@)enum|(?:array|baseline)stretch$|qedsymbol$|(?:figure|table|ref|bib|abstract|contents|part"
    r"|chapter|section|appendix|proof|index|listfigure|listtable)name$"
)
_PREFIXES = frozenset({"long", "global", "outer", "protected"})
_SPACED = re.compile(r"[A-Za-z0-9$(\[`]|\\[A-Za-z]")  # before these \xspace leaves a blank
# TeX takes all blanks after a name; here they stay, for the many who forget that, but in a plural `\name s`.
_PLURAL = re.compile(r"[ \t]+(?=s(?![A-Za-z0-9]))")
_BASE = re.compile(
    r"[{}]|\\(?:(?P<env>begin|end)[ \t]*\{(?P<name>[A-Za-z]*\*?)\}"
    r"|(?P<verb>verb|lstinline|mintinline)(?![A-Za-z])|(?P<word>[A-Za-z]+|.))",
    re.DOTALL,
)
_BASE_AT = re.compile(_BASE.pattern.replace("[A-Za-z]+|.", "[A-Za-z@]+|."), re.DOTALL)
_TRAILING = re.compile(r"\\([A-Za-z]+)\Z")


class TooMuch(Exception):
    """A paper's macros give far more text than the paper has."""


class _Explodes(Exception):
    """A macro gives more than one call may."""


def expand(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text with its macros expanded, and the spans of it that are verbatim or definitions left alone."""
    expander = _Expander(text.replace(DONE, ""))
    expander.run()
    return "".join(expander.out), expander.opaque


def _append(out: list[str], piece: str) -> None:
    """Adds a piece, kept apart from a control word that ends just before it."""
    if not piece:
        return
    if out and piece[0].isalpha() and ends_in_word(out[-1], len(out[-1])):
        out.append(" ")
    out.append(piece)


def _append_value(out: list[str], before: str, value: str) -> None:
    r"""Adds a value; a [ that it begins with does not become an option of the \\ or \item before it."""
    _append(out, before)
    if value.startswith("[") and out and out[-1].rstrip().endswith(("\\\\", "\\\\*", "\\item")):
        out.append("{}")
    _append(out, value)


class _Expander:
    def __init__(self, text: str) -> None:
        self.text = text
        self.out: list[str] = []
        self.opaque: list[tuple[int, int]] = []
        self.macros: dict[str, Macro] = {}
        self.undo: list[tuple[int, str, Macro | None]] = []  # what groups that are open have redefined
        self.depth = 0  # of groups, in the document's body
        self.in_body = False
        self.cache: dict[str, str] = {}  # values of macros without arguments
        self.blocked = 0  # how often a macro was met inside its own value
        self.read = Arguments()
        self.unclosed: set[str] = set()  # verbatim environments that do not end any more
        self.work, self.call_limit, self.budget = 0, 0, _GROWTH * len(text) + _SLACK
        self.counted, self.length = 0, 0  # pieces of `out` whose length is known, and that length

    # ---- the paper's own text

    def run(self) -> None:
        text, macros, pattern = self.text, self.macros, _BASE
        start = position = 0
        prefix_start = prefix_end = -1
        while mark := pattern.search(text, position):
            position = mark.end()
            word = mark["word"]
            if word is None:
                end = self._group_or_verbatim(mark, position)
                if end:
                    _append(self.out, text[start : mark.start()])
                    self._append_opaque(text[mark.start() : end])
                    start = position = end
            elif word in macros:
                found = self._top_call(word, position)
                if found is not None:
                    _append_value(self.out, text[start : mark.start()], found[0].replace(DONE, ""))
                    start = position = found[1]
            elif word in DEFINERS:
                begin = prefix_start if prefix_end == mark.start() else mark.start()
                definition = read_definition(word, text, position, self.read, macros)
                if definition is None:
                    continue
                end = definition.end
                if end < 0:
                    self._put(definition.name, None)
                elif definition.name and self._take(definition):
                    start = position = self._cut(start, begin, end)
                else:
                    _append(self.out, text[start:begin])
                    self._append_opaque(text[begin:end])
                    start = position = end
            elif word in _PREFIXES:
                if prefix_end != mark.start():
                    prefix_start = mark.start()
                prefix_end = blanks_end(text, position)
            elif word == "makeatletter":
                pattern = _BASE_AT
            elif word == "makeatother":
                pattern = _BASE
        _append(self.out, text[start:])

    def _group_or_verbatim(self, mark: re.Match, position: int) -> int:
        """Keeps count of groups; where the verbatim text that begins here ends, or 0."""
        if mark["verb"]:
            end = inline_end(self.text, position)
            return end if end > position else 0
        if mark["env"] and mark["name"].rstrip("*") in VERBATIM and mark["env"] == "begin":
            name = mark["name"]
            end = -1 if name in self.unclosed else self.text.find(f"\\end{{{name}}}", position)
            if end < 0:
                self.unclosed.add(name)
            return max(end, 0)
        if mark["name"] == "document":
            self.in_body, self.depth = True, 0
        elif self.in_body:
            self._group(mark.group() == "{" or mark["env"] == "begin")
        return 0

    def _group(self, opens: bool) -> None:
        if opens:
            self.depth += 1
            return
        self.depth = max(0, self.depth - 1)
        while self.undo and self.undo[-1][0] > self.depth:
            _, name, before = self.undo.pop()
            self._put(name, before)

    def _append_opaque(self, piece: str) -> None:
        _append(self.out, piece)
        self.length += sum(map(len, self.out[self.counted :]))
        self.counted = len(self.out)
        self.opaque.append((self.length - len(piece), self.length))

    def _cut(self, start: int, begin: int, end: int) -> int:
        """Leaves the definition from begin to end out, with its line if it has one to itself."""
        text = self.text
        line = max(start, text.rfind("\n", max(start, begin - 200), begin) + 1)
        _append(self.out, text[start:line])
        at_start = not self.out or self.out[-1].endswith("\n")
        if at_start and not text[line:begin].strip(" \t"):
            rest = line_rest(text, end)
            if rest > end:
                return rest
        _append(self.out, text[line:begin])
        return end

    # ---- definitions

    def _take(self, definition: Definition) -> bool:
        """Uses of the name are expanded from here on, if it can be; whether its definition may go."""
        if definition.is_kept:
            return True
        name = definition.name
        macro = None if name in PROTECTED or "@" in name else definition.macro
        if self.in_body and self.depth and not definition.is_global:
            self.undo.append((self.depth, name, self.macros.get(name)))
        self._put(name, macro)
        return macro is not None and not _SETTING.match(name)

    def _put(self, name: str, macro: Macro | None) -> None:
        self.cache.clear()
        if macro is None:
            self.macros.pop(name, None)
        else:
            self.macros[name] = macro

    # ---- calls

    def _top_call(self, name: str, position: int) -> tuple[str, int] | None:
        """The value of a call in the paper's own text and the call's end; None: it stays as it is."""
        while name in self.macros:
            self.call_limit = self.work + _CALL_WORK
            try:
                found = self._call(self.text, name, position, frozenset(), 0)
            except _Explodes as explosion:
                self._put(explosion.args[0], None)
                continue
            if found and "\\begin{document}" in found[0]:
                self.in_body, self.depth = True, 0
            return found
        return None

    def _call(
        self, text: str, name: str, position: int, active: frozenset[str], depth: int
    ) -> tuple[str, int] | None:
        out: list[str] = []
        for _ in range(MAX_DEPTH):
            found = self._value(text, name, position, active, depth)
            if found is None:
                break
            value, position = found
            last = _TRAILING.search(value, max(0, len(value) - 60))
            following = self.macros.get(last[1]) if last else None
            if last is None or not following or not following.arguments or last[1] in active:
                _append(out, value)
                return "".join(out), position
            _append(out, value[: last.start()])  # its last macro takes its arguments from what follows
            name = last[1]
        if not out:
            return None
        _append(out, "\\" + name)
        return "".join(out), position

    def _value(
        self, text: str, name: str, position: int, active: frozenset[str], depth: int
    ) -> tuple[str, int] | None:
        macro = self.macros[name]
        given = 0
        if macro.arguments or macro.delimiters:
            found = call_arguments(macro, text, position, self.read)
            if found is None:
                return None
            arguments, position = found
            arguments = [self._inner(argument, active, depth + 1) for argument in arguments]
            given = sum(map(len, arguments))
            filled: list[str] = []
            for piece in macro.body:
                _append(filled, piece if isinstance(piece, str) else arguments[piece - 1])
            value = self._inner("".join(filled), active | {name}, depth + 1)
        elif macro.final:
            value = macro.literal
        elif name in self.cache:
            value = self.cache[name]
        else:
            blocked = self.blocked
            value = self._inner(macro.literal, active | {name}, depth + 1)
            if blocked == self.blocked:
                self.cache[name] = value
        self.work += len(value) + given + 16
        if self.work > self.budget:
            raise TooMuch(f"at \\{name}")
        if self.work > self.call_limit or len(value) > MAX_CALL + 4 * given:
            raise _Explodes(name)
        if macro.spaced and not value.startswith("\\ensuremath") and _SPACED.match(text, position):
            value += " "
        elif not given:
            plural = _PLURAL.match(text, position)
            position = plural.end() if plural else position
        return value, position

    def _inner(self, text: str, active: frozenset[str], depth: int) -> str:
        """A value or an argument with the macros in it expanded, but for those it is the value of."""
        if depth > MAX_DEPTH or "\\" not in text:
            return text
        out: list[str] = []
        start = position = 0
        while mark := WORD.search(text, position):
            position = mark.end()
            name = mark[1]
            if name not in self.macros:
                continue
            if name in active:
                self.blocked += 1
                _append(out, text[start : mark.start()])
                _append(out, "\\" + DONE + name)
                start = position
                continue
            found = self._call(text, name, position, active, depth)
            if found is not None:
                _append_value(out, text[start : mark.start()], found[0])
                start = position = found[1]
        _append(out, text[start:])
        return "".join(out)
