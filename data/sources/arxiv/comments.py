r"""LaTeX without its comments, with the files that it inputs in their places.

In: the LaTeX of one file. Out: the same without comments, `comment` environments and `\iffalse`. One compiled
pattern finds the few marks that matter, and a scan that knows verbatim text decides what they mean.
Libraries are 20 to 90 times slower here (`benchmarks/text/latex.py`).
"""

import re
from collections.abc import Callable, Iterator

from data.sources.arxiv.syntax import OPTION, VERBATIM, ends_in_word, inline_end, line_rest

_FALSE_FAILURES = 3  # \iffalse without an end, after which none is looked for

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
_LINE_GROUP = re.compile(r"[ \t]*\{[^{}\n]*\}")
_CONDITIONAL = re.compile(r"%[^\n]*|\\(?:(if[A-Za-z@]*|else|fi)(?![A-Za-z@])|.)", re.DOTALL)
_NOT_CONDITIONAL = re.compile(
    r"iff$|ifthenelse|if(?:cs)?(?:def|undef|string|empty|blank|num|dim|bool|toggle|strequal|in)"
)
_FOLDERED = ("import", "subimport", "inputfrom", "subinputfrom", "includefrom", "subincludefrom")
_PACKAGES = ("usepackage", "RequirePackage", "documentclass", "LoadClass", "documentstyle")


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
        option = OPTION.match(text, position)
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
