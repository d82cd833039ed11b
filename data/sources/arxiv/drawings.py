r"""Finds drawings: the coordinates that a figure consists of, which no reader sees.

In: a file's or a paper's text. Out: whether the file is a drawing, or where in the paper drawings are. A
picture whose labels are worth reading, such as a diagram, is no drawing.
"""

import re
from collections.abc import Iterator

_DRAWS = re.compile(
    r"\\(?:pgf[a-z]|addplot|draw(?![A-Za-z])|path(?![A-Za-z])|ps(?:line|curve|polygon|plot)|put(?![A-Za-z])|gpl"
    r"|begin\{(?:tikzpicture|pgfpicture|picture|pspicture|axis|tpx)\})"
)
_COORDINATES = re.compile(r"\\[A-Za-z@]+|[-+]?\d[\d.]*(?:e[-+]?\d+|in|pt|bp|cm|mm)?|[\s(){}\[\],;%&=-]")
_WORDS = re.compile(r"[^\W\d_]{3,}|[\u3040-\ud7ff]{2,}")
# The first lines of a drawing program's file, its picture, and what in it is neither coordinates nor words.
_MADE = re.compile(
    r"\s*+(?:%[^\n]*\n\s*+){0,8}?%[^\w\n]*+(?:creator:|gnuplot\b|(?:this \w+ (?:was|is) )?"
    r"(?:created|generated|produced|made) (?:by|with|using) )",
    re.IGNORECASE,
)
_PICTURE = re.compile(r"\\begin\{(?:tikzpicture|pgfpicture|picture|pspicture|axis|tpx)\}")
_CODE = re.compile(
    r"%[^\n]*|\\(?:begin|end)\{[^{}\n]{0,40}\}|\\csname [^\\\n]{0,40}\\endcsname|\[[^][\n]{0,200}\]"
    r"|(?<=\])\{[^{}\n]{0,200}\}"
)
_FORMULA = re.compile(r"\$[^$\n]{1,100}\$")
_HEAD = 1 << 16  # look at this many characters
_SHARE = 0.7  # share of characters that are numbers, commands and separators
_DIGITS = 0.15  # share of characters that are digits
# Where a picture within a paper begins or ends, and from how many characters on it may be left out.
_WITHIN = re.compile(
    r"\\(?:(?P<end>end)|begin)?+(?:(?<=[nd])\s*+\{(?:tikz|pgf|ps)?picture\*?\}|(?:tikz|pgf|ps)?picture(?![A-Za-z@]))"
)
_LONG = 2000
# The points of a plot in TikZ and pgfplots, by a string that a text with such points contains.
_NUMBERS = r"\s*+\{((?=[^\d{}]{0,100}\d)[\s\d.,;()\[\]&+eE-]++)\}"
_NAMES_OF_COLUMNS = r"[ \t]*+(?:[A-Za-z_]\w{0,20}[ \t,;&]++){0,20}[A-Za-z_]\w{0,20}[ \t]*+(?:\\\\)?[ \t]*+\n"
_TABLE = rf"\s*+\{{(\s*+(?:{_NAMES_OF_COLUMNS})?(?=[^\d{{}}]{{0,100}}\d)(?:[\s\d.,;&+eE-]|\\\\|nan|inf)++)\}}"
_POINTS = {
    "coordinates": re.compile(r"coordinates(?<![\\A-Za-z]coordinates)" + _NUMBERS),
    "\\addplot": re.compile(r"table(?<![\\A-Za-z]table)(?:\s*+\[[^\]]{0,200}\])?" + _TABLE),
}


def is_drawing(text: str) -> bool:
    """Whether a file holds a figure's coordinates and no text worth reading."""
    head = text[:_HEAD]
    if not _DRAWS.search(head):
        return False
    picture = _PICTURE.search(head) if _MADE.match(head) else None
    if picture:
        drawn = head[picture.start() :]
        return _words(_CODE.sub("", drawn)) < len(drawn) / 50
    return _is_numbers(head) and _words(head) < len(head) / 50


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where in a paper's text the points of plots, and the contents of pictures that are drawings, are."""
    if "tikz" in text:
        for sign, pattern in _POINTS.items():
            if sign in text:
                yield from (mark.span(1) for mark in pattern.finditer(text))
    if "picture" not in text:
        return
    start: int | None = None
    for mark in _WITHIN.finditer(text):
        if not mark["end"]:
            start = mark.end()
        elif start is not None:
            if mark.start() - start >= _LONG and _is_drawn(text[start : mark.start()]):
                yield start, mark.start()
            start = None


def _is_drawn(picture: str) -> bool:
    """Whether a picture within a paper is made of coordinates, with few labels."""
    drawn = _CODE.sub("", picture[:_HEAD])
    return _is_numbers(drawn) and _words(drawn) + len(set(_FORMULA.findall(drawn))) < len(drawn) / 200


def _is_numbers(text: str) -> bool:
    left = _COORDINATES.sub("", text)
    digits = sum(map(text.count, "0123456789"))
    return digits >= _DIGITS * len(text) and len(text) - len(left) > _SHARE * len(text)


def _words(text: str) -> int:
    """How many words a drawing has; those of a program's commands, such as names of colors, come again."""
    return len(set(_WORDS.findall(_COORDINATES.sub(" ", text))))
