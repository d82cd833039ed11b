"""Reads which edition a Gutenberg header declares: the date of its release or last update, and a number.

In: a header of any era ("Release Date: May, 1999 [EBook #4321]", "[Most recently updated: March 4, 2018]",
"January, 1994  [Etext #98]", "Edition: 12"). Out: `released` as YYYY-MM or YYYY-MM-DD, and `edition`.
`data/dedup/editions.py` keeps the best of several editions.
"""

import re
from typing import Any

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATED = re.compile(
    r"\b(?:(?:release|posting) date|(?:(?:last|most recently) )?updated|date (?:last updated|first posted"
    r"|most recently updated))\s{0,9}+:?\s{0,9}+"
    r"(?P<month>[A-Za-z]{3,9})\.?(?:\s{1,9}+(?P<day>\d{1,2}))?[\s,]{1,9}+(?P<year>(?:19|20)\d\d)\b"
    r"|^[ \t]{0,9}+(?P<first_month>[A-Za-z]{3,9})[\s,]{1,9}+(?P<first_year>(?:19|20)\d\d)"
    r"\s{1,9}+\[e-?(?:text|book)\b",
    re.IGNORECASE | re.MULTILINE,
)
_EDITION = re.compile(r"^Edition:[ \t]*(\d{1,3})\b", re.MULTILINE)


def edition(header: str) -> dict[str, Any]:
    """`released` and `edition`, as far as the header declares them."""
    dates = sorted(filter(None, (_date(found) for found in _DATED.finditer(header))))
    number = _EDITION.search(header)
    return ({"released": dates[-1]} if dates else {}) | ({"edition": int(number[1])} if number else {})


def _date(found: re.Match[str]) -> str:
    name = (found["month"] or found["first_month"])[:3].lower()
    if name not in _MONTHS:
        return ""
    day = found["day"]
    month = f"{found['year'] or found['first_year']}-{_MONTHS.index(name) + 1:02}"
    return f"{month}-{int(day):02}" if day and 1 <= int(day) <= 31 else month
