"""Separates a Project Gutenberg text into the book and the facts in its header.

In: a whole file as text, with any of the headers and footers that Gutenberg has put around its books
since 1991, or with none. Out: a `Book`. Marks at the starts of lines show where the book begins and
ends; a text without any is the user's own and is kept in full.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from data.sources.books import canada
from data.sources.books.editions import edition
from data.sources.books.notes import GUTENBERG, PARAGRAPH_END, without_makers

HEAD = 100_000  # a header ends within this many characters; one with two small prints takes 30,000
TAIL = 30_000  # the license and the small print take 20,000
_TITLE_ROWS = 9  # most lines of a mark's title after its first
_GAP = 3000  # most characters of a header between two paragraphs that name the file
_TWICE = 5000  # marks this close to each other belong to one header
SHORT = 200  # small print with fewer characters than this after it is at the end of the file

_FLAGS = re.MULTILINE | re.IGNORECASE
# Line ends and no-break spaces may part the words, and some tools escape the asterisks.
_STARS = r"^[ \t\xa0>_]*+(?:\\?\*){2,}+[ \t\xa0]*+(?:\n[ \t\xa0]*+)?"
_GUTENBERG_BOOK = r"\s+OF\s+(?:(?:THE|THIS)\s+)?(?:COPYRIGHTED\s+)?PROJECT\s+GUTENBERG.*"
_START = re.compile(rf"{_STARS}(?:START|BEGINNING){_GUTENBERG_BOOK}", _FLAGS)
_END = re.compile(rf"{_STARS}END{_GUTENBERG_BOOK}", _FLAGS)
_MAY_END = re.compile(r"\*\s*(?i:END\s+OF\s)")  # far faster to search a book for
_SMALL_PRINT_END = re.compile(r"^[ \t]*\*+[ \t]*END[ *]+THE SMALL PRINT.*", _FLAGS)
_LAST_LINE = re.compile(
    r"^[ \t]*(?:this is |here )?(?:the )?(?:ends?|ende|fin|fim|fine|einde|slutt?(?:et)?|koniec|konec)\b"
    r"[ \w'’]{0,25}?"
    r"\s(?:(?:proje[ck]t\w{0,3}|pro[yj]ecto|progetto|projeto|projet|projekt) gutenb[eu]rg?s?|e-?texte?s?\b).*"
    r"|^[ \t]*(?:an? )?project gutenberg[^\n]{0,200}\s(?:loppu|vége)[\W_]*$",
    _FLAGS,
)
_LICENSE = re.compile(
    r"^[ \t]*(?:\*+[ \t]*START: FULL LICENSE|THE FULL PROJECT GUTENBERG\W{0,4}(?:tm )?LICENSE"
    r"|Updated editions will replace the previous one\s?(?:--|[—–])\s?the old"
    r"|Section 1\. +General Terms of Use and Redistributing Project Gutenberg"
    r"|Information about Project Gutenberg \(one page\)"
    r"|More information about this book is at the top of this file\.)",
    _FLAGS,
)
# What a header of 2001 to 2003 moved to the end, above the small print.
_MOVED = re.compile(
    r"^Project Gutenberg e-?(?:text|book)s are (?:usually|often) created from"
    r"|^We are now trying to release all our e-?(?:text|book)s"
    r"|^Please note:? neither this (?:listing|list) nor its contents are final",
    _FLAGS,
)
_ENDS = (_END, _LAST_LINE, _LICENSE)
# The first line of a header, in a file of several books.
_TITLE = re.compile(
    r"P(?:roject|ROJECT) G(?:utenberg|UTENBERG)"
    r"(?:['’][sS]\b|(?:\s+\w+)?\s+[eE]-?(?:[tT]ext|[bB]ook|TEXT|BOOK)\b)"
)
_MARGIN = 80  # most characters left of a title in its line
_RELEASE_LINES = 2000  # a header has its date within this many characters
_TITLE_MARGIN = re.compile(r"[\W_]*(?:(?:This\s+is\s+)?(?:The|the|THE)\s+)?")
_RELEASED = re.compile(r"\[e-?(?:text|book)\s*#\s*\d|^release\s+date:", _FLAGS)
_ABOUT_FILE = re.compile(r"project\s+gutenberg|\be-?texts?\b|small print", re.IGNORECASE)

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
_COPYRIGHTED = re.compile(
    r"\bCOPYRIGHTED\W+PROJECT\s+GUTENBERG|SMALL PRINT!\W*FOR COPYRIGHT PROTECTED", re.IGNORECASE
)

_CREDITED = re.compile(
    r"\W{0,40}(?:produced|prepared|transcribed)\b[^\n]{0,60}\s(?:by|from)\b", re.IGNORECASE
)
# Project Gutenberg Australia's header ends at its rule, with perhaps its own title lines after that; without
# a rule, it ends above the first paragraph that is not about the file.
_AUSTRALIA = re.compile(r"project\s+gutenberg\s+(?:of\s+)?australia|gutenberg\.net\.au", re.IGNORECASE)
_BANNER = 4000  # most characters of its header
_CONTACT = re.compile(r"\bto contact\b|\bgo to\b|\bcreated from\b|\blicen[cs]e\b", re.IGNORECASE)
_OF_AUSTRALIA = re.compile(r"gutenberg|\be-?(?:book|text)s?\b|\bcopyright\b|^(?:title|author):", _FLAGS)
_AUSTRALIAN_LINE = re.compile(
    r"(?:this site is full of free e-?books|project gutenberg (?:of )?australia)\b.*", re.IGNORECASE
)
_RULE = re.compile(r"^[ \t]*+[-=_*]{20,}[ \t]*+$", re.MULTILINE)
_TITLE_LINES = re.compile(
    r"\s*+(?:\**\s*+A\s+Project\s+Gutenberg\s+of\s+Australia\s+e-?book[^\n]*\n\s*+)?"
    r"(?:(?:(?:Title|Author|Translator|Editor|Language|Edition|Date[ \w]{0,30}|e-?Book[ \w]{0,12})\.?:"
    r"|\*\s*A\s+Project\s+Gutenberg\s+of\s+Australia)[^\n]*\n\s*+){0,12}",
    re.IGNORECASE,
)
_SMALL_PRINT_START = re.compile(r"^[ \t]*+\**+(?:START)?+[ *]*+THE (?:LEGAL )?SMALL PRINT", _FLAGS)
_FILE_NAME = re.compile(r"^[ \t]*+\*{3,}+[ \t]*+This file should be named ", _FLAGS)


@dataclass(frozen=True)
class Book:
    """A book without Gutenberg's header and footer, and the facts from them."""

    text: str
    is_gutenberg: bool  # whether it had any of the marks
    number: int | None = None
    title: str = ""
    author: str = ""
    language: str = ""
    copyrighted: bool = False
    is_australian: bool = False  # from Project Gutenberg Australia, under that country's law
    is_canadian: bool = False  # from Faded Page or Project Gutenberg Canada, under that country's law
    released: str = ""  # the edition's date, YYYY-MM or YYYY-MM-DD
    edition: int | None = None


def open_book(text: str) -> Book:
    """The book in a file with lines that end in `\\n`; its text is empty if there is only a license."""
    if canadian := canada.split(text):
        body, header = canadian
        facts = {name: fact for name, fact in _facts(header).items() if name != "number"}
        return Book(without_makers(body), True, is_canadian=True, **facts)
    first, *others = [
        _open(text[start:stop]) for start, stop in pairwise((0, *_begun_again(text), len(text)))
    ]
    if not others:
        return first
    texts = filter(None, (one.text for one in (first, *others)))
    is_copyrighted = any(one.copyrighted for one in (first, *others))
    return replace(first, text="\n\n\n".join(texts), is_gutenberg=True, copyrighted=is_copyrighted)


def _begun_again(text: str) -> list[int]:
    """Where further books begin in a file of several: at first lines of headers below another book."""
    titles = _titles(text)
    if not any(titles):
        return []
    starts, small_prints, released = (_places(text, mark) for mark in (_START, _SMALL_PRINT_END, _RELEASED))
    ends, names = _places(text, *_ENDS), _places(text, _FILE_NAME)
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
        is_below_book = (mark is not None and place - mark[1] > _TWICE) or any(
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


def _open(text: str) -> Book:
    """One book, or several with an END mark between them."""
    top, begun = _start(text)
    start, pieces, ended = top, [], False
    while end := _end_mark(text, start):
        ended = True
        pieces.append(text[start : _last_stop(text, start, 1500, end.start())])
        following = _START.search(text, end.end())  # another complete book below it
        if following is None:
            break
        start = _after_mark(text, following)
    else:
        stop = _last_stop(text, start, TAIL, len(text))
        ended = ended or stop < len(text)
        pieces.append(text[start:stop])
    if not (begun or ended):
        return Book(text, False)
    header = text[: top or HEAD // 5]
    is_australian = begun and _AUSTRALIA.search(header) is not None
    if is_australian:
        pieces = [_without_australian_end(piece) for piece in pieces]
    return Book(
        "\n\n\n".join(filter(None, map(without_makers, pieces))),
        True,
        is_australian=is_australian,
        copyrighted=bool(_COPYRIGHTED.search(header) or _COPYRIGHTED.search(text, max(0, len(text) - TAIL))),
        **_facts(header),
    )


def _end_mark(text: str, start: int) -> re.Match | None:
    """The first END mark from `start` on."""
    near = _MAY_END.search(text, start)
    return _END.search(text, max(start, text.rfind("\n", 0, near.start()) + 1)) if near else None


def _start(text: str) -> tuple[int, bool]:
    """Where the header ends, and whether it has one."""
    mark = _START.search(text, 0, HEAD)
    if mark:
        start = _after_mark(text, mark)
        end = _END.search(text, start, start + _TWICE)
        while again := _START.search(text, start, end.start() if end else start + _TWICE):
            start = _after_mark(text, again)  # the mark occurs twice
        return start, True
    small_print = _SMALL_PRINT_END.search(text, 0, HEAD)
    is_above = small_print and (
        len(text) - small_print.end() > SHORT or not _SMALL_PRINT_START.search(text, 1, small_print.start())
    )
    if small_print and is_above and not _END.search(text, 0, small_print.start()):
        return small_print.end(), True
    top = text[:1000].lstrip("\ufeff \n").split("\n\n", 1)[0]
    if _AUSTRALIA.search(top):
        rule = _RULE.search(text, 0, HEAD // 5)
        titles = _TITLE_LINES.match(text, rule.end() if rule else len(text) - len(text.lstrip("\ufeff \n")))
        if rule:
            return titles.end() if titles else rule.end(), True
        end = place = 0
        is_above = True  # whether all paragraphs so far are about the file
        for paragraph in PARAGRAPH_END.split(text[: HEAD // 5]):
            place = text.index(paragraph, place) + len(paragraph)
            is_above = is_above and (not paragraph.strip() or _OF_AUSTRALIA.search(paragraph) is not None)
            # The site's own lines, such as a list of links, may be among them.
            if is_above or (place < _BANNER and _AUSTRALIA.search(paragraph) and _CONTACT.search(paragraph)):
                end = place
        return max(end, titles.end() if titles else 0), True
    if not GUTENBERG.search(top) or _END.match(top) or _LICENSE.match(top):
        return 0, False
    marks = (*_ENDS, _SMALL_PRINT_START)
    ends = any(mark.search(text, max(0, len(text) - TAIL)) for mark in marks)
    if not (ends or _TITLE_LINE.match(top) or _CREDITED.match(top)):
        return 0, False
    head = text[: HEAD // 5]
    head = head[: min([mark.start() for each in marks if (mark := each.search(head))], default=None)]
    starts, place = [0], 0
    is_header = True  # whether everything above belongs to it
    for paragraph in PARAGRAPH_END.split(head):
        place = text.index(paragraph, place) + len(paragraph)
        if place - len(paragraph) - starts[-1] > _GAP:
            break
        is_header = is_header and (not paragraph.strip() or _HEADER_PARAGRAPH.match(paragraph) is not None)
        if is_header or _ABOUT_FILE.search(paragraph):
            is_header = True
            starts.append(place)
    # A paragraph with no book below it is the file's last.
    return next((start for start in reversed(starts) if len(text[start:].strip()) > SHORT), starts[-1]), True


def _after_mark(text: str, mark: re.Match) -> int:
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


def _last_stop(text: str, start: int, tail: int, end: int) -> int:
    """Where the book that begins at `start` ends: at `End of Project Gutenberg's …` or a license.

    These count only in the last `tail` characters, because combined volumes keep such lines in between.
    """
    near = max(start, end - tail)
    near = text.rfind("\n", start, near) + 1 or near
    stops = [
        mark.start()
        for each in (_END, _LICENSE, _MOVED, _SMALL_PRINT_START, _SMALL_PRINT_END, _FILE_NAME)
        if (mark := each.search(text, near, end))
    ]
    end = min(stops, default=end)
    for line in _LAST_LINE.finditer(text, near, end):
        if not _is_book(text[line.end() : end]):
            return line.start()
    return end


def _without_australian_end(text: str) -> str:
    """The text without the lines below the book about Project Gutenberg Australia's site."""
    text = text.rstrip()
    while _AUSTRALIAN_LINE.fullmatch(text[text.rfind("\n") + 1 :].strip()):
        text = text[: text.rfind("\n") + 1].rstrip()
    return text


def _is_book(text: str) -> bool:
    """Whether the book continues here, so that the line above was one of its sentences."""
    paragraphs = [part.strip() for part in PARAGRAPH_END.split(text) if part.strip()]
    own = [part for part in paragraphs if not _ABOUT_FILE.search(part) and any(map(str.isalpha, part))]
    return sum(map(len, own)) > SHORT


def _facts(header: str) -> dict[str, Any]:
    """Number, title, author and language, if the header has them."""
    facts: dict[str, Any] = {
        name.lower(): _line(found[1]) for name, mark in _FIELDS.items() if (found := mark.search(header))
    }
    number = _NUMBER.search(header)
    if number:
        facts["number"] = int(number[1])
    if "title" not in facts:
        top = _FIRST_LINE.search(_line(header[:1000].lstrip("\ufeff \n").split("\n\n", 1)[0]))
        if top:
            facts |= {"title": top["title"].strip("* "), "author": top["author"].strip("* ")} | facts
    return facts | edition(header)


def _line(text: str) -> str:
    return " ".join(text.split())
