"""Project Gutenberg Australia's books, which lack START and END marks.

A header ends at its rule, with perhaps its own title lines below that; without a rule, it ends above the
first paragraph that is not about the file.
"""

import re

from data.sources.books.marks import FLAGS, HEAD
from data.sources.books.notes import PARAGRAPH_END

_BANNER = 4000  # most characters of a header
_SITE = re.compile(r"project\s+gutenberg\s+(?:of\s+)?australia|gutenberg\.net\.au", re.IGNORECASE)
_CONTACT = re.compile(r"\bto contact\b|\bgo to\b|\bcreated from\b|\blicen[cs]e\b", re.IGNORECASE)
_ABOUT_FILE = re.compile(r"gutenberg|\be-?(?:book|text)s?\b|\bcopyright\b|^(?:title|author):", FLAGS)
_CLOSING_LINE = re.compile(
    r"(?:this site is full of free e-?books|project gutenberg (?:of )?australia)\b.*", re.IGNORECASE
)
_RULE = re.compile(r"^[ \t]*+[-=_*]{20,}[ \t]*+$", re.MULTILINE)
_TITLE_LINES = re.compile(
    r"\s*+(?:\**\s*+A\s+Project\s+Gutenberg\s+of\s+Australia\s+e-?book[^\n]*\n\s*+)?"
    r"(?:(?:(?:Title|Author|Translator|Editor|Language|Edition|Date[ \w]{0,30}|e-?Book[ \w]{0,12})\.?:"
    r"|\*\s*A\s+Project\s+Gutenberg\s+of\s+Australia)[^\n]*\n\s*+){0,12}",
    re.IGNORECASE,
)


def is_named(text: str) -> bool:
    """Whether the text names the site."""
    return _SITE.search(text) is not None


def header_end(text: str) -> int:
    """Where a header that names the site ends."""
    rule = _RULE.search(text, 0, HEAD // 5)
    if rule:
        titles = _TITLE_LINES.match(text, rule.end())
        return titles.end() if titles else rule.end()
    titles = _TITLE_LINES.match(text, len(text) - len(text.lstrip("\ufeff \n")))
    end = place = 0
    is_above = True  # whether all paragraphs so far are about the file
    for paragraph in PARAGRAPH_END.split(text[: HEAD // 5]):
        place = text.index(paragraph, place) + len(paragraph)
        is_above = is_above and (not paragraph.strip() or _ABOUT_FILE.search(paragraph) is not None)
        # The site's own lines, such as a list of links, may be among them.
        if is_above or (place < _BANNER and _SITE.search(paragraph) and _CONTACT.search(paragraph)):
            end = place
    return max(end, titles.end() if titles else 0)


def without_end(text: str) -> str:
    """The text without the lines below the book about the site."""
    text = text.rstrip()
    while _CLOSING_LINE.fullmatch(text[text.rfind("\n") + 1 :].strip()):
        text = text[: text.rfind("\n") + 1].rstrip()
    return text
