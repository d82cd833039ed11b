r"""Reads what arguments a call takes, where a definition lists them: \NewDocumentCommand and \newcommandx.

In: the list, `s O{0} m` or `1=, 3=none`. Out: what is expected, argument by argument (source2e, ltcmd).
"""

import re
from typing import NamedTuple

_TOKEN = r"\s*+(?:[^\s{}\\]|\{\s*+[^\s{}\\]\s*+\})"  # \ in a pair would be a control sequence
_GROUP = r"\s*+\{(?P<%s>(?:[^{}]|\{[^{}]*\})*+)\}"
_ARGUMENT = re.compile(  # what changes its value, a kind, its tokens and its default
    r"(?P<processors>(?:\s*+>\s*+\{(?:[^{}]|\{[^{}]*\})*+\})*+)\s*+\+?(?P<adjacent>!?)\+?"
    rf"(?:(?P<plain>[msog])|(?P<token>t{_TOKEN})|(?P<pair>[dr](?:{_TOKEN}){{2}})"
    rf"|(?P<given>[OG]|[DR](?:{_TOKEN}){{2}}){_GROUP % 'default'}"
    r"|(?:e|(?P<all>E))\s*+\{\s*+(?P<marks>[^\s{}\\]{1,9})\s*+\}"
    rf"(?(all){_GROUP % 'defaults'}))"
)
_PROCESSOR = re.compile(
    r">\s*+\{\s*+\\(?:(?P<split>SplitArgument)\s*+\{\s*+(?P<times>[1-8])\s*+\}\s*+\{\s*+(?P<at>[^\s{}\\])\s*+\}"
    r"|(?P<trim>TrimSpaces)|(?P<reverse>ReverseBoolean))\s*+\}\s*+"
)
_GIVEN = re.compile(r"\{([^{}]*)\}|([^\s{}])")
_WHOLE = re.compile(r"\{([^{}]*)\}\Z")
# In xargs' [1=, 3=none, usedefault]: a number without a value means an empty default.
_XARGS_ITEM = re.compile(r"(?:^|,)\s*+(?:([1-9])|(usedefault))\s*+(?:=\s*+(\{[^{}]*\}|[^,]*))?(?=,|$)")
_PIECE = re.compile(r"\\.|[^\\]", re.DOTALL)
NOT_GIVEN = "-NoValue-"


class Expected(NamedTuple):
    """An argument that a call takes, or may take."""

    kind: str  # the letter and tokens of its kind
    default: str = ""
    is_adjacent: bool = False  # no blanks may be before it
    processors: tuple[tuple[str, str], ...] = ()  # the last one is first


def signature(kinds: str) -> list[Expected] | None:
    """The arguments of a document command, or None if their kinds are not supported."""
    found: list[Expected] = []
    position = 0
    while mark := _ARGUMENT.match(kinds, position):
        position = mark.end()
        if mark["marks"]:
            found += _embellishments(mark["marks"], mark["defaults"])
            continue
        processors = _processors(mark["processors"])
        if processors is None:
            return None
        kind = re.sub(r"[\s{}]", "", mark["plain"] or mark["token"] or mark["pair"] or mark["given"])
        found.append(
            Expected("t*" if kind == "s" else kind, mark["default"] or "", bool(mark["adjacent"]), processors)
        )
    return found if not kinds[position:].strip() and len(found) <= 9 else None


def of_xargs(count: int, defaults: str) -> list[Expected]:
    """The arguments of a command of xargs; `usedefault` makes an empty optional one the default."""
    items = _XARGS_ITEM.findall(defaults)
    kind = "U" if any(used for _, used, _ in items) else "O"
    optional = {number: _WHOLE.sub(r"\1", value.strip()) for number, _, value in items if number}
    return [
        Expected(kind, optional[str(number)]) if str(number) in optional else Expected("m")
        for number in range(1, count + 1)
    ]


def processed(value: str, processors: tuple[tuple[str, str], ...]) -> str:
    """An argument as the processors before its kind (`>{\\SplitArgument{1}{,}} m`) change it."""
    for name, at in processors:
        if name == "trim":
            value = value.strip()
        elif name == "reverse":
            value = "" if value else "*"
        else:
            pieces = _split(value, at, int(name))
            pieces += [NOT_GIVEN] * (int(name) + 1 - len(pieces))
            value = "".join(f"{{{piece.strip()}}}" for piece in pieces)
    return value


def _processors(text: str) -> tuple[tuple[str, str], ...] | None:
    found: list[tuple[str, str]] = []
    position = 0
    text = text.strip()
    while mark := _PROCESSOR.match(text, position):
        found.append((mark["times"] or ("trim" if mark["trim"] else "reverse"), mark["at"] or ""))
        position = mark.end()
    return tuple(reversed(found)) if position == len(text) else None


def _split(value: str, at: str, times: int) -> list[str]:
    """The pieces of a value at a character outside of braces; the last one keeps further such characters."""
    pieces, depth, start = [], 0, 0
    for mark in _PIECE.finditer(value):
        depth += (mark[0] == "{") - (mark[0] == "}")
        if mark[0] == at and depth == 0 and len(pieces) < times:
            pieces.append(value[start : mark.start()])
            start = mark.end()
    return [*pieces, value[start:]]


def _embellishments(marks: str, defaults: str | None) -> list[Expected]:
    r"""The arguments after marks in any order, such as _ and ^ in e{_^}: each kind has its own mark first."""
    values = [group or token for group, token in _GIVEN.findall(defaults or "")] + [""] * len(marks)
    kind = "e" if defaults is None else "E"
    return [Expected(kind + mark + marks.replace(mark, ""), value) for mark, value in zip(marks, values)]
