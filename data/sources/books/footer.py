"""Where a book of Project Gutenberg ends."""

import re

from data.sources.books.marks import (
    ABOUT_FILE,
    END,
    FILE_NAME,
    LAST_LINE,
    LICENSE,
    MOVED,
    SHORT,
    SMALL_PRINT_END,
    SMALL_PRINT_START,
)
from data.sources.books.notes import PARAGRAPH_END

_MAY_END = re.compile(r"\*\s*(?i:END\s+OF\s)")  # far faster to search a book for than END


def end_mark(text: str, start: int) -> re.Match | None:
    """The first END mark from `start` on."""
    near = _MAY_END.search(text, start)
    return END.search(text, max(start, text.rfind("\n", 0, near.start()) + 1)) if near else None


def last_stop(text: str, start: int, tail: int, end: int) -> int:
    """Where the book that begins at `start` ends: at `End of Project Gutenberg's …` or a license.

    These count only in the last `tail` characters, because combined volumes keep such lines in between.
    """
    near = max(start, end - tail)
    near = text.rfind("\n", start, near) + 1 or near
    stops = [
        mark.start()
        for each in (END, LICENSE, MOVED, SMALL_PRINT_START, SMALL_PRINT_END, FILE_NAME)
        if (mark := each.search(text, near, end))
    ]
    end = min(stops, default=end)
    for line in LAST_LINE.finditer(text, near, end):
        if not _is_book(text[line.end() : end]):
            return line.start()
    return end


def _is_book(text: str) -> bool:
    """Whether the book continues here, so that the line above was one of its sentences."""
    paragraphs = [part.strip() for part in PARAGRAPH_END.split(text) if part.strip()]
    own = [part for part in paragraphs if not ABOUT_FILE.search(part) and any(map(str.isalpha, part))]
    return sum(map(len, own)) > SHORT
