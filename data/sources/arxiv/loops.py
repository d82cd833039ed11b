r"""Unrolls the loops in which papers define names: `\@for`, `\@tfor`, `\foreach`, `\forloop` and `\loop`.

In: a text, the place just after a loop's command, and the values of macros known so far. Out: what TeX reads
in each turn, and where the loop ends. Sources: source2e, ltcntrl; The TeXbook, chapter 20 (`\loop`); the
manuals of pgffor and forloop.
"""

import re
from collections.abc import Mapping

from data.sources.arxiv.latex.syntax import Arguments

LOOPS = frozenset({"@for", "@tfor", "foreach", "forloop", "loop"})
MOST = 200  # turns of a loop
_LONGEST = 20_000  # characters of a loop
_BEFORE = 2000  # look for a counter's first value in this many characters

_LIST = r"(?:(?P<items>[^\\{}]{1,2000}?)|\\(?P<named>[A-Za-z@]++)\s*+)"
_FOR = re.compile(rf"\s*+\\(?P<each>[A-Za-z@]++)\s*+:={_LIST}\\do(?![A-Za-z@])")
_FOREACH = re.compile(
    r"\s*+\\(?P<each>[A-Za-z@]++)\s+in\s*+(?:\{(?P<items>[^\\{}]{1,2000})\}|\\(?P<named>[A-Za-z@]++)\s*+)"
)
_RANGE = re.compile(r"([A-Za-z]),\s*\.\.\.\s*,\s*([A-Za-z])")
_COUNTED = re.compile(
    r"\s*+\{\s*+(?P<counter>[A-Za-z]++)\s*+\}\s*+\{\s*+(?P<first>\d{1,4})\s*+\}\s*+"
    r"\{\s*+\\value\s*+\{\s*+(?P=counter)\s*+\}\s*+<\s*+(?P<limit>\d{1,4})\s*+\}"
)
_TEST = re.compile(
    r"\\ifnum\s*+(?:\\value\s*+\{\s*+(?P<value>[A-Za-z]++)\s*+\}|\\(?:the)?(?P<named>[A-Za-z@]++))\s*+"
    r"<\s*+(?P<limit>\d{1,4})\s*+\Z"
)


def turns(
    word: str, text: str, position: int, values: Mapping[str, str], read: Arguments
) -> tuple[list[str], int] | None:
    """What each turn of a loop reads, and the loop's end; None if its turns are not known."""
    if word == "loop":
        return _until_repeat(text, position)
    if word == "forloop":
        found = _COUNTED.match(text, position)
        body = read.argument(text, found.end()) if found else None
        if found is None or body is None:
            return None
        numbers = range(int(found["first"]), min(int(found["limit"]), int(found["first"]) + MOST))
        return [_counted(body[0], found["counter"], number) for number in numbers], body[1]
    found = (_FOREACH if word == "foreach" else _FOR).match(text, position)
    body = read.argument(text, found.end()) if found else None
    listed = (values.get(found["named"]) if found["named"] else found["items"]) if found else None
    if found is None or body is None or listed is None:
        return None
    variable = re.compile(rf"(\\[A-Za-z@]++)?(\\{found['each']})(?![A-Za-z@])[ \t]*")
    items = all_tokens(listed, read) if word == "@tfor" else items_of(listed)

    def put(mark: re.Match, item: str) -> str:
        before = mark[1] or ""
        return before + " " * (before != "" and item[:1].isalpha()) + item

    return [variable.sub(lambda mark, item=item: put(mark, item), body[0]) for item in items], body[1]


def items_of(listed: str) -> list[str]:
    """The items of a comma-separated list; `A,...,Z` stands for all letters from A to Z."""

    def letters(found: re.Match) -> str:
        return ",".join(map(chr, range(ord(found[1]), ord(found[2]) + 1))) or found[0]

    return [item.strip() for item in _RANGE.sub(letters, listed).split(",") if item.strip()]


def tokens(text: str, position: int, most: int, read: Arguments) -> tuple[list[str], int]:
    """Up to `most` tokens or groups from here on, and their end."""
    items = []
    while len(items) < most and (item := read.argument(text, position)):
        items.append(item[0])
        position = item[1]
    return items, position


def all_tokens(listed: str, read: Arguments) -> list[str]:
    """The tokens or groups of a list; none if it has anything else, or too many for a loop."""
    items, end = tokens(listed, 0, MOST, read)
    return [] if listed[end:].strip() else items


def _until_repeat(text: str, position: int) -> tuple[list[str], int] | None:
    r"""For \loop … \ifnum\value{n}<26 \repeat, whose body adds one to the counter once."""
    end = text.find("\\repeat", position, position + _LONGEST)
    test = _TEST.search(text, max(position, end - 100), end) if end >= 0 else None
    if test is None:
        return None
    counter = test["value"] or test["named"]
    step = re.compile(
        rf"\\(?:(?:ref)?stepcounter\s*+\{{\s*+{counter}\s*+\}}|addtocounter\s*+\{{\s*+{counter}\s*+\}}\s*+\{{1\}}"
        rf"|advance\s*+\\{counter}\s*+(?:by\s*+)?1(?!\d))"
    )
    parts = step.split(text[position : test.start()])
    first = None
    start = re.compile(
        rf"\\(?:setcounter\s*+\{{\s*+{counter}\s*+\}}\s*+\{{\s*+(\d{{1,4}})\s*+\}}|{counter}\s*+=?\s*+(\d{{1,4}})(?!\d)"
        rf"|newcount(?:er\s*+\{{\s*+{counter}\s*+\}}|\s*+\\{counter}(?![A-Za-z@])))"
    )
    for mark in start.finditer(text, max(0, position - _BEFORE), position):
        first = int(mark[1] or mark[2] or 0)
    if first is None or len(parts) != 2:
        return None
    numbers = range(first, min(max(first + 1, int(test["limit"])), first + MOST))
    return [
        _counted(parts[0], counter, number) + _counted(parts[1], counter, number + 1) for number in numbers
    ], end + len("\\repeat")


def _counted(body: str, counter: str, number: int) -> str:
    """A turn's text, with its counter's number or letter."""

    def shown(mark: re.Match) -> str:
        kind = mark[1] or mark[2] or ""
        if "lph" not in kind:
            return str(number)
        letter = chr(ord("a") + number - 1) if 0 < number <= 26 else ""
        return letter.upper() if kind.endswith("Alph") else letter

    use = re.compile(
        rf"\\(?:([Aa]lph|arabic)\s*+\{{\s*+{counter}\s*+\}}|(@[Aa]lph|number)\s*+\\{counter}(?![A-Za-z@])"
        rf"|the{counter}(?![A-Za-z@]))"
    )
    return use.sub(shown, body)
