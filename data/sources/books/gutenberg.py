"""Separates a Project Gutenberg text into the book and the facts in its header.

In: a whole file as text, with any of the headers and footers that Gutenberg has put around its books
since 1991, or with none. Out: a `Book`. Marks at the starts of lines show where the book begins and
ends; a text without any is the user's own and is kept in full.
"""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from data.sources.books import australia, canada
from data.sources.books.footer import end_mark, last_stop
from data.sources.books.header import after_mark, facts, header_end
from data.sources.books.marks import HEAD, START, TAIL
from data.sources.books.notes import without_makers
from data.sources.books.volumes import further_books

_COPYRIGHTED = re.compile(
    r"\bCOPYRIGHTED\W+PROJECT\s+GUTENBERG|SMALL PRINT!\W*FOR COPYRIGHT PROTECTED", re.IGNORECASE
)
_TAGS = ("<pre>", "</pre>")  # left from a web page
_TAGS_ABOVE = re.compile(r"(?:\s*+</?pre>[ \t]*+\n)++")
_MOST_TAGS = 4  # below a book


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
        known = {name: fact for name, fact in facts(header).items() if name != "number"}
        return Book(without_makers(body), True, is_canadian=True, **known)
    first, *others = [
        _open(text[start:stop]) for start, stop in pairwise((0, *further_books(text), len(text)))
    ]
    if not others:
        return first
    texts = filter(None, (one.text for one in (first, *others)))
    is_copyrighted = any(one.copyrighted for one in (first, *others))
    return replace(first, text="\n\n\n".join(texts), is_gutenberg=True, copyrighted=is_copyrighted)


def _open(text: str) -> Book:
    """One book, or several with an END mark between them."""
    begin = header_end(text)
    start, pieces = begin or 0, []
    ended = False
    while end := end_mark(text, start):
        ended = True
        pieces.append(text[start : last_stop(text, start, 1500, end.start())])
        following = START.search(text, end.end())  # another complete book below it
        if following is None:
            break
        start = after_mark(text, following)
    else:
        stop = last_stop(text, start, TAIL, len(text))
        ended = ended or stop < len(text)
        pieces.append(text[start:stop])
    if begin is None and not ended:
        return Book(text, False)
    header = text[: begin or HEAD // 5]
    is_australian = begin is not None and australia.is_named(header)
    if is_australian:
        pieces = [australia.without_end(piece) for piece in pieces]
    return Book(
        "\n\n\n".join(filter(None, (without_makers(_without_tags(piece)) for piece in pieces))),
        True,
        is_australian=is_australian,
        copyrighted=bool(_COPYRIGHTED.search(header) or _COPYRIGHTED.search(text, max(0, len(text) - TAIL))),
        **facts(header),
    )


def _without_tags(text: str) -> str:
    """The book without lines above and below it that hold nothing but a tag."""
    above = _TAGS_ABOVE.match(text)
    text = text[above.end() :] if above else text
    for _ in range(_MOST_TAGS):
        kept, _, last = text.rstrip().rpartition("\n")
        if last.strip() not in _TAGS:
            break
        text = kept
    return text
