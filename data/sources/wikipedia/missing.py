"""Drops short sentences whose figure a dump does not hold: `It has {{population}} inhabitants.`

In: text in which a mark follows each hole that a computed figure leaves. Out: the text without such
sentences, if they say little else, and without these marks. Long sentences stay, with the hole.
"""

import re

from data.sources.wikipedia.marks import FIGURE, GONE, HOLE
from data.sources.wikipedia.sentences import in_brackets

_NEAR = 200  # most characters of a sentence on either side of the hole
_FEW = 6  # most words of a sentence that is dropped
# A sentence ends after a word, not after an abbreviation or an ordinal: `am 3. Mai`.
_END = re.compile(
    rf"(?:[^\W\d_]{{3}}|\d{{3}}|[)\]”“\"»°²%])[.!?][”“\"»]?[{GONE}{HOLE}]*(?=\s+[^\W\d_]|\s*\Z)"
)
_WORD = re.compile(r"[^\W\d_]+")
_LIST_MARKS = "*#:; "


def without_figures(text: str) -> str:
    """The text without short sentences that lack their figure, and without the marks of such holes."""
    pieces, place, dropped = [], 0, 0
    first = _WORD.search(text)
    while (hole := text.find(FIGURE, place)) >= 0:
        begin, end = _sentence(text, dropped, hole)
        is_first = first is None or begin <= first.start()  # it says what the article is about
        is_long = len(_WORD.findall(text, begin, end)) > _FEW
        if is_first or is_long or begin < place or in_brackets(text[begin:hole]):
            pieces.append(text[place:hole])
            place = hole + 1
        else:
            pieces += [text[place:begin], GONE]
            place = dropped = end
    return "".join(pieces) + text[place:]


def _sentence(text: str, after: int, hole: int) -> tuple[int, int]:
    """Where the sentence around a hole begins and ends, on its line and after this place."""
    low = max(after, hole - _NEAR)
    begin = max(low, text.rfind("\n", low, hole) + 1)
    for found in _END.finditer(text, begin, hole - 1):
        if _begins_upper(text, found.end(), hole):
            begin = found.end()
    begin += len(text[begin:hole]) - len(text[begin:hole].lstrip(_LIST_MARKS))
    line = text.find("\n", hole, hole + _NEAR)
    stop = line if line >= 0 else min(len(text), hole + _NEAR)
    for found in _END.finditer(text, hole, stop):
        if found.end() == stop or _begins_upper(text, found.end(), stop):
            return begin, found.end()
    return begin, stop


def _begins_upper(text: str, place: int, end: int) -> bool:
    following = text[place : min(end, place + 20)].lstrip()[:1]
    return following.isupper() or not following
