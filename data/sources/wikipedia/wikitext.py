"""Wikitext to prose: title, headings, lists and paragraphs stay; other markup is removed (docs/recipe.md §2).

In: a page's wikitext and its site's namespaces. Out: plain text. Comments and tags whose content is not
wikitext are taken out first (opaque.py); one pass then reads the marks (page.py); last come characters and
lines (lines.py). mwparserfromhell is the tests' oracle.

Choices: formulas stay as `$LaTeX$`, code unchanged, list items as `- ` and `1. `, headings as bare lines;
only the listed templates leave text; tables, galleries, references and captions are dropped; a no-break space
becomes a space.
"""

import html
import re

from data.sources.wikipedia.lines import plain, split_lines, without_gaps
from data.sources.wikipedia.names import Namespaces
from data.sources.wikipedia.opaque import restored, without_opaque
from data.sources.wikipedia.page import Page

__all__ = ["Namespaces", "wikitext_to_text"]

_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32)])
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")
_ENTITY = re.compile(r"&(?:#\d{1,8}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")


def wikitext_to_text(source: str, title: str = "", namespaces: Namespaces | None = None) -> str:
    """A page as plain text, its title above it; "" if it holds no text at all."""
    verbatim: list[str] = []
    text = source.replace("\r\n", "\n").translate(_CONTROLS) if _has_controls(source) else source
    text = without_opaque(text, verbatim)
    text = Page(title, namespaces or Namespaces()).read(text)
    text = without_gaps(plain(text)).replace("&nbsp;", " ")
    lines = split_lines(text)
    if not lines:
        return ""
    text = "\n".join([title, "", *lines] if title else lines)
    # an entity is decoded last, so that what it stands for is never taken for markup
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text
    text = restored(text, verbatim)
    return text.replace("\xa0", " ").strip("\n")


def _has_controls(text: str) -> bool:
    return not text.isprintable() and _CONTROL.search(text) is not None
