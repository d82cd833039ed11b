"""Unicode's normal forms in linear time; the standard library's is quadratic in the marks on one letter."""

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby
from typing import Literal

MARKS = 64  # most marks on one letter; Unicode's stream-safe format allows 30, and no language comes near
_JOINER = "\u034f"  # no mark moves past it; the stream-safe format inserts it too


def normalized(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """`unicodedata.normalize`, with a joiner after every MARKS marks in a row."""
    # A run of that many marks has one at one of these places.
    if any(map(unicodedata.combining, set(text[MARKS - 1 :: MARKS]))):
        text = _many().sub(rf"\g<0>{_JOINER}", text)
    return unicodedata.normalize(form, text)


@cache
def _many() -> re.Pattern[str]:
    codes = [code for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code))]
    runs = [[code for _, code in run] for _, run in groupby(enumerate(codes), lambda one: one[1] - one[0])]
    marks = "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in runs)
    return re.compile(f"[{marks}]{{{MARKS}}}")
