"""What remains of a page after its markup: characters and lines.

In: text in which dropped markup left a mark. Out: its lines, without gaps, with list markers and headings.
"""

import re

from data.sources.wikipedia.page import GONE

_TAIL = 200
_QUOTES = re.compile(r"''+")
_MAGIC = re.compile(r"__([^\W\d_]{2,40})__")
_CONVERTED = re.compile(r"-\{([^{}]*)\}-")  # the Serbian Wikipedia's two scripts
_SPACES = re.compile(r"[^\S\n]+")


def plain(text: str) -> str:
    """The text without bold, italics, magic words and the marks of Serbian script conversion."""
    if "''" in text:
        text = _QUOTES.sub(_apostrophes, text)
    if "__" in text:
        text = _MAGIC.sub(lambda found: "" if found[1].isupper() else found[0], text)
    if "-{" in text:
        text = _CONVERTED.sub(lambda found: found[1].rpartition("|")[2], text)
    return text


def _apostrophes(found: re.Match) -> str:
    """The apostrophes that MediaWiki shows: of four, one; of more than five, those above five."""
    count = len(found[0])
    return "'" if count == 4 else "'" * max(0, count - 5)


def without_gaps(text: str) -> str:
    """The text without empty brackets, double spaces and stray commas where something was dropped."""
    first, *rest = text.split(GONE)
    pieces, space = [first], False
    for piece in rest:
        if len(pieces[-1]) > 2 * _TAIL:  # so that what is cut below is short
            pieces[-1:] = [pieces[-1][:-_TAIL], pieces[-1][-_TAIL:]]
        left = pieces[-1].rstrip(" ")
        space = space or left != pieces[-1] or piece.startswith(" ")
        pieces[-1], piece = left, piece.lstrip(" ")
        if left.endswith("("):
            piece, space = piece.lstrip(" ,;:/"), False
            if piece.startswith(")"):
                pieces[-1], piece = left[:-1].rstrip(" "), piece[1:]
        elif piece.startswith(")"):
            pieces[-1] = left.rstrip(" ,;")
        elif piece.startswith((",", ";")):
            pieces[-1] = left.rstrip(",;:")
        if piece:
            pieces.append(" " + piece if space and piece[0] not in ".,;:!?)]\n" else piece)
            space = False
    return "".join(pieces)


def split_lines(text: str) -> list[str]:
    """The lines of the page, without headings of empty sections and without consecutive blank lines."""
    lines: list[str] = []
    headings: list[tuple[int, str]] = []  # waiting for text
    numbers: dict[str, int] = {}
    blank = False
    for line in text.split("\n"):
        line = line.strip()
        if not line or not line.strip("-"):
            blank = True
            continue
        level, heading = _heading(line)
        if level:
            headings = [waiting for waiting in headings if waiting[0] < level]
            headings += [(level, heading)] if heading else []
            numbers.clear()
            continue
        marks = len(line) - len(line.lstrip("*#:;"))
        words = _SPACES.sub(" ", line[marks:]).strip()
        if not words:
            continue
        for _, waiting in headings:
            lines += ["", waiting] if lines else [waiting]
            blank = True
        headings.clear()
        if blank and lines:
            lines.append("")
        blank = False
        lines.append(_item(line[:marks], numbers) + words)
    return lines


def _heading(line: str) -> tuple[int, str]:
    if line[0] != "=" or line[-1] != "=":
        return 0, ""
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    inner = line[level:-level]
    return level, _SPACES.sub(" ", inner).strip()


def _item(marks: str, numbers: dict[str, int]) -> str:
    """How a list item begins; numbering restarts after any other line."""
    for known in [known for known in numbers if not marks.startswith(known)]:
        del numbers[known]
    last = marks[-1:]
    if last not in ("*", "#") or len(marks) > 12:
        return ""
    indent = "  " * (len(marks) - 1)
    if last == "*":
        return indent + "- "
    numbers[marks] = numbers.get(marks, 0) + 1
    return f"{indent}{numbers[marks]}. "
