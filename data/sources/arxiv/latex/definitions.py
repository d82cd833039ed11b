r"""Reads definitions of macros as LaTeX writes them: `\newcommand`, `\def`, `\let` and their kin.

In: a text and the place just after such a command. Out: a `Definition`; its macro is None if the body
programs (conditionals, `\csname`, names with @, nested definitions) and so cannot be expanded.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

from data.sources.arxiv.latex.conditionals import TEST
from data.sources.arxiv.latex.syntax import Arguments

DONE = "\0"  # marks a name in a value that must not be expanded again; TeX ignores it

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
_PROGRAMS = re.compile(
    r"\\[A-Za-z]++@|\\@[A-Za-z@]|##"  # names with @; \@ alone is a sign
    r"|\\(?:if(?!f(?![A-Za-z]))[A-Za-z]*|else|fi|or|expandafter|noexpand|csname|endcsname|futurelet|let"
    r"|[egx]?def|(?:new|renew|provide)command|DeclareRobustCommand|newenvironment|global|long|[clu]ccode|catcode"
    r"|afterassignment|aftergroup|begingroup|endgroup|bgroup|egroup|advance|newcount|newdimen|newif|setbox|newbox"
    r"|detokenize|scantokens|string|meaning|mathchoice|mathpalette|loop|repeat|usepackage|verb"
    r"|read|write|immediate|special|[gex]?appto|g?preto|(?:app|pre)tocmd|patchcmd)(?![A-Za-z])"
    r"|\\[A-Za-z@]++(?:_[a-z]{2,})++:"  # functions of LaTeX3
)
_INPUTS = re.compile(r"\\(?:input|include)(?![A-Za-z])")
_MESSAGE = re.compile(r"\\(?:err|message|typeout|(?:Package|Class|Generic)(?:Error|Warning))")
# The end of an abbreviation that adds a period unless one follows, as in the style files of CVPR and ECCV.
_ONE_DOT = re.compile(r"\s*+\\futurelet\s*+\\[A-Za-z@]++\s*+\\@[A-Za-z@]*dot[A-Za-z@]*\s*")
_NEXT_DOT = re.compile(r"\\@ifnextchar\s*+(?:\{\.\}|\.)")
_LAST_WORD = re.compile(r"\\([A-Za-z]+)\s*\Z")
_CONTROL_SPACE = re.compile(r"(?<!\\)\\\Z")  # its space was stripped
_BRANCHING = re.compile(r"\\(if[A-Za-z]*|else|or|fi)(?![A-Za-z])")
_DECIDABLE = re.compile(  # tests of an argument, or of whether a name is defined
    r"\\ifx\s*+(?:(&|!|\*|\\\\)#[1-9]\1|\\@?undefined\s*+\\[A-Za-z]+|\\[A-Za-z]+\s*+\\(?:undefined|empty)(?![A-Za-z@]))"
    r"|\\ifdefined\s*+\\[A-Za-z]+|\\if(?:num|case|odd)?(?![A-Za-z@])[^\\{}#\n]{0,20}#[1-9]"
)
_NUMBER_TEST = re.compile(r"\\if(?:num)?(?![A-Za-z@])\s*+\\([A-Za-z]+)\s*+[<=>]?\s*+\d")
ASKS = re.compile(r"\\If(NoValue|Value|Boolean|Blank)(TF|T|F)(?![A-Za-z@])")  # about an argument
_ASKS_GIVEN = re.compile(r"\\If(?:NoValue|Value|Boolean)(?:TF|T|F)(?![A-Za-z@])")  # only by a signature
_XSPACE = re.compile(r"\\xspace(?![A-Za-z@])")
TARGET = re.compile(r"\s*+(\*?)\s*+(?:\{\s*\\([A-Za-z@]+|[^A-Za-z@])\s*\}|\\([A-Za-z@]+|[^A-Za-z@]))")
_COUNT = re.compile(r"\s*\[\s*([0-9])\s*\]")
_DEFAULT = re.compile(r"([1-9])\s*+=\s*+(\{[^{}]*\}|[^,]*)")  # in xargs' [1=, 3=none]
_LET = re.compile(r"\s*\\([A-Za-z@]+|[^A-Za-z@])[ \t]*=?[ \t]?(?:\\([A-Za-z@]+|[^A-Za-z@])|.)", re.DOTALL)
# Excludes control words that other parts of this package act on.
_DELIMITER = (
    r"(?:[^#{}\\]|\\(?!(?:begin|end|par|item|fi|else|or|relax|if[a-z]*)(?![A-Za-z@]))[A-Za-z@]+){0,1000}+"
)
_PARAMETERS = re.compile(rf"\s*+({_DELIMITER})((?:#[1-9]{_DELIMITER}){{0,9}}+)(?=\{{)")
_SIGNATURE = re.compile(  # a kind, its tokens and its default; \ in a pair would be a control sequence
    r"\s*+\+?(?:(?P<plain>[mso])|(?P<token>t[^\s{}\\])|(?P<pair>[dr][^\s{}\\]{2})"
    r"|(?P<given>O|[DR][^\s{}\\]{2})\s*+\{(?P<default>(?:[^{}]|\{[^{}]*\})*+)\})"
)
_PARAMETER = re.compile(r"#[1-9]([^#]*)")
ARGUMENT = re.compile(r"(?:(?<!\\)|(?<=\\\\))#([1-9])")  # \# is a sign; in \\#1, the argument is
_WORD_BLANKS = re.compile(r"(\\[A-Za-z@]++)\s++")  # blanks that TeX does not read
_ENVIRONMENT = re.compile(r"\*?\s*\{[^{}]*\}")


@dataclass(slots=True)
class Macro:
    """A macro's value: literal pieces, with argument numbers between them."""

    body: list[str | int]
    arguments: int = 0
    default: str | None = None  # default of the first argument, if optional
    delimiters: list[str] | None = None  # \def's delimiters: before the first argument, then after each
    final: bool = False  # \let to a name that is not the author's: never expanded further
    spaced: bool = False  # its value has \xspace
    signature: list[tuple[str, str]] | None = None  # of \NewDocumentCommand: kinds of arguments, and defaults
    is_fence: bool = False  # of \DeclarePairedDelimiter: takes a star or a size, for its first and last piece
    is_conditional: bool = False  # its body tests flags
    has_tests: bool = False  # its body tests something with branches as arguments (\ifthenelse)
    before_dot: str | None = None  # its other value, if it adds a period unless one follows
    asks: bool = False  # its body asks whether arguments are given or blank (\IfBooleanTF, \IfBlankTF)

    @property
    def literal(self) -> str:
        """The value of a macro without arguments."""
        return "".join(piece for piece in self.body if isinstance(piece, str))


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


@dataclass(frozen=True, slots=True)
class Known:
    """What a definition may refer to."""

    macros: Mapping[str, Macro]
    flags: Container[str] = ()  # conditionals that can be decided when a macro is used
    may_input: bool = False  # whether a macro that inputs files can be expanded


# The kernel's macros that pick arguments (source2e, ltdefns).
_PICKS = {
    "@gobble": Macro([], 1),
    "@gobbletwo": Macro([], 2),
    "@gobblefour": Macro([], 4),
    "@firstofone": Macro([1], 1),
    "@firstoftwo": Macro([1], 2),
    "@secondoftwo": Macro([2], 2),
    "empty": Macro([]),
    "@empty": Macro([]),
}


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
    signature = None
    if word in _DOCUMENT_COMMANDS:
        kinds, position = read.argument(text, position) or ("", position)
        signature = _signature(kinds)
        count, default = len(signature) if signature is not None else -1, None
    elif word in _XARGS:
        count, defaults, position = _count(text, position, read)
        optional = dict(_DEFAULT.findall(defaults or ""))
        signature = [
            ("O", optional[str(n)]) if str(n) in optional else ("m", "") for n in range(1, count + 1)
        ]
        default = None
    elif word in _TWO_OPTIONS:
        count, first, position = _count(text, position, read)
        second, position = read.option(text, position) or ("", position)
        signature = [("O", first or ""), ("O", second), *[("m", "")] * (count - 2)][:count]
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
    if word not in _DOCUMENT_COMMANDS and _ASKS_GIVEN.search(body):
        macro = None
    if macro:
        macro.default, macro.signature = default, signature
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
        macro = replace(macro, body=[before, parts[0], *macro.body, parts[1], after], is_fence=True)
    return Definition(name, macro, position)


def _count(text: str, position: int, read: Arguments) -> tuple[int, str | None, int]:
    """The number of arguments in [ ] here, the default of the first if optional, and their end."""
    count = _COUNT.match(text, position)
    if count is None:
        return 0, None, position
    default, position = read.option(text, count.end()) or (None, count.end())
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
    if target in _PICKS:
        return replace(_PICKS[target])
    if "@" in target or target in ("relax", "undefined"):
        return None
    return Macro(["\\" + DONE + target], final=True)


def _def(word: str, text: str, position: int, read: Arguments, known: Known) -> Definition | None:
    found = TARGET.match(text, position)
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
        macro = macro_of(text[opening + 1 : end - 1], len(after), known)
        macro = None if _ASKS_GIVEN.search(text, opening, end) else macro
        if macro and (parameters[1] or any(after)):
            macro.delimiters = [_WORD_BLANKS.sub(r"\1", part) for part in (parameters[1], *after)]
    is_global, is_expanded = word in ("gdef", "xdef"), word in ("edef", "xdef")
    body = text[opening + 1 : end - 1]
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


def _signature(kinds: str) -> list[tuple[str, str]] | None:
    """The arguments of a document command, or None if their kinds are not supported."""
    found: list[tuple[str, str]] = []
    position = 0
    while mark := _SIGNATURE.match(kinds, position):
        kind = mark["plain"] or mark["token"] or mark["pair"] or mark["given"]
        found.append(("t*" if kind == "s" else kind, mark["default"] or ""))
        position = mark.end()
    return found if not kinds[position:].strip() and len(found) <= 9 else None


def macro_of(body: str, arguments: int, known: Known) -> Macro | None:
    """A macro made from a definition's body, or None if the body programs."""
    if not arguments and (picks := _PICKS.get(body.strip().removeprefix("\\"))):
        return replace(picks)
    if not arguments and (values := _values_by_dot(body, known)):
        macro = macro_of(values[0], 0, known)
        if macro is None or _PROGRAMS.search(values[1]):
            return None
        macro.before_dot = values[1].strip() if "\n" in body else values[1]
        return macro
    spaced = _XSPACE.search(body) is not None
    if spaced:
        body = _XSPACE.sub("", body)
    if not known.may_input and _INPUTS.search(body):
        return None
    asks = ASKS.search(body) is not None
    is_conditional = _asks_flags(body, known)
    has_tests = TEST.search(body) is not None
    plain = TEST.sub("", body) if has_tests else body
    if _PROGRAMS.search(_BRANCHING.sub("", plain) if is_conditional else plain):
        either = _in_either_mode(body, arguments)
        if either is None or _PROGRAMS.search(either):
            return None
        body = either
    if "\n" in body:
        body = body.strip()
    pieces = ARGUMENT.split(body) if "#" in body else [body]
    numbers = [int(digit) for digit in pieces[1::2]]
    if (
        max(numbers, default=0) > arguments
        or arguments < 0
        or any("#" in piece.replace("\\#", "") for piece in pieces[::2])
    ):
        return None
    filled: list[str | int] = [*pieces]
    filled[1::2] = numbers
    return Macro(
        filled, arguments, spaced=spaced, is_conditional=is_conditional, has_tests=has_tests, asks=asks
    )


def _values_by_dot(body: str, known: Known) -> tuple[str, str] | None:
    r"""A body's value, and its value before a period, if a period after a call changes it.

    Examples: `\futurelet\@let@token\@onedot`, `e.g\@ifnextchar.{}{.\@}` and `\emph{e.g}\onedot`.
    """
    if _ONE_DOT.fullmatch(body):
        return ".\\xspace", ""
    if mark := _NEXT_DOT.search(body):
        read = Arguments()
        dotted = read.argument(body, mark.end())
        other = read.argument(body, dotted[1]) if dotted else None
        if dotted is None or other is None:
            return None
        before, after = body[: mark.start()], body[other[1] :]
        return before + other[0] + after, _XSPACE.sub("", before + dotted[0] + after)
    last = _LAST_WORD.search(body)
    macro = known.macros.get(last[1]) if last else None
    if last is None or macro is None or macro.before_dot is None:
        return None
    before = body[: last.start()]
    return before + macro.literal + "\\xspace" * macro.spaced, before + macro.before_dot


def _asks_flags(body: str, known: Known) -> bool:
    """Whether the body branches, and only on flags, what is defined, numbers or an empty argument."""
    words = _BRANCHING.findall(body)
    asked = [word for word in words if word not in ("else", "or", "fi")]
    if not asked or len(asked) != words.count("fi"):
        return False
    n_plain = len(_DECIDABLE.findall(body))
    numbers = (known.macros.get(name) for name in _NUMBER_TEST.findall(body))
    n_plain += sum(macro is not None and macro.literal.strip().isdecimal() for macro in numbers)
    return sum(word in known.flags for word in asked) + n_plain == len(asked)


def _in_either_mode(body: str, arguments: int) -> str | None:
    r"""A body that asks once for \ifmmode, for formulas and text alike; None if there is no such body.

    Without arguments, the formula serves both, as in `\ifmmode {\rm km} \else km\fi`. An argument may be
    text and not a formula, so with arguments, both branches must show the same formula.
    """
    before, _, rest = body.partition("\\ifmmode")
    branches, _, after = rest.partition("\\fi")
    formula, _, other = (_CONTROL_SPACE.sub("\\\\ ", part.strip()) for part in branches.partition("\\else"))
    if not formula or not other or "$" in before + formula + after or _MESSAGE.search(formula):
        return None
    is_same = len(other) > 1 and other[0] == other[-1] == "$" and other[1:-1].strip() == formula
    if arguments and not is_same:
        return None
    before = "" if before.strip() == "\\relax" else before.lstrip()
    return f"{before}\\ensuremath{{{formula}}}{after.lstrip()}"
