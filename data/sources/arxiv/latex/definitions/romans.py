r"""Writes an argument as a Roman numeral as macros ask for: `\uppercase\expandafter{\romannumeral#1}`.

In: a body. Out: the same with one command, `\arg@Roman{#1}` or `\arg@roman{#1}`, which `written` replaces in
the value of a call. Sources: TeX's primitive, and the kernel's \@Roman and \@slowromancap (source2e).
"""

import re

_NUMBER = r"\\romannumeral\s*+(#[1-9])\s*+(?:\\relax(?![A-Za-z@])[ \t]*+)?+"
_ASKED = re.compile(
    rf"\\(?:uppercase|MakeUppercase)\s*+(?:\\expandafter\s*+)?+\{{\s*+{_NUMBER}\}}"
    rf"|\\expandafter\s*+\\@slowromancap\s*+{_NUMBER}@|\\@Roman(?![A-Za-z@])\s*+\{{?(#[1-9])\}}?"
    rf"|\\@roman(?![A-Za-z@])\s*+\{{?(#[1-9])\}}?|{_NUMBER}"
)
ROMAN = re.compile(r"\\arg@([Rr])oman\{\s*+(\d{0,4})\s*+\}")
_LETTERS = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
    (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip


def with_romans(body: str) -> str:
    """A body with its Roman numerals of arguments as one command."""
    return _ASKED.sub(_command, body)


def _command(mark: re.Match) -> str:
    capital = mark[1] or mark[2] or mark[3]
    return f"\\arg@{'Roman' if capital else 'roman'}{{{capital or mark[4] or mark[5]}}}"


def written(value: str) -> str | None:
    """A value with its Roman numerals written; None if one is not of a number."""
    value = ROMAN.sub(_numeral, value)
    return None if "\\arg@" in value else value


def _numeral(mark: re.Match) -> str:
    left, out = int(mark[2] or 0), ""
    for size, letters in _LETTERS:
        out += letters * (left // size)
        left %= size
    return (out.upper() if mark[1] == "R" else out) if out else mark[0]
