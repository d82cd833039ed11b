"""Removes the license notice from a source file's leading comments, and nothing else.

In: a source file's text. Out: the text without the sentences about copyright or license in the comments above
its first line of code, and those sentences. A comment that also describes the file keeps its description.
Shebangs, `#include` and Markdown titles are not comments.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from data.sources.github.comments import Comments

_FIRST_LINES = ("#!", "<?php", "<?xml", "<!doctype")
_DIRECTIVES = ("//go:", "// +build")  # comments that tools read as code
_DOCUMENTS = re.compile(r"!>|///|//!|#'|-- ?\|")  # line comments that document what follows
_PREAMBLE = re.compile(  # code that may come before the notice
    r"(?:package|module|namespace)\s[\w.:\\]+\s*;?$|(['\"])use strict\1;?$|#\s*pragma\s+once$"
    r"|declare\(strict_types|#\s*(?:end)?region\b|#\s*(?:ifndef|define)\s+\w+_H(?:PP|XX|H)?_*$|@charset\s|//go:|//\s\+build|\{-#"
)

# Of C#, and of TypeScript and Python within comments.
_EMPTY_REGION = re.compile(
    r"^[ \t]*(?://[ \t]*)?#[ \t]*region\b[^\n]*\n\s*(?://[ \t]*)?#[ \t]*endregion\b[^\n]*\n?", re.MULTILINE
)
# What tools read in a comment: it is code, even right below a notice.
_FOR_TOOLS = re.compile(
    r"(?:(?:en)?coding[ \t]*[:=]|vim?:|frozen_string_literal[ \t]*:|(?:end)?region(?:[ \t]+[A-Z]|$)"
    r"|(?:eslint|jshint|noqa|shellcheck|clang-format)\b|(?:pylint|flake8|rubocop|cython|distutils):"
    r"|@?ts-(?:check|nocheck|ignore)\b|@flow\b|type:[ \t]*ignore)"
)

# Sentences about a license or copyright.
_NOTICE = re.compile(
    r"(?i:copyright)[\s:]*(?:\(c\)|©|\(?\d{4}|(?i:by|the)\b|[A-Z@<{%])"
    r"|(?i:copyright\s+(?:holders?|owners?)\s+(?:and|or|nor|be|shall|give|disclaim|make)s?\b)"
    r"|(?:©|(?<!\w)\([cC]\)|&copy;)[\s:,]*(?:\d{4}|[A-Z])"
    r"|(?i:\b(?:all|no)\s+rights\s+(?:are\s+)?reserved|\bspdx-(?:license|file)|\bcopyleft\b"
    r"|[@\\](?:licen[cs]e|copyright|preserve)\b"
    r"|\b(?:re)?licen[cs]ed\s+(?:under|to|by|with|for|as|via)\b"
    r"|\b(?:under|governed\s+by)\s+(?:[\w.,'-]+\s+){0,6}(?:li[cs]en[cs]es?|terms)\b"
    r"|\b(?:subject|according|pursuant)\s+to\s+(?:[\w.,'-]+\s+){0,6}licen[cs]e\b"
    r"|\bsame\s+(?:licen[cs]e|terms)\s+(?:terms\s+)?as\b"
    r"|\b(?:mit|bsd|apache|gnu|[al]?gpl\w*|mozilla|public|isc|x11|expat|boost|zlib|software|source"
    r"|proprietary|general)"
    r"[\s-](?:style\s|\d[\s-]clause\s)?licen[cs]e\b|\b[al]?gpl ?v?[23]\b|\blppl\b|\bcc[\s-]by\b"
    r"|^(?:[^.]{0,60}\b(?:is|are)\s+)?(?:mit|bsd|apache)(?:[\s-][\d.]+)?[\s-]licen[cs]ed\b"
    r"|/usr/share/common-licenses\b|^licen[cs]e\s+at\s+your\s+option\b"
    r"|\bone\s+of\s+the\s+above[-\s]\w+\s+licen[cs]es\b|\bincludes\s+software\s+developed\s+(?:by|at)\b"
    r"|\b(?:full|complete)\s+(?:text\s+of\s+the\s+)?(?:[\w.-]+\s+){0,3}licen[cs]e(?:\s+text)?\s+(?:is|can|may)\b"
    r"|\breceived\s+a\s+copy\s+of\s+(?:the|both)\s+licen[cs]es?\b"
    r"|\b(?:see|read|refer\s+to)\s(?:[\w-]+\s){0,4}[`'\"]?(?:licen[cs]e|copying|copyright\s+for)\b"
    r"|\blicen[cs]e\s*[:=]|\blicen[cs]e\s+(?:(?:&|and)\s+)?(?:file|agreement|terms|text|header|information)\b"
    r"|\b(?:placed|put|released)\s+(?:in|into|to|under)\s+(?:the\s+)?public\s+domain\b|\b(?:begin|end)\s+(?:of\s+)?licen[cs]e\b"
    r"|^(?:this|the|all|it)\b.{0,120}\b(?:is|are|been)\s+(?:\w+\s+){0,2}(?:(?:in|to|into)\s+the\s+)?"
    r"(?<!\ba\s)public\s+domain\b|\bfoundation\s+licen[cs]e\b"
    r"|\bconditions\s+of\s+distribution\s+and\s+use\b|\busage\s+and\s+redistribution\b"
    r"|\bpermission\s+(?:is\s+(?:hereby\s+|not\s+)?granted|to\s+use,)|\bhereby\s+granted\b|\bis\s+free\s+software\b"
    r"|\bredistribut(?:e|ed|ions?)\b.{0,80}\b(?:source|binary|modif|terms|condition|permitted)"
    r"|\bneither\s+the\s+names?\b|\bendorse\s+or\s+promote\b|\b(?:above\s+copyright|permission)\s+notice\b"
    r"|\b(?:without|no)\s+(?:any\s+)?warrant|\bwarrant(?:y|ies)\s+(?:of|or)\b|\bexpress\s+or\s+implied\b"
    r"|[\"'`]as[\s-]is[\"'`]|\bliable\s+for\b|\bliability\b|\bin\s+the\s+hope\s+that\b"
    r"|\bunless\s+required\s+by\b"
    r"|\bmay\s+(?:not\s+)?(?:use|obtain)\b.{0,60}\blicen[cs]e\b|\bopensource\.org/licenses"
    r"|\bapache\.org/licenses|\bgnu\.org/(?:licenses|copyleft)/\w|\bcreativecommons\.org/(?:licenses|publicdomain)/"
    r"|\b(?:proprietary|confidential)\s+(?:and|to|information|property|software|material)\b"
    r"|\bunauthori[sz]ed\s+(?:copying|use|reproduction|distribution|disclosure)\b"
    r"|\bmay\s+not\s+be\s+(?:copied|used|reproduced|disclosed|distributed|sold)\b"
    r"|\bdo\s+not\s+(?:re)?distribute(?:\s+th(?:is|e)\b|[.!]|$)|\bcopyright\s+laws?\s+and\s+(?:international\s+)?treat"
    r"|\bnon-?commercial\s+(?:use|purposes?)\b|\bend[\s-]user\s+licen[cs]e\b"
    r"|^(?:(?:strictly|private|company|highly)\s+(?:and\s+)?)?confidential\s*(?:[-–—.:!]|$))"
    r"|(?i:\b(?:academic|research)\s+(?:\w+\s+){0,2}(?:use|purposes?)\s+only\b)"
    r"|^(?:[A-Z][A-Z\d.&-]*\s+){1,3}CONFIDENTIAL\s*(?:[-–—.:!(]|$)"
)
# Lines that belong to the notice only next to such a sentence.
_ALONG = re.compile(
    r"(?i:authors?|written\s+by|contributors?|contact|e-?mail|portions)\b|(?i:by)\s+[A-Z]|\S[^\s@]*+@\S+\.\w+$"
    r"|<?https?://\S+>?$"
    r"|(?i:the\s+)?(?i:mit|bsd|apache|isc|gpl)\S*(?i:\s+licen[cs]e)?(?:\s\(\w+\))?\.?$|(?i:licen[cs]e)$"
    r"|[A-Z][\w.'-]*(?:\s[A-Z][\w.'-]*){0,3}\s*[<(]\S+@"
)
_HEADING = re.compile(
    r"(?:copyrights?|licen[cs](?:es?|ing))(?: (?:and|&) (?:copyrights?|licen[cs]es?))?:?", re.IGNORECASE
)
_LEGAL = re.compile(
    r"\b(?:must|shall|software|notices?|permitted|conditions?|damages|origin|misrepresented"
    r"|acknowledg\w+|documentation"
    r"|distribut\w+|contributors?|rights|materials|disclaimer|law|agreement|copies)\b",
    re.IGNORECASE,
)
_BODY = re.compile(  # the beginning of a license's own text, which fills the rest of the paragraph
    r"permission\s+is\s+hereby|permission\s+to\s+use,|redistribution\s+and\s+use"
    r"|is\s+free\s+software[;,:]|redistribute\s+it\s+and"
    r"|[\"'`]as[\s-]is|use\s+this\s+(?:file|software)\s+except\s+in\s+compliance",
    re.IGNORECASE,
)
_COPYRIGHT_LINE = re.compile(r"(?i:copyright|\(c\)|©|&copy;|all rights reserved|spdx-|licen[cs]e\s*:)")
_STARTS = re.compile(  # "copyright notice, this list" goes on a sentence
    r"(?i:copyright(?!\s+(?:and|holder|in|law|notice|owner|statement))|\(c\)|©|spdx-|[@\\]\w|all rights"
    r"|licensed|licen[cs]e\s*:|authors?\b)"
)
_UNFINISHED = re.compile(
    r"(?:[,;&(]|\b(?:\d{4}|is|are|under|and|or|of|the|by|to|in|for|with|rights))$", re.IGNORECASE
)

# Marks of comments that bundlers keep with the code that they join (esbuild's "legal comments").
_KEPT_MARKS = ("/*!", "@license", "@preserve")
_TAG = "SPDX-License-Identifier"


@dataclass
class _Unit:
    """Lines [start, stop) above the code: a block comment, a paragraph of line comments, or preamble."""

    start: int
    stop: int
    marks: tuple[str, str] | None = None  # of a block comment
    paragraphs: tuple[tuple[int, int], ...] = ()  # line ranges of the comment's text


def split_notice(text: str, comments: Comments) -> tuple[str, str]:
    """The text without its license notice, and the words of the notice."""
    lines = text.split("\n")
    top = _after_first_lines(lines)
    units, end = _units(lines, top, comments)
    removed = _notice_lines(lines, [span for unit in units for span in unit.paragraphs])
    if not removed:
        return text, ""
    head = 0
    out, at, intact = (
        lines[:top],
        top,
        True,
    )  # intact: the end of the unit above is untouched
    for unit in [*units, _Unit(end, len(lines))]:
        kept = _kept(lines, unit, removed)
        edges = removed if not (unit.marks and kept) else set()  # a block that is kept also keeps its frame
        above, below = _rims(lines[at : unit.start])
        if intact and unit.start not in edges:
            out += lines[at : unit.start]
        else:
            out += above if intact else []
            if kept and any(line.strip() for line in out[-1:]) and any(line.strip() for line in kept):
                out.append("")
            out += below if unit.start not in edges else []
        head = len(out)  # at the end, the lines above the code
        out += kept
        intact = bool(kept) and unit.stop - 1 not in edges
        at = unit.stop
    text = "\n".join(out)
    above_code = len("\n".join(out[:head])) + 1
    if "region" in text and (region := _EMPTY_REGION.search(text, 0, above_code)):
        below = text[region.end() :]
        text = text[: region.start()] + below if region.start() else below.lstrip("\n")
    return text, "\n".join(_words(lines[number]) for number in sorted(removed))


def comment_lines(lines: list[str], comments: Comments, n_lines: int) -> list[str]:
    """The words of the comments in the first lines; a block above the code may end below these."""
    units, _ = _units(lines, 0, comments)
    leading = {number for unit in units for number in range(unit.start, unit.stop)}
    marks = (*comments.line, *(opening for opening, _ in comments.block), "*")
    return [
        _words(line)
        for number, line in enumerate(lines[:n_lines])
        if number in leading or line.strip().startswith(marks)
    ]


def inner_notices(text: str, comments: Comments) -> list[str]:
    """The words of notices below the first line of code, from files that were joined to this one."""
    if not any(mark in text for mark in (*_KEPT_MARKS, _TAG)):
        return []
    lines = text.split("\n")
    lines = lines[_units(lines, _after_first_lines(lines), comments)[1] :]
    marks = (*comments.line, *(opening for opening, _ in comments.block), "*")
    tags = [_words(line) for line in lines if _TAG in line and line.lstrip().startswith(marks)]
    found = _blocks("\n".join(lines)) if ("/*", "*/") in comments.block else ()
    blocks = [block.split("\n") for block in found if any(mark in block for mark in _KEPT_MARKS)]
    noticed = [
        (block, _notice_lines(block, [*_paragraphs(block, 0, len(block), ("/*", "*/"))])) for block in blocks
    ]
    return tags + [
        "\n".join(_words(block[number]) for number in sorted(numbers)) for block, numbers in noticed
    ]


def _blocks(text: str) -> Iterator[str]:
    end = 0
    while (start := text.find("/*", end)) >= 0 and (end := text.find("*/", start + 2) + 2) > 1:
        yield text[start:end]


def _rims(gap: list[str]) -> tuple[list[str], list[str]]:
    """The bare lines between two comments that touch the upper one, and those that touch the lower one."""
    blank = [number for number, line in enumerate(gap) if not line.strip()]
    return (gap[: blank[0]], gap[blank[-1] + 1 :]) if blank else ([], [])


def _kept(lines: list[str], unit: _Unit, removed: set[int]) -> list[str]:
    """The lines of a unit without those in `removed`; a block keeps its marks around the rest."""
    inside = range(unit.start, unit.stop)
    if not removed.intersection(inside):
        return lines[unit.start : unit.stop]
    texts = [
        number for start, stop in unit.paragraphs for number in range(start, stop) if number not in removed
    ]
    if not unit.marks or not texts:
        return [lines[number] for number in texts]
    opening, closing = unit.marks
    first, last = lines[unit.start], lines[unit.stop - 1]
    kept = (
        []
        if unit.start in texts
        else [first[: first.index(opening)] + first.strip()[: _n_marks(first.strip(), opening)]]
    )
    for number, after in zip(texts, [*texts[1:], None]):
        kept.append(lines[number])
        if after is not None and after != number + 1:
            bare = [line for line in lines[number + 1 : after] if _is_bare(line)]
            kept += bare[:1] if removed.intersection(range(number, after)) else bare
    if unit.stop - 1 not in texts:
        indent = last[: len(last) - len(last.lstrip())]
        kept.append(last if _is_bare(last) else (indent or " " * (opening == "/*")) + closing)
    return kept


def _n_marks(line: str, opening: str) -> int:
    """The number of characters that open a comment, as in `/*` or `/**`."""
    return len(opening) + next(
        (n for n, char in enumerate(line[len(opening) :]) if char not in "*!|"), len(line)
    )


def _notice_lines(lines: list[str], paragraphs: list[tuple[int, int]]) -> set[int]:
    """The line numbers of the license notice."""
    removed: set[int] = set()
    noticed = [_notice_lines_in(lines, start, stop) for start, stop in paragraphs]
    for place, (start, stop) in enumerate(paragraphs):
        found = noticed[place]
        between = place > 0 and noticed[place - 1] and any(noticed[place + 1 :])
        is_heading = stop == start + 1 and _HEADING.fullmatch(_words(lines[start])) is not None
        if is_heading and any(noticed[place + 1 : place + 2]):
            found = {start}
        if not found and between and len(_LEGAL.findall(" ".join(map(_words, lines[start:stop])))) > 1:
            noticed[place] = found = set(range(start, stop))
        removed |= found
    return removed


def _notice_lines_in(lines: list[str], start: int, stop: int) -> set[int]:
    """The notice's lines in one paragraph: sentences about a license, and short lines next to them."""
    removed: set[int] = set()
    for sentence in _sentences(lines, start, stop):
        words = " ".join(_words(lines[number]) for number in sentence)
        if _NOTICE.search(words):
            removed.update(sentence)
            if _BODY.search(words):
                removed.update(range(sentence[0], stop))
        elif removed and sentence[0] - 1 in removed and _ALONG.match(words) and len(words) < 80:
            removed.update(sentence)
    if removed:
        for number in range(min(removed) - 1, start - 1, -1):  # a title or an author above
            if not _ALONG.match(_words(lines[number])) or len(lines[number]) > 80:
                break
            removed.add(number)
    return removed


def _sentences(lines: list[str], start: int, stop: int) -> Iterator[list[int]]:
    """Line numbers of each sentence; a new one begins after a line that ends one, or at a new statement."""
    sentence: list[int] = []
    for number in range(start, stop):
        words = _words(lines[number])
        if _FOR_TOOLS.match(words):
            if sentence:
                yield sentence
            yield [number]
            sentence = []
            continue
        above = _words(lines[number - 1]) if sentence else ""
        begins = _STARTS.match(words) or (_COPYRIGHT_LINE.match(above) and not words[:1].islower())
        if sentence and begins and not _UNFINISHED.search(above):
            yield sentence
            sentence = []
        sentence.append(number)
        if words.endswith((".", "!", "?", ":")):
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _words(line: str) -> str:
    """A comment line without its marks."""
    return re.sub(
        r"^(?:[^\w@\\<(©&'\"`]+|(?:rem|dnl)\b|[Cc] )+|(?<![\s*/#;-])[\s*/#;-]+$",
        "",
        line.strip(),
        flags=re.IGNORECASE,
    )


def _after_first_lines(lines: list[str]) -> int:
    """The number of lines at the very top that are for tools: shebang, encoding, document type."""
    top = 0
    if lines[0].lower().startswith(_FIRST_LINES):
        top = 1
    if top < len(lines) and lines[top].startswith("#") and "coding" in lines[top]:
        top += 1
    return top


def _units(lines: list[str], top: int, comments: Comments) -> tuple[list[_Unit], int]:
    """The units above the first line of code, and the number of that line."""
    units: list[_Unit] = []
    at = top
    while at < len(lines):
        line = lines[at].strip()
        marks = next((marks for marks in comments.block if line.startswith(marks[0])), None)
        stop = _block_end(lines, at, *marks) if marks else at
        if marks and stop > at:
            units.append(_Unit(at, stop, marks, tuple(_paragraphs(lines, at, stop, marks))))
        elif not line or (_is_line_comment(line, comments) and _is_bare(line)):
            at += 1
            continue
        else:
            is_doc = _DOCUMENTS.match(line) is not None
            while stop < len(lines) and _is_line_comment(lines[stop], comments) and not _is_bare(lines[stop]):
                if (_DOCUMENTS.match(lines[stop].lstrip()) is not None) != is_doc:
                    break
                stop += 1
            if stop > at:
                units.append(_Unit(at, stop, None, ((at, stop),)))
            elif _PREAMBLE.match(line):
                stop = at + 1
                units.append(_Unit(at, stop))
        if stop == at:  # code
            break
        at = stop
    return units, at


def _paragraphs(lines: list[str], start: int, stop: int, marks: tuple[str, str]) -> Iterator[tuple[int, int]]:
    """The ranges of consecutive lines with words besides the block's marks, such as Ruby's `=begin`."""
    first = None
    for number in range(start, stop):
        if _is_bare(lines[number]) or lines[number].strip() in marks:
            if first is not None:
                yield first, number
            first = None
        elif first is None:
            first = number
    if first is not None:
        yield first, stop


def _is_line_comment(line: str, comments: Comments) -> bool:
    line = line.strip()
    return bool(comments.line) and line.startswith(comments.line) and not line.startswith(_DIRECTIVES)


def _block_end(lines: list[str], at: int, opening: str, closing: str) -> int:
    """The line after a block comment; `at` itself if it never closes, or if code follows its end."""
    start = lines[at].index(opening) + len(opening)
    for number in range(at, len(lines)):
        found = lines[number].find(closing, start if number == at else 0)
        if found >= 0:
            return at if lines[number][found + len(closing) :].strip() else number + 1
    return at


def _is_bare(line: str) -> bool:
    """Whether a line has no letter or digit: it is blank, only a comment mark, or a rule."""
    return not any(map(str.isalnum, line))
