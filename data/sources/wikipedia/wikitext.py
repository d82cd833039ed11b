"""Wikitext to prose: keeps title, headings, lists and paragraphs; removes other markup (docs/recipe.md §2).

In: a page's wikitext and its site's namespaces. Out: plain text. First, comments and tags whose content is
not wikitext are taken out (opaque.py); then one pass reads the marks (page.py); characters and lines come
last (lines.py). The tests compare with mwparserfromhell.

Choices: formulas become `$LaTeX$`, code is unchanged, list items become `- ` and `1. `, headings bare lines;
only the listed templates leave text; tables, galleries, references and captions are dropped; a no-break space
becomes a space.
"""

import html
import re
from html.entities import html5

from data.sources.wikipedia import scripts, variants
from data.sources.wikipedia.lines import split_lines, without_gaps
from data.sources.wikipedia.marks import LINE, without_marks
from data.sources.wikipedia.names import MAGIC_WORDS, Namespaces
from data.sources.wikipedia.opaque import restored, without_opaque
from data.sources.wikipedia.page import Page
from data.sources.wikipedia.quotes import without_quotes
from data.sources.wikipedia.templates import Templates

__all__ = ["Namespaces", "wikitext_to_text"]

_TWO_SCRIPTS = ("sr",)  # the paper's only language in two scripts
_MAGIC = re.compile(r"__([^\W\d_]{2,40}(?:_[^\W\d_]{1,40}){0,4})__")
_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32)])
# Where a word may be broken, the direction of writing, the order of bytes.
_INVISIBLE = ("\xad", "\u200b", "\u2060", "\u200e", "\u200f", "\ufeff")
_CONTROL = [chr(code) for code in (*range(9), *range(11, 32))]
_ENTITY = re.compile(r"&(?:#\d{1,8}|#[xX][0-9a-fA-F]{1,8}|[a-zA-Z][a-zA-Z0-9]{1,31});")


def wikitext_to_text(
    source: str, title: str = "", namespaces: Namespaces | None = None, language: str = ""
) -> str:
    """A page as plain text below its title; "" if it has no text. `language` is that of its Wikipedia."""
    verbatim: list[str] = []
    text = source.replace("\r\n", "\n").translate(_CONTROLS) if _has_controls(source) else source
    text = without_opaque(text, verbatim)
    has_variants = language in _TWO_SCRIPTS
    page = Page(title, namespaces or Namespaces(), Templates(language), has_variants)
    text = scripts.resolved(page.read(text))
    if has_variants:
        text = variants.converted(text)
    text = without_quotes(_without_magic(text)).replace(LINE, "\n")
    text = text.replace("&nbsp;", " ").replace("&nbsp", " ")  # also without its semicolon
    text = without_gaps(text)
    lines = split_lines(text)
    if not lines:
        return ""
    text = "\n".join([title, "", *lines] if title else lines)
    # Entities are decoded last, so that their characters never act as markup.
    text = _ENTITY.sub(_character, text) if "&" in text else text
    text = restored(without_marks(text), verbatim)
    for character in _INVISIBLE:
        text = text.replace(character, "")
    return text.replace("\xa0", " ").strip("\n")


def _character(entity: re.Match[str]) -> str:
    """An entity's characters. Its whole name must be known; in HTML, a known beginning would be enough."""
    named = entity[0][1:]
    return html.unescape(entity[0]) if named[0] == "#" or named in html5 else entity[0]


def _without_magic(text: str) -> str:
    """The text without __NOTOC__ and the like."""
    return _MAGIC.sub(_magic, text) if "__" in text else text


def _magic(found: re.Match[str]) -> str:
    """Nothing, or the word itself if it is none of MediaWiki's: __FILE__."""
    is_magic = found[1].lower() in MAGIC_WORDS or (found[1].isupper() and not found[1].isascii())
    return "" if is_magic else found[0]


def _has_controls(text: str) -> bool:
    return any([control in text for control in _CONTROL])  # six times as fast as one pattern
