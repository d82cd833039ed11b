r"""Expands the macros that an author defined.

In: LaTeX without comments. Out: the same with macros replaced by their values, without their definitions,
and without branches that the paper's own flags (`\newif`) disable. One scan in TeX's order: definitions,
flags, groups and the files that macros input take effect where TeX meets them.

Some keep their definition and uses: names of LaTeX's own structure (`PROTECTED`), environments, and macros
that program (`\csname`, conditionals other than flags, names with @, nested definitions).
"""

import re

from data.sources.arxiv.latex import audiences, predicates
from data.sources.arxiv.latex.calls import TooMuch
from data.sources.arxiv.latex.conditionals import NAMED_TEST
from data.sources.arxiv.latex.definitions.amendments import AMENDERS, amended
from data.sources.arxiv.latex.definitions.bodies import DONE
from data.sources.arxiv.latex.definitions.internals import plain_names
from data.sources.arxiv.latex.definitions.lookahead import CHOOSES, by_letters
from data.sources.arxiv.latex.definitions.reading import read_definition
from data.sources.arxiv.latex.inputs import INPUT, INPUTS, Resolve, loop, resolved_input
from data.sources.arxiv.latex.marks import Output, Reading, marks_of
from data.sources.arxiv.latex.state import COMMANDS, GROUPS, PROTECTED, State
from data.sources.arxiv.latex.syntax import after_word, append, append_value, blanks_end
from data.sources.arxiv.latex.verbatim import LATEX, SWITCHED, SWITCHES, Verbatim

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
    helpers: set[str] = set()
    begin = text.find("\\begin{document}")
    preamble = text[: max(begin, 0)]
    plain = plain_names(preamble) if "@" in preamble else set()
    if plain or CHOOSES.search(preamble):
        preamble, helpers = by_letters(preamble, plain)
        text = preamble + text[begin:]
    expander = _Expander(text, verbatim, resolve, "{document}" in text)
    expander.calls.helpers = helpers
    expander.run(text.replace(DONE, ""))
    return "".join(expander.out.pieces), expander.out.opaque


_SPECIAL = _PREFIXES | COMMANDS | INPUTS | _BRANCHES | GROUPS.keys() | _LOOPS
_SPECIAL |= {"expandafter", "makeatletter", "makeatother", *SWITCHES}


class _Expander:
    def __init__(self, paper: str, verbatim: Verbatim, resolve: Resolve | None, has_preamble: bool) -> None:
        self.verbatim, self.resolve = verbatim, resolve
        self.here = Reading("", marks_of(verbatim, "A-Za-z"))
        self.out = Output()
        self.state = State(paper, has_preamble=has_preamble, may_input=resolve is not None)
        self.calls, self.flags, self.numbers = self.state.calls, self.state.flags, self.state.numbers
        self.files = 0  # files and bodies being read, nested
        self.inserting: set[str] = set()  # macros whose bodies are being read
        self.unclosed: set[str] = set()  # verbatim environments that no longer end
        self.is_short = verbatim.is_short_at_start(paper)

    # ---- the paper's own text

    def run(self, text: str) -> None:
        """Read a text of the paper: its main file, or a file that a macro inputs."""
        outer, self.here = self.here, Reading(text, marks_of(self.verbatim, "A-Za-z"))
        here, state, macros, definers = self.here, self.state, self.calls.macros, self.state.definers
        hidden, has_modes = self.state.audience.hidden, bool(self.state.audience.mode)
        flag_values, setters, number_values = self.flags.values, self.flags.setters, self.numbers.values
        pattern, marks, ahead = here.pattern, here.pattern.finditer(text), 0  # the marks from `ahead` on
        mark_group, word_group = pattern.groupindex["mark"], pattern.groupindex["word"]  # faster than names
        while here.position < len(text):
            if here.position != ahead or here.pattern is not pattern:
                pattern, marks = here.pattern, here.pattern.finditer(text, here.position)
            mark = next(marks)
            at, ahead, word = mark.start(mark_group), mark.end(), mark[word_group]
            here.position = ahead
            if here.jumps and at >= here.jumps[-1][0]:
                self._jump()
            elif word is None:
                if text[at : at + 1] == "{":
                    state.depth += state.in_body
                else:
                    self._group_or_verbatim(mark, at)
            elif word in macros:
                self._call(word, at)
            elif (
                word in _SPECIAL
                or word in definers
                or (word[0] == "i" and word[:2] == "if")
                or word in flag_values
                or word in setters
                or word in number_values
                or word in hidden
                or (has_modes and text.startswith("<", ahead))
            ):
                self._command(word, at)
        while here.jumps:
            self._jump()
        self.out.keep(here, len(text))
        self.here = outer

    def _jump(self) -> None:
        """Go from the end of a kept branch to the end of its conditional."""
        here = self.here
        begin, end = here.jumps.pop()
        if begin >= here.start:
            self.out.keep(here, begin)
            here.start = after_word(here.text, begin, end)
        here.position = max(here.start, end)

    def _call(self, word: str, at: int) -> None:
        """Put a macro's value in place of its call."""
        here = self.here
        if word in self.calls.defining:
            self._insert(word, at)
            return
        found = self.calls.top(here.text, word, here.position)
        if found is None:
            return
        if self.calls.uses_defining(word, found[0]) and self._insert(word, at):
            return
        value, end = self.state.obey(found[0]), found[1]
        if self.resolve and "\\in" in value:
            self.out.keep(here, at)
            end = self._append_inputs(value, end)
        else:
            append_value(self.out.pieces, here.text[here.start : at], value)
        here.start = here.position = end

    def _insert(self, word: str, at: int) -> bool:
        """Read the body of a macro that defines others, except inside itself; return whether it was read."""
        here = self.here
        found = None
        if word not in self.inserting and self.files < MAX_FILES:
            found = self.calls.inserted(here.text, word, here.position)
        if found is None:
            return False
        self.out.keep(here, at)
        self.inserting.add(word)
        self.files += 1
        self.run(found[0])
        self.files -= 1
        self.inserting.discard(word)
        here.start = here.position = found[1]
        return True

    def _command(self, word: str, at: int) -> None:
        """Obey a command that is not a macro, if it is one that matters here."""
        here, text, position = self.here, self.here.text, self.here.position
        if span := self.state.mode(word, text, position):
            self.out.keep(here, at)
            here.start = here.position = span[0]
            if span[0] < span[1]:
                here.jumps.append(span[1:])
        elif word in self.state.audience.hidden and (
            end := self.state.audience.plain_end(word, text, position)
        ):
            self.out.cut(here, at, end)
        elif (
            word in self.flags.values
            or word[:2] == "if"
            or word in _BRANCHES
            or (word == "expandafter" and NAMED_TEST.match(text, position))
        ):
            self._choose(word, at)
        elif word == "expandafter":
            self._expand_first(at)
        elif word in self.state.definers:
            self._define(self.state.definers[word], at)
        elif word in _PREFIXES:
            here.prefixes = self._with_prefixes(at), blanks_end(text, position)
        elif (after := self.state.command(word, text, at, position, here.prefixes[1] == at)) is not None:
            here.position = after
            if self.resolve is None and self.flags.are_known(word):
                self.out.cut(here, self._with_prefixes(at), after, is_word=True)
        elif self.resolve and word in INPUTS:
            found = resolved_input(text, position, word, self._input)
            if found[0] is not None:
                self.out.keep(here, at)
                self._nest(found[0])
                here.start = here.position = found[1]
        elif (
            self.resolve
            and word in _LOOPS
            and (turns := loop(text, position, self.calls.read, self.state.names.asked))
        ):
            self.out.keep(here, at)
            for turn in turns[0]:
                self._nest(turn)
            here.start = here.position = turns[1]
        elif word in GROUPS:
            self.state.named_group(word)
        elif word in SWITCHES:
            self.is_short = SWITCHES[word]
            switched = SWITCHED.match(text, position)
            here.position = switched.end() if switched else position
        elif word in ("makeatletter", "makeatother"):
            here.pattern = marks_of(self.verbatim, "A-Za-z@" if word == "makeatletter" else "A-Za-z")

    def _choose(self, word: str, at: int) -> None:
        """Keep a conditional's branch, if it is known which."""
        here = self.here
        is_nested = len(here.jumps) >= _NESTED
        branch = None if is_nested else self.state.branch(word, here.text, at, here.position)
        if branch is None:
            return
        first, last, end = branch
        if first < last:
            self.out.keep(here, at)
            here.jumps.append((last, end))
            here.start = here.position = after_word(here.text, at, first)
        else:
            self.out.cut(here, at, end, is_word=True)

    def _expand_first(self, at: int) -> None:
        r"""Read \expandafter\name\expandafter{\argument} without its \expandafter."""
        here = self.here
        later = _ARGUMENT_FIRST.match(here.text, here.position)
        if later is None or later[1] in _SPECIAL or later[1] in self.state.definers or later[1][:2] == "if":
            return
        is_macro = later[1] in self.calls.macros
        found = self.calls.top(here.text, later[1], later.end()) if is_macro else None
        value, end = found or ("\\" + later[1], later.end())
        append_value(self.out.pieces, here.text[here.start : at], value)
        here.start = here.position = end

    def _define(self, word: str, at: int) -> None:
        """Take a definition, or leave it unexpanded."""
        here, begin = self.here, self._with_prefixes(at)
        reads = amended if word in AMENDERS else read_definition
        definition = reads(word, here.text, here.position, self.calls.read, self.state.known)
        if definition is None or definition.name == "expandafter":  # it expands the name that is meant
            return
        if "\\global" in here.text[begin:at]:
            definition.is_global = True
        end = definition.end
        if end < 0:
            self.calls.put(definition.name, None)
            self.state.names.defined.add(definition.name)
            return
        is_taken = definition.name and self.state.take(definition)
        self.numbers.defined(here.text[begin:end])
        if is_taken:
            self.out.cut(here, begin, end)
            return
        if not definition.name:
            self.state.audience.command(word, here.text, at, here.position, is_sure=not self.flags.unsure)
        self.out.keep(here, begin)
        self.out.append_opaque(here.text[begin:end])
        here.start = here.position = end

    def _with_prefixes(self, at: int) -> int:
        r"""Where the command at `at` begins, with its \long, \global, …"""
        return self.here.prefixes[0] if self.here.prefixes[1] == at else at

    def _group_or_verbatim(self, mark: re.Match, at: int) -> None:
        """Count groups; append verbatim text, and leave out what only others read."""
        here, state = self.here, self.state
        character = here.text[at : at + 1]
        if at + (character == "\\") == len(here.text):
            return
        if character == "}":
            state.group(False)
        elif mark["env"] == "begin" and (
            end := state.audience.hidden_end(mark["name"], here.text, here.position)
        ):
            self.out.cut(here, at, end)
        elif end := self._verbatim_end(mark):
            alias = self.calls.macros.get(mark["verb"] or "")
            command = alias.literal.replace(DONE, "") if alias else ""
            append(self.out.pieces, here.text[here.start : at] + command)
            self.out.append_opaque(here.text[here.position if alias else at : end])
            here.start = here.position = end
        elif mark["name"] == "document":
            state.in_body, state.depth = True, 0
        elif mark["env"] == "end" or (mark["env"] and mark["name"] not in self.verbatim.environments):
            state.group(mark["env"] == "begin")

    def _verbatim_end(self, mark: re.Match) -> int:
        """Where verbatim text that begins here ends, or 0."""
        text, position = self.here.text, self.here.position
        if mark["verb"]:
            end = self.verbatim.inline(mark["verb"], text, position)
            return end if end > position else 0
        if self.verbatim.short and mark["short"] and self.is_short:
            end = self.verbatim.short_end(text, position)
            return end if end > position else 0
        if mark["env"] == "begin" and mark["name"] in self.verbatim.environments:
            name = mark["name"]
            end = -1 if name in self.unclosed else text.find(f"\\end{{{name}}}", position)
            if end < 0:
                self.unclosed.add(name)
            return max(end, 0)
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
                found, after = resolved_input(self.here.text, position, mark[1], self._input)
                position, end = (after, len(value)) if found is not None else (position, end)
            if found is not None:
                append(self.out.pieces, value[start : mark.start()])
                self._nest(found)
                start = end
        append(self.out.pieces, value[start:])
        return position

    def _nest(self, text: str) -> None:
        self.calls.allow(len(text))
        self.files += 1
        self.run(text.replace(DONE, ""))
        self.files -= 1
