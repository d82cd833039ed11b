r"""Reads definitions of macros as LaTeX writes them: `\newcommand`, `\def`, `\let` and their kin.

In: a text and the place just after such a command. Out: a `Definition`; its macro is None if the body
programs (conditionals, `\csname`, names with @, nested definitions) and so cannot be expanded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from data.sources.arxiv.latex.definitions.bodies import ASKS_GIVEN, DONE, Known, macro_of
from data.sources.arxiv.latex.definitions.kinds import PICKS, Alias, Fence, Macro
from data.sources.arxiv.latex.definitions.signatures import Expected, of_xargs, signature
from data.sources.arxiv.latex.syntax import Arguments

_COMMANDS = frozenset(
    [
        "newcommand",
        "renewcommand",
        "providecommand",
        "newrobustcmd",
        "renewrobustcmd",
        "providerobustcmd",
        "DeclareRobustCommand",
    ]
)
_FENCES = frozenset({"DeclarePairedDelimiter", "DeclarePairedDelimiterX", "DeclarePairedDelimiterXPP"})
_DOCUMENT_COMMANDS = frozenset(
    f"{verb}{kind}DocumentCommand"
    for verb in ("New", "Renew", "Provide", "Declare")
    for kind in ("", "Expandable")
)
_XARGS = frozenset({"newcommandx", "renewcommandx", "providecommandx", "DeclareRobustCommandx"})
_TWO_OPTIONS = frozenset({"newcommandtwoopt", "renewcommandtwoopt", "providecommandtwoopt"})  # package twoopt
_DEFS = frozenset({"def", "gdef", "edef", "xdef"})
_COPIES = frozenset(  # \let with braces (source2e, ltcmd; letltxmacro)
    ["NewCommandCopy", "RenewCommandCopy", "DeclareCommandCopy", "LetLtxMacro", "GlobalLetLtxMacro"]
)
_ENVIRONMENTS = frozenset({"newenvironment", "renewenvironment"})
DEFINERS = _COMMANDS | _XARGS | _TWO_OPTIONS | _DOCUMENT_COMMANDS | _DEFS | _ENVIRONMENTS | _FENCES | _COPIES
DEFINERS |= {"let", "DeclareMathOperator"}
AMSTEX = {"define": "def", "redefine": "def"}  # AMS-TeX's own names
TARGET = re.compile(r"\s*+(\*?)\s*+(?:\{\s*\\([A-Za-z@]+|[^A-Za-z@])\s*\}|\\([A-Za-z@]+|[^A-Za-z@]))")
_COUNT = re.compile(r"\s*\[\s*([0-9])\s*\]")
_LET = re.compile(r"\s*\\([A-Za-z@]+|[^A-Za-z@])[ \t]*=?[ \t]?(?:\\([A-Za-z@]+|[^A-Za-z@])|.)", re.DOTALL)
# Excludes control words that other parts of this package act on.
_DELIMITER = (
    r"(?:[^#{}\\]|\\(?!(?:begin|end|par|item|fi|else|or|relax|if[a-z]*)(?![A-Za-z@]))[A-Za-z@]+){0,1000}+"
)
_PARAMETERS = re.compile(rf"\s*+({_DELIMITER})((?:#[1-9]{_DELIMITER}){{0,9}}+)(?=\{{)")
_PARAMETER = re.compile(r"#[1-9]([^#]*)")
_WORD_BLANKS = re.compile(r"(\\[A-Za-z@]++)\s++")  # blanks that TeX does not read
_NOEXPAND = re.compile(r"\\noexpand\s*+\\(?=[A-Za-z])")
_ENVIRONMENT = re.compile(r"\*?\s*\{[^{}]*\}")


@dataclass(slots=True)  # frozen ones take longer to make
class Definition:
    """The definition of `name`, which ends at `end`."""

    name: str  # empty for an environment
    macro: Macro | None  # None: it cannot be expanded
    end: int  # -1: unterminated, so the name's meaning is unknown from here on
    is_global: bool = False
    is_kept: bool = False  # \providecommand of a defined name
    is_expanded: bool = False  # \edef: its value is expanded now, not when it is used
    meaning: str = ""  # the body, or \let's other name


def read_definition(word: str, text: str, position: int, read: Arguments, known: Known) -> Definition | None:
    """The definition whose command `word` ends at `position`, or None if it is unreadable."""
    if word in _ENVIRONMENTS:
        return _environment(text, position, read)
    if word == "let":
        return _let(text, position, known.macros)
    if word in _COPIES:
        return _copy(word, text, position, known.macros)
    if word in _DEFS:
        return _def(word, text, position, read, known)
    found = TARGET.match(text, position)
    if found is None:
        return None
    name, position = found[2] or found[3], found.end()
    if word in _FENCES:
        return _fence(word, name, text, position, read, known)
    expected = None
    if word in _DOCUMENT_COMMANDS:
        kinds, position = read.argument(text, position) or ("", position)
        expected = signature(kinds)
        count, default = len(expected) if expected is not None else -1, None
    elif word in _XARGS:
        count, defaults, position = _count(text, position, read)
        expected, default = of_xargs(count, defaults or ""), None
    elif word in _TWO_OPTIONS:
        count, first, position = _count(text, position, read)
        second, position = read.unbraced_option(text, position) or ("", position)
        expected = [Expected("O", first or ""), Expected("O", second), *[Expected("m")] * (count - 2)][:count]
        default = None
    elif word in _COMMANDS:
        count, default, position = _count(text, position, read)
    else:
        count, default = 0, None
    argument = read.argument(text, position)
    if argument is None:
        return None
    body, position = argument
    if word == "DeclareMathOperator":
        body = f"\\operatorname{found[1]}{{{body}}}"
    if word.startswith(("provide", "Provide")) and name in known.macros:
        return Definition(name, known.macros[name], position, is_kept=True)
    macro = macro_of(body, count, known)
    if word not in _DOCUMENT_COMMANDS and ASKS_GIVEN.search(body):
        macro = None
    if macro and (default is not None or expected is not None):
        macro.parameters = replace(macro.parameters, default=default, expected=expected)
    return Definition(name, macro, position, meaning=body)


def _fence(
    word: str, name: str, text: str, position: int, read: Arguments, known: Known
) -> Definition | None:
    """mathtools' paired delimiters."""
    count, _, position = _count(text, position, read)
    parts = []
    for _ in range({"DeclarePairedDelimiter": 2, "DeclarePairedDelimiterX": 3}.get(word, 5)):
        part = read.argument(text, position)
        if part is None:
            return None
        parts.append(part[0])
        position = part[1]
    before, after = "", ""
    if word.endswith("XPP"):
        before, parts, after = parts[0], [parts[1], parts[2], parts[4]], parts[3]
    macro = macro_of(parts[2] if len(parts) > 2 else "#1", count or 1, known)
    if macro:
        body = [before, parts[0], *macro.body, parts[1], after]
        macro = Fence(body, macro.parameters, macro.traits, macro.spaced)
    return Definition(name, macro, position)


def _count(text: str, position: int, read: Arguments) -> tuple[int, str | None, int]:
    """The number of arguments in [ ] here, the default of the first if optional, and their end."""
    count = _COUNT.match(text, position)
    if count is None:
        return 0, None, position
    default, position = read.unbraced_option(text, count.end()) or (None, count.end())
    return int(count[1]), default, position


def _let(text: str, position: int, macros: Mapping[str, Macro]) -> Definition | None:
    found = _LET.match(text, position)
    if found is None:
        return None
    target = found[2]
    macro = _meant(target, macros) if target else None
    return Definition(found[1], macro, found.end(), meaning=f"\\{target}" if target else "")


def _copy(word: str, text: str, position: int, macros: Mapping[str, Macro]) -> Definition | None:
    name = TARGET.match(text, position)
    target = TARGET.match(text, name.end()) if name else None
    if name is None or target is None or name[1] or target[1]:
        return None
    meant = target[2] or target[3]
    is_global = word == "GlobalLetLtxMacro"
    return Definition(
        name[2] or name[3], _meant(meant, macros), target.end(), is_global, meaning=f"\\{meant}"
    )


def _meant(target: str, macros: Mapping[str, Macro]) -> Macro | None:
    """The macro for a name that gets the meaning of `target`; None if that is unknown."""
    if target in macros:
        return macros[target]
    if target in PICKS:
        return replace(PICKS[target])
    if "@" in target or target in ("relax", "undefined"):
        return None
    return Alias(["\\" + DONE + target])


def _def(word: str, text: str, position: int, read: Arguments, known: Known) -> Definition | None:
    found = TARGET.match(text, position)
    if found is None or found[1] or found[3] is None:
        return None
    parameters = _PARAMETERS.match(text, found.end())
    opening = parameters.end() if parameters else text.find("{", found.end(), found.end() + 1000)
    end = read.group_end(text, opening) if opening >= 0 else -1
    if end < 0:
        return Definition(found[3], None, -1)
    is_global, is_expanded = word in ("gdef", "xdef"), word in ("edef", "xdef")
    body = text[opening + 1 : end - 1]
    macro = None
    if parameters:
        after = _PARAMETER.findall(parameters[2])
        macro = macro_of(_NOEXPAND.sub(rf"\\{DONE}", body) if is_expanded else body, len(after), known)
        macro = None if ASKS_GIVEN.search(text, opening, end) else macro
        if macro and (parameters[1] or any(after)):
            delimiters = [_WORD_BLANKS.sub(r"\1", part) for part in (parameters[1], *after)]
            macro.parameters = replace(macro.parameters, delimiters=delimiters)
    return Definition(found[3], macro, end, is_global, meaning=body, is_expanded=is_expanded)


def _environment(text: str, position: int, read: Arguments) -> Definition | None:
    found = _ENVIRONMENT.match(text, position)
    if found is None:
        return None
    _, _, position = _count(text, found.end(), read)
    for _ in range(2):
        group = read.argument(text, position)
        if group is None:
            return None
        position = group[1]
    return Definition("", None, position)
