r"""Strips LaTeX's comments, and inserts the files that it inputs.

In: the LaTeX of one file. Out: the same without comments, `comment` environments and what `\iffalse` hides.
One compiled pattern finds the few marks that matter, and a scan that knows verbatim text decides what they
mean. Libraries are 20 to 90 times slower (`benchmarks/text/latex.py`).
"""

import re
from functools import lru_cache

from data.sources.arxiv.latex import conditionals
from data.sources.arxiv.latex.inputs import PACKAGES, Resolve, existence, resolved_input
from data.sources.arxiv.latex.syntax import Arguments, after_word, ends_in_word, line_rest
from data.sources.arxiv.latex.verbatim import LATEX, SWITCHED, SWITCHES, Verbatim, alternatives

_FAILURES = 3  # give up on conditionals after this many unterminated ones
_NESTED = 10  # follow nested branches this deep

_LINE_GROUP = re.compile(
    r"\s*+(?:\[[^]\n]{0,200}\]\s*+)?\{(?:[^{}\n]++|\{[^{}\n]*+\})*+\}|([|!+\"])[^\n]*?\1"
)
# In an address as an argument, a % that encodes a byte is no comment, whatever the command.
_ADDRESS = re.compile(r"\{\s*+(?:(?:https?|ftp|mailto):|www\.|10\.\d{4,9}/)[^\s{}]*+\Z", re.IGNORECASE)
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}[^\s{}]*+\s?\}")
_MOST_ADDRESS = 2000  # characters before its last %
_GROUP = re.compile(r"\\(?:begin|b|end|e)group(?![A-Za-z@])|\\.|[{}]")
_MOST_BEFORE = 500  # look for a group's or line's beginning in this many characters
_HEAD = re.compile(
    r"[ \t]*+\\(?:(?:sub){0,2}section|(?:sub)?paragraph|chapter|part|begin)\*?"
    r"(?:\[[^][\n]*+\]|\{[^{}\n]*+\})++(?:\\label\{[^{}\n]*+\})?"
)
_PERCENT_COMMENTS = re.compile(r"\\catcode[ \t]*+`\\?%[ \t]*+=?[ \t]*+14(?!\d)")
# An @ that is part of a name, as in \verb@egroup; not one that another @ closes, as in \verb@5 % x@.
_AT_NAME = r"@(?![A-Za-z@]{0,100}[^A-Za-z@\n\\{}][^@\n]{0,200}@)"


@lru_cache(maxsize=64)
def _marks(verbatim: Verbatim) -> re.Pattern:
    """A pattern of the marks that matter besides %, given what is verbatim."""
    environments = verbatim.environments | verbatim.comments | {"filecontents", "filecontents*"}
    short = (
        rf"|(?P<short>[{re.escape(verbatim.short)}])"
        rf"|\\(?P<switch>{alternatives(frozenset(SWITCHES))})(?![A-Za-z@]){SWITCHED.pattern}"
        if verbatim.short
        else ""
    )
    return re.compile(
        r"\\(?:[\\%]"
        rf"|(?P<verb>{alternatives(verbatim.commands | verbatim.language_commands)})(?![A-Za-z]|{_AT_NAME})"
        rf"|begin[ \t]*\{{(?P<env>{alternatives(environments)})\}}"
        r"|(?P<literal>catcode[ \t]*+`\\?%[ \t]*+=?[ \t]*+1[12](?!\d)|@makeother[ \t]*+\\%)"
        r"|(?P<url>url|burl|path|href|nolinkurl)(?![A-Za-z@])"
        rf"|(?P<plain>{alternatives(verbatim.comments - {'comment*'})})(?=[ \t]*\n)"
        r"|(?P<if>(?:unless\s*+\\)?+if(?:false|true|num|odd|case)?)(?![A-Za-z@])"
        r"|(?P<file>input|@input|@@input|@iinput|include|includestandalone|subfile|subfileinclude|InputIfFileExists|IfFileExists|import|subimport|inputfrom"
        r"|subinputfrom|includefrom|subincludefrom|usepackage|RequirePackage|documentclass|LoadClass|loadglsentries"
        rf"|documentstyle|endinput)(?![A-Za-z@])){short}"
    )


def strip_comments(text: str, resolve: Resolve | None = None, verbatim: Verbatim = LATEX) -> str:
    r"""The text without its comments, as TeX reads it: `\%` and verbatim text are not comments.

    A line with nothing but a comment is left out; at the end of another line, `%` removes the line's end
    too, as in TeX, where a space would otherwise appear; after a heading or \begin none would. Environments
    that are comments and branches that are never taken (`\iffalse`, `\if0`, the `\else` of `\iftrue`) are
    comments too. With `resolve`, what it returns takes the place of `\input` and its kin.
    """
    if "%" not in text and "\\" not in text:
        return text
    return "".join(_Scan(text, resolve, verbatim).kept())


class _Scan:
    """One reading of a text from mark to mark, which collects what is kept."""

    def __init__(self, text: str, resolve: Resolve | None, verbatim: Verbatim) -> None:
        self.text, self.resolve, self.verbatim = text, resolve, verbatim
        self.pieces: list[str] = []
        self.start = 0  # of the text that is not among the pieces yet
        self.position = 0  # where reading continues
        self.unclosed: set[str] = set()  # ends of environments that do not occur again
        self.failures = 0
        self.flags = conditionals.declared_flags(text)
        self.is_short = verbatim.is_short_at_start(text)
        self.literal_end = 0  # before this, % is a character as others
        self.jumps: list[tuple[int, int]] = []  # from the end of a kept branch to the end of its conditional
        self.read = Arguments()

    def kept(self) -> list[str]:
        """The pieces of the text that are not comments."""
        text, pattern = self.text, _marks(self.verbatim)
        length, mark = len(text), None
        percent = next_mark = -1  # two searches for a character are far faster than one for two characters
        while True:
            if percent < self.position:
                percent = text.find("%", self.position)
                percent = length if percent < 0 else percent
            if next_mark < self.position:
                mark = pattern.search(text, self.position)
                next_mark = mark.start() if mark else length
            at = min(percent, next_mark)
            if self.jumps and at >= self.jumps[-1][0]:
                begin, end = self.jumps.pop()
                if begin >= self.position:  # verbatim text may extend over it
                    self._leave_out(begin, after_word(text, begin, end))
            elif at == percent < length:
                address = _ENCODED.match(text, at)
                if at < self.literal_end:
                    self.position = at + 1
                elif address and _ADDRESS.search(text, max(self.start, at - _MOST_ADDRESS), at):
                    self.position = address.end()
                else:
                    self._leave_out(*_comment(text, at))
            elif mark:
                self.position = mark.end()
                self._pass(mark)
            else:
                return [*self.pieces, text[self.start :]]

    def _leave_out(self, begin: int, end: int) -> None:
        if begin > self.start:
            self.pieces.append(self.text[self.start : begin])
        self.start = self.position = end

    def _pass(self, mark: re.Match) -> None:
        match mark.lastgroup:
            case "verb":
                self.position = self.verbatim.inline(mark["verb"], self.text, self.position)
            case "switch":
                self.is_short = SWITCHES[mark["switch"]]
            case "short" if self.is_short:  # a character that opens verbatim text
                self.position = self.verbatim.short_end(self.text, self.position)
            case "literal":
                self.literal_end = _literal_end(self.text, mark.start(), self.position, self.read)
            case "url":
                group = _LINE_GROUP.match(self.text, self.position)
                self.position = group.end() if group else self.position
            case "env" | "plain":
                self._pass_environment(mark)
            case "if":
                self._enter_branch(mark)
            case "file":
                self._insert(mark)

    def _pass_environment(self, mark: re.Match) -> None:
        name = mark["env"] or ""
        close = f"\\end{{{name}}}" if name else "\\end" + mark["plain"]  # of \comment … \endcomment
        end = -1 if close in self.unclosed else self.text.find(close, self.position)
        if end < 0:
            self.unclosed.add(close)
            return
        self.position = end + len(close)
        if name not in self.verbatim.environments:
            if name.startswith("filecontents") and self.resolve:
                self.resolve("filecontents", "", self.text[mark.end() : end])
            self._leave_out(mark.start(), _own_line(self.text, mark.start(), self.position))

    def _enter_branch(self, mark: re.Match) -> None:
        """Leave out the branches of a conditional that are never taken."""
        text, at = self.text, mark.start()
        decided = conditionals.decided(mark["if"], text, at, self.position)
        if decided is None or self.failures >= _FAILURES or len(self.jumps) >= _NESTED:
            return
        chosen = conditionals.branch(text, decided[1], decided[0], self.flags)
        if chosen is None:
            self.failures += 1
        elif chosen.start < chosen.end:
            self.jumps.append((chosen.end, chosen.fi))
            self._leave_out(at, after_word(text, at, chosen.start))
        else:
            end = _own_line(text, at, chosen.fi)
            self._leave_out(at, after_word(text, at, end) if end == chosen.fi else end)

    def _insert(self, mark: re.Match) -> None:
        r"""Put a file in the place of the command that inputs it; `\endinput` ends this one."""
        text, at, command = self.text, mark.start(), mark["file"]
        if command == "endinput":  # TeX still reads the rest of the line
            line_end = text.find("\n", self.position)
            rest = text[self.position : line_end + 1 if line_end >= 0 else len(text)]
            self._leave_out(at, len(text))
            self.pieces += _Scan(rest, None, self.verbatim).kept()
        elif self.resolve is None:
            pass
        elif command == "IfFileExists":
            branches = existence(text, self.position, self.resolve, self.read)
            if branches and len(self.jumps) < _NESTED:
                self._leave_out(at, branches[0])
                self.jumps.append(branches[1:])
        else:
            found, end = resolved_input(text, self.position, command, self.resolve)
            if found is not None:
                keep = end if command in PACKAGES else at
                self._leave_out(keep, end)
                if found[:1].isalpha() and ends_in_word(text, keep):  # \iflong\input{a}
                    self.pieces.append(" ")
                self.pieces.append(found)


def _comment(text: str, percent: int) -> tuple[int, int]:
    """Where the text before a comment ends, and where reading continues."""
    line_end = text.find("\n", percent)
    line_end = len(text) if line_end < 0 else line_end
    stop = percent
    while stop and text[stop - 1] in " \t":
        stop -= 1
    if stop == 0 or text[stop - 1] == "\n":
        return stop, min(line_end + 1, len(text))
    if stop < percent or (text[stop - 1] == "}" and _is_head(text, stop)):
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


def _is_head(text: str, end: int) -> bool:
    r"""Whether only a heading or a \begin is on the line up to here: TeX skips blanks after these."""
    start = text.rfind("\n", max(0, end - _MOST_BEFORE), end) + 1
    return _HEAD.fullmatch(text, start, end) is not None


def _literal_end(text: str, at: int, position: int, read: Arguments) -> int:
    r"""Where a % is a comment again after a \catcode here: where its group or another \catcode ends that."""
    closed = 0
    for mark in reversed([*_GROUP.finditer(text, max(0, at - _MOST_BEFORE), at)]):
        kind = mark.group()
        if kind in ("}", "\\endgroup", "\\egroup"):
            closed += 1
        elif kind[0] == "\\" and len(kind) == 2:
            continue
        elif closed:
            closed -= 1
        elif kind == "{":
            return max(position, read.group_end(text, mark.start()))
        else:
            return max(position, text.find(kind.replace("begin", "end").replace("\\b", "\\e"), position))
    ends = _PERCENT_COMMENTS.search(text, position)
    return ends.start() if ends else position


def _own_line(text: str, start: int, end: int) -> int:
    """The position past the line's end if the piece from start to end fills its lines; else `end`."""
    before = text.rfind("\n", max(0, start - 200), start) + 1
    alone = (before or start < 200) and not text[before:start].strip(" \t")
    return line_rest(text, end) if alone else end
