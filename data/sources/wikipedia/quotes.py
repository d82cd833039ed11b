"""Removes bold and italic marks by MediaWiki's rule for apostrophes (Parser::doQuotes).

Two apostrophes mark italics, three bold, five both. Of four, the first is text; of more than five, all but
the last five are text. If a line has odd numbers of both marks, one bold mark is read as an apostrophe and an
italic mark: the first after a single letter, else the first after a word, else the first after a space.
Source: https://www.mediawiki.org/wiki/Markup_spec and includes/parser/Parser.php of MediaWiki.
"""

import re

_RUN = re.compile(r"''+")


def without_quotes(text: str) -> str:
    """The text without bold and italic marks, line by line."""
    pieces, place = [], 0
    while (mark := text.find("''", place)) >= 0:
        begin = text.rfind("\n", place, mark) + 1 or place
        end = text.find("\n", mark)
        end = len(text) if end < 0 else end
        pieces += [text[place:begin], line_without_quotes(text[begin:end])]
        place = end
    return "".join(pieces) + text[place:]


def line_without_quotes(line: str) -> str:
    """One line (or one link's label) without bold and italic marks."""
    runs = [found.span() for found in _RUN.finditer(line)]
    lengths = [_mark(end - begin) for begin, end in runs]
    misread = -1
    if (lengths.count(3) + lengths.count(5)) % 2 and (lengths.count(2) + lengths.count(5)) % 2:
        misread = _misread(line, runs, lengths)
    pieces, place = [], 0
    for number, (begin, end) in enumerate(runs):
        shown = end - begin - lengths[number] + (number == misread)
        pieces.append(line[place : begin + shown])
        place = end
    return "".join(pieces) + line[place:]


def _mark(length: int) -> int:
    """How many of `length` apostrophes form the mark."""
    return 3 if length == 4 else min(length, 5)


def _misread(line: str, runs: list[tuple[int, int]], lengths: list[int]) -> int:
    """The bold mark to read as an apostrophe and an italic mark; -1 if no mark is bold."""
    word = space = -1
    for number, (_, end) in enumerate(runs):
        if lengths[number] != 3:
            continue
        start = runs[number - 1][1] if number else 0
        before = line[start : end - 3]  # including apostrophes of this run that are text
        if before.endswith(" "):
            space = number if space < 0 else space
        elif _one_byte_word(before):
            return number
        elif word < 0:
            word = number
    return word if word >= 0 else space


def _one_byte_word(before: str) -> bool:
    """Whether the text ends in a space and one letter; MediaWiki counts bytes, so it must be ASCII."""
    return before[-2:-1] == " " and before[-1].isascii()
