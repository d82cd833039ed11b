r"""Makes macros of the bodies of definitions.

In: a body and what is known so far. Out: a `Macro`, or None if the body programs (conditionals, `\csname`,
names with @, nested definitions) and so cannot be expanded.
"""

import re
from collections.abc import Callable, Container, Mapping, Set
from dataclasses import dataclass, replace

from data.sources.arxiv.latex.conditionals import TEST
from data.sources.arxiv.latex.definitions.comparisons import with_comparisons
from data.sources.arxiv.latex.definitions.kinds import (
    NOTHING,
    PICKS,
    Abbreviation,
    Macro,
    Parameters,
    Traits,
)
from data.sources.arxiv.latex.definitions.lookahead import PEEKS
from data.sources.arxiv.latex.definitions.romans import with_romans
from data.sources.arxiv.latex.definitions.styles import in_text_style
from data.sources.arxiv.latex.definitions.unseen import without_unseen
from data.sources.arxiv.latex.syntax import WORD, Arguments, append

DONE = "\0"  # marks a name in a value that must not be expanded again; TeX ignores it

PROGRAMS = re.compile(
    r"\\[A-Za-z]++@|\\@[A-Za-z@]|##"  # names with @; \@ alone is a sign
    r"|\\(?:if(?!f(?![A-Za-z]))[A-Za-z]*|else|fi|or|expandafter|noexpand|csname|endcsname|futurelet|let"
    r"|[egx]?def|(?:new|renew|provide)command|DeclareRobustCommand|newenvironment|global|long|[clu]ccode|catcode"
    r"|afterassignment|aftergroup|begingroup|endgroup|bgroup|egroup|advance|newcount|newdimen|newif|setbox|newbox"
    r"|detokenize|scantokens|string|meaning|mathchoice|mathpalette|loop|repeat|usepackage|verb"
    r"|read|write|immediate|special|(?:cs)?[gex]?(?:app|pre)to|x?(?:app|pre)tocmd|x?patchcmd|addto)(?![A-Za-z])"
    r"|\\[A-Za-z@]++(?:_[a-z]{2,})++:"  # functions of LaTeX3
)
_DETOKENIZED = re.compile(r"\\detokenize\s*+\{\s*+#[1-9]\s*+\}")
_DEFINES = re.compile(
    r"\\(?:[egx]?def|let|(?:new|renew|provide)command|DeclareRobustCommand|global|long)(?![A-Za-z@])\*?|##"
    r"|\\(?:begin|b|end|e)group(?![A-Za-z@])"
)
_PARAMETERS = re.compile(r"(?<!\\)#(#|[1-9])")
_GIVEN = re.compile(r"(?<![#\\])#([1-9])")  # not ##1, which is the inner macro's
_INPUTS = re.compile(r"\\(?:input|include)(?![A-Za-z])")
_MESSAGE = re.compile(r"\\(?:err|message|typeout|(?:Package|Class|Generic)(?:Error|Warning))")
# The end of an abbreviation that adds a period unless one follows, as in the style files of CVPR and ECCV.
_ONE_DOT = re.compile(r"\s*+\\futurelet\s*+\\[A-Za-z@]++\s*+\\@[A-Za-z@]*dot[A-Za-z@]*\s*")
_NEXT_DOT = re.compile(r"\\@ifnextchar\s*+(?:\{\.\}|\.)")
_LAST_WORD = re.compile(r"\\([A-Za-z]+)\s*\Z")
_CONTROL_SPACE = re.compile(r"(?<!\\)\\\Z")  # its space was stripped
_TEXT = re.compile(r"\\(?:text|mbox|hbox)\s*+(\{[^{}]*+(?:\{[^{}]*+\}[^{}]*+)*+\})")  # text in a formula too
_BRANCHING = re.compile(r"\\(if[A-Za-z]*|else|or|fi)(?![A-Za-z])")
_DECIDABLE = re.compile(  # tests of an argument, or of whether a name is defined
    r"\\ifx\s*+(?:(&|!|\*|\\\\)#[1-9]\1|\\@?undefined\s*+\\[A-Za-z]+|\\[A-Za-z]+\s*+\\(?:undefined|empty)(?![A-Za-z@]))"
    r"|\\ifarg@|\\ifdefined\s*+\\[A-Za-z]+|\\if(?:num|case|odd)?(?![A-Za-z@])[^\\{}#\n]{0,20}#[1-9]"
)
_NUMBER_TEST = re.compile(r"\\if(?:num)?(?![A-Za-z@])\s*+\\([A-Za-z]+)\s*+[<=>]?\s*+\d")
ASKS = re.compile(r"\\If(NoValue|Value|Boolean|Blank)(TF|T|F)(?![A-Za-z@])")  # about an argument
ASKS_GIVEN = re.compile(r"\\If(?:NoValue|Value|Boolean)(?:TF|T|F)(?![A-Za-z@])")  # only by a signature
_XSPACE = re.compile(r"\\xspace(?![A-Za-z@])")
ARGUMENT = re.compile(r"(?:(?<!\\)|(?<=\\\\))#([1-9])")  # \# is a sign; in \\#1, the argument is


@dataclass(frozen=True, slots=True)
class Known:
    """What a definition may refer to."""

    macros: Mapping[str, Macro]
    flags: Container[str] = ()  # conditionals that can be decided when a macro is used
    declared: Set[str] = frozenset()  # those that the paper declares anywhere
    may_input: bool = False  # whether a macro that inputs files can be expanded
    defining: Set[str] = frozenset()  # macros that define others
    in_full: Callable[[str], str] = str  # expands the macros in a text


def macro_of(body: str, arguments: int, known: Known) -> Macro | None:
    """A macro made from a definition's body, or None if the body programs."""
    if not arguments and (picks := PICKS.get(body.strip().removeprefix("\\"))):
        return replace(picks)
    if not arguments and (values := _values_by_dot(body, known)):
        macro = macro_of(values[0], 0, known)
        if macro is None or PROGRAMS.search(values[1]):
            return None
        before_dot = values[1].strip() if "\n" in body else values[1]
        return Abbreviation(macro.body, macro.parameters, macro.traits, macro.spaced, before_dot)
    spaced = _XSPACE.search(body) is not None
    if spaced:
        body = _XSPACE.sub("", body)
    if "@" in body:
        body = without_unseen(body)
    if "\\mathchoice" in body or "\\mathpalette" in body:
        body = in_text_style(body)
    if not known.may_input and _INPUTS.search(body):
        return None
    asks = ASKS.search(body) is not None
    if "#" in body and "\\if" in body:
        body = with_comparisons(body)
    has_romans = "#" in body and "oman" in body
    if has_romans:
        body = with_romans(body)
        has_romans = "\\arg@" in body
    is_conditional = _asks_flags(body, known)
    has_tests = TEST.search(body) is not None
    plain = TEST.sub("", body) if has_tests else body
    peeks = "@" in body and PEEKS.search(body) is not None
    plain = PEEKS.sub("", plain) if peeks else plain
    plain = plain.replace("\\arg@", "") if has_romans else plain
    keeps = "\\detokenize" in body
    plain = _DETOKENIZED.sub("", plain) if keeps else plain
    may_program = PROGRAMS.search(_BRANCHING.sub("", plain) if is_conditional else plain) is not None
    if _DEFINES.search(body) or (known.defining and not known.defining.isdisjoint(WORD.findall(body))):
        defining = _defining(body, arguments, Traits(is_conditional, asks=asks, defines=True))
        if defining is not None:
            return defining
    if may_program and is_conditional and PROGRAMS.search(_outside(plain)):
        return None
    if may_program and not is_conditional:
        either = _in_either_mode(body, arguments)
        if either is not None and not PROGRAMS.search(either):
            body, may_program = either, False
        elif not has_tests:
            return None
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
    may_program |= is_conditional and not known.declared.isdisjoint(WORD.findall(body))
    macro = Macro(filled, Parameters(arguments) if arguments else NOTHING, spaced=spaced)
    if is_conditional or has_tests or asks or peeks or has_romans or keeps or may_program:
        macro.traits = Traits(
            is_conditional, has_tests, asks, peeks, has_romans, keeps, may_program=may_program
        )
    return macro


def _defining(body: str, arguments: int, traits: Traits) -> Macro | None:
    """A macro whose body defines others, or None if it does anything else that cannot be expanded."""
    rest = _DEFINES.sub("", _BRANCHING.sub("", body) if traits.is_conditional else body)
    numbers = [int(digit) for digit in _GIVEN.findall(body)]
    if PROGRAMS.search(rest) or max(numbers, default=0) > arguments:
        return None
    return Macro([body], Parameters(arguments), traits)


def inserted(body: str, arguments: list[str]) -> str:
    """What TeX reads in place of a call of a macro with this body."""
    out: list[str] = []
    place = 0
    for mark in _PARAMETERS.finditer(body):
        append(out, body[place : mark.start()])
        append(out, "#" if mark[1] == "#" else arguments[int(mark[1]) - 1])
        place = mark.end()
    append(out, body[place:])
    return "".join(out)


def _outside(body: str) -> str:
    """What is before and after a body's conditionals."""
    return body.partition("\\if")[0] + body.rpartition("\\fi")[2]


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
    if last is None or not isinstance(macro, Abbreviation):
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
    return sum(word in known.flags or word in known.declared for word in asked) + n_plain == len(asked)


def _in_either_mode(body: str, arguments: int) -> str | None:
    r"""A body that asks once for \ifmmode, for formulas and text alike; None if there is no such body.

    Without arguments, the formula serves both, as in `\ifmmode {\rm km} \else km\fi`. An argument may be
    text and not a formula, so with arguments, both branches must show the same: `$#1$` for a formula `#1`,
    or `#1` for `\text{#1}`.
    """
    before, _, rest = body.partition("\\ifmmode")
    branches, _, after = rest.partition("\\fi")
    formula, _, other = (_CONTROL_SPACE.sub("\\\\ ", part.strip()) for part in branches.partition("\\else"))
    if not formula or not other or "$" in before + formula + after or _MESSAGE.search(formula):
        return None
    before = "" if before.strip() == "\\relax" else before.lstrip()
    text = _TEXT.fullmatch(formula)
    if text is not None and other in (text[1], text[1][1:-1].strip()):
        return before + formula + after.lstrip()
    is_same = len(other) > 1 and other[0] == other[-1] == "$" and other[1:-1].strip() == formula
    if arguments and not is_same:
        return None
    return f"{before}\\ensuremath{{{formula}}}{after.lstrip()}"
