r"""Expands the macros that an author defined.

In: LaTeX without comments. Out: the same with macros replaced by their values, without their definitions,
and without branches that the paper's own flags (`\newif`) disable. One scan in TeX's order: definitions,
flags, groups and the files that macros input take effect where TeX meets them.

Some keep their definition and uses: names of LaTeX's own structure (`PROTECTED`), environments, and macros
that program (`\csname`, conditionals other than flags, names with @, nested definitions).
"""

import re
from functools import lru_cache

from data.sources.arxiv.latex import audiences, flags, numbers, predicates
from data.sources.arxiv.latex.calls import TooMuch, append, append_value
from data.sources.arxiv.latex.conditionals import NAMED_TEST
from data.sources.arxiv.latex.definitions import DONE, read_definition
from data.sources.arxiv.latex.inputs import INPUT, INPUTS, Resolve, loop, resolved_input
from data.sources.arxiv.latex.state import PROTECTED, State
from data.sources.arxiv.latex.syntax import after_word, blanks_end, line_rest
from data.sources.arxiv.latex.verbatim import LATEX, Verbatim, alternatives

__all__ = ["PROTECTED", "TooMuch", "expand"]

MAX_FILES = 20  # nesting of files that macros input
_NESTED = 10  # nesting of kept branches
_AFTER_NAME = re.compile(r"(\\[A-Za-z]++)[ \t]++")  # blanks that TeX does not read

# \expandafter\name\expandafter{\argument}: an argument is expanded here before the name anyway.
_ARGUMENT_FIRST = re.compile(
    r"[ \t]*+(?:\\expandafter[ \t]*+){0,15}+\\(?!expandafter)([A-Za-z]++)[ \t]*+"
    r"(?:\\expandafter[ \t]*+){1,15}+(?=\{)"
)
_LOOPS = frozenset({"foreach", "@for"})
_BRANCHES = audiences.CHOOSE | predicates.COMMANDS | {"fi", "unless"}
_PREFIXES = frozenset({"long", "global", "outer", "protected"})


def expand(
    text: str, verbatim: Verbatim = LATEX, resolve: Resolve | None = None
) -> tuple[str, list[tuple[int, int]]]:
    """The text with its macros expanded, and its spans that are verbatim or unexpanded definitions.

    With `resolve`, what it returns takes the place of `\\input` and its kin, including those in macros.
    Raises TooMuch.
    """
    expander = _Expander(text, verbatim, resolve, "{document}" in text)
    expander.run(text.replace(DONE, ""))
    return "".join(expander.out), expander.opaque


_COMMANDS = flags.COMMANDS | numbers.COMMANDS | audiences.COMMANDS
_SPECIAL = _PREFIXES | _COMMANDS | INPUTS | _BRANCHES
_SPECIAL |= _LOOPS | {"expandafter", "usepackage", "RequirePackage", "makeatletter", "makeatother"}


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
        self.state = State(paper, has_preamble=has_preamble, may_input=resolve is not None)
        self.calls, self.flags, self.numbers = self.state.calls, self.state.flags, self.state.numbers
        self.files = 0  # files being read, nested
        self.unclosed: set[str] = set()  # verbatim environments that no longer end
        self.counted, self.length = 0, 0  # pieces of `out` already measured, and their length

    # ---- the paper's own text

    def run(self, text: str) -> None:
        """Read a text of the paper: its main file, or a file that a macro inputs."""
        outer, self.text = self.text, text
        state = self.state
        macros, audience, definers = self.calls.macros, state.audience, state.definers
        flag_values, setters, number_values = self.flags.values, self.flags.setters, self.numbers.values
        hidden, has_modes = audience.hidden, bool(audience.mode)
        pattern = _marks(self.verbatim, "A-Za-z")
        mark_group, word_group = pattern.groupindex["mark"], pattern.groupindex["word"]  # faster than names
        start = position = 0
        prefix_start = prefix_end = -1
        jumps: list[tuple[int, int]] = []  # from the end of a kept branch to the end of its conditional
        marks, ahead = pattern.finditer(text), 0  # the marks from `ahead` on
        while position < len(text):
            if position != ahead:
                marks = pattern.finditer(text, position)
            mark = next(marks)
            at, position, word = mark.start(mark_group), mark.end(), mark[word_group]
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
                    state.depth += state.in_body
                    continue
                if character == "}":
                    if state.in_body:
                        state.group(False)
                    continue
                if mark["env"] == "begin" and (end := audience.hidden_end(mark["name"], text, position)):
                    start = position = self._cut(start, at, end)
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
                    value = self.state.obey(value)
                    if self.resolve and "\\in" in value:
                        append(self.out, text[start:at])
                        end = self._append_inputs(value, end)
                    else:
                        append_value(self.out, text[start:at], value)
                    start = position = end
            elif (
                word not in _SPECIAL
                and word not in definers
                and (word[0] != "i" or word[:2] != "if")
                and word not in flag_values
                and word not in setters
                and word not in number_values
                and word not in hidden
                and not (has_modes and text.startswith("<", position))
            ):
                continue
            elif (
                has_modes
                and text.startswith("<", position)
                and (span := self.state.mode(word, text, position))
            ):
                append(self.out, text[start:at])
                start = position = span[0]
                if span[0] < span[1]:
                    jumps.append(span[1:])
            elif word in hidden and (end := audience.plain_end(word, text, position)):
                start = position = self._cut(start, at, end)
            elif (
                word in self.flags.values
                or word[:2] == "if"
                or word in _BRANCHES
                or (word == "expandafter" and NAMED_TEST.match(text, position))
            ):
                branch = self.state.branch(word, text, at, position) if len(jumps) < _NESTED else None
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
            elif word == "expandafter":
                later = _ARGUMENT_FIRST.match(text, position)
                if later is None or later[1] in _SPECIAL or later[1] in definers or later[1][:2] == "if":
                    continue
                found = self.calls.top(text, later[1], later.end()) if later[1] in macros else None
                value, end = found or ("\\" + later[1], later.end())
                append_value(self.out, text[start:at], value)
                start = position = end
            elif word in definers:
                begin = prefix_start if prefix_end == at else at
                start, position = self._define(definers[word], begin, at, start, position)
            elif word in _PREFIXES:
                if prefix_end != at:
                    prefix_start = at
                prefix_end = blanks_end(text, position)
            elif (after := self._obeyed(word, at, position, is_global=prefix_end == at)) is not None:
                position = after
                if self._is_flag(word):
                    begin = prefix_start if prefix_end == at else at
                    start = self._cut(start, begin, after)
                    start = position = after_word(text, begin, after) if start == after else start
            elif self.resolve and word in INPUTS:
                found = resolved_input(text, position, word, self._input)
                if found[0] is not None:
                    append(self.out, text[start:at])
                    self._nest(found[0])
                    start = position = found[1]
            elif (
                self.resolve
                and word in _LOOPS
                and (turns := loop(text, position, self.calls.read, self.calls.asked))
            ):
                append(self.out, text[start:at])
                for turn in turns[0]:
                    self._nest(turn)
                start = position = turns[1]
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

    def _define(self, word: str, begin: int, at: int, start: int, position: int) -> tuple[int, int]:
        """Take a definition that begins at `begin`, before its prefixes, or leave it unexpanded.

        Returns the place from which text is not yet in `out`, and where reading continues.
        """
        definition = read_definition(word, self.text, position, self.calls.read, self.state.known)
        if definition is None:
            return start, position
        end = definition.end
        if end < 0:
            self.calls.put(definition.name, None)
            self.calls.defined.add(definition.name)
            return start, position
        is_taken = definition.name and self.state.take(definition)
        self.numbers.defined(self.text[begin:end])
        if is_taken:
            end = self._cut(start, begin, end)
            return end, end
        if not definition.name:
            self.state.audience.command(word, self.text, at, position, is_sure=not self.flags.unsure)
        append(self.out, self.text[start:begin])
        self._append_opaque(self.text[begin:end])
        return end, end

    def _obeyed(self, word: str, at: int, position: int, *, is_global: bool) -> int | None:
        """Obey a command that prints nothing; return where reading continues, None for other commands."""
        depth = 0 if is_global else self.state.group_depth()
        if word in self.flags.setters:
            self.flags.use(word, depth)
        elif word in flags.COMMANDS:
            self.flags.command(word, self.text, position, self.state.group_depth())
            position = flags.end(word, self.text, position)
        elif word in audiences.COMMANDS:
            self.state.audience.command(word, self.text, at, position, is_sure=not self.flags.unsure)
            return position
        elif word in numbers.COMMANDS or word in self.numbers.values:
            is_sure = not self.flags.unsure
            position = self.numbers.command(
                word, self.text, at, position, is_sure=is_sure, is_local=depth > 0
            )
        elif word in ("usepackage", "RequirePackage"):
            self.state.use_packages(self.text, position)
            return position
        else:
            return None
        self.calls.forget_values()
        return position

    def _is_flag(self, word: str) -> bool:
        """Whether a command only declares or sets a flag that is known: it prints nothing."""
        is_flag = word in self.flags.setters or word in flags.COMMANDS
        return is_flag and self.resolve is None and not self.flags.unsure

    def _group_or_verbatim(self, mark: re.Match, position: int) -> int:
        """Count groups; return where verbatim text that begins here ends, or 0."""
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
            self.state.in_body, self.state.depth = True, 0
        else:
            self.state.group(mark["env"] == "begin")
        return 0

    # ---- files

    def _input(self, command: str, folder: str, name: str) -> str | None:
        """The text of the file that a command inputs; the file's name may contain macros."""
        if self.resolve is None or self.files >= MAX_FILES:
            return None
        folder, name = (
            self.calls.in_full(_AFTER_NAME.sub(r"\1{}", part)).replace("{}", "") for part in (folder, name)
        )
        return self.resolve(command, folder.strip(), name.strip())

    def _append_inputs(self, value: str, position: int) -> int:
        """Append a macro's value with the files it inputs; return where reading continues."""
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
        """Leave out begin to end, and the line if nothing else is on it; return where reading continues."""
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
