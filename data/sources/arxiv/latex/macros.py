r"""Expand the macros that an author defined.

In: LaTeX without comments. Out: the same with macros replaced by their values, without their definitions,
and without branches that the paper's own flags (`\newif`) disable. One scan in TeX's order: definitions,
flags, groups and the files that macros input take effect where TeX meets them.

Left unexpanded, definition and uses: names of LaTeX's own structure (`PROTECTED`), environments, and macros
that program (`\csname`, conditionals other than flags, names with @, nested definitions).
"""

import re
from functools import lru_cache

from data.sources.arxiv.latex import conditionals
from data.sources.arxiv.latex.calls import Calls, TooMuch, append, append_value
from data.sources.arxiv.latex.definitions import DEFINERS, DONE, Definition, Known, Macro, read_definition
from data.sources.arxiv.latex.flags import COMMANDS, Flags
from data.sources.arxiv.latex.inputs import INPUT, INPUTS, Resolve, resolved_input
from data.sources.arxiv.latex.packages import PACKAGES
from data.sources.arxiv.latex.syntax import WORD, after_word, blanks_end, line_rest
from data.sources.arxiv.latex.verbatim import LATEX, Verbatim, alternatives

__all__ = ["PROTECTED", "TooMuch", "expand"]

MAX_FILES = 20  # nesting of files that macros input
_ENDLESS = 3  # unterminated conditionals after which none is searched for
_NESTED = 10  # nesting of kept branches
_NOTHING = ("\\undefined", "\\@undefined")  # \let to these forgets a name
_CONSTANTS = {"\\iftrue": True, "\\iffalse": False}
_PACKAGES = re.compile(r"\s*+(?:\[([^\]]{0,1000})\])?\s*+\{([^{}]{0,1000})\}")
_AFTER_NAME = re.compile(r"(\\[A-Za-z]++)[ \t]++")  # blanks that TeX does not read
_NEWCOMMAND = re.compile(r"\\newcommand")

_STRUCTURE = (
    "part chapter section subsection subsubsection paragraph subparagraph appendix begin end item label ref"
    " pageref eqref cite citep citet citealt citealp citeauthor citeyear nocite bibitem bibliography"
    " bibliographystyle printbibliography input include subfile import documentclass documentstyle usepackage"
    " caption footnote footnotetext title author date abstract maketitle thanks includegraphics newcommand"
    " renewcommand providecommand def gdef edef xdef let newenvironment renewenvironment newtheorem url href"
    " path verb left right hline tableofcontents document enddocument par relax"
)
PROTECTED = frozenset(_STRUCTURE.split())
# Names that LaTeX itself uses: their definitions have effects, so they are kept.
_SETTING = re.compile(
    r"the(?:page|part|chapter|(?:sub)*section|(?:sub)?paragraph|equation|figure|table|footnote|enum[iv]+|theorem)$"
    r"|(?:label|p@)enum|(?:array|baseline)stretch$|qedsymbol$|(?:figure|table|ref|bib|abstract|contents|part"
    r"|chapter|section|appendix|proof|index|listfigure|listtable)name$"
)
_BRANCHES = ("fi", "nottoggle", "notbool", "opt", "optv")
_PREFIXES = frozenset({"long", "global", "outer", "protected"})


def expand(
    text: str, verbatim: Verbatim = LATEX, resolve: Resolve | None = None
) -> tuple[str, list[tuple[int, int]]]:
    """The text with its macros expanded, and its spans that are verbatim or unexpanded definitions.

    With `resolve`, what it returns takes the place of `\\input` and its kin, also of those that macros make.
    Raises TooMuch.
    """
    expander = _Expander(text, verbatim, resolve, "{document}" in text)
    expander.run(text.replace(DONE, ""))
    return "".join(expander.out), expander.opaque


_SPECIAL = DEFINERS | _PREFIXES | COMMANDS | INPUTS | {"fi", "usepackage", "makeatletter", "makeatother"}


@lru_cache(maxsize=64)
def _marks(verbatim: Verbatim, letters: str) -> re.Pattern:
    """A pattern of text without marks, then a mark, given what is verbatim and which letters names have.

    Groups without marks count as text: most groups have none, and they change nothing.
    """
    characters = re.escape(verbatim.short)
    short = f"|(?P<short>[{characters}])" if characters else ""
    plain = rf"[^{{}}\\{characters}]*+"
    return re.compile(
        rf"{plain}(?:\{{{plain}\}}{plain})*+(?P<mark>[{{}}]"
        r"|\\(?:(?P<env>begin|end)[ \t]*\{(?P<name>[A-Za-z]*\*?)\}"
        rf"|(?P<verb>{alternatives(verbatim.commands | verbatim.language_commands)})(?![A-Za-z])"
        rf"|(?P<word>[{letters}]+|.)|\Z){short}|\Z)",
        re.DOTALL,
    )


class _Expander:
    def __init__(self, paper: str, verbatim: Verbatim, resolve: Resolve | None, has_preamble: bool) -> None:
        self.text = ""
        self.verbatim, self.resolve = verbatim, resolve
        self.out: list[str] = []
        self.opaque: list[tuple[int, int]] = []
        self.flags = Flags()
        self.calls = Calls(self.flags.values, paper if has_preamble else "")
        self.calls.allow(len(paper))
        self.known = Known(self.calls.macros, self.flags.values, may_input=resolve is not None)
        self.undo: list[tuple[int, str, Macro | None]] = []  # what open groups have redefined
        self.depth = 0  # depth of groups, in the document's body
        self.files = 0  # files being read, nested
        self.in_body = not has_preamble
        self.unclosed: set[str] = set()  # verbatim environments that no longer end
        self.endless = 0  # unterminated conditionals
        self.counted, self.length = 0, 0  # pieces of `out` already measured, and their length

    # ---- the paper's own text

    def run(self, text: str) -> None:
        """Read a text of the paper: its main file, or a file that a macro inputs."""
        outer, self.text = self.text, text
        macros, pattern = self.calls.macros, _marks(self.verbatim, "A-Za-z")
        start = position = 0
        prefix_start = prefix_end = -1
        jumps: list[tuple[int, int]] = []  # from the end of a kept branch to the end of its conditional
        marks, ahead = pattern.finditer(text), 0  # the marks from `ahead` on
        while position < len(text):
            if position != ahead:
                marks = pattern.finditer(text, position)
            mark = next(marks)
            at, position, word = mark.start("mark"), mark.end(), mark["word"]
            ahead = position
            if jumps and at >= jumps[-1][0]:
                begin, end = jumps.pop()
                if begin >= start:
                    append(self.out, text[start:begin])
                    start = after_word(text, begin, end)
                position = max(start, end)
            elif word is None:
                character = text[at : at + 1]
                if at + (character == "\\") == len(text):
                    continue
                if character == "{":
                    self.depth += self.in_body
                    continue
                if character == "}":
                    if self.in_body:
                        self._group(False)
                    continue
                end = self._group_or_verbatim(mark, position)
                if end:
                    alias = macros.get(mark["verb"] or "")
                    append(self.out, text[start:at] + (alias.literal if alias else ""))
                    self._append_opaque(text[position if alias else at : end])
                    start = position = end
            elif word in macros:
                found = self.calls.top(text, word, position)
                if found is not None:
                    value, end = found
                    self._obey(value)
                    if self.resolve and "\\in" in value:
                        append(self.out, text[start:at])
                        end = self._append_inputs(value, end)
                    else:
                        append_value(self.out, text[start:at], value)
                    start = position = end
            elif (
                word not in _SPECIAL
                and word[:2] != "if"
                and word not in self.flags.values
                and word not in self.flags.setters
            ):
                continue
            elif word in self.flags.values or word[:2] == "if" or word in _BRANCHES:
                branch = self._branch(word, at, position) if len(jumps) < _NESTED else None
                if branch is None:
                    continue
                first, last, end = branch
                if first < last:
                    append(self.out, text[start:at])
                    jumps.append((last, end))
                    start = position = after_word(text, at, first)
                else:
                    start = position = self._cut(start, at, end)
                    if start == end:
                        start = position = after_word(text, at, end)
            elif word in DEFINERS:
                begin = prefix_start if prefix_end == at else at
                definition = read_definition(word, text, position, self.calls.read, self.known)
                if definition is None:
                    continue
                end = definition.end
                if end < 0:
                    self.calls.put(definition.name, None)
                    self.calls.defined.add(definition.name)
                elif definition.name and self._take(definition):
                    start = position = self._cut(start, begin, end)
                else:
                    append(self.out, text[start:begin])
                    self._append_opaque(text[begin:end])
                    start = position = end
            elif word in _PREFIXES:
                if prefix_end != at:
                    prefix_start = at
                prefix_end = blanks_end(text, position)
            elif word in self.flags.setters:
                self.flags.use(word, self._group_depth() if prefix_end != at else 0)
                self.calls.forget_values()
            elif word in COMMANDS:
                self.flags.command(word, text, position, self._group_depth())
                self.calls.forget_values()
                if word == "newif":
                    position = blanks_end(text, position)
                    position += text.startswith("\\", position)  # skip the name, which tests nothing here
            elif word == "usepackage":
                self._use_packages(position)
            elif self.resolve and word in INPUTS:
                found = resolved_input(text, position, word, self._input)
                if found[0] is not None:
                    append(self.out, text[start:at])
                    self._nest(found[0])
                    start = position = found[1]
            elif word == "makeatletter":
                pattern, ahead = _marks(self.verbatim, "A-Za-z@"), -1
            elif word == "makeatother":
                pattern, ahead = _marks(self.verbatim, "A-Za-z"), -1
        for begin, end in reversed(jumps):
            if begin >= start:
                append(self.out, text[start:begin])
                start = after_word(text, begin, end)
        append(self.out, text[start:])
        self.text = outer

    def _obey(self, value: str) -> None:
        """Apply what a macro's value does to flags and the document."""
        if "\\begin{document}" in value:
            self.in_body, self.depth = True, 0
        if self.flags.setters:
            for mark in WORD.finditer(value):
                if mark[1] in self.flags.setters:
                    self.flags.use(mark[1], self._group_depth())
                    self.calls.forget_values()

    def _group_or_verbatim(self, mark: re.Match, position: int) -> int:
        """Count groups; returns where verbatim text that begins here ends, or 0."""
        if mark["verb"]:
            end = self.verbatim.inline(mark["verb"], self.text, position)
            return end if end > position else 0
        if self.verbatim.short and mark["short"]:
            end = self.verbatim.short_end(self.text, position)
            return end if end > position else 0
        if mark["env"] == "begin" and mark["name"] in self.verbatim.environments:
            name = mark["name"]
            end = -1 if name in self.unclosed else self.text.find(f"\\end{{{name}}}", position)
            if end < 0:
                self.unclosed.add(name)
            return max(end, 0)
        if mark["name"] == "document":
            self.in_body, self.depth = True, 0
        elif self.in_body:
            self._group(mark["env"] == "begin")
        return 0

    def _group(self, opens: bool) -> None:
        if opens:
            self.depth += 1
            return
        self.depth = max(0, self.depth - 1)
        while self.undo and self.undo[-1][0] > self.depth:
            _, name, before = self.undo.pop()
            self.calls.put(name, before)
        if self.flags.end_group(self.depth):
            self.calls.forget_values()

    def _group_depth(self) -> int:
        return self.depth if self.in_body else 0

    # ---- conditionals

    def _branch(self, word: str, start: int, position: int) -> tuple[int, int, int] | None:
        """Where the kept branch starts and ends, and where the conditional ends; None if undecided."""
        if word == "fi":
            self.flags.unsure = max(0, self.flags.unsure - 1)
            return None
        if word in COMMANDS:
            return self.flags.chosen(word, self.text, position, self.calls.read, self.calls.is_defined)
        if conditionals.WITH_ARGUMENTS.match(word):
            return None
        found = conditionals.decided(word, self.text, start, position, self.calls.asked)
        found_branches = None
        if found and self.endless < _ENDLESS:
            found_branches = conditionals.branches(self.text, found[1])
            self.endless += found_branches is None
        if found is None or found_branches is None:
            self.flags.unsure += 1
            return None
        if found[0]:
            return found[1], found_branches.first_end, found_branches.end
        return found_branches.second_start, found_branches.second_end, found_branches.end

    # ---- files

    def _input(self, command: str, folder: str, name: str) -> str | None:
        """The file that a command inputs, whose name may hold macros."""
        if self.resolve is None or self.files >= MAX_FILES:
            return None
        folder, name = (
            self.calls.in_full(_AFTER_NAME.sub(r"\1{}", part)).replace("{}", "") for part in (folder, name)
        )
        return self.resolve(command, folder.strip(), name.strip())

    def _append_inputs(self, value: str, position: int) -> int:
        """Append a macro's value with the files it inputs; returns where reading continues."""
        start = 0
        for mark in INPUT.finditer(value):
            if mark.start() < start:
                continue
            found, end = resolved_input(value, mark.end(), mark[1], self._input)
            if found is None and not value[mark.end() :].strip():  # its argument follows the call
                found, after = resolved_input(self.text, position, mark[1], self._input)
                position, end = (after, len(value)) if found is not None else (position, end)
            if found is not None:
                append(self.out, value[start : mark.start()])
                self._nest(found)
                start = end
        append(self.out, value[start:])
        return position

    def _nest(self, text: str) -> None:
        self.calls.allow(len(text))
        self.files += 1
        self.run(text.replace(DONE, ""))
        self.files -= 1

    def _append_opaque(self, piece: str) -> None:
        append(self.out, piece)
        self.length += sum(map(len, self.out[self.counted :]))
        self.counted = len(self.out)
        self.opaque.append((self.length - len(piece), self.length))

    def _cut(self, start: int, begin: int, end: int) -> int:
        """Remove the definition from begin to end, and its line if nothing else is on it."""
        text = self.text
        line = max(start, text.rfind("\n", max(start, begin - 200), begin) + 1)
        append(self.out, text[start:line])
        at_start = not self.out or self.out[-1].endswith("\n")
        if at_start and not text[line:begin].strip(" \t"):
            rest = line_rest(text, end)
            if rest > end:
                return rest
        append(self.out, text[line:begin])
        return end

    # ---- definitions

    def _take(self, definition: Definition) -> bool:
        """Expand uses of the name from here on, if possible; returns whether to remove its definition."""
        name = definition.name
        (self.calls.defined.discard if definition.meaning in _NOTHING else self.calls.defined.add)(name)
        if definition.is_kept:
            return True
        meaning = _CONSTANTS.get(definition.meaning.strip())
        if meaning is not None or name in self.flags.values:
            self.flags.put(name, meaning, 0 if definition.is_global else self._group_depth())
            self.calls.forget_values()
        if meaning is not None:
            self.calls.put(name, None)
            return False
        macro = None if name in PROTECTED or "@" in name else definition.macro
        if self.in_body and self.depth and not definition.is_global:
            self.undo.append((self.depth, name, self.calls.macros.get(name)))
        self.calls.put(name, macro)
        return macro is not None and not _SETTING.match(name)

    def _use_packages(self, position: int) -> None:
        found = _PACKAGES.match(self.text, position)
        for package in found[2].split(",") if found else ():
            if package.strip() == "optional" and found:
                self.flags.options = {tag.strip() for tag in (found[1] or "").split(",")}
            commands = PACKAGES.get(package.strip(), "")
            for mark in _NEWCOMMAND.finditer(commands):
                definition = read_definition("newcommand", commands, mark.end(), self.calls.read, self.known)
                if definition and definition.name not in self.calls.macros:
                    self.calls.put(definition.name, definition.macro)
