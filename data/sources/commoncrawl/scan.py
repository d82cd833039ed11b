"""One look at a page's HTML before it is parsed: its tags, its names, and which of the slower steps it needs.

c/scan.c does the same as the patterns here, which are used where it is not compiled. A feature may be
reported where it is not, except FORUM: its step then finds nothing to do.
"""

import re
from typing import NamedTuple

try:
    import data.sources.commoncrawl.native as native
except ImportError:  # not compiled: there was no C compiler when Relama was installed
    native = None

FORMULA, TIME, RAISED, LOWERED, NAMED_HEADING, LONE_SIGN, FORUM = (1 << bit for bit in range(7))
UNKNOWN = 1 << 62

# Two patterns that begin with a literal are searched for many times faster than one with a choice.
_CLASS = re.compile(r"""class=("[^"]*"|'[^']*'|[^\s"'>]+)""")
_ID = re.compile(r"""id=("[^"]*"|'[^']*'|[^\s"'>]+)""")


class Facts(NamedTuple):
    """What is written in a page."""

    features: int
    n_tags: int  # "<"
    n_closing: int  # "</"
    repeated: int  # the most formatting elements that a parser may repeat, or UNKNOWN
    names: list[str]  # the words of its classes and ids, in any order


def scan(html: str) -> Facts:
    """The facts about a page."""
    found = native.scan(html) if native is not None else None
    return Facts(*found) if found is not None else _scan(html)


def _scan(html: str) -> Facts:
    values = {*_CLASS.findall(html), *_ID.findall(html)}
    names = {*" ".join([value.strip("\"'") for value in values]).split()}
    features = FORMULA | TIME | RAISED | LOWERED | NAMED_HEADING | LONE_SIGN
    if "osts:" in html or "Beiträge:" in html:
        features |= FORUM
    return Facts(features, html.count("<"), html.count("</"), UNKNOWN, [*names])
