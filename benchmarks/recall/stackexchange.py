"""How much of the posts' text is kept, and how much noise: `python benchmarks/recall/stackexchange.py`.

The independent readers: Python's own XML parser for the rows, lxml's trees for the words of their HTML. A
thread is its title, its question and its answers. `--against CLONE` measures another version too.
"""

import re
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from typing import Any, cast

from common import SHARED, Figures, report, words
from lxml import html

INPUTS = [SHARED / "stackexchange" / name for name in ("coffee.Posts.xml", "meta.datascience.Posts.xml")]
_INLINE = {
    "a",
    "abbr",
    "b",
    "code",
    "del",
    "em",
    "i",
    "kbd",
    "s",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
}


def _text(body: str) -> str:
    """The words of a post; every element that is not inline separates them."""
    if not body.strip():
        return ""
    tree = html.fragment_fromstring(body, create_parent=cast(Any, "div"))  # a tag is missing in its stub
    pieces = []
    for event, element in _walk(tree):
        if isinstance(element.tag, str):
            pieces.append("" if element.tag in _INLINE else " ")
            pieces.append((element.text if event == "start" else "") or "")
        if event == "end":
            pieces.append(element.tail or "")
    return "".join(pieces)


def _walk(tree):
    yield "start", tree
    for child in tree:
        yield from _walk(child)
    yield "end", tree


def judge(documents: dict[tuple[str, int], str]) -> dict[str, Figures]:
    """Judge all threads of all sites."""
    figures = Figures()
    for path in INPUTS:
        rows = [row.attrib for row in ET.parse(path).getroot()]
        answers: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if row["PostTypeId"] == "2":
                answers[row["ParentId"]].append(row["Body"])
        for number, row in enumerate(rows):
            if row["PostTypeId"] == "1":
                bodies = [row["Body"], *answers[row["Id"]]]
                expected = words(" ".join([row["Title"], *map(_text, bodies)]))
                marks = Counter(q=1, a=len(bodies) - 1)  # `Q:` and `A:`
                numbers = (
                    words(" ".join(map(str, range(1, 60))))
                    if re.search("<ol", "".join(bodies))
                    else Counter()
                )
                given = words(documents.get((str(path), number), ""))
                figures.add(expected, expected + marks + numbers, given)
    return {"threads": figures}


if __name__ == "__main__":
    report("stackexchange", INPUTS, judge)
