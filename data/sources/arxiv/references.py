"""Where a bibliography begins and ends: a section, an environment, a command, or a list without either."""

import re

from data.sources.arxiv.latex.syntax import BRACED, Arguments

_REFERENCES = re.compile(
    r"\s*+\{\s*+(?:(?!\\(?:ref|bib)name)(?:\\[A-Za-z]++\s*+|\{))*+(?:\\(?:ref|bib)name"
    r"|(?:(?:list of|cited|selected|supplement(?:ary|al)|supporting|additional|appendix|online|methods?) )?"
    r"references"
    r"(?: (?:and|\\&) (?:foot)?notes| for (?:the )?(?:\w+ ){0,3}\w+| \((?:appendix|methods|supplement\w*)\))?"
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
    r"|end\s*\{document\}|acknowledg|begin\s*\{(?:figure|table|deluxetable|longtable|appendi|acknowledg|biograph))"
    # A caption of a paper that has its figures at the end.
    r"|(?:\\textbf\s*\{|\{\s*\\bf(?:series)?(?![A-Za-z]))"
    r"\s*(?:(?:Extended Data|Supplementary) )?(?:Fig(?:ure|\.)|Table)"
)
_BEFORE_BOLD = re.compile(r"[\s{}]*+(?:\\[A-Za-z]++(?:\{(?:center|flushleft)\})?[\s{}]*+){0,4}+")
_OPEN_BEFORE = re.compile(r"\\begin\{(?:center|flushleft)\}\s*\Z")
_LABEL = re.compile(r"\s*+(?:\\label\s*+\{[^{}]*\}\s*+)?")
_GROUPS = re.compile(r"\\(?P<kind>begin|end)\s*+\{(?P<name>[^{}]{1,60})\}|\\.|(?P<brace>[{}])", re.DOTALL)
_OPENED = re.compile(
    r"\\begin\s*+\{(?P<name>[^{}]{1,60})\}(?:\[[^]]{0,100}\])?(?:\{[^{}]{0,100}\}){0,2}\s*+\Z"
)
_ENTRY = re.compile(
    r"\\bibitem|\{thebibliography\}|\[\d+\]|\\item|^[^\S\n]*+\d+\.|\b(?:18|19|20)\d\d\b", re.MULTILINE
)
_PROSE = re.compile(r"(?:\b[^\W\d_]{1,30}+,?\s++){8}")


def section_end(text: str, position: int) -> int | None:
    """Where the reference section that starts here ends.

    None if the section is something else: a literature review, or on the references of a language.
    """
    heading = _REFERENCES.match(text, position)
    if heading is None:
        return None
    end = _REFERENCES_END.search(text, heading.end())
    stop = end.start() if end else len(text)
    around = _group_end(text, heading.end(), stop)
    if around and _LABEL.fullmatch(text, heading.end(), around.start()):  # a group of only the heading
        around = _group_end(text, around.end(), stop)
    if around and around["name"] != "document":
        return around.start()
    if end is None:
        return len(text)
    if end["after"]:
        return end.end()
    is_last = end.group().startswith("\\end")
    listed = _ENTRY if is_last else _BIBLIOGRAPHY
    if heading["literature"] and not listed.search(text, position, end.start()):
        return None
    if not is_last and _PROSE.search(text, heading.end(), end.start()):
        return end.start() if _ENTRY.search(text, heading.end(), end.start()) else None
    return end.start()


def unheaded(text: str, mark: re.Match) -> tuple[int, int] | None:
    r"""References without a section: a bold heading above entries, or \bibitem outside a list."""
    line = text.rfind("\n", max(0, mark.start() - 200), mark.start()) + 1
    if mark["bold"]:
        entries = text[mark.end() : mark.end() + 600]
        if not _BEFORE_BOLD.fullmatch(text, line, mark.start()) or not _ENTRY.search(entries):
            return None
    end = _REFERENCES_END.search(text, mark.end())
    stop = len(text) if end is None else end.end() if end["after"] else end.start()
    if not mark["bold"]:
        ended = _group_end(text, mark.end(), stop)
        opened = _OPENED.search(text, max(0, mark.start() - 300), mark.start())
        if ended and opened and opened["name"] == ended["name"] != "document":
            return opened.start(), ended.end()
        return mark.start(), ended.start() if ended else stop
    around = _OPEN_BEFORE.search(text, max(0, line - 40), line)
    start = around.start() if around else line
    ended = _group_end(text, start, stop)
    return start, ended.start() if ended else stop


def _group_end(text: str, position: int, stop: int) -> re.Match | None:
    """The end of the environment or group that is open at `position`, if it is before `stop`."""
    depth = braces = 0
    for mark in _GROUPS.finditer(text, position, stop):
        if mark["kind"]:
            depth += 1 if mark["kind"] == "begin" else -1
        elif mark["brace"]:
            braces += 1 if mark["brace"] == "{" else -1
        if depth < 0 or braces < 0:
            return mark
    return None


def environment_end(text: str, mark: re.Match) -> int:
    r"""Where the environment of the mark, or `\Refs`, ends: with the document if nothing closes it."""
    close = "\\end" + mark["ams"] if mark["ams"] else f"\\end{{{text[mark.start('begin') : mark.end()]}"
    stop = text.find(close, mark.end())
    if stop >= 0:
        return stop + len(close)
    end = text.find("\\end{document}", mark.end())
    return end if end >= 0 else len(text)


def argument_end(command: str, text: str, position: int) -> int:
    r"""Where the argument of a bibliography's command ends, or the options of `\printbibliography`."""
    if command.startswith(("print", "put")):
        option = Arguments().option(text, position)
        return option[1] if option else position
    group = BRACED.match(text, position) if command else None
    if group is None:
        return position
    return group.end() + 2 * text.startswith("{}", group.end())  # AASTeX's \bibliography{file}{}
