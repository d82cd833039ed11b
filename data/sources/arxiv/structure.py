"""Finds where a paper's text begins and ends, and removes its bibliography.

In: LaTeX with its macros expanded. Out: the text from the first heading on, without the bibliography and
drawings.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

from data.sources.arxiv import drawings, references
from data.sources.arxiv.latex.syntax import Arguments

_STRUCTURE = re.compile(
    r"\\(?=section|sub|newsec|chapter|pa|be|head|make|en|doc|bi|bf|by|text[bsr]|sc|[lL]arge|center|left|und|no|print|put"
    r"|in|In|[ln]?ref|REF|Ref|app)(?:"  # few commands begin like this
    r"(?P<section>(?:(?:sub){0,2}section|newsec|chapter|part|(?:sub)?paragraph)\*?(?=\s*+[\[{])"
    r"|beginsection(?![A-Za-z@])|head(?=[^\n]{1,300}\\endhead)|heading(?=[^\n]{1,300}\\endheading))"
    r"|(?P<back>appendix(?![A-Za-z@])|begin\s*+\{methods\})"
    r"|begin\s*+\{(?P<begin>document|[A-Za-z]{0,20}?thebibliography[A-Za-z]{0,20}|thereferences|references|harvard"
    r"|bib(?:div|list|section|chapter)|CSLReferences)\*?\}"
    r"|end\s*+\{(?P<end>document|frontmatter|abstract)\}"
    r"|(?P<maketitle>maketitle)(?![A-Za-z@])"
    r"|(?P<ams>document|enddocument|Refs|references|bye)(?![A-Za-z@])"
    r"|(?P<plainend>end)(?=\s*+\Z)"
    # The entries of harvmac, \ref\name{Author, journal}, and of phyzzx.
    r"|(?P<cited>[ln]?ref|Ref|REF(?:S(?:CON)?)?)\s*+(?P<name>\\[A-Za-z@]++)\s*+(?=\{)"
    r"|(?P<item>bibitem)(?![A-Za-z@])"
    r"|(?P<bold>(?:text(?:bf|sc|rm)|bf|bfseries|sc|scshape|[Ll]arge|centerline|leftline|underline|noindent)(?![A-Za-z])"
    r"(?=[\s{}]*+(?:\\[A-Za-z]++[\s{}]*+){0,3}+(?i:references|bibliography|literature cited)[ \t:.}]*+"
    r"(?:\n|\\|\Z)))"
    r"|(?P<bib>bibliography|bibliographystyle|nobibliography|printbibliography|printbibheading|putbib"
    r"|bibliography(?!name|item|font)[A-Za-z]{1,40}(?=\s*+\{[^{}\\]*\}))"  # multibib
    r"(?![A-Za-z@])\*?"
    r"|(?P<bbl>(?:input|include)\s*+(?:\{[^{}]*\.bbl\}|[^\s{}\\]{1,100}\.bbl(?![^\s}]))"
    r"|InputIfFileExists\s*+\{[^{}]*\.bbl\}(?:\s*+\{(?:[^{}]++|\{[^{}]*\})*+\}){0,2}+))"
)
# Headings of front and back matter; a paper with no other headings is a letter.
_AROUND = re.compile(
    r"\s*+(?:\[[^\]]{0,200}\]\s*+)?\{\s*+(?:\\[A-Za-z]++\s*+|\{)*+"
    r"(?:acknowledge?ment|references\b|bibliography|literature cited"
    r"|(?P<back>appendi(?:x|ces)\b|supplement(?:s|ary|al)?\b|supporting inf)|author contrib"
    r"|(?:data|code) availability"
    r"|funding(?:[\s:.]*\}| (?:information|statement|sources)\b)|conflicts? of interest"
    r"|competing (?:financial )?interests?\b|notes? added|key\s?words\b|pacs\b|msc\b|jel\b"
    r"|(?:mathematics )?subject class)",
    re.IGNORECASE,
)
_METHODS = re.compile(
    r"\s*+\{\s*+(?:\\[A-Za-z]++\s*+|\{)*+(?:(?:online|experimental|materials and) )?methods?[\s.:}]",
    re.IGNORECASE,
)
_LETTER = 2000  # minimum length of a letter that has sections after its end
_LINK = re.compile(r"\\hypertarget\{[^{}]*\}\{\s*\Z")
_BEGIN = re.compile(r"\\begin\s*+\{document\}")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")


def body(text: str, opaque: list[tuple[int, int]]) -> str:
    """From the first heading to the end of the document, without the bibliography."""
    outline = _Outline(text, opaque)
    removed = outline.removed
    if drawn := [span for span in drawings.spans(text) if not outline.is_opaque(span[0])]:
        removed = sorted(removed + drawn)
    start = min(outline.start(), outline.end)
    pieces = []
    for first, last in removed:
        if start <= first < outline.end:
            pieces.append((start, first))
            start = min(last, outline.end)
    pieces.append((start, outline.end))
    body = "".join(_tidied(text, pieces, opaque)).strip("\n").rstrip()
    return body + "\n" if body else ""


class _Outline:
    """What one reading of a paper finds: its headings, its end, and the references to remove."""

    def __init__(self, text: str, opaque: list[tuple[int, int]]) -> None:
        self.text, self.opaque = text, opaque
        self.opaque_starts = [start for start, _ in opaque]
        begins = _BEGIN.finditer(text) if "{document}" in text else ()
        self.begin = next((mark.end() for mark in begins if not self.is_opaque(mark.start())), 0)
        self.titled = self.position = self.begin
        self.end = len(text)
        self.has_ended = False
        self.inner = 0  # open documents that the paper shows as examples
        self.headings: list[re.Match] = []
        self.is_letter = False  # whether much text comes before references and the like, and no heading
        self.removed: list[tuple[int, int]] = []
        self.read = Arguments()
        self.has_inner_entries = any(sign in text for sign in ("\\newsec", "\\listrefs", "\\refout"))
        while not self.has_ended and (mark := _STRUCTURE.search(text, self.position)):
            self.position = mark.end()
            if not self.is_opaque(mark.start()):
                self._pass(mark)

    def is_opaque(self, position: int) -> bool:
        place = bisect_right(self.opaque_starts, position) - 1
        return place >= 0 and position < self.opaque[place][1]

    def start(self) -> int:
        """Where the text begins: at its first heading, or else below the title."""
        titled = max(self.begin, self.titled)
        if not self.headings:
            return titled
        first = self.headings[0]
        if self.is_letter and not first["section"].startswith(("chapter", "part")):
            return titled
        return _opening(self.text, first.start())

    def _pass(self, mark: re.Match) -> None:
        kind = mark.lastgroup or ""
        match kind, mark[kind]:
            case "section", _:
                self._pass_heading(mark)
            case "back", _:
                self._pass_back(mark.start())
            case "name", _:
                self._pass_cited(mark)
            case "item" | "bold", _:
                if span := references.unheaded(self.text, mark):
                    self._pass_back(span[0])
                    self._remove(*span)
            case "begin", "document":
                self.inner += 1
            case "ams", "document":
                if self.begin == 0:
                    self.begin = self.titled = self.position
                    self.headings, self.removed, self.is_letter = [], [], False
            case "ams", "references" if "\\endreferences" not in self.text:
                pass
            case ("begin", _) | ("ams", "Refs" | "references"):
                self._pass_back(mark.start())
                self._remove(mark.start(), references.environment_end(self.text, mark))
            case "bib" | "bbl", _:
                if mark["bib"] != "bibliographystyle":
                    self._pass_back(mark.start())
                self._remove(
                    mark.start(), references.argument_end(mark["bib"] or "", self.text, self.position)
                )
            case "end", "abstract":  # its paragraphs may have headings
                self.headings = [
                    each for each in self.headings if not each["section"].startswith(("sub", "par"))
                ]
            case ("maketitle", _) | ("end", "frontmatter"):
                if not self.is_letter:  # its supplement may have a title too
                    self.titled = self.position
            case _ if kind != "plainend" or not self.begin:
                self.end = mark.start()
                self.has_ended = not self.inner or kind != "end"
                self.inner -= 1

    def _pass_heading(self, mark: re.Match) -> None:
        end = references.section_end(self.text, self.position)
        if end is not None:
            self._pass_back(mark.start())
            self._remove(_opening(self.text, mark.start()), end)
            return
        around = _AROUND.match(self.text, self.position)
        if around["back"] if around else _METHODS.match(self.text, self.position):
            self._pass_back(mark.start())
        if not around:
            self.headings.append(mark)

    def _pass_back(self, position: int) -> None:
        """Pass what follows a letter: references, a supplement, an appendix or methods."""
        if not self.headings and position - max(self.begin, self.titled) >= _LETTER:
            self.is_letter = True

    def _pass_cited(self, mark: re.Match) -> None:
        r"""Of harvmac's `\ref\name{entry}` and phyzzx's `\Ref`, only a citation of the name stays."""
        end = self.read.group_end(self.text, self.position) if self.has_inner_entries else -1
        if end > 0:
            self.removed.append((mark.start(), mark.start("name")))
            self._remove(mark.end("name") if mark["cited"] in ("ref", "Ref") else mark.start("name"), end)

    def _remove(self, start: int, end: int) -> None:
        self.removed.append((start, end))
        self.position = end


def _opening(text: str, heading: int) -> int:
    r"""Where a heading begins, with the \hypertarget{name}{…} that pandoc puts around it."""
    link = _LINK.search(text, max(0, heading - 200), heading)
    return link.start() if link else heading


def _tidied(text: str, pieces: list[tuple[int, int]], opaque: list[tuple[int, int]]) -> Iterator[str]:
    """The pieces of the text with single blank lines, except in opaque pieces."""
    plain: list[str] = []
    place = 0
    for start, end in pieces:
        while place < len(opaque) and opaque[place][0] < end:
            first, last = opaque[place]
            if last > start:
                plain.append(text[start : max(start, first)])
                yield _BLANK_LINES.sub("\n\n", "".join(plain))
                plain = []
                yield text[max(start, first) : min(last, end)]
                start = min(last, end)
            if last > end:
                break
            place += 1
        plain.append(text[start:end])
    yield _BLANK_LINES.sub("\n\n", "".join(plain))
