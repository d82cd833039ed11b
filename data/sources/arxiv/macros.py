r"""The macros that an author defined, written out where they are used.

In: LaTeX without comments. Out: the same without the definitions that could be expanded, and with their
values in place of their names, as TeX would read them. The one idea: an argument is expanded before it
is put in its place, so no text is read twice; a macro inside its own value is left as it is written, and
what grows beyond `MAX_CALL` is left unexpanded, so nothing recurses and nothing explodes.

Left alone, definition and uses: names of LaTeX's own structure (`PROTECTED`), environments, and macros
that program (conditionals, `\csname`, names with @, definitions inside definitions).
"""

import re
from dataclasses import dataclass

from data.sources.arxiv.latex import BLANKS, VERBATIM, WORD, Arguments, ends_in_word, inline_end, line_rest

MAX_CALL = 1 << 16  # characters that one call may give, beside four times its arguments
MAX_DEPTH = 32  # of values inside values
_CALL_WORK = 1 << 22  # characters read and given for one call in the paper's own text
_DONE = "\0"  # after the backslash of a name in a value that is not to be expanded again; TeX ignores it
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
_COMMANDS = frozenset({"newcommand", "renewcommand", "providecommand", "DeclareRobustCommand"})
_DOCUMENT_COMMANDS = frozenset(f"{verb}DocumentCommand" for verb in ("New", "Renew", "Provide", "Declare"))
_DEFS = frozenset({"def", "gdef", "edef", "xdef"})
_ENVIRONMENTS = frozenset({"newenvironment", "renewenvironment"})
_DEFINERS = _COMMANDS | _DOCUMENT_COMMANDS | _DEFS | _ENVIRONMENTS | {"let", "DeclareMathOperator"}
_PREFIXES = frozenset({"long", "global", "outer", "protected"})
_PROGRAMS = re.compile(
    r"@|##|\\(?:if(?!f(?![A-Za-z]))[A-Za-z]*|else|fi|or|expandafter|noexpand|csname|endcsname|futurelet|let"
    r"|[egx]?def|(?:new|renew|provide)command|DeclareRobustCommand|newenvironment|global|long|[clu]ccode|catcode"
    r"|afterassignment|aftergroup|begingroup|endgroup|bgroup|egroup|advance|newcount|newdimen|newif|setbox|newbox"
    r"|detokenize|scantokens|string|meaning|mathchoice|mathpalette|loop|repeat|usepackage|input|include|verb"
    r"|read|write|immediate|special)(?![A-Za-z])"
)
_MODE = re.compile(r"\s*\\ifmmode\s*(.*?)\s*\\else\s*\$\s*(.*?)\s*\$\s*\\fi\s*", re.DOTALL)
_XSPACE = re.compile(r"\\xspace(?![A-Za-z@])")
_SPACED = re.compile(r"[A-Za-z0-9$(\[`]|\\[A-Za-z]")  # before these \xspace leaves a blank
# TeX takes all blanks after a name; here they stay, for the many who forget that, but in a plural `\name s`.
_PLURAL = re.compile(r"[ \t]+(?=s(?![A-Za-z0-9]))")
_BASE = re.compile(
    r"[{}]|\\(?:(?P<env>begin|end)[ \t]*\{(?P<name>[A-Za-z]*\*?)\}"
    r"|(?P<verb>verb|lstinline|mintinline)(?![A-Za-z])|(?P<word>[A-Za-z]+|.))",
    re.DOTALL,
)
_BASE_AT = re.compile(_BASE.pattern.replace("[A-Za-z]+|.", "[A-Za-z@]+|."), re.DOTALL)
_NAME = re.compile(r"\s*+(\*?)\s*+(?:\{\s*\\([A-Za-z@]+|[^A-Za-z@])\s*\}|\\([A-Za-z@]+|[^A-Za-z@]))")
_COUNT = re.compile(r"\s*\[\s*([0-9])\s*\]")
_LET = re.compile(r"\s*\\([A-Za-z@]+|[^A-Za-z@])[ \t]*=?[ \t]?(?:\\([A-Za-z@]+|[^A-Za-z@])|.)", re.DOTALL)
_PARAMETERS = re.compile(r"\s*+([^#{}\\]{0,1000}+)((?:#[1-9][^#{}\\]{0,1000}+){0,9}+)(?=\{)")
_SIGNATURE = re.compile(r"\s*(?:O\s*\{([^{}]*)\})?\s*((?:\+?m\s*)*)")
_PARAMETER = re.compile(r"#[1-9]([^#]*)")
_ENVIRONMENT = re.compile(r"\*?\s*\{[^{}]*\}")
_TRAILING = re.compile(r"\\([A-Za-z]+)\Z")


class TooMuch(Exception):
    """A paper's macros give far more text than the paper has."""


class _Explodes(Exception):
    """A macro gives more than one call may."""


@dataclass(slots=True)
class Macro:
    """What a name stands for: literal pieces, with the numbers of arguments between them."""

    body: list[str | int]
    arguments: int = 0
    default: str | None = None  # of the first argument, where that is optional
    delimiters: list[str] | None = None  # of \def: before the first argument, then after each
    final: bool = False  # \let to a name that is not the author's: never read again
    spaced: bool = False  # its value has \xspace


def expand(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text with its macros expanded, and the spans of it that are verbatim or definitions left alone."""
    expander = _Expander(text.replace(_DONE, ""))
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
                    _append_value(self.out, text[start : mark.start()], found[0].replace(_DONE, ""))
                    start = position = found[1]
            elif word in _DEFINERS:
                begin = prefix_start if prefix_end == mark.start() else mark.start()
                found = self._define(word, position)
                if found is None:
                    continue
                is_taken, end = found
                if is_taken:
                    start = position = self._cut(start, begin, end)
                else:
                    _append(self.out, text[start:begin])
                    self._append_opaque(text[begin:end])
                    start = position = end
            elif word in _PREFIXES:
                if prefix_end != mark.start():
                    prefix_start = mark.start()
                prefix_end = BLANKS.match(text, position).end()
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

    def _define(self, word: str, position: int) -> tuple[bool, int] | None:
        """Whether the definition is to go, and its end; or None if it cannot be read."""
        text = self.text
        if word in _ENVIRONMENTS:
            return self._skip_environment(position)
        if word == "let":
            found = _LET.match(text, position)
            if found is None:
                return None
            name, target = found[1], found[2]
            macro = None
            if target in self.macros:
                macro = self.macros[target]
            elif target and "@" not in target and target not in ("relax", "undefined"):
                macro = Macro(["\\" + _DONE + target], final=True)
            return self._take(name, macro), found.end()
        if word in _DEFS:
            return self._define_def(word, position)
        found = _NAME.match(text, position)
        if found is None:
            return None
        name, position = found[2] or found[3], found.end()
        if word in _DOCUMENT_COMMANDS:
            signature, position = self.read.argument(text, position) or ("", position)
            count, default = _signature(signature)
        elif word in _COMMANDS:
            count, default, position = self._count(position)
        else:
            count, default = 0, None
        body, position = self.read.argument(text, position) or (None, 0)
        if body is None:
            return None
        if word == "DeclareMathOperator":
            body = f"\\operatorname{found[1]}{{{body}}}"
        if word.startswith(("provide", "Provide")) and name in self.macros:
            return True, position
        macro = _macro(body, count)
        if macro:
            macro.default = default
        return self._take(name, macro), position

    def _count(self, position: int) -> tuple[int, str | None, int]:
        """The number of arguments in [ ] here, the first one's default if it is optional, and their end."""
        count = _COUNT.match(self.text, position)
        if count is None:
            return 0, None, position
        default, position = self.read.option(self.text, count.end()) or (None, count.end())
        return int(count[1]), default, position

    def _define_def(self, word: str, position: int) -> tuple[bool, int] | None:
        found = _NAME.match(self.text, position)
        if found is None or found[1] or found[3] is None:
            return None
        parameters = _PARAMETERS.match(self.text, found.end())
        opening = parameters.end() if parameters else self.text.find("{", found.end(), found.end() + 1000)
        end = self.read.group_end(self.text, opening) if opening >= 0 else -1
        if end < 0:
            self._put(found[3], None)
            return None
        macro = None
        if parameters:
            after = _PARAMETER.findall(parameters[2])
            macro = _macro(self.text[opening + 1 : end - 1], len(after))
            if macro and (parameters[1] or any(after)):
                macro.delimiters = [parameters[1], *after]
        return self._take(found[3], macro, is_global=word in ("gdef", "xdef")), end

    def _skip_environment(self, position: int) -> tuple[bool, int] | None:
        found = _ENVIRONMENT.match(self.text, position)
        if found is None:
            return None
        _, _, position = self._count(found.end())
        for _ in range(2):
            group = self.read.argument(self.text, position)
            if group is None:
                return None
            position = group[1]
        return False, position

    def _take(self, name: str, macro: Macro | None, is_global: bool = False) -> bool:
        """Uses of the name are expanded from here on, if it can be; whether its definition may go."""
        if name in PROTECTED or "@" in name:
            macro = None
        if self.in_body and self.depth and not is_global:
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
            if not following or not following.arguments or last[1] in active:
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
            found = self._arguments(macro, text, position)
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
            value = macro.body[0]
        elif name in self.cache:
            value = self.cache[name]
        else:
            blocked = self.blocked
            value = self._inner("".join(macro.body), active | {name}, depth + 1)
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
                _append(out, "\\" + _DONE + name)
                start = position
                continue
            found = self._call(text, name, position, active, depth)
            if found is not None:
                _append_value(out, text[start : mark.start()], found[0])
                start = position = found[1]
        _append(out, text[start:])
        return "".join(out)

    # ---- arguments

    def _arguments(self, macro: Macro, text: str, position: int) -> tuple[list[str], int] | None:
        if macro.delimiters:
            return self._delimited(macro.delimiters, text, position)
        arguments = []
        if macro.default is not None:
            option = self.read.option(text, position)
            value, position = option or (macro.default, position)
            arguments.append(value)
        while len(arguments) < macro.arguments:
            found = self.read.argument(text, position)
            if found is None:
                return None
            arguments.append(found[0])
            position = found[1]
        return arguments, position

    def _delimited(self, delimiters: list[str], text: str, position: int) -> tuple[list[str], int] | None:
        lead, *after = delimiters
        position = BLANKS.match(text, position).end()
        if not text.startswith(lead, position):
            return None
        position += len(lead)
        arguments = []
        for delimiter in after:
            if not delimiter:
                found = self.read.argument(text, position)
            else:
                found = self.read.until(delimiter, text, position)
            if found is None:
                return None
            argument, position = found
            if delimiter and argument[:1] == "{" and self.read.group_end(argument, 0) == len(argument):
                argument = argument[1:-1]
            arguments.append(argument)
        return arguments, position


def _signature(signature: str) -> tuple[int, str | None]:
    """The number of a document command's arguments and the first one's default; -1 where they are others."""
    found = _SIGNATURE.fullmatch(signature)
    if found is None:
        return -1, None
    return found[2].count("m") + (found[1] is not None), found[1]


def _macro(body: str, arguments: int) -> Macro | None:
    """What a definition's body stands for; None if it programs."""
    spaced = _XSPACE.search(body) is not None
    if spaced:
        body = _XSPACE.sub("", body)
    if _PROGRAMS.search(body):
        mode = _MODE.fullmatch(body)
        if mode is None or mode[1] != mode[2] or _PROGRAMS.search(mode[1]):
            return None
        body = f"\\ensuremath{{{mode[1]}}}"
    if "\n" in body:
        body = body.strip()
    pieces: list[str | int] = re.split(r"#([1-9])", body)
    pieces[1::2] = map(int, pieces[1::2])
    if (
        max(pieces[1::2], default=0) > arguments
        or arguments < 0
        or any("#" in piece for piece in pieces[::2])
    ):
        return None
    return Macro(pieces, arguments, spaced=spaced)
