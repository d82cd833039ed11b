"""Coordinates as words of a sentence: {{coord|51|30|N|0|7|W}}: 51°30′N 0°7′W.

Module:Coordinates, which other Wikipedias copied. Outside a sentence, they are a note on the page.
"""

import re

_NUMBER = re.compile(r"[-+−]?\d+(?:[.,]\d+)?")
_SIGNS = ("°", "′", "″")
_SIDES = (("N", "S"), ("E", "W"))


def coordinates(positional: list[str], named: dict[str, str]) -> str | None:
    display = named.get("display", "").replace(" ", "")
    if display in ("title", "t"):
        return None
    halves, numbers = [], []
    for part in positional:
        if _NUMBER.fullmatch(part):
            numbers.append(part)
        elif part.upper() in tuple("NSEWO") and 1 <= len(numbers) <= 3:
            halves.append("".join(map("".join, zip(numbers, _SIGNS))) + part.upper())
            numbers = []
        elif part or halves:
            break
    if len(halves) == 2:
        return " ".join(halves)
    if halves or len(numbers) != 2:
        return None
    signed = [(number.lstrip("-−+"), number[0] in "-−") for number in numbers]
    return " ".join(f"{number}°{side[is_negative]}" for (number, is_negative), side in zip(signed, _SIDES))


def german(positional: list[str], named: dict[str, str]) -> str | None:
    """{{Coordinate|NS=51/30/0/N|EW=0/7/0/W|text=DMS}}: 51° 30′ 0″ N, 0° 7′ 0″ W; without `text` a note."""
    if not named.get("text"):
        return None
    halves = []
    for value, sides in ((named.get("ns", ""), _SIDES[0]), (named.get("ew", ""), _SIDES[1])):
        *numbers, side = value.split("/") if "/" in value else (value.lstrip("-−"), sides[value[:1] in "-−"])
        if not all(map(_NUMBER.fullmatch, numbers)) or side not in (*sides, "O"):
            return None
        halves.append(" ".join([*map("".join, zip(numbers, _SIGNS)), side]))
    return ", ".join(halves)
