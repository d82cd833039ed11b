"""The form of a noun after a number: {{plural:2|cat|cats}}, {{num|3|дом|дома|домов}}.

Source: Unicode CLDR's rules for cardinal numbers, and Language::convertPlural of MediaWiki.
"""

import re

from data.sources.wikipedia.templates.separators import plain

_NUMBER = re.compile(r"(\d*)(?:\.(\d+))?")


def plural(number: str, forms: list[str], language: str) -> str:
    """The form for a number as its language writes it. `0=no cats` is the form for this number alone."""
    number = plain(number, language).lstrip("-")
    others = []
    for form in forms:
        exact, equals, text = form.partition("=")
        if not (equals and exact.isdecimal()):
            others.append(form)
        elif exact == number:
            return text
    found = _NUMBER.match(number)
    whole, decimals = found.groups("") if found else ("", "")
    place = _place(language, whole, decimals.rstrip("0"))
    return others[min(place, len(others) - 1)] if others else ""


def _place(language: str, whole: str, decimals: str) -> int:
    """The place among a language's forms: one, (two,) few, many, other."""
    i = int(whole[-4:] or "0") if len(whole) < 5 else 1000 + int(whole[-2:])
    f = int(decimals[-2:] or "0")
    is_one = i == 1 and not f
    if language in ("hr", "sr"):
        return _slavic(f or i)
    if language in ("ru", "uk"):
        return 3 if f else _slavic(i)
    if language == "pl":
        return 3 if f else 0 if is_one else 1 if _slavic(i) == 1 else 2
    if language == "cs":
        return 2 if f else 0 if is_one else 1 if 2 <= i <= 4 else 3
    if language == "sl":
        return 2 if f else {1: 0, 2: 1, 3: 2, 4: 2}.get(i % 100, 3)
    if language == "ro":
        return 0 if is_one else 1 if f or i == 0 or 1 <= i % 100 <= 19 else 2
    if language in ("bg", "es", "hu"):
        return int(i != 1 or f > 0)
    if language == "da":
        return int(i > 1 or (i == 0 and not f))
    if language == "fr":
        return int(i > 1)
    if language == "pt":
        return int(i > 1 or f > 0)
    return int(not is_one)


def _slavic(number: int) -> int:
    """0 for one, as 1 and 21; 1 for few, as 2–4 and 22–24; else 2."""
    if number % 100 in (11, 12, 13, 14):
        return 2
    return {1: 0, 2: 1, 3: 1, 4: 1}.get(number % 10, 2)


def counted(positional: list[str], language: str) -> str | None:
    """The number and the form of the noun that it counts: 3|дом|дома|домов. None for other arguments."""
    number, *forms = positional or [""]
    is_counted = number[:1].isdigit() and len(forms) > 1 and all(form.isalpha() for form in forms)
    return f"{number} {plural(number, forms, language)}" if is_counted else None
