"""Takes out comments, and tags with content that is not wikitext.

In: wikitext. Out: wikitext in which each of these is removed or replaced by a placeholder, and the texts
behind the placeholders.
"""

import html
import re

from data.sources.wikipedia.marks import BREAK, END, GONE, KEPT, LINE
from data.sources.wikipedia.names import DROPPED, FORMULAS, VERBATIM
from data.sources.wikipedia.sentences import is_joined

_OPAQUE = re.compile(
    rf"<!--|<({'|'.join(sorted({*VERBATIM, *FORMULAS, *DROPPED}))})(?![\w-])"
    r"""([^<>"]*+(?:"[^">\n]{0,200}+"?[^<>"]*+)*+)>""",  # a quoted value may hold a `<`
    re.IGNORECASE,
)
_NOWIKI, _NOWIKI_END = re.compile("</?nowiki>", re.IGNORECASE), re.compile("</nowiki>", re.IGNORECASE)
_NEAR = 8  # characters that may hold the marks of a link or of italics, and one letter
_NUMBER = re.compile(r"[-+−–]?\d+")
_PLACE = re.compile(rf"{KEPT}(\d+){END}")


def without_opaque(text: str, verbatim: list[str]) -> str:
    pieces, place, ends = [], 0, _Ends(text)
    while found := _OPAQUE.search(text, place):
        begin, after = found.span()
        pieces += [text[place:begin]] if begin > place else []
        name = (found[1] or "").lower()
        if not name:
            end = ends.find("-->", after)
            place = len(text) if end is None else end[1]  # as in MediaWiki, it ends with the page
            # A comment alone on its line is removed with the line.
            if end and text[place : place + 1] == "\n" and (begin == 0 or text[begin - 1] == "\n"):
                place += 1
            continue
        closing = None if found[2].endswith("/") else ends.find(rf"</\s*+{name}\s*>", after)
        place = after if closing is None else closing[1]
        content = "" if closing is None else _content(name, text[after : closing[0]])
        if content and name == "nowiki" and _NUMBER.fullmatch(content):
            pieces.append(content)  # so that it can be a power: 10<sup><nowiki>6</nowiki></sup>
        elif content:
            place_holder = f"{KEPT}{len(verbatim)}{END}"
            pieces.append(_on_lines(place_holder, text, begin, place) if _is_block(found) else place_holder)
            verbatim.append(content)
        elif closing is None and name == "ref" and not found[2].endswith("/"):
            pieces.append(GONE)  # it never ends
        elif name == "ref" and pieces and is_joined(pieces[-1], text[place : place + _NEAR]):
            pieces.append(" ")
        elif name == "nowiki" or "'" in (text[begin - 1 : begin], text[place : place + 1]):
            pieces.append(BREAK)
    pieces.append(text[place:])
    return "".join(pieces)


def _is_block(tag: re.Match[str]) -> bool:
    """Whether a tag's content is shown on lines of its own."""
    is_code = tag[1].lower() in ("pre", "syntaxhighlight", "source")
    return is_code and not re.search(r"\binline\b|enclose\s*=\s*[\"']?none", tag[2], re.IGNORECASE)


def _on_lines(shown: str, text: str, begin: int, end: int) -> str:
    """The text with line breaks where [begin, end) neither begins nor ends a line."""
    before = LINE if begin and text[begin - 1] != "\n" else ""
    return before + shown + (LINE if end < len(text) and text[end] != "\n" else "")


def _content(name: str, content: str) -> str:
    """The text to keep of a tag's content."""
    if name in FORMULAS:
        content = content.replace("{{=}}", "=").replace("{{!}}", "|")
        return f"${' '.join(content.split())}$" if content.strip() else ""
    if name not in VERBATIM:
        return ""
    content = content if name == "nowiki" else content.strip("\n")
    if name == "pre" and _NOWIKI_END.search(content):
        content = _NOWIKI.sub("", content).strip("\n")
    return html.unescape(content) if "&" in content and name in ("nowiki", "pre") else content


class _Ends:
    """Finds the next closing tag of each kind, searching each part of the text once per kind."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next: dict[str, tuple[int, int] | None] = {}

    def find(self, pattern: str, place: int) -> tuple[int, int] | None:
        if pattern in self._next:
            known = self._next[pattern]
            if known is None or known[0] >= place:
                return known
        found = re.compile(pattern, re.IGNORECASE).search(self._text, place)
        self._next[pattern] = found.span() if found else None
        return self._next[pattern]


def restored(text: str, verbatim: list[str]) -> str:
    """The text with each placeholder replaced by its text."""
    return _PLACE.sub(lambda found: verbatim[int(found[1])], text) if verbatim else text
