"""Unicode's normal forms in linear time: the standard library takes the square of the marks on one letter."""

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby
from typing import Literal

MARKS = 64  # on one letter; Unicode's stream-safe format has 30 at most, and no language comes near
_JOINER = "\u034f"  # over which no mark is moved: it is what that format inserts


def normalized(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """`unicodedata.normalize`, with a joiner after each MARKS marks in a row."""
    # So many marks in a row have one at one of these places.
    if any(map(unicodedata.combining, set(text[MARKS - 1 :: MARKS]))):
        text = _many().sub(rf"\g<0>{_JOINER}", text)
    return unicodedata.normalize(form, text)


@cache
def _many() -> re.Pattern[str]:
    codes = [code for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code))]
    runs = [[code for _, code in run] for _, run in groupby(enumerate(codes), lambda one: one[1] - one[0])]
    marks = "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in runs)
    return re.compile(f"[{marks}]{{{MARKS}}}")
