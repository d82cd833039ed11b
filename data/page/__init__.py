"""HTML pages from Jinja2 templates: one base page and one stylesheet for every report, in this folder.

In: a template's name and plain values, which are escaped. Out: a self-contained page.
"""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from configs.sizes import binary

# Control characters, and overrides of the writing direction.
_UNPRINTABLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
TEMPLATES = Path(__file__).parent


def render(template: str, *folders: Path, **values: object) -> str:
    """Render `template`, looked up in `folders` first, then among the shared templates."""
    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"binary": binary, "count": count, "hours": hours, "percent": percent}
    page = environment.get_template(template).render(values)
    page = _UNPRINTABLE.sub("\ufffd", page)
    return page.encode(errors="backslashreplace").decode()  # texts may hold lone surrogates


def count(number: float | None) -> str:
    """A number of tokens, steps or parameters: in full if small, otherwise to three digits."""
    if number is None:
        return "–"
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(number) >= unit:
            return f"{number / unit:.3g}{letter}"
    return f"{number:,.0f}"


def plural(number: int, noun: str, several: str = "") -> str:
    """`1 rank`, `2 ranks`; `several` is the plural if it is not formed with s."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


def hours(number: float | None) -> str:
    """A duration given in hours."""
    if number is None:
        return "–"
    if number < 1 / 60:
        return f"{number * 3600:.0f} s"
    if number < 1:
        return f"{number * 60:.1f} min"
    return f"{number:,.1f} h" if number < 100 else f"{number:,.0f} h"


def percent(share: float | None, digits: int = 1) -> str:
    """A share from 0 to 1, in percent."""
    return "–" if share is None else f"{share:.{digits}%}"
