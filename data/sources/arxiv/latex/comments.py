r"""Strips LaTeX's comments, and inserts the files that it inputs.

In: the LaTeX of one file. Out: the same without comments, `comment` environments and what `\iffalse` hides.
One compiled pattern finds the few marks that matter, and a scan that knows verbatim text decides what they
mean. Libraries are 20 to 90 times slower (`benchmarks/text/latex.py`).
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from data.sources.arxiv.latex import conditionals
from data.sources.arxiv.latex.inputs import PACKAGES, Resolve, existence, resolved_input
from data.sources.arxiv.latex.syntax import Arguments, after_word, ends_in_word, line_rest
from data.sources.arxiv.latex.verbatim import LATEX, Verbatim, alternatives

_FAILURES = 3  # give up on conditionals after this many unterminated ones
_NESTED = 10  # follow nested branches this deep

_LINE_GROUP = re.compile(r"[ \t]*\{[^{}\n]*\}|([|!+\"])[^\n]*?\1")


@lru_cache(maxsize=64)
def _marks(verbatim: Verbatim) -> re.Pattern:
    """A pattern of the marks that matter besides %, given what is verbatim."""
    environments = verbatim.environments | verbatim.comments | {"filecontents", "filecontents*"}
    short = f"|(?P<short>[{re.escape(verbatim.short)}])" if verbatim.short else ""
    return re.compile(
        r"\\(?:[\\%]"
        rf"|(?P<verb>{alternatives(verbatim.commands | verbatim.language_commands)})(?![A-Za-z@])"
        rf"|begin[ \t]*\{{(?P<env>{alternatives(environments)})\}}"
        r"|(?P<url>url|path|href|nolinkurl)(?![A-Za-z@])"
        rf"|(?P<plain>{alternatives(verbatim.comments - {'comment*'})})(?=[ \t]*\n)"
        r"|(?P<if>(?:unless\s*+\\)?+if(?:false|true|num|odd|case)?)(?![A-Za-z@])"
        r"|(?P<file>input|@input|@@input|@iinput|include|includestandalone|subfile|subfileinclude|InputIfFileExists|IfFileExists|import|subimport|inputfrom"
        r"|subinputfrom|includefrom|subincludefrom|usepackage|RequirePackage|documentclass|LoadClass"
        rf"|documentstyle|endinput)(?![A-Za-z@])){short}"
    )


def strip_comments(text: str, resolve: Resolve | None = None, verbatim: Verbatim = LATEX) -> str:
    r"""The text without its comments, as TeX reads it: `\%` and verbatim text are not comments.

    A line with nothing but a comment is left out; at the end of another line, `%` removes the line's end
    too, as in TeX, where a space would otherwise appear. Environments that are comments and branches that
    are never taken (`\iffalse`, `\if0`, the `\else` of `\iftrue`) are comments too. With `resolve`, what it
    returns takes the place of `\input` and its kin.
    """
    if "%" not in text and "\\" not in text:
        return text
    return "".join(_pieces(text, resolve, verbatim))


def _pieces(text: str, resolve: Resolve | None, verbatim: Verbatim) -> Iterator[str]:
    pattern = _marks(verbatim)
    start = position = failures = 0
    read = Arguments()
    unclosed: set[str] = set()
    jumps: list[tuple[int, int]] = []  # from the end of a kept branch to the end of its conditional
    length, mark = len(text), None
    percent = next_mark = -1  # two searches for a character are far faster than one for two characters
    while True:
        if percent < position:
            percent = text.find("%", position)
            percent = length if percent < 0 else percent
        if next_mark < position:
            mark = pattern.search(text, position)
            next_mark = mark.start() if mark else length
        at = min(percent, next_mark)
        if jumps and at >= jumps[-1][0]:
            begin, end = jumps.pop()
            if begin >= position:  # verbatim text may extend over it
                yield text[start:begin]
                start = position = after_word(text, begin, end)
            continue
        if at == percent < length:
            stop, position = _comment(text, at)
            if stop > start:
                yield text[start:stop]
            start = position
            continue
        if mark is None:
            break
        position = mark.end()
        if mark.lastgroup is None:  # \\ or \%
            continue
        if mark["verb"]:
            position = verbatim.inline(mark["verb"], text, position)
        elif mark["url"]:
            group = _LINE_GROUP.match(text, position)
            position = group.end() if group else position
        elif mark["env"] or mark["plain"]:  # the latter is \comment … \endcomment
            name = mark["env"] or ""
            close = f"\\end{{{name}}}" if name else "\\end" + mark["plain"]
            end = -1 if close in unclosed else text.find(close, position)
            if end < 0:
                unclosed.add(close)
                continue
            position = end + len(close)
            if name not in verbatim.environments:
                yield text[start:at]
                if name.startswith("filecontents") and resolve:
                    resolve("filecontents", "", text[mark.end() : end])
                start = position = _own_line(text, at, position)
        elif mark["if"]:
            found = conditionals.decided(mark["if"], text, at, position)
            if found is None or failures >= _FAILURES or len(jumps) >= _NESTED:
                continue
            chosen = conditionals.branch(text, found[1], found[0])
            if chosen is None:
                failures += 1
                continue
            yield text[start:at]
            if chosen.start < chosen.end:
                jumps.append((chosen.end, chosen.fi))
                start = position = after_word(text, at, chosen.start)
            else:
                start = position = _own_line(text, at, chosen.fi)
                if start == chosen.fi:
                    start = position = after_word(text, at, start)
        elif not mark["file"]:  # a character that opens verbatim text
            position = verbatim.short_end(text, position)
        elif mark["file"] == "endinput":  # TeX still reads the rest of the line
            yield text[start:at]
            line_end = text.find("\n", position)
            yield from _pieces(text[position : line_end + 1 if line_end >= 0 else length], None, verbatim)
            return
        elif resolve and mark["file"] == "IfFileExists":
            found_branches = existence(text, position, resolve, read)
            if found_branches and len(jumps) < _NESTED:
                yield text[start:at]
                start = position = found_branches[0]
                jumps.append(found_branches[1:])
        elif resolve:
            found, end = resolved_input(text, position, mark["file"], resolve)
            if found is not None:
                keep = end if mark["file"] in PACKAGES else at
                yield text[start:keep]
                if found[:1].isalpha() and ends_in_word(text, keep):  # \iflong\input{a}
                    yield " "
                yield found
                start = position = end
    yield text[start:]


def _comment(text: str, percent: int) -> tuple[int, int]:
    """Where the text before a comment ends, and where reading continues."""
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
    """The position past the line's end if the piece from start to end fills its lines; else `end`."""
    before = text.rfind("\n", max(0, start - 200), start) + 1
    alone = (before or start < 200) and not text[before:start].strip(" \t")
    return line_rest(text, end) if alone else end
