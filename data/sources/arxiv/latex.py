r"""LaTeX as it is read here: comments, arguments and the parts of a paper.

In: the LaTeX of one paper. Out: it without comments (where `\input` may be followed too), and of that what
stands from the first section on. The one idea: a compiled pattern finds the few marks that matter, and a
scan that knows verbatim text says what they mean, in time linear in the length. The macros between the
two steps are `latex_macros`'. Libraries are 20 to 90 times slower here (`benchmarks/latex.py`).
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

VERBATIM = (
    "verbatim",
    "Verbatim",
    "BVerbatim",
    "LVerbatim",
    "SaveVerbatim",
    "lstlisting",
    "minted",
    "alltt",
    "verbatimtab",
    "spverbatim",
)
MAX_TEXT = 32 << 20  # characters of one paper with all that it inputs
MAX_GROUP = 1 << 18  # characters of one argument or definition
MAX_OPTION = 4096  # characters of one optional or delimited argument
_FAILURES = 20  # groups that do not end, after which none is looked for any more
_FALSE_FAILURES = 3  # the same of \iffalse

WORD = re.compile(r"\\([A-Za-z]+|.)", re.DOTALL)
BLANKS = re.compile(r"[ \t]*\n?[ \t]*")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_BRACKETS = re.compile(r"\\.|[{}\]]", re.DOTALL)
_SIMPLE_GROUP = re.compile(r"[ \t]*\n?[ \t]*\{([^{}\\]*)\}")

# What `strip_comments` asks for the text of a file: the command's name, and its argument or arguments.
Resolve = Callable[[str, str, str], str | None]

_MARK = re.compile(
    r"%|\\(?:[\\%]"
    r"|(?P<verb>verb|lstinline|mintinline)(?![A-Za-z])"
    r"|begin[ \t]*\{(?P<env>"
    + "|".join([*map(re.escape, VERBATIM), "comment", "filecontents"])
    + r")(?P<star>\*?)\}"
    r"|(?P<url>url|path|href|nolinkurl)(?![A-Za-z@])"
    r"|(?P<false>iffalse)(?![A-Za-z@])|(?P<fi>fi)(?![A-Za-z@])"
    r"|(?P<file>input|include|subfile|subfileinclude|InputIfFileExists|import|subimport|inputfrom"
    r"|subinputfrom|includefrom|subincludefrom|usepackage|RequirePackage|documentclass|LoadClass"
    r"|documentstyle|endinput)(?![A-Za-z@]))"
)
_ARGUMENT = re.compile(r'[ \t]*(?:\n[ \t]*)?(?:\{([^{}]*)\}|"([^"\n]*)"|([^\s{}\\%$&#"\[\]]+))')
_BRACED = re.compile(r"\s*\{([^{}]*)\}")
_OPTION = re.compile(r"\s*\[[^\]]{0,1000}\]")
_LINE_GROUP = re.compile(r"[ \t]*\{[^{}\n]*\}")
_CONDITIONAL = re.compile(r"%[^\n]*|\\(?:(if[A-Za-z@]*|else|fi)(?![A-Za-z@])|.)", re.DOTALL)
_NOT_CONDITIONAL = re.compile(
    r"iff$|ifthenelse|if(?:cs)?(?:def|undef|string|empty|blank|num|dim|bool|toggle|strequal|in)"
)
_FOLDERED = ("import", "subimport", "inputfrom", "subinputfrom", "includefrom", "subincludefrom")
_PACKAGES = ("usepackage", "RequirePackage", "documentclass", "LoadClass", "documentstyle")

_STRUCTURE = re.compile(
    r"\\(?:(?P<section>(?:(?:sub){0,2}section|chapter|part|(?:sub)?paragraph)\*?(?=\s*[\[{])"
    r"|beginsection(?![A-Za-z@])|head(?=[^\n]{1,300}\\endhead)|heading(?=[^\n]{1,300}\\endheading))"
    r"|begin\s*\{(?P<begin>document|thebibliography|chapthebibliography|references|bibdiv|biblist)\*?\}"
    r"|end\s*\{(?P<end>document|frontmatter|abstract)\}"
    r"|(?P<maketitle>maketitle)(?![A-Za-z@])"
    r"|(?P<ams>document|enddocument|Refs|bye)(?![A-Za-z@])"
    r"|(?P<plainend>end)(?=\s*\Z)"
    r"|(?P<bib>bibliography|bibliographystyle|nobibliography|printbibliography|printbibheading|putbib)"
    r"(?![A-Za-z@])\*?"
    r"|(?P<bbl>input\s*\{[^{}]*\.bbl\}))"
)
# Headings of what stands around a paper; one with no other heading is a letter, whose body has none.
_AROUND = re.compile(
    r"\s*(?:\[[^\]]{0,200}\])?\s*\{\s*(?:\\[A-Za-z]+\s*|\{)*"
    r"(?:acknowledge?ment|references\b|bibliography|literature cited"
    r"|appendi(?:x|ces)\b|supplement(?:s|ary|al)?\b|supporting inf|author contrib|(?:data|code) availability"
    r"|funding(?:[\s:.]*\}| (?:information|statement|sources)\b)|conflicts? of interest"
    r"|competing (?:financial )?interests?\b|notes? added|key\s?words\b|pacs\b|msc\b|jel\b"
    r"|(?:mathematics )?subject class)",
    re.IGNORECASE,
)
_REFERENCES = re.compile(
    r"\s*\{\s*(?:\\[A-Za-z]+\s*|\{)*(?:references|bibliography|literature cited|(?P<literature>literature))"
    r"[\s:.]*\}",
    re.IGNORECASE,
)
_BIBLIOGRAPHY = re.compile(r"\\bibitem|\{thebibliography\}")
# Where references that are a section of their own end: with their environment or command, or before these.
_REFERENCES_END = re.compile(
    r"(?P<after>\\end\s*\{thebibliography\}|\\bibliography\s*\{[^{}]*\}|\\printbibliography(?:\[[^\]]{0,1000}\])?"
    r"|\\input\s*\{[^{}]*\.bbl\})|\\(?:(?:sub)*section|chapter|part|appendix|clearpage|newpage|pagebreak|figcaption"
    r"|end\s*\{document\}|begin\s*\{(?:figure|table|deluxetable|appendix))"
)
_LINK = re.compile(r"\\hypertarget\{[^{}]*\}\{\s*\Z")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")


def strip_comments(text: str, resolve: Resolve | None = None) -> str:
    r"""The text without its comments, read as TeX reads it: `\%` and verbatim text are none.

    A line that holds nothing but a comment goes whole; at the end of another, `%` takes the line's end
    with it, as in TeX, where a blank would else appear. `comment` environments and `\iffalse … \fi` are
    comments. With `resolve`, what it returns stands where `\input` and its kin stood.
    """
    if "%" not in text and "\\" not in text:
        return text
    return "".join(_pieces(text, resolve))


def _pieces(text: str, resolve: Resolve | None) -> Iterator[str]:
    start = position = failures = 0
    unclosed: set[str] = set()
    closers: list[int] = []  # the ends of \\else parts that stay
    while mark := _MARK.search(text, position):
        position = mark.end()
        if mark.group() == "%":
            stop, position = _comment(text, mark.start())
            if stop > start:
                yield text[start:stop]
            start = position
        elif mark.lastgroup is None:  # \\ or \%
            continue
        elif mark["verb"]:
            position = inline_end(text, position)
        elif mark["url"]:
            group = _LINE_GROUP.match(text, position)
            position = group.end() if group else position
        elif mark["env"]:
            name = mark["env"] + mark["star"]
            close = f"\\end{{{name}}}"
            end = -1 if name in unclosed else text.find(close, position)
            if end < 0:
                unclosed.add(name)
                continue
            position = end + len(close)
            if mark["env"] not in VERBATIM:
                yield text[start : mark.start()]
                if mark["env"] == "filecontents" and resolve:
                    resolve("filecontents", "", text[mark.end() : end])
                start = position = _own_line(text, mark.start(), position)
        elif mark["false"]:
            skipped = _false_end(text, position) if failures < _FALSE_FAILURES and len(closers) < 10 else None
            if skipped is None:
                failures += 1
                continue
            yield text[start : mark.start()]
            begin, end = skipped
            if begin < end:  # after \\else: it stays, and its \\fi goes
                closers.append(end)
                start = position = begin
            else:
                start = position = _own_line(text, mark.start(), end)
        elif mark["fi"]:
            if closers and closers[-1] == position:
                closers.pop()
                yield text[start : mark.start()]
                start = position
        elif mark["file"] == "endinput":
            yield text[start : mark.start()]
            return
        elif resolve:
            found, end = _resolved(text, position, mark["file"], resolve)
            if found is not None:
                keep = end if mark["file"] in _PACKAGES else mark.start()
                yield text[start:keep]
                yield found
                start = position = end
    yield text[start:]


def _comment(text: str, percent: int) -> tuple[int, int]:
    """Where the text before a comment ends, and where reading goes on."""
    line_end = text.find("\n", percent)
    line_end = len(text) if line_end < 0 else line_end
    stop = percent
    while stop and text[stop - 1] in " \t":
        stop -= 1
    if stop == 0 or text[stop - 1] == "\n":
        return stop, min(line_end + 1, len(text))
    if stop < percent:
        return stop, line_end
    position = line_end
    while position < len(text):
        position += 1
        while text[position : position + 1] in (" ", "\t"):
            position += 1
        if text[position : position + 1] != "%":
            break
        position = text.find("\n", position)
        position = len(text) if position < 0 else position
    following = text[position : position + 1]
    if following in ("", "\n") or (following.isalpha() and ends_in_word(text, stop)):
        return stop, line_end
    return stop, position


def _own_line(text: str, start: int, end: int) -> int:
    """Past the line's end where the piece from start to end has its lines to itself."""
    before = text.rfind("\n", max(0, start - 200), start) + 1
    alone = (before or start < 200) and not text[before:start].strip(" \t")
    return line_rest(text, end) if alone else end


def _false_end(text: str, position: int) -> tuple[int, int] | None:
    r"""Where the text that stays begins and ends: both after \fi, or from \else to \fi."""
    depth, kept = 1, 0
    for mark in _CONDITIONAL.finditer(text, position):
        word = mark[1]
        if word is None or _NOT_CONDITIONAL.match(word):
            continue
        if word == "fi":
            depth -= 1
            if depth == 0:
                return (kept or mark.end()), mark.end()
        elif word == "else":
            kept = kept or (mark.end() if depth == 1 else 0)
        else:
            depth += 1
    return None


def _resolved(text: str, position: int, command: str, resolve: Resolve) -> tuple[str | None, int]:
    """The text of the file or files that a command names, and where the command ends."""
    if command in _PACKAGES:
        option = _OPTION.match(text, position)
        names = _BRACED.match(text, option.end() if option else position)
        if names is None:
            return None, position
        kind = ".sty" if command in ("usepackage", "RequirePackage") else ".cls"
        options = option.group().strip(" \n\t[]").split(",") if option and command == "documentstyle" else []
        wanted = [name.strip() + kind for name in names[1].split(",")] + [
            name.strip() + ".sty" for name in options
        ]
        found = [resolve(command, "", name) for name in wanted]
        found = [f"\n\\makeatletter\n{content}\n\\makeatother\n" for content in found if content is not None]
        return ("".join(found) or None), names.end()
    folder = ""
    if command in _FOLDERED:
        first = _BRACED.match(text, position)
        if first is None:
            return None, position
        folder, position = first[1].strip(), first.end()
    argument = _ARGUMENT.match(text, position)
    if argument is None or (argument[1] is None and command != "input"):
        return None, position
    name = next(name for name in argument.groups() if name is not None).strip().strip('"')
    found = resolve(command, folder, name)
    if found is not None and not found.endswith("\n") and command != "input":
        found += "\n"
    return found, argument.end()


# ---- structure


def body(text: str, opaque: list[tuple[int, int]]) -> str:
    """From the first heading to the end of the document, without the bibliography."""
    starts = [start for start, _ in opaque]

    def is_opaque(position: int) -> bool:
        place = bisect_right(starts, position) - 1
        return place >= 0 and position < opaque[place][1]

    begin = titled = position = 0
    headings: list[re.Match] = []
    gone: list[tuple[int, int]] = []
    end = len(text)
    while mark := _STRUCTURE.search(text, position):
        position = mark.end()
        if is_opaque(mark.start()):
            continue
        if mark["section"]:
            references_end = _references_end(text, position)
            if references_end is not None:
                link = _LINK.search(text, max(0, mark.start() - 200), mark.start())
                position = references_end
                gone.append((link.start() if link else mark.start(), position))
            elif not _AROUND.match(text, position):
                headings.append(mark)
        elif "document" in (mark["begin"], mark["ams"]):
            if begin == 0:
                begin = titled = position
                headings, gone = [], []
        elif mark["begin"] or mark["ams"] == "Refs":
            close = "\\endRefs" if mark["ams"] else f"\\end{{{mark['begin']}}}"
            stop = text.find(close, position)
            position = stop + len(close) if stop >= 0 else _document_end(text, position)
            gone.append((mark.start(), position))
        elif mark["bib"] or mark["bbl"]:
            position = _arguments_end(text, position)
            gone.append((mark.start(), position))
        elif mark["end"] == "abstract":  # its paragraphs may have headings of their own
            headings = [heading for heading in headings if not heading["section"].startswith(("sub", "par"))]
        elif mark["maketitle"] or mark["end"] == "frontmatter":
            titled = position
        elif mark["end"] or mark["ams"] or not begin:
            end = mark.start()
            break
    start = min(headings[0].start() if headings else max(begin, titled), end)
    pieces = []
    for first, last in gone:
        if start <= first < end:
            pieces.append((start, first))
            start = min(last, end)
    pieces.append((start, end))
    body = "".join(_tidied(text, pieces, opaque)).strip("\n").rstrip()
    return body + "\n" if body else ""


def _references_end(text: str, position: int) -> int | None:
    """Where the section of references ends whose heading is here; None if it is none, but a review, say."""
    heading = _REFERENCES.match(text, position)
    if heading is None:
        return None
    end = _REFERENCES_END.search(text, heading.end())
    if end is None:
        return len(text)
    if end["after"]:
        return end.end()
    is_last = end.group().startswith("\\end")
    if heading["literature"] and not is_last and not _BIBLIOGRAPHY.search(text, position, end.start()):
        return None
    return end.start()


def _document_end(text: str, position: int) -> int:
    end = text.find("\\end{document}", position)
    return end if end >= 0 else len(text)


def _arguments_end(text: str, position: int) -> int:
    option = _OPTION.match(text, position)
    position = option.end() if option else position
    group = _BRACED.match(text, position)
    return group.end() if group else position


def _tidied(text: str, pieces: list[tuple[int, int]], opaque: list[tuple[int, int]]) -> Iterator[str]:
    """The pieces of the text with no more than one blank line in a row, but for what is opaque."""
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


# ---- arguments


class Arguments:
    """Reads arguments as TeX takes them; after `_FAILURES` that do not end it looks for no more."""

    def __init__(self) -> None:
        self._failures = 0

    def argument(self, text: str, position: int) -> tuple[str, int] | None:
        """The group, control sequence or character here, and its end."""
        simple = _SIMPLE_GROUP.match(text, position)
        if simple:
            return simple[1], simple.end()
        position = BLANKS.match(text, position).end()
        first = text[position : position + 1]
        if first == "{":
            end = self.group_end(text, position)
            return (text[position + 1 : end - 1], end) if end >= 0 else None
        if first == "\\":
            token = WORD.match(text, position)
            return (token.group(), token.end()) if token else None
        return None if first in ("", "\n", "}", "$", "&", "#") else (first, position + 1)

    def option(self, text: str, position: int) -> tuple[str, int] | None:
        """The optional argument in [ ] here, and its end."""
        opening = BLANKS.match(text, position).end()
        if text[opening : opening + 1] != "[":
            return None
        return self._ended(_BRACKETS, "]", text, opening + 1)

    def until(self, delimiter: str, text: str, position: int) -> tuple[str, int] | None:
        r"""The argument of \def that ends at a delimiter outside of braces."""
        return self._ended(
            re.compile(f"\\\\.|{re.escape(delimiter)}|[{{}}]", re.DOTALL), delimiter, text, position
        )

    def _ended(self, pattern: re.Pattern, end: str, text: str, position: int) -> tuple[str, int] | None:
        depth = 0
        if self._failures >= _FAILURES:
            return None
        for mark in pattern.finditer(text, position, position + MAX_OPTION):
            kind = mark.group()
            if kind == end and depth == 0:
                return text[position : mark.start()], mark.end()
            depth += (kind == "{") - (kind == "}")
            if depth < 0:
                return None
        self._failures += 1
        return None

    def group_end(self, text: str, opening: int) -> int:
        """After the group that opens here; -1 if it does not close within `MAX_GROUP`."""
        if self._failures >= _FAILURES:
            return -1
        depth = 0
        for mark in _BRACES.finditer(text, opening, opening + MAX_GROUP):
            kind = mark.group()
            if kind == "{":
                depth += 1
            elif kind == "}":
                depth -= 1
                if depth == 0:
                    return mark.end()
        self._failures += 1
        return -1


def ends_in_word(text: str, end: int) -> bool:
    r"""Whether a control word, as `\alpha`, ends just before `end`."""
    start = end
    while start and text[start - 1].isalpha():
        start -= 1
    start -= start < end and text[start - 1 : start] == "\0"  # latex_macros' mark
    slashes = start
    while slashes and text[slashes - 1] == "\\":
        slashes -= 1
    return start < end and (start - slashes) % 2 == 1


def inline_end(text: str, position: int) -> int:
    r"""After the argument of \verb or \lstinline, or `position` if its line does not close it."""
    option = _OPTION.match(text, position)
    start = option.end() if option else position
    if text[start : start + 1] == "*":
        start += 1
    opening = text[start : start + 1]
    if opening in ("", "\n", " "):
        return position
    line = text[start + 1 : start + 4000].partition("\n")[0]
    end = line.find("}" if opening == "{" else opening)
    return start + 1 + end + 1 if end >= 0 else position


def line_rest(text: str, end: int) -> int:
    """After the line's end, if nothing but blanks is left of it; else `end`."""
    newline = text.find("\n", end, end + 200)
    return newline + 1 if newline >= 0 and not text[end:newline].strip(" \t") else end
