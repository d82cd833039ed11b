"""Writes what HTML tags stand for: lines, items of lists, headings, raised text.

In: the tags of a page, one by one, and the text before each. Out: marks at the end of that text.
"""

import re

from data.sources.wikipedia.marks import BREAK, LINE, SUB, SUB_END, SUP, SUP_END
from data.sources.wikipedia.names import BLOCKS, HEADINGS, INLINE, ITEMS

_SCRIPTS = {"sup": (SUP, SUP_END), "sub": (SUB, SUB_END)}
_NEAR = 9  # characters that may hold a tag and spaces
_READING = 200  # most characters of a reading above a word
_HEADING = 300  # most characters of a heading, or on either side of a tag in it


class Tags:
    """Writes to `out`, the pieces of the text so far."""

    def __init__(self, out: list[str]) -> None:
        self._out = out
        self._lists: list[str] = []  # <ol> and <ul> that are open
        self._heading = -1  # the place in `out` after an open <h2> or the like

    def write(self, found: re.Match) -> None:
        name, is_closing = found["tag"].lower(), bool(found["close"])
        text, (begin, end) = found.string, found.span()
        if name in ITEMS:
            self._item(name, is_closing)
        elif name in HEADINGS:
            self._title(int(name[1]), is_closing)
        elif name == "rt" and _has_no_brackets(found):
            self._out.append(")" if is_closing else "(")
        elif name in BLOCKS and _in_heading(found):
            self._out.append(" ")
        elif name in BLOCKS:
            self._out.append(LINE * 2 if name == "p" else LINE)
        elif name in _SCRIPTS:
            self._out.append(_SCRIPTS[name][is_closing])
        elif name not in INLINE:
            self._out.append(found[0])
        elif "'" in (text[begin - 1 : begin], text[end : end + 1]):
            self._out.append(BREAK)

    def _item(self, name: str, is_closing: bool) -> None:
        """<ol>, <ul>, <li>, <dt> and <dd>; an item ends where the next one or the list's end begins."""
        if name in ("ol", "ul"):
            if not is_closing:
                self._lists.append(name)
            elif self._lists:
                self._lists.pop()
            self._begin_line()
        elif not is_closing:
            self._begin_line()
            mark = "# " if self._lists[-1:] == ["ol"] else "* "
            self._out.append(mark if name == "li" else "")

    def _begin_line(self) -> None:
        last = self._out[-1].rstrip(" \t") if self._out else LINE
        if last.endswith(("\n", LINE)):
            self._out[-1:] = [last]
        else:
            self._out.append(LINE)

    def _title(self, level: int, is_closing: bool) -> None:
        """<h2> and the like, whose text may go over several lines."""
        out, marks = self._out, "=" * level
        if not is_closing:
            out.append(f"{LINE}{marks} ")
            self._heading = len(out)
            return
        begin, self._heading = self._heading, -1
        if begin >= 0 and sum(map(len, out[begin:])) < _HEADING:
            out[begin:] = [piece.replace("\n", " ") for piece in out[begin:]]
        out.append(f" {marks}{LINE}")


def _has_no_brackets(found: re.Match) -> bool:
    """Whether <rt>, a reading above a word, is without <rp>, the brackets for readers without ruby text."""
    text, (begin, end) = found.string, found.span()
    if found["close"]:
        return not text[end : end + _NEAR].lstrip().startswith("<rp>")
    has_bracket = text[max(0, begin - _NEAR) : begin].rstrip().endswith("</rp>")
    return not has_bracket and text.find("</rt>", end, end + _READING) >= 0


def _in_heading(found: re.Match) -> bool:
    """Whether the tag is in a line that begins and ends like a heading."""
    text, (begin, end) = found.string, found.span()
    before = text[max(0, begin - _HEADING) : begin].rpartition("\n")[2]
    after = text[end : end + _HEADING].partition("\n")[0]
    return before.startswith("=") and after.rstrip().endswith("=")
