r"""Definitions of macros as LaTeX writes them: `\newcommand`, `\def`, `\let` and their kin.

In: a text and the place just after such a command. Out: a `Definition`, whose macro is None if it programs
(conditionals, `\csname`, names with @, definitions inside definitions) and so cannot be written out.
"""

import re
from dataclasses import dataclass, replace

from data.sources.arxiv.syntax import Arguments, blanks_end

DONE = "\0"  # after the backslash of a name in a value that is not to be expanded again; TeX ignores it

_COMMANDS = frozenset({"newcommand", "renewcommand", "providecommand", "DeclareRobustCommand"})
_DOCUMENT_COMMANDS = frozenset(f"{verb}DocumentCommand" for verb in ("New", "Renew", "Provide", "Declare"))
_DEFS = frozenset({"def", "gdef", "edef", "xdef"})
_ENVIRONMENTS = frozenset({"newenvironment", "renewenvironment"})
DEFINERS = _COMMANDS | _DOCUMENT_COMMANDS | _DEFS | _ENVIRONMENTS | {"let", "DeclareMathOperator"}
_PROGRAMS = re.compile(
    r"@|##|\\(?:if(?!f(?![A-Za-z]))[A-Za-z]*|else|fi|or|expandafter|noexpand|csname|endcsname|futurelet|let"
    r"|[egx]?def|(?:new|renew|provide)command|DeclareRobustCommand|newenvironment|global|long|[clu]ccode|catcode"
    r"|afterassignment|aftergroup|begingroup|endgroup|bgroup|egroup|advance|newcount|newdimen|newif|setbox|newbox"
    r"|detokenize|scantokens|string|meaning|mathchoice|mathpalette|loop|repeat|usepackage|input|include|verb"
    r"|read|write|immediate|special)(?![A-Za-z])"
)
_MODE = re.compile(r"\s*\\ifmmode\s*(.*?)\s*\\else\s*\$\s*(.*?)\s*\$\s*\\fi\s*", re.DOTALL)
_XSPACE = re.compile(r"\\xspace(?![A-Za-z@])")
_NAME = re.compile(r"\s*+(\*?)\s*+(?:\{\s*\\([A-Za-z@]+|[^A-Za-z@])\s*\}|\\([A-Za-z@]+|[^A-Za-z@]))")
_COUNT = re.compile(r"\s*\[\s*([0-9])\s*\]")
_LET = re.compile(r"\s*\\([A-Za-z@]+|[^A-Za-z@])[ \t]*=?[ \t]?(?:\\([A-Za-z@]+|[^A-Za-z@])|.)", re.DOTALL)
_PARAMETERS = re.compile(r"\s*+([^#{}\\]{0,1000}+)((?:#[1-9][^#{}\\]{0,1000}+){0,9}+)(?=\{)")
_SIGNATURE = re.compile(r"\s*(?:O\s*\{([^{}]*)\})?\s*((?:\+?m\s*)*)")
_PARAMETER = re.compile(r"#[1-9]([^#]*)")
_ENVIRONMENT = re.compile(r"\*?\s*\{[^{}]*\}")


@dataclass(slots=True)
class Macro:
    """What a name stands for: literal pieces, with the numbers of arguments between them."""

    body: list[str | int]
    arguments: int = 0
    default: str | None = None  # of the first argument, where that is optional
    delimiters: list[str] | None = None  # of \def: before the first argument, then after each
    final: bool = False  # \let to a name that is not the author's: never read again
    spaced: bool = False  # its value has \xspace

    @property
    def literal(self) -> str:
        """What a macro without arguments stands for."""
        return "".join(piece for piece in self.body if isinstance(piece, str))


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition that was read: of `name`, up to `end`."""

    name: str  # empty for an environment
    macro: Macro | None  # None: it cannot be expanded
    end: int  # -1: the definition has no end, and what the name stood for is unknown from here on
    is_global: bool = False
    is_kept: bool = False  # \providecommand of a name that has a definition


def read_definition(
    word: str, text: str, position: int, read: Arguments, macros: dict[str, Macro]
) -> Definition | None:
    """The definition whose command `word` ends at `position`, or None if it cannot be read."""
    if word in _ENVIRONMENTS:
        return _environment(text, position, read)
    if word == "let":
        return _let(text, position, macros)
    if word in _DEFS:
        return _def(word, text, position, read)
    found = _NAME.match(text, position)
    if found is None:
        return None
    name, position = found[2] or found[3], found.end()
    if word in _DOCUMENT_COMMANDS:
        signature, position = read.argument(text, position) or ("", position)
        count, default = _signature(signature)
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
    if word.startswith(("provide", "Provide")) and name in macros:
        return Definition(name, macros[name], position, is_kept=True)
    macro = _macro(body, count)
    return Definition(name, macro and replace(macro, default=default), position)


def _count(text: str, position: int, read: Arguments) -> tuple[int, str | None, int]:
    """The number of arguments in [ ] here, the first one's default if it is optional, and their end."""
    count = _COUNT.match(text, position)
    if count is None:
        return 0, None, position
    default, position = read.option(text, count.end()) or (None, count.end())
    return int(count[1]), default, position


def _let(text: str, position: int, macros: dict[str, Macro]) -> Definition | None:
    found = _LET.match(text, position)
    if found is None:
        return None
    name, target = found[1], found[2]
    macro = None
    if target in macros:
        macro = macros[target]
    elif target and "@" not in target and target not in ("relax", "undefined"):
        macro = Macro(["\\" + DONE + target], final=True)
    return Definition(name, macro, found.end())


def _def(word: str, text: str, position: int, read: Arguments) -> Definition | None:
    found = _NAME.match(text, position)
    if found is None or found[1] or found[3] is None:
        return None
    parameters = _PARAMETERS.match(text, found.end())
    opening = parameters.end() if parameters else text.find("{", found.end(), found.end() + 1000)
    end = read.group_end(text, opening) if opening >= 0 else -1
    if end < 0:
        return Definition(found[3], None, -1)
    macro = None
    if parameters:
        after = _PARAMETER.findall(parameters[2])
        macro = _macro(text[opening + 1 : end - 1], len(after))
        if macro and (parameters[1] or any(after)):
            macro.delimiters = [parameters[1], *after]
    return Definition(found[3], macro, end, is_global=word in ("gdef", "xdef"))


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
    pieces = re.split(r"#([1-9])", body)
    numbers = [int(digit) for digit in pieces[1::2]]
    if max(numbers, default=0) > arguments or arguments < 0 or any("#" in piece for piece in pieces[::2]):
        return None
    filled: list[str | int] = [*pieces]
    filled[1::2] = numbers
    return Macro(filled, arguments, spaced=spaced)


# ---- the arguments of a call


def call_arguments(macro: Macro, text: str, position: int, read: Arguments) -> tuple[list[str], int] | None:
    """The arguments of a call whose name ends at `position`, and their end; None if one is missing."""
    if macro.delimiters:
        return _delimited(macro.delimiters, text, position, read)
    arguments = []
    if macro.default is not None:
        option = read.option(text, position)
        value, position = option or (macro.default, position)
        arguments.append(value)
    while len(arguments) < macro.arguments:
        found = read.argument(text, position)
        if found is None:
            return None
        arguments.append(found[0])
        position = found[1]
    return arguments, position


def _delimited(
    delimiters: list[str], text: str, position: int, read: Arguments
) -> tuple[list[str], int] | None:
    lead, *after = delimiters
    position = blanks_end(text, position)
    if not text.startswith(lead, position):
        return None
    position += len(lead)
    arguments = []
    for delimiter in after:
        found = read.until(delimiter, text, position) if delimiter else read.argument(text, position)
        if found is None:
            return None
        argument, position = found
        if delimiter and argument[:1] == "{" and read.group_end(argument, 0) == len(argument):
            argument = argument[1:-1]
        arguments.append(argument)
    return arguments, position
