"""Notations of the English Wikipedia: intervals, magnitudes, minor planets, codes, characters.

In: positional and named arguments, already plain. Out: the text as the template's documentation shows it.
"""

import re
import unicodedata

from data.sources.wikipedia.marks import HOLE, SUB, SUB_END
from data.sources.wikipedia.templates.figures import plain
from data.sources.wikipedia.templates.patterns import Rule
from data.sources.wikipedia.templates.rules import ordinal

_AREAS = {"km2": "km²", "sqmi": "sq mi", "ha": "ha", "acre": "acre", "acres": "acre"}
_CODE_POINT = re.compile(r"[0-9A-Fa-f]{1,6}")
_GAUGES = {
    "sg": "1,435 mm",
    "std": "1,435 mm",
    "standard": "1,435 mm",
    "metre": "1,000 mm",
    "meter": "1,000 mm",
}
_GAUGES |= {"ussg": "4 ft 8 1/2 in", "uksg": "4 ft 8 1/2 in", "cape": "3 ft 6 in", "russian": "1,520 mm"}
_GAUGES |= {"iberian": "1,668 mm", "irish": "5 ft 3 in", "indian": "5 ft 6 in", "brunel": "7 ft 1/4 in"}
_ARROWS = {"r": "→", "l": "←", "u": "↑", "d": "↓", "lr": "↔", "rl": "↔", "ud": "↕"}


def interval(opening: str, closing: str) -> Rule:
    """{{closed-open|a|b}}, {{closed-open|a, b}}: [a, b)."""
    return lambda positional, named: opening + ", ".join(filter(None, positional)) + closing


def magnitude(positional: list[str], named: dict[str, str]) -> str:
    """{{M|w|7.2}}: Mw 7.2; {{M|7.2}}: M 7.2."""
    kind = positional[0] if positional and positional[0].isalpha() else ""
    value = " ".join(positional[bool(kind) :][:1])
    return f"M{SUB + kind + SUB_END if kind else ''} {value}".rstrip()


def minor_planet(positional: list[str], named: dict[str, str]) -> str | None:
    """{{mp|2003 UB|313}}: 2003 UB313."""
    name, number = [*positional, "", ""][:2]
    return name + (SUB + number + SUB_END if number else "") or None


def numbered_minor_planet(positional: list[str], named: dict[str, str]) -> str | None:
    """{{mpl-|322756|2001 CK|32}}: (322756) 2001 CK32."""
    name = minor_planet(positional[1:], named)
    return f"({positional[0]}) {name}" if name else next(iter(positional), None)


def airport_codes(positional: list[str], named: dict[str, str]) -> str:
    """{{airport codes|MMJ|RJAF}}: (IATA: MMJ, ICAO: RJAF)."""
    codes = zip(("IATA", "ICAO", "FAA LID", "TC LID"), positional)
    shown = ", ".join(f"{kind}: {code}" for kind, code in codes if code)
    return shown if named.get("p") == "n" or not shown else f"({shown})"


def character(positional: list[str], named: dict[str, str]) -> str:
    """{{unichar|00A9}}: U+00A9 © COPYRIGHT SIGN."""
    code = positional[0] if positional else ""
    if not _CODE_POINT.fullmatch(code) or int(code, 16) > 0x10FFFF:
        return f"U+{code}" if code else ""
    char = chr(int(code, 16))
    shown = char if char.isprintable() and not unicodedata.combining(char) else ""
    return " ".join(filter(None, [f"U+{code.upper()}", shown, unicodedata.name(char, "")]))


def arrow(positional: list[str], named: dict[str, str]) -> str:
    """{{arrow|r}}: →"""
    direction = (positional[0] if positional else "r").lower()
    return _ARROWS.get(direction, _ARROWS.get(direction[:1], ""))


def district(positional: list[str], named: dict[str, str]) -> str:
    """{{ushr|California|51}}: California's 51st congressional district; a third argument shortens it."""
    state, number, kind = [*positional, "", "", ""][:3]
    which = "at-large" if number.upper() == "AL" else ordinal([number], {})
    shown = {"E": which, "U": state, "X": f"{state} {which}", "B": f"{state} {which}"}
    return shown.get(kind.upper(), f"{state}'s {which} congressional district")


def density(positional: list[str], named: dict[str, str]) -> str:
    """{{pop density|3645257|640081.87|km2|sqmi|prec=1}}: 5.7/km²."""
    people, area, unit = [*positional, "", "", ""][:3]
    some, whole, places = plain(people), plain(area), named.get("prec", "")
    if some is None or not whole:
        return HOLE
    share = some / whole
    digits = int(places) if places in tuple("0123456789") else max(0, 2 - len(str(int(share)))) + (share < 1)
    return f"{share:,.{digits}f}/{_AREAS.get(unit, unit)}"


def decade(positional: list[str], named: dict[str, str]) -> str:
    """{{decade|1915}}: 1910s."""
    year = positional[0] if positional else ""
    return f"{year[:-1]}0s" if year.isdecimal() else year


def gauge(positional: list[str], named: dict[str, str]) -> str:
    """{{track gauge|1435mm}}: 1435 mm; some gauges have names."""
    width = positional[0] if positional else ""
    width = _GAUGES.get(width.lower(), width)
    return re.sub(r"(?<=\d)(?=mm|ft|in)|(?<=ft)(?=\d)", " ", width)


FUNCTIONS: dict[str, Rule] = {
    "gauge": gauge,
    "closed interval": interval("[", "]"),
    "interval open above": interval("[", ")"),
    "interval open below": interval("(", "]"),
    "open interval": interval("(", ")"),
    "set": interval("{", "}"),
    "magnitude": magnitude,
    "minor planet": minor_planet,
    "numbered minor planet": numbered_minor_planet,
    "airport codes": airport_codes,
    "character": character,
    "arrow": arrow,
    "district": district,
    "decade": decade,
    "density": density,
}
