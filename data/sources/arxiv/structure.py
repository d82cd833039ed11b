"""Finds where a paper's text begins and ends, and removes its bibliography.

In: LaTeX with its macros expanded. Out: the text from the first heading on, without the bibliography and
drawings.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

from data.sources.arxiv import drawings
from data.sources.arxiv.latex.syntax import BRACED, Arguments

_STRUCTURE = re.compile(
    r"\\(?=section|sub|newsec|chapter|pa|be|head|make|en|doc|bi|bf|by|Refs|text[bsr]|sc|[lL]arge|center|left|und|nob|print|put"
    r"|in|[ln]?ref)(?:"  # few commands begin like this
    r"(?P<section>(?:(?:sub){0,2}section|newsec|chapter|part|(?:sub)?paragraph)\*?(?=\s*+[\[{])"
    r"|beginsection(?![A-Za-z@])|head(?=[^\n]{1,300}\\endhead)|heading(?=[^\n]{1,300}\\endheading))"
    r"|begin\s*+\{(?P<begin>document|(?:mcite|chap)?thebibliography|thereferences|references|harvard|bibdiv|biblist|CSLReferences)"
    r"\*?\}"
    r"|end\s*+\{(?P<end>document|frontmatter|abstract)\}"
    r"|(?P<maketitle>maketitle)(?![A-Za-z@])"
    r"|(?P<ams>document|enddocument|Refs|bye)(?![A-Za-z@])"
    r"|(?P<plainend>end)(?=\s*+\Z)"
    r"|(?P<cited>[ln]?ref)\s*+(?P<name>\\[A-Za-z@]++)\s*+(?=\{)"  # harvmac's \ref\name{Author, journal}
    r"|(?P<item>bibitem)(?![A-Za-z@])"
    r"|(?P<bold>(?:text(?:bf|sc|rm)|bf|bfseries|sc|scshape|[Ll]arge|centerline|leftline|underline)(?![A-Za-z])"
    r"(?=[\s{}]*+(?:\\[A-Za-z]++[\s{}]*+){0,3}+(?i:references|bibliography|literature cited)[ \t:.}]*+"
    r"(?:\n|\\|\Z)))"
    r"|(?P<bib>bibliography|bibliographystyle|nobibliography|printbibliography|printbibheading|putbib)"
    r"(?![A-Za-z@])\*?"
    r"|(?P<bbl>(?:input|include)\s*+(?:\{[^{}]*\.bbl\}|[^\s{}\\]{1,100}\.bbl(?![^\s}]))))"
)
# Headings of front and back matter; a paper with no other headings is a letter.
_AROUND = re.compile(
    r"\s*+(?:\[[^\]]{0,200}\]\s*+)?\{\s*+(?:\\[A-Za-z]++\s*+|\{)*+"
    r"(?:acknowledge?ment|references\b|bibliography|literature cited"
    r"|appendi(?:x|ces)\b|supplement(?:s|ary|al)?\b|supporting inf|author contrib|(?:data|code) availability"
    r"|funding(?:[\s:.]*\}| (?:information|statement|sources)\b)|conflicts? of interest"
    r"|competing (?:financial )?interests?\b|notes? added|key\s?words\b|pacs\b|msc\b|jel\b"
    r"|(?:mathematics )?subject class)",
    re.IGNORECASE,
)
_REFERENCES = re.compile(
    r"\s*+\{\s*+(?:(?!\\(?:ref|bib)name)(?:\\[A-Za-z]++\s*+|\{))*+(?:\\(?:ref|bib)name"
    r"|(?:list of |cited |selected )?references(?: (?:and|\\&) (?:foot)?notes)?"
    r"|(?:foot)?notes and references|bibliography|works cited|literature cited|cited literature"
    r"|r(?:é|e|\\'\{?e\}?)f(?:é|e|\\'\{?e\}?)rences(?: bibliographiques)?|bibliographie|literaturverzeichnis"
    r"|referencias(?: bibliogr[áa]ficas)?|bibliograf(?:[íi]a|\\'\{?\\?i ?\}?a)|riferimenti bibliografici"
    r"|refer[êe]ncias(?: bibliogr[áa]ficas)?|refer[èe]ncies"
    r"|список (?:використаної )?(?:литературы|літератури)"
    r"|bibliografie|referenties|referenser|litteraturf[öo]rteckning|k(?:ä|\\\"\{?a\}?)llor|l[äa]hteet|viitteet"
    r"|irodalomjegyz[ée]k|kaynak(?:lar|ça|\\c\{?c\}?a)|βιβλιογραφία|αναφορές|t[àa]i li[ệe]u tham kh[ảa]o"
    r"|参考文献|參考文獻|참고 ?문헌"
    r"|(?P<literature>literature?|literatura|litteratur|литература|література|reference(?:s cited)?))"
    r"[\s:.]*+\}",
    re.IGNORECASE,
)
_BIBLIOGRAPHY = re.compile(r"\\bibitem|\{thebibliography\}")
# Where a reference section ends: with its environment or command, or before these.
_REFERENCES_END = re.compile(
    r"(?P<after>\\end\s*\{thebibliography\}|\\bibliography\s*\{[^{}]*\}|\\printbibliography(?:\[[^\]]{0,1000}\])?"
    r"|\\input\s*(?:\{[^{}]*\.bbl\}|[^\s{}\\]{1,100}\.bbl\b))|\\(?:(?:sub)*section|chapter|part|appendix|clearpage|newpage|pagebreak|figcaption"
    r"|end\s*\{document\}|begin\s*\{(?:figure|table|deluxetable|appendix))"
)
_BEFORE_BOLD = re.compile(r"[\s{}]*+(?:\\[A-Za-z]++(?:\{(?:center|flushleft)\})?[\s{}]*+){0,4}+")
_OPEN_BEFORE = re.compile(r"\\begin\{(?:center|flushleft)\}\s*\Z")
_ENTRY = re.compile(
    r"\\bibitem|\{thebibliography\}|\[\d+\]|\\item|^[^\S\n]*+\d+\.|\b(?:18|19|20)\d\d\b", re.MULTILINE
)
_LINK = re.compile(r"\\hypertarget\{[^{}]*\}\{\s*\Z")
_BEGIN = re.compile(r"\\begin\s*+\{document\}")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")


def body(text: str, opaque: list[tuple[int, int]]) -> str:
    """From the first heading to the end of the document, without the bibliography."""
    starts = [start for start, _ in opaque]

    def is_opaque(position: int) -> bool:
        place = bisect_right(starts, position) - 1
        return place >= 0 and position < opaque[place][1]

    begins = _BEGIN.finditer(text) if "{document}" in text else ()
    begin = next((mark.end() for mark in begins if not is_opaque(mark.start())), 0)
    titled = position = begin
    inner = 0  # open documents that the paper shows as examples
    headings: list[re.Match] = []
    removed: list[tuple[int, int]] = []
    end, read = len(text), Arguments()
    is_harvmac = "\\newsec" in text or "\\listrefs" in text
    while mark := _STRUCTURE.search(text, position):
        position = mark.end()
        if is_opaque(mark.start()):
            continue
        if mark["section"]:
            references_end = _section_of_references(text, position)
            if references_end is not None:
                position = references_end
                removed.append((_opening(text, mark.start()), position))
            elif not _AROUND.match(text, position):
                headings.append(mark)
        elif mark["cited"]:
            text_end = read.group_end(text, position) if is_harvmac else -1
            if text_end > 0:
                removed.append((mark.start(), mark.start("name")))
                removed.append((mark.end("name") if mark["cited"] == "ref" else mark.start("name"), text_end))
                position = text_end
        elif mark["item"] or mark["bold"]:
            span = _loose_references(text, mark)
            if span is not None:
                position = span[1]
                removed.append(span)
        elif "document" in (mark["begin"], mark["ams"]):
            if mark["begin"]:
                inner += 1
            elif begin == 0:
                begin = titled = position
                headings, removed = [], []
        elif mark["begin"] or mark["ams"] == "Refs":
            close = "\\endRefs" if mark["ams"] else f"\\end{{{text[mark.start('begin') : position]}"
            stop = text.find(close, position)
            position = stop + len(close) if stop >= 0 else _document_end(text, position)
            removed.append((mark.start(), position))
        elif mark["bib"] or mark["bbl"]:
            position = _argument_end(mark["bib"] or "", text, position)
            removed.append((mark.start(), position))
        elif mark["end"] == "abstract":  # its paragraphs may have headings
            headings = [heading for heading in headings if not heading["section"].startswith(("sub", "par"))]
        elif mark["maketitle"] or mark["end"] == "frontmatter":
            titled = position
        elif mark["end"] or mark["ams"] or not begin:
            end = mark.start()
            if not inner or not mark["end"]:
                break
            inner -= 1
    if drawn := [span for span in drawings.spans(text) if not is_opaque(span[0])]:
        removed = sorted(removed + drawn)
    start = min(_opening(text, headings[0].start()) if headings else max(begin, titled), end)
    pieces = []
    for first, last in removed:
        if start <= first < end:
            pieces.append((start, first))
            start = min(last, end)
    pieces.append((start, end))
    body = "".join(_tidied(text, pieces, opaque)).strip("\n").rstrip()
    return body + "\n" if body else ""


def _opening(text: str, heading: int) -> int:
    r"""Where a heading begins, with the \hypertarget{name}{…} that pandoc puts around it."""
    link = _LINK.search(text, max(0, heading - 200), heading)
    return link.start() if link else heading


def _section_of_references(text: str, position: int) -> int | None:
    """Where the reference section that starts here ends; None if the section is, say, a literature review."""
    heading = _REFERENCES.match(text, position)
    if heading is None:
        return None
    end = _REFERENCES_END.search(text, heading.end())
    if end is None:
        return len(text)
    if end["after"]:
        return end.end()
    is_last = end.group().startswith("\\end")
    listed = _ENTRY if is_last else _BIBLIOGRAPHY
    if heading["literature"] and not listed.search(text, position, end.start()):
        return None
    return end.start()


def _loose_references(text: str, mark: re.Match) -> tuple[int, int] | None:
    r"""References without a section: a bold heading above entries, or \bibitem outside a list."""
    line = text.rfind("\n", max(0, mark.start() - 200), mark.start()) + 1
    if mark["bold"]:
        entries = text[mark.end() : mark.end() + 600]
        if not _BEFORE_BOLD.fullmatch(text, line, mark.start()) or not _ENTRY.search(entries):
            return None
    end = _REFERENCES_END.search(text, mark.end())
    stop = len(text) if end is None else end.end() if end["after"] else end.start()
    if not mark["bold"]:
        return mark.start(), stop
    around = _OPEN_BEFORE.search(text, max(0, line - 40), line)
    return (around.start() if around else line), stop


def _document_end(text: str, position: int) -> int:
    end = text.find("\\end{document}", position)
    return end if end >= 0 else len(text)


def _argument_end(command: str, text: str, position: int) -> int:
    """Where the argument of a bibliography's command ends: a group, or the options of \\printbibliography."""
    if command.startswith(("print", "put")):
        option = Arguments().option(text, position)
        return option[1] if option else position
    group = BRACED.match(text, position) if command else None
    return group.end() if group else position


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
