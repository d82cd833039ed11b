"""Tells how deeply a page's elements are nested, before a parser sees it.

The parser, and everything that walks its tree, takes time quadratic in the depth, in C, where no signal
arrives. Two things make trees large: elements that are never closed, and formatting elements (`<font>`),
because every new paragraph repeats the open ones (WHATWG, §13.2.4.3). Tags are counted by name in one pass;
an element that the next of its kind closes (`<p>`, `<li>`) does not count.
"""

import re

from data.sources.commoncrawl.scan import UNKNOWN, Facts, native, scan

MAX_DEPTH = 2000  # browsers nest at most 512
MAX_REPEATED = 200_000  # most formatting elements that a parser may add
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})([^>]{0,100})")
_ALIKE = 3  # most equal formatting elements that are repeated
# fmt: off
_FORMATTING = {"b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"}
_CLOSED_BY_OTHERS = {
    "area", "base", "body", "br", "col", "colgroup", "dd", "dt", "embed", "frame", "head", "hr", "html",
    "img", "input", "li", "link", "meta", "optgroup", "option", "p", "param", "rp", "rt", "source", "tbody",
    "td", "tfoot", "th", "thead", "tr", "track", "wbr",
}
_REPEATING = {
    "blockquote", "center", "dd", "div", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "p", "section",
    "table", "td", "th", "ul",
}
# fmt: on
# Without IGNORECASE, because with it a search does not look for "<" first and takes five times as long.
_EITHER_CASE = "|".join(
    "".join(f"[{letter}{letter.upper()}]" for letter in name) for name in sorted(_FORMATTING)
)
_FORMATTING_TAG = re.compile(rf"<(/?)({_EITHER_CASE})(?![a-zA-Z0-9])([^>]{{0,100}})")
_FLAT = frozenset(slash + name for name in _FORMATTING | _CLOSED_BY_OTHERS for slash in ("", "/"))
_NAME = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9]{0,15})[^>]{0,100}")


def is_too_deep(html: str, facts: Facts | None = None) -> bool:
    """Whether a page is so deeply nested that parsing it may take minutes."""
    facts = facts or scan(html)
    if facts.n_tags <= MAX_DEPTH:
        return False
    if facts.repeated > MAX_REPEATED and _may_repeat_often(html):
        return _is_too_deep(html)
    if facts.n_tags - facts.n_closing <= MAX_DEPTH:
        return False
    if native is not None and facts.repeated != UNKNOWN:  # it has no surrogates
        return native.nests_deeper(html, MAX_DEPTH)
    return _nests_too_deep(_NAME.findall(html))


def _may_repeat_often(html: str) -> bool:
    """Whether formatting elements would be repeated too often if every tag between them repeated them."""
    formatting, at, repeated = _Formatting(), 0, 0
    for tag in _FORMATTING_TAG.finditer(html):
        if formatting.size:
            repeated += formatting.size * html.count("<", at, tag.start())
        at, name = tag.start(), tag[2].lower()
        formatting.close(name) if tag[1] else formatting.open(name, tag[3])
    return repeated + formatting.size * html.count("<", at) > MAX_REPEATED


def _nests_too_deep(tags: list[str]) -> bool:
    """The same as below for tags such as `div` and `/div`, without the repetitions."""
    open_: list[str] = []
    counts: dict[str, int] = {}
    tags = [lower for tag in tags if tag not in _FLAT and (lower := tag.lower()) not in _FLAT]
    if len(tags) - "".join(tags).count("/") <= MAX_DEPTH:
        return False
    for tag in tags:
        if tag[0] != "/":
            open_.append(tag)
            counts[tag] = counts.get(tag, 0) + 1
            if len(open_) > MAX_DEPTH:
                return True
        elif counts.get(tag[1:]):
            closed = ""
            while closed != tag[1:]:
                closed = open_.pop()
                counts[closed] -= 1
    return False


def _is_too_deep(html: str) -> bool:
    open_: list[str] = []
    counts: dict[str, int] = {}
    formatting = _Formatting()
    repeated = 0
    for tag in _TAG.finditer(html):
        name = tag[2].lower()
        if name in _REPEATING:
            repeated += formatting.size
            if repeated > MAX_REPEATED:
                return True
        if name in _FORMATTING:  # nested in each other, they take only linear time
            formatting.close(name) if tag[1] else formatting.open(name, tag[3])
        if name in _FORMATTING or name in _CLOSED_BY_OTHERS:
            continue
        if not tag[1]:
            open_.append(name)
            counts[name] = counts.get(name, 0) + 1
        elif counts.get(name):
            while True:
                closed = open_.pop()
                counts[closed] -= 1
                if closed == name:
                    break
        if len(open_) > MAX_DEPTH:
            return True
    return False


class _Formatting:
    """The open formatting elements, at most three alike."""

    def __init__(self) -> None:
        self.size = 0
        self._open: dict[str, list[str]] = {}
        self._alike: dict[tuple[str, str], int] = {}

    def open(self, name: str, attributes: str) -> None:
        alike = self._alike.get((name, attributes), 0)
        if alike < _ALIKE:
            self._alike[name, attributes] = alike + 1
            self._open.setdefault(name, []).append(attributes)
            self.size += 1

    def close(self, name: str) -> None:
        if self._open.get(name):
            self._alike[name, self._open[name].pop()] -= 1
            self.size -= 1
