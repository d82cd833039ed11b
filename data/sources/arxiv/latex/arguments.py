r"""Reads a macro's call: its arguments, what its value asks about them, and its end.

In: a macro's parameters, and the place in a text where its name ends. Out: the arguments as TeX reads them,
and their end.
"""

import re

from data.sources.arxiv.latex import conditionals
from data.sources.arxiv.latex.definitions.bodies import ARGUMENT, ASKS, inserted
from data.sources.arxiv.latex.definitions.kinds import Fence, Macro, Parameters
from data.sources.arxiv.latex.definitions.signatures import NOT_GIVEN, Expected, processed
from data.sources.arxiv.latex.syntax import MAX_GROUP, Arguments, append, blanks_end

_NESTED = 10  # nesting of questions about optional arguments
_SPACED = re.compile(r"[A-Za-z0-9$(\[`]|\\[A-Za-z]")  # \xspace adds a space before these
# TeX drops spaces after a name. We keep them, as most authors expect, except in a plural, `\name s`.
_PLURAL = re.compile(r"[ \t]+(?=s(?![A-Za-z0-9]))")
_SIZE = re.compile(r"\s*+\\([Bb]igg?)\s*+")


def taken(
    macro: Macro, text: str, position: int, read: Arguments
) -> tuple[list[str | int], list[str], int] | None:
    """A macro's body, sized if the call says so, the call's arguments, and its end; None if one lacks."""
    body = macro.body
    if isinstance(macro, Fence):
        body, position = _sized(macro, text, position, read)
    found = call_arguments(macro.parameters, text, position, read)
    return (body, *found) if found else None


def call_arguments(
    parameters: Parameters, text: str, position: int, read: Arguments
) -> tuple[list[str], int] | None:
    """The arguments of a call whose name ends at `position`, and their end; None if one is missing."""
    if parameters.delimiters:
        return _delimited(parameters.delimiters, text, position, read)
    if parameters.expected is not None:
        return _signed(parameters.expected, text, position, read)
    arguments = []
    if parameters.default is not None:
        option = read.unbraced_option(text, position)
        value, position = option or (parameters.default, position)
        arguments.append(value)
    while len(arguments) < parameters.count:
        found = read.argument(text, position)
        if found is None:
            return None
        arguments.append(found[0])
        position = found[1]
    return arguments, position


def _signed(
    expected: list[Expected], text: str, position: int, read: Arguments
) -> tuple[list[str], int] | None:
    """The arguments, and their end, by their kinds as in \\NewDocumentCommand (source2e, ltcmd)."""
    arguments: list[str] = []
    missing: list[int] = []
    embellished: dict[str, str] | None = None  # arguments by their marks
    for kind, default, is_adjacent, processors in expected:
        if is_adjacent and blanks_end(text, position) > position:
            found = ("", position) if kind[0] == "t" else None
        elif kind[0] in "eE":
            if embellished is None:
                embellished, position = _embellished(kind[1:], text, position, read)
            given = embellished.pop(kind[1], None)
            found = None if given is None else (given, position)
        elif kind == "m" or (kind in "gG" and text.startswith("{", blanks_end(text, position))):
            found = read.argument(text, position)
        elif kind in "gG":
            found = None
        elif kind[0] == "t":
            start = blanks_end(text, position)
            found = ("*", start + 1) if text.startswith(kind[1], start) else ("", position)
        elif kind[1:]:
            found = read.between(kind[1], kind[2], text, position)
            found = (read.unbraced(found[0]), found[1]) if found else None
        else:
            found = read.unbraced_option(text, position)
            if found and kind == "U" and not found[0].strip():
                found, position = None, found[1]
        if found is None:
            if kind[0] in "mrR":
                return None
            missing.append(len(arguments))
            found = default if kind[0] in "ODUGE" else NOT_GIVEN, position
        elif processors:
            found = processed(found[0], processors), found[1]
        arguments.append(found[0])
        position = found[1]
        embellished = embellished if kind[0] in "eE" else None
    shown = dict(enumerate(arguments, 1))
    for place in missing:  # a default may show other arguments
        default = arguments[place]
        if default.count("#") * max(map(len, arguments)) > MAX_GROUP:
            return None
        arguments[place] = ARGUMENT.sub(lambda mark: shown.get(int(mark[1]), ""), default)
    return arguments, position


def _embellished(marks: str, text: str, position: int, read: Arguments) -> tuple[dict[str, str], int]:
    """The arguments after any of these marks, in any order, by their marks; and their end."""
    found: dict[str, str] = {}
    while True:
        start = blanks_end(text, position)
        mark = text[start : start + 1]
        argument = read.argument(text, start + 1) if mark and mark in marks and mark not in found else None
        if argument is None:
            return found, position
        found[mark], position = argument


def _sized(fence: Fence, text: str, position: int, read: Arguments) -> tuple[list[str | int], int]:
    """The body of a paired delimiter, sized by the star or option after its name, and where that ends."""
    left = right = middle = ""
    if text[position : position + 1] == "*":
        left, right, middle, position = "\\left", "\\right", "\\middle", position + 1
    elif (option := read.option(text, position)) is not None:
        size = _SIZE.fullmatch(option[0])
        position = option[1]
        if size:
            left, right, middle = f"\\{size[1]}l", f"\\{size[1]}r", f"\\{size[1]}"
    before, first, *inner, last, after = fence.body
    inner = [piece.replace("\\delimsize", middle) if isinstance(piece, str) else piece for piece in inner]
    return [before, f"{left}{first}", *inner, f"{right}{last}", after], position


def as_text(macro: Macro, text: str, position: int, read: Arguments) -> tuple[str, int] | None:
    """A call's body with its arguments, with nothing in them expanded, and the call's end."""
    found = taken(macro, text, position, read)
    if found is None:
        return None
    body, arguments, position = found
    value = inserted("".join(piece if isinstance(piece, str) else f"#{piece}" for piece in body), arguments)
    if macro.traits.asks:
        value = answered(value, read)
    if macro.traits.is_conditional:
        value = conditionals.resolved(value, lambda name: None)  # others, when they are read
    return value, position


def answered(value: str, read: Arguments, depth: int = 0) -> str:
    """A value with the questions about its arguments replaced by the branches that they choose."""
    out: list[str] = []
    place = 0
    for mark in ASKS.finditer(value) if depth < _NESTED else ():
        asked = read.argument(value, mark.end()) if mark.start() >= place else None
        branches: dict[str, str] = {}
        for kind in mark[2] if asked else "":
            asked_branch = read.argument(value, asked[1]) if asked else None
            if asked_branch is None:
                break
            branches[kind] = asked_branch[0]
            asked = asked[0] if asked else "", asked_branch[1]
        if asked is None or len(branches) < len(mark[2]):
            continue
        chosen = branches.get("T" if _is_true(mark[1], asked[0]) else "F", "")
        append(out, value[place : mark.start()])
        append(out, answered("" if chosen == "\\relax" else chosen, read, depth + 1))
        place = asked[1]
    append(out, value[place:])
    return "".join(out)


def _is_true(question: str, argument: str) -> bool:
    if question == "Blank":
        return not argument or argument.isspace()
    if question == "Boolean":
        return argument == "*"
    return (argument == NOT_GIVEN) == (question == "NoValue")


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
        arguments.append(read.unbraced(argument) if delimiter else argument)
    return arguments, position


def ended(
    value: str, is_spaced: bool, text: str, position: int, *, has_arguments: bool = False
) -> tuple[str, int]:
    """The value of a call that ends here, with a space if it adds one, and where reading continues."""
    if is_spaced and not value.startswith("\\ensuremath") and _SPACED.match(text, position):
        return value + " ", position
    if has_arguments or text[position : position + 1] not in (" ", "\t"):
        return value, position
    plural = _PLURAL.match(text, position)
    return value, plural.end() if plural else position
