"""Cleans up the text of a page after its markup is removed: characters and lines.

In: text in which dropped markup left a mark. Out: its lines, without gaps, with list markers and headings.
"""

import re

from data.sources.wikipedia.marks import BREAK, FIGURE, GONE, HOLE, SOUND
from data.sources.wikipedia.missing import without_figures
from data.sources.wikipedia.sentences import is_joined

_TAIL = 200
_NEAR = 24  # characters to examine to see whether a line has begun
_CLAUSES = 400  # most characters of a bracket on either side of a hole
_LABEL = 40  # most characters before a pronunciation in its clause
_SOUND_CLAUSE = re.compile(rf"([^(;,)\n]{{0,{_LABEL}}}?)((?:[\[/]?{SOUND}[\]/]?[ {GONE}{BREAK}]*)+)(?=[;,)])")
_WORD = re.compile(r"[^\W\d_]+\.?")
_CLAUSE = re.compile(r"([;,]\s+)")  # `_readable_clauses` adds the space before it
# Punctuation left over at the start of a line.
_STRAY = re.compile(r"\A[ ,;:]*(?:\.(?![\w.])[ ,;:]*|[—–-] +)?")
_QUOTES = ('""', "“”", "„“", "„”", "«»")
_SIGN = re.compile(
    rf"(?<![^\W_])(?:[A-Z]{{1,2}})?[$€£¥₹]{HOLE}"
)  # ${{inflation|…}}: a sign without its amount
# Links without a label or notes, and the words between them: ([http://a.b], [http://c.d] or [http://e.f])
_ALL_GONE = re.compile(rf"\({GONE}(?:[ ,;/]{{0,3}}(?:[^\W\d_]{{1,4}} )?{GONE}){{1,20}}\.?\)")
_PUNCTUATION = f" .,;:()[]–—-/&'\"{BREAK}"


def without_gaps(text: str) -> str:
    """The text without empty brackets, double spaces and stray punctuation where something was dropped.

    If a missing template makes a clause in brackets unreadable, the clause is dropped too.
    """
    if SOUND in text:
        text = _without_labels(text)
    if FIGURE in text:
        text = without_figures(text)
    if HOLE in text:
        text = _SIGN.sub(HOLE, _without_holes(text)).replace(HOLE, GONE)
    text = _ALL_GONE.sub(GONE, text) if GONE in text else text
    first, *rest = (text + "\n" if text.endswith(GONE) else text).split(GONE)
    pieces, space = [first], False
    for piece in rest:
        if len(pieces[-1]) > 2 * _TAIL:  # so that only a short piece is cut below
            pieces[-1:] = [pieces[-1][:-_TAIL], pieces[-1][-_TAIL:]]
        left = pieces[-1].rstrip(" ")
        space = space or left != pieces[-1] or piece.startswith(" ")
        pieces[-1], piece = left, piece.lstrip(" ")
        if _begins_line(left, is_first=len(pieces) == 1):
            piece = _STRAY.sub("", piece)
        elif left.endswith("("):
            piece, space = piece.lstrip(" ,;:/"), False
            if piece.startswith(")"):
                pieces[-1], piece = left[:-1].rstrip(" "), piece[1:]
        elif left.endswith("[") and piece.startswith("]"):  # [{{efn|…}}]
            pieces[-1], piece = left[:-1].rstrip(" "), piece[1:]
        elif not space and left[-1:] + piece[:1] in _QUOTES and left[-2:-1] in ("", " ", "("):
            left, piece = left[:-1].rstrip(" "), piece[1:]  # the album "{{xyz}}"
            pieces[-1] = _without_left_over(left) if piece[:1] in (",", ";", ".") else left
        elif piece.startswith(")"):
            pieces[-1] = left.rstrip(" ,;")
        elif piece.startswith((",", ";")) or (space and piece[:1] == "."):
            pieces[-1] = _without_left_over(left)
            if left.endswith(".") and piece[:1] == "." != piece[1:2]:  # ''Title.'' {{ISBN|…}}.
                piece = piece[1:]
        elif space and piece.startswith("\n"):  # Paris, 1950, {{ISBN|…}}
            pieces[-1] = left.rstrip(",;")
        elif (left[-1:].isalnum() and piece[:1].isalnum()) or is_joined(left, piece):
            space = True  # only the dropped template separated these two words
        if piece:
            pieces.append(" " + piece if space and piece[0] not in ".,;:!?)]\n" else piece)
            space = False
    return "".join(pieces)


def _without_left_over(left: str) -> str:
    """The text without a mark or a dash at its end: `Its area — {{area}}.`"""
    left = left.rstrip(",;:")
    return left[:-2].rstrip(",;:") if left[-2:] in (" —", " –", " -") else left


def _without_labels(text: str) -> str:
    """The text without pronunciations and their labels."""
    pieces, place = [], 0
    while (sound := text.find(SOUND, place)) >= 0:
        near = max(place, sound - _LABEL - 1)
        begin = max(text.rfind(mark, near, sound) for mark in "(;,") + 1
        clause = _SOUND_CLAUSE.match(text, begin) if begin else None
        end = clause.end() if clause else sound + 1
        pieces += [text[place:begin], _shown(clause)] if clause else [text[place:sound], GONE]
        place = end
    return "".join(pieces) + text[place:]


def _shown(clause: re.Match[str]) -> str:
    """A clause without the pronunciation at its end, and without the label: "US:", "pronounced"."""
    label = clause[1].replace(SOUND, "").strip(" /[]'")
    is_label = label.endswith(":") or (label.islower() and _WORD.fullmatch(label))
    return GONE if not label or is_label else clause[1].rstrip(f" [/{BREAK}") + GONE


def _without_holes(text: str) -> str:
    """The text without the clauses in brackets that a hole makes unreadable."""
    pieces, place = [], 0
    while (hole := text.find(HOLE, place)) >= 0:
        begin = text.rfind("(", max(place, hole - _CLAUSES), hole)
        end = text.find(")", hole, hole + _CLAUSES)
        inner = text[begin + 1 : end]
        if begin < 0 or end < 0 or ")" in inner or "(" in inner or "\n" in inner:
            pieces.append(text[place : hole + 1])
            place = hole + 1
        else:
            pieces += [text[place:begin], _readable_clauses(inner)]
            place = end + 1
    return "".join(pieces) + text[place:]


def _readable_clauses(inner: str) -> str:
    """The readable clauses of a text in brackets, with the brackets; a mark if none is readable."""
    clauses = _CLAUSE.split(inner)
    for place in range(1, len(clauses), 2):
        clause = clauses[place - 1]
        clauses[place - 1] = clause.rstrip()
        clauses[place] = clause[len(clauses[place - 1]) :] + clauses[place]
    kept = [(clauses[place - 1] if place else "", clauses[place]) for place in range(0, len(clauses), 2)]
    inner = "".join(mark + clause for mark, clause in kept if _is_readable(clause)).lstrip(" ,;")
    return f"({inner})" if inner.strip(GONE + " ") else GONE


def _is_readable(clause: str) -> bool:
    """Whether a clause is readable: it has no hole, or begins with its only hole and has enough words."""
    before, *rest = clause.split(HOLE)
    return not rest or (len(rest) == 1 and not before.strip() and rest[0].count(" ") > 2)


def _begins_line(left: str, is_first: bool) -> bool:
    """Whether the line so far has only list marks."""
    tail = left[-_NEAR:]
    _, line, marks = tail.rpartition("\n")
    return bool(line or (is_first and len(left) < _NEAR)) and not marks.strip("*#:; ")


def split_lines(text: str) -> list[str]:
    """The lines of the page, without headings of empty sections and without consecutive blank lines."""
    lines: list[str] = []
    headings: list[tuple[int, str]] = []  # waiting for text
    numbers: dict[str, int] = {}
    blank = in_rows = in_code = False
    source = text.split("\n")
    for line, following in zip(source, [*source[1:], ""]):
        in_code = line[:1] == " " and not in_rows and (in_code or _begins_code(line, following))
        shown = line[1:].rstrip() if in_code else ""
        is_rule = line.startswith("----")  # a line across the page; what follows begins a paragraph
        line = (line.lstrip("-") if is_rule else line).strip()
        blank = blank or is_rule
        if not line or (not line.strip("-") and not in_code):
            blank = True
            numbers.clear()
            continue
        if in_code:
            blank = _add(shown, lines, headings, blank)
            numbers.clear()
            continue
        if in_rows or line[0] in "|!":
            in_rows = _is_row(line, in_rows, following)
            if in_rows or line.startswith("|}"):
                blank = True
                continue
        level, heading = _heading(line)
        if level:
            headings = [waiting for waiting in headings if waiting[0] < level]
            headings += [(level, heading)] if heading else []
            numbers.clear()
            continue
        marks = len(line) - len(line.lstrip("*#:;"))
        words = " ".join(line[marks:].split())
        if not words.strip(_PUNCTUATION if marks else BREAK):  # a citation whose text was dropped
            continue
        blank = _add(_item(line[:marks], numbers) + words, lines, headings, blank)
    return lines


def _add(shown: str, lines: list[str], headings: list[tuple[int, str]], blank: bool) -> bool:
    """Add a line below the headings that waited for text; returns that no blank line is due."""
    for _, waiting in headings:
        lines += ["", waiting] if lines else [waiting]
        blank = True
    headings.clear()
    if blank and lines:
        lines.append("")
    lines.append(shown)
    return False


def _begins_code(line: str, following: str) -> bool:
    """Whether a block of lines that each begin with a space begins here; MediaWiki shows it as written."""
    return line[1:2] not in ("", " ") and following[:1] == " "


def _is_row(line: str, in_rows: bool, following: str) -> bool:
    """Whether this is a row of a table that a template opened (the page's own tables are already removed)."""
    if line[0] == "|":
        return line[1:2] != "}" and (in_rows or line[1:2] in ("-", "+", "|", " ", ""))
    return line[0] == "!" and (in_rows or ("!!" in line[2:] and following.startswith(("|", "!"))))


def _heading(line: str) -> tuple[int, str]:
    if line[0] != "=" or line[-1] != "=":
        return 0, ""
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    inner = line[level:-level]
    return level, " ".join(inner.split())


def _item(marks: str, numbers: dict[str, int]) -> str:
    """The beginning of a list item; numbering restarts after any other line."""
    for known in [known for known in numbers if not marks.startswith(known)]:
        del numbers[known]
    last = marks[-1:]
    if last not in ("*", "#") or len(marks) > 12:
        return ""
    indent = "  " * (len(marks) - 1)
    if last == "*":
        return indent + "- "
    numbers[marks] = numbers.get(marks, 0) + 1
    return f"{indent}{numbers[marks]}. "
