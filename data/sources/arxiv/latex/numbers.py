r"""Follows the numbers and lengths that a paper sets: `\newcounter`, `\newcount`, `\chardef`, `\newlength`.

Lengths are in scaled points. A number is None if it is unknown: set in an undecided branch, in a group, or by
a macro. Source for units and the forms of a length: The TeXbook, chapters 10 and 24.
"""

import re
from fractions import Fraction

from data.sources.arxiv.latex.syntax import Lookup, value_of

_NAME = re.compile(r"\s*+(?:\\([A-Za-z@]++)|\{\s*+\\([A-Za-z@]++)\s*+\})\s*+=?")
_COUNTER = re.compile(r"\s*+\{\s*+([A-Za-z@]{1,60})\s*+\}(\s*+\[)?")
_BY = re.compile(r"\s*+(?:by(?![A-Za-z]))?\s*+")
_EQUALS = re.compile(r"\s*+=?")
_READ = re.compile(
    r"(?:\\(?:if[A-Za-z]*|the|number|value|romannumeral|global\\advance|advance)\s*+|[<=>]\s*+)\Z"
)
_CHANGES = re.compile(
    r"\\(?:(?:set|addto|step|refstep)counter\s*+\{\s*+([A-Za-z@]++)"
    r"|(?:set(?:length|to(?:width|height|depth))|addtolength)\s*+\{?\s*+\\([A-Za-z@]++)"
    r"|advance\s*+\\([A-Za-z@]++)|\\([A-Za-z@]++)\s*+=\s*+[-\d.\\#])"
)
_THEOREM = re.compile(r"\\newtheorem\*?\s*+\{[^{}]{1,60}\}\s*+\[\s*+([A-Za-z@]++)")  # shares a counter
_NEW_LENGTHS = frozenset({"newlength", "newdimen", "newskip"})
_SET_LENGTHS = frozenset({"setlength", "addtolength", "settowidth", "settoheight", "settodepth"})
COMMANDS = frozenset(
    {"newcount", "chardef", "mathchardef", "advance", *_NEW_LENGTHS, *_SET_LENGTHS}
    | {"newcounter", "setcounter", "addtocounter", "stepcounter", "refstepcounter"}
)

# How numbers and lengths are written.
_NUMBER = re.compile(
    r"\s*+(?:\\value\s*+\{\s*+(?P<counter>[A-Za-z@]++)\s*+\}|\\(?P<name>[A-Za-z@]++)|(?P<digits>[-+]?\d++))"
)
_NUMBER_END = re.compile(r"\s|\\relax(?![A-Za-z])")
_DIGITS = re.compile(r"\s*+([-+]?0*\d{1,10})\s*+")  # TeX's largest number has ten
_LARGEST = (1 << 31) - 1  # The TeXbook, chapter 24
_POINT = 1 << 16
_UNITS = {
    "pt": Fraction(_POINT), "in": _POINT * Fraction(7227, 100), "cm": _POINT * Fraction(7227, 254),
    "mm": _POINT * Fraction(7227, 2540), "bp": _POINT * Fraction(7227, 7200), "pc": Fraction(12 * _POINT),
    "dd": _POINT * Fraction(1238, 1157), "cc": _POINT * Fraction(14856, 1157), "sp": Fraction(1),
}  # fmt: skip
_ANY_UNIT = "|".join(_UNITS)
_LENGTH = re.compile(
    r"\s*+(?P<sign>[-+]?)\s*+(?:(?P<digits>\d{1,9}+(?:[.,]\d{0,9}+)?+|[.,]\d{1,9}+)\s*+)?+"
    rf"(?:(?:true\s*+)?(?P<unit>{_ANY_UNIT})(?![A-Za-z])[ \t]?|\\(?P<name>[A-Za-z@]++)\s*+)"
)
_UNIT = re.compile(rf"(?:true\s*+)?({_ANY_UNIT})(?![A-Za-z])[ \t]?")
_FACTOR = re.compile(r"\s*+([-+]?\d{1,9}(?:[.,]\d{0,9})?)\s*+")
_STRETCH = re.compile(r"\s*+(?:plus|minus)\s*+[-+]?[\d.]*+\s*+(?:[a-z]{2,5}|\\[A-Za-z@]++)")
_RELAX = re.compile(r"\\relax(?![A-Za-z@])[ \t]?")


def read_number(text: str, position: int, lookup: Lookup) -> tuple[int | None, int]:
    r"""The number here (digits, a macro, a register or `\value{…}`), None if unknown; and its end."""
    found = _NUMBER.match(text, position)
    if found is None:
        return None, position
    end = _NUMBER_END.match(text, found.end())
    value = found["digits"] or value_of(
        f"c@{found['counter']}" if found["counter"] else found["name"], lookup
    )
    digits = _DIGITS.fullmatch(value or "")
    return (int(digits[1]) if digits else None), (end.end() if end else found.end())


def read_length(text: str, position: int, lookup: Lookup) -> tuple[int | None, int]:
    r"""The length here (digits and a unit, a register or a macro), None if unknown; and its end."""
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
    r"""The value of a register (scaled points) or a macro (`5pt`, or `5` before a unit)."""
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


class Numbers:
    """The numbers of a paper up to the current position; `lookup` answers for macros too."""

    def __init__(self, lookup: Lookup, paper: str = "") -> None:
        self.values: dict[str, int | None] = {}  # counters as c@NAME
        self._lengths: set[str] = set()
        # Changed by macros and theorems, and so unknown.
        self._changed = (
            {f"c@{name}" for name in _THEOREM.findall(paper)} if "\\newtheorem" in paper else set()
        )
        self._lookup = lookup

    def command(
        self, word: str, text: str, start: int, position: int, *, is_sure: bool, is_local: bool
    ) -> int:
        r"""Carry out a command that declares or sets a number, or a number's own name; return its end."""
        lookup = self._lookup
        if word in COMMANDS and word.endswith("counter"):
            found = _COUNTER.match(text, position)
            if found:
                name, end = f"c@{found[1]}", found.end()
                old, new = self.values.get(name), None
                if word == "newcounter":
                    new = None if found[2] else 0
                elif word.endswith("stepcounter"):
                    new = None if old is None else old + 1
                else:
                    argument = text[end : end + 200].lstrip()
                    given = read_number(argument, 1, lookup)[0] if argument.startswith("{") else None
                    new = given if word == "setcounter" or given is None or old is None else old + given
                    new = None if word == "addtocounter" and old is None else new
                self._put(name, new if is_sure else None, is_new=word == "newcounter")
            return position
        if word not in COMMANDS:
            if _READ.search(text, max(0, start - 30), start):
                return position
            name, is_new = word, False
        else:
            found = _NAME.match(text, position)
            if found is None:
                return position
            name, position, is_new = (
                found[1] or found[2],
                found.end(),
                word != "advance" and word not in _SET_LENGTHS,
            )
        read = read_length if name in self._lengths else read_number
        if word in _NEW_LENGTHS:
            self._lengths.add(name)
        if word == "newcount" or word in _NEW_LENGTHS:
            number, end = 0, position
        elif word in _SET_LENGTHS:
            argument = text[position : position + 200].lstrip()
            number = (
                read(argument, 1, lookup)[0] if argument.startswith("{") and word[:5] != "setto" else None
            )
            old, end = self.values.get(name), position
            if word == "addtolength":
                number = None if number is None or old is None else old + number
        elif word == "advance":
            by = _BY.match(text, position)
            number, end = read(text, by.end() if by else position, lookup)
            old = self.values.get(name)
            number = None if number is None or old is None else old + number
        else:
            equals = _EQUALS.match(text, position)
            number, end = read(text, equals.end() if equals else position, lookup)
            if number is None and not is_new and text[position:end].strip()[:1] != "=":
                return position  # used, not set
        self._put(name, number if is_sure and not is_local else None, is_new=is_new)
        return end

    def defined(self, source: str) -> None:
        """Forget the numbers that a definition changes."""
        for found in _CHANGES.finditer(source):
            name = next(name for name in found.groups() if name)
            for each in (name, f"c@{name}"):
                self._changed.add(each)
                if each in self.values:
                    self.values[each] = None

    def _put(self, name: str, number: int | None, *, is_new: bool) -> None:
        if is_new or name in self.values:
            too_big = number is not None and abs(number) > _LARGEST
            self.values[name] = None if name in self._changed or too_big else number
