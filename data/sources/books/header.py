"""Where Project Gutenberg's header ends, and the facts in it.

Since 1991 headers have ended with a START mark, with the small print, or with neither.
"""

import re
from typing import Any

from data.sources.books import australia
from data.sources.books.editions import edition
from data.sources.books.marks import (
    ABOUT_FILE,
    END,
    ENDS,
    HEAD,
    LICENSE,
    SHORT,
    SMALL_PRINT_END,
    SMALL_PRINT_START,
    START,
    TAIL,
    TWICE,
)
from data.sources.books.notes import GUTENBERG, PARAGRAPH_END

_TITLE_ROWS = 9  # most lines of a mark's title after its first
_GAP = 3000  # most characters of a header between two paragraphs that name the file

_HEADER_PARAGRAPH = re.compile(
    r"\s*+(?:this\s+e-?(?:book|text)\s+is\s+for\s+the\s+use\s+of\b"
    r"|(?:title|author|editor|translator|illustrator|(?:release|posting)\s+date|language|credits|edition"
    r"|most recently updated|last updated|original publication|character\s+set\s+encoding):\s)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\be-?(?:book|text)\s*(?:#|no\.?|number)\s*(\d{1,6})\b", re.IGNORECASE)
_FIELD = r"^{}:[ \t]*(\S.*(?:\n[ \t]+\S.*)*)"
_FIELDS = {name: re.compile(_FIELD.format(name), re.MULTILINE) for name in ("Title", "Author", "Language")}
_FIRST_LINE = re.compile(
    r"project gutenberg(?:['’]s)?\s{1,9}(?:e-?(?:text|book),?\s{1,9}of\s{1,9})?"
    r"(?P<title>\S.{0,200}?),?\s{1,9}by\s{1,9}(?P<author>\S.{0,200})",
    re.IGNORECASE,
)
# A file without a START mark is Gutenberg's if it begins like this; your own book may mention it too.
_TITLE_LINE = re.compile(
    r"\W{0,40}(?:(?:this\s+is\s+)?the\s+)?project\s+gutenberg(?:['’]s)?\s+"
    r"(?:e-?(?:text|book),?\s+(?:of|entitled)\s|[^.!?]{1,200},\s+by\s+[^\n]{2,80}(?:\n|\Z))",
    re.IGNORECASE,
)
_CREDITED = re.compile(
    r"\W{0,40}(?:produced|prepared|transcribed)\b[^\n]{0,60}\s(?:by|from)\b", re.IGNORECASE
)


def header_end(text: str) -> int | None:
    """Where the book begins below its header; None if the text has no header."""
    if (end := _below_mark(text)) is not None or (end := _below_small_print(text)) is not None:
        return end
    top = _top(text)
    if australia.is_named(top):
        return australia.header_end(text)
    return _below_paragraphs(text) if _is_header(text, top) else None


def _below_mark(text: str) -> int | None:
    mark = START.search(text, 0, HEAD)
    if mark is None:
        return None
    start = after_mark(text, mark)
    end = END.search(text, start, start + TWICE)
    while again := START.search(text, start, end.start() if end else start + TWICE):
        start = after_mark(text, again)  # the mark occurs twice
    return start


def _below_small_print(text: str) -> int | None:
    end = SMALL_PRINT_END.search(text, 0, HEAD)
    if end is None or END.search(text, 0, end.start()):
        return None
    is_last = len(text) - end.end() <= SHORT and SMALL_PRINT_START.search(text, 1, end.start())
    return None if is_last else end.end()


def _top(text: str) -> str:
    """The first paragraph."""
    return text[:1000].lstrip("\ufeff \n").split("\n\n", 1)[0]


def _is_header(text: str, top: str) -> bool:
    """Whether a first paragraph without marks below it is a header's, not a book's that names the project."""
    if not GUTENBERG.search(top) or END.match(top) or LICENSE.match(top):
        return False
    tail = max(0, len(text) - TAIL)
    has_end = any(mark.search(text, tail) for mark in (*ENDS, SMALL_PRINT_START))
    return has_end or bool(_TITLE_LINE.match(top) or _CREDITED.match(top))


def _below_paragraphs(text: str) -> int:
    """The end of the paragraphs about the file at its top."""
    head = text[: HEAD // 5]
    ends = [mark.start() for each in (*ENDS, SMALL_PRINT_START) if (mark := each.search(head))]
    head = head[: min(ends, default=None)]
    starts, place = [0], 0
    is_header = True  # whether everything above belongs to it
    for paragraph in PARAGRAPH_END.split(head):
        place = text.index(paragraph, place) + len(paragraph)
        if place - len(paragraph) - starts[-1] > _GAP:
            break
        is_header = is_header and (not paragraph.strip() or _HEADER_PARAGRAPH.match(paragraph) is not None)
        if is_header or ABOUT_FILE.search(paragraph):
            is_header = True
            starts.append(place)
    # A paragraph with no book below it is the file's last.
    return next((start for start in reversed(starts) if len(text[start:].strip()) > SHORT), starts[-1])


def after_mark(text: str, mark: re.Match) -> int:
    """The end of a mark; its title may span several lines before the closing asterisks."""
    end = mark.end()
    if mark[0].rstrip().endswith("*"):
        return end
    for line in text[end + 1 : end + 1000].split("\n")[:_TITLE_ROWS]:
        end += 1 + len(line)
        if not line.strip():
            break
        if line.rstrip().endswith("***"):
            return end
    return mark.end()


def facts(header: str) -> dict[str, Any]:
    """Number, title, author and language, if the header has them."""
    known: dict[str, Any] = {
        name.lower(): _line(found[1]) for name, mark in _FIELDS.items() if (found := mark.search(header))
    }
    number = _NUMBER.search(header)
    if number:
        known["number"] = int(number[1])
    if "title" not in known:
        top = _FIRST_LINE.search(_line(_top(header)))
        if top:
            known |= {"title": top["title"].strip("* "), "author": top["author"].strip("* ")} | known
    return known | edition(header)


def _line(text: str) -> str:
    return " ".join(text.split())
