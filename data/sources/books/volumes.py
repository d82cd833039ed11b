"""Finds further books in a file of several, each with a header of its own."""

import re
from bisect import bisect_left

from data.sources.books.marks import ENDS, FILE_NAME, FLAGS, HEAD, SMALL_PRINT_END, START, TWICE

# The first line of a header, in a file of several books.
_TITLE = re.compile(
    r"P(?:roject|ROJECT) G(?:utenberg|UTENBERG)"
    r"(?:['’][sS]\b|(?:\s+\w+)?\s+[eE]-?(?:[tT]ext|[bB]ook|TEXT|BOOK)\b)"
)
_MARGIN = 80  # most characters left of a title in its line
_RELEASE_LINES = 2000  # a header has its date within this many characters
_TITLE_MARGIN = re.compile(r"[\W_]*(?:(?:This\s+is\s+)?(?:The|the|THE)\s+)?")
_RELEASED = re.compile(r"\[e-?(?:text|book)\s*#\s*\d|^release\s+date:", FLAGS)


def further_books(text: str) -> list[int]:
    """Where further books begin in a file of several: at first lines of headers below another book."""
    titles = _titles(text)
    if not any(titles):
        return []
    starts, small_prints, released = (_places(text, mark) for mark in (START, SMALL_PRINT_END, _RELEASED))
    ends, names = _places(text, *ENDS), _places(text, FILE_NAME)
    begun: list[int] = []
    start = 0
    for place in titles:
        if place == start:
            continue
        near = [_within(marks, place, place + HEAD // 3) for marks in (starts, small_prints)]
        near.append(_within(released, place, place + _RELEASE_LINES))
        first = min((mark[0] for mark in near if mark), default=place)
        is_header = first > place and _within(ends, place, first) is None
        mark = _within(starts, start, place) or _within(small_prints, start, place)
        is_below_book = (mark is not None and place - mark[1] > TWICE) or any(
            _within(marks, start, place) for marks in (ends, names)
        )
        if is_header and is_below_book:
            begun.append(place)
            start = place
    return begun


def _titles(text: str) -> list[int]:
    """The lines that begin like a header's first."""
    found = []
    for title in _TITLE.finditer(text):
        near = max(0, title.start() - _MARGIN)
        place = text.rfind("\n", near, title.start()) + 1 or near  # the line's beginning, if that is near
        if (place == 0 or text[place - 1] == "\n") and _TITLE_MARGIN.fullmatch(text, place, title.start()):
            found.append(place)
    return found


def _places(text: str, *marks: re.Pattern) -> list[tuple[int, int]]:
    """Where marks begin and end, in order."""
    return sorted(found.span() for mark in marks for found in mark.finditer(text))


def _within(places: list[tuple[int, int]], start: int, stop: int) -> tuple[int, int] | None:
    """The first of the places that begins in the range."""
    after = bisect_left(places, (start, 0))
    return places[after] if after < len(places) and places[after][0] < stop else None
