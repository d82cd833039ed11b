r"""Lengths that a paper sets and tests: `\newlength`, `\newdimen`, `\setlength`, `\ifdim`.

In: a text and the place of a length in it. Out: its size in scaled points (2^-16 pt), None if it is unknown,
as are sizes of fonts (em) and pages (`\textwidth`). Units: The TeXbook, chapter 10.
"""

import re
from fractions import Fraction

from data.sources.arxiv.latex.syntax import Lookup, value_of

_POINT = 1 << 16
_UNITS = {
    "pt": Fraction(_POINT), "in": _POINT * Fraction(7227, 100), "cm": _POINT * Fraction(7227, 254),
    "mm": _POINT * Fraction(7227, 2540), "bp": _POINT * Fraction(7227, 7200), "pc": Fraction(12 * _POINT),
    "dd": _POINT * Fraction(1238, 1157), "cc": _POINT * Fraction(14856, 1157), "sp": Fraction(1),
}  # fmt: skip
_LENGTH = re.compile(
    r"\s*+(?P<sign>[-+]?)\s*+(?:(?P<digits>\d{1,9}+(?:[.,]\d{0,9}+)?+|[.,]\d{1,9}+)\s*+)?+"
    r"(?:(?:true\s*+)?(?P<unit>pt|in|cm|mm|bp|pc|dd|cc|sp)(?![A-Za-z])[ \t]?|\\(?P<name>[A-Za-z@]++)\s*+)"
)
_UNIT = re.compile(r"(?:true\s*+)?(pt|in|cm|mm|bp|pc|dd|cc|sp)(?![A-Za-z])[ \t]?")
_FACTOR = re.compile(r"\s*+([-+]?\d{1,9}(?:[.,]\d{0,9})?)\s*+")
_STRETCH = re.compile(r"\s*+(?:plus|minus)\s*+[-+]?[\d.]*+\s*+(?:[a-z]{2,5}|\\[A-Za-z@]++)")
_RELAX = re.compile(r"\\relax(?![A-Za-z@])[ \t]?")


def read_length(text: str, position: int, lookup: Lookup) -> tuple[int | None, int]:
    r"""The length here, in digits, as a register, or as a macro; None if unknown; and its end."""
    found = _LENGTH.match(text, position)
    if found is None:
        return None, position
    end = found.end()
    factor = Fraction((found["digits"] or "1").replace(",", ".").rstrip(".") or "0")
    if found["unit"]:
        size = _UNITS[found["unit"]] if found["digits"] else None
    else:
        value = value_of(found["name"], lookup)
        unit = None if found["digits"] else _UNIT.match(text, end)
        size = _size(value, unit[1] if unit else "", lookup)
        end = unit.end() if unit else end
    while stretch := _STRETCH.match(text, end):
        end = stretch.end()
    relax = _RELAX.match(text, end)
    end = relax.end() if relax else end
    if size is None:
        return None, end
    return int(size * factor) * (-1 if found["sign"] == "-" else 1), end


def _size(value: str | None, unit: str, lookup: Lookup) -> Fraction | None:
    r"""What a register (scaled points) or a macro (`5pt`, or `5` before a unit) stands for."""
    if value is None:
        return None
    factor = _FACTOR.fullmatch(value)
    if factor:
        number = Fraction(factor[1].replace(",", ".").rstrip("."))
        return number * _UNITS[unit] if unit else number
    if unit or "\\" in value:
        return None
    size, end = read_length(value, 0, lookup)
    return None if size is None or value[end:].strip() else Fraction(size)
