r"""Follows what a paper has set up to the current position: macros, flags, numbers, and its audience.

Definitions and flags hold until their group ends. In: the marks that a scan meets, in TeX's order. Out:
the branches that conditionals choose.
"""

import re
from collections import ChainMap

from data.sources.arxiv.latex import audiences, conditionals, flags, numbers, predicates
from data.sources.arxiv.latex.audiences import Audience
from data.sources.arxiv.latex.calls import Calls
from data.sources.arxiv.latex.definitions.amendments import AMENDERS
from data.sources.arxiv.latex.definitions.bodies import Known
from data.sources.arxiv.latex.definitions.kinds import Macro
from data.sources.arxiv.latex.definitions.names import Names
from data.sources.arxiv.latex.definitions.reading import AMSTEX, DEFINERS, Definition, read_definition
from data.sources.arxiv.latex.flags import Flags
from data.sources.arxiv.latex.numbers import Numbers
from data.sources.arxiv.latex.packages import HIDDEN, LATEXDIFF, PACKAGES, by_authors
from data.sources.arxiv.latex.syntax import WORD, blanks_end

_ENDLESS = 3  # give up on conditionals after this many unterminated ones
_CONSTANTS = {"\\iftrue": True, "\\iffalse": False}
_PACKAGES = re.compile(r"\s*+(?:\[([^\]]{0,1000})\])?\s*+\{([^{}]{0,1000})\}")
_CLASS_OPTIONS = re.compile(r"\\documentclass\s*+\[([^\]]{0,1000})\]")
_UNLESS = re.compile(r"\s*+\\(if[A-Za-z@]*+)")
_NEWCOMMAND = re.compile(r"\\(newcommand|NewDocumentCommand)")

_STRUCTURE = (
    "part chapter section subsection subsubsection paragraph subparagraph appendix begin end item label ref"
    " pageref cite citep citet citealt citealp citeauthor citeyear nocite bibitem bibliography"
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


_LOADING = frozenset({"usepackage", "RequirePackage", "documentclass"})
COMMANDS = flags.COMMANDS | numbers.COMMANDS | audiences.COMMANDS | _LOADING  # these print nothing
GROUPS = {"begingroup": "", "bgroup": "", "endgroup": "begingroup", "egroup": "bgroup"}  # and what they end


class State:
    """A branch is given as its start, its end, and the end of its conditional."""

    def __init__(self, paper: str, *, has_preamble: bool, may_input: bool) -> None:
        self.flags = Flags()
        self.audience = Audience(paper)
        self.numbers = Numbers(lambda name: self.names.asked(name), paper)
        self.names = Names(self.flags.values, self.numbers.values, paper if has_preamble else "")
        self.calls = Calls(self.names)
        self.calls.decide = lambda value: predicates.resolved(value, self.calls)
        self.calls.allow(len(paper))
        if "xspace" in paper:
            self.calls.put("xspace", Macro([], spaced=True))
        self.known = Known(
            self.calls.macros,
            self.flags.values,
            declared=conditionals.declared_flags(paper),
            may_input=may_input,
            defining=self.calls.defining,
            in_full=self.calls.in_full,
        )
        self._known_flags = ChainMap(self.flags.values, dict.fromkeys(self.known.declared))
        # Commands that define macros, each with the one it is short for: \newcommand{\nc}{\newcommand}.
        self.definers = {name: name for name in (*DEFINERS, *AMENDERS)}
        self.definers |= AMSTEX if "amstex" in paper or "amsppt" in paper else {}
        self.in_body = not has_preamble
        self.depth = 0  # depth of groups, in the document's body
        # What open groups have redefined: the depth, the name, its macro before, and what it was short for.
        self._undo: list[tuple[int, str, Macro | None, str | None]] = []
        self._kept: dict[str, int] = {}  # names set for good: before which of these they are not reset
        self._named = dict.fromkeys(GROUPS, 0)  # groups that a name has opened
        self._endless = 0  # unterminated conditionals
        if "\\DIFadd" in paper:
            self._define_all(LATEXDIFF)
        self._define_all(by_authors(paper))
        class_options = _CLASS_OPTIONS.search(paper) if "ifdraft" in paper else None
        self._class_options = class_options[1] if class_options else ""

    def group(self, opens: bool) -> None:
        """Open or end a group; those in the preamble do not count."""
        if not self.in_body:
            return
        if opens:
            self.depth += 1
            return
        self.depth = max(0, self.depth - 1)
        while self._undo and self._undo[-1][0] > self.depth:
            _, name, before, definer = self._undo.pop()
            if len(self._undo) < self._kept.get(name, 0):
                continue
            self.calls.put(name, before)
            self.definers.pop(name, None)
            if definer:
                self.definers[name] = definer
        if self.flags.end_group(self.depth):
            self.calls.forget_values()

    def named_group(self, word: str) -> None:
        r"""Open or end a group by its name; one that a macro opened unseen does not end here."""
        opener = GROUPS[word]
        if opener and not self._named[opener]:
            return
        self._named[opener or word] += -1 if opener else 1
        self.group(not opener)

    def group_depth(self) -> int:
        """The depth at which something is set here; 0 in the preamble."""
        return self.depth if self.in_body else 0

    def command(self, word: str, text: str, start: int, position: int, is_global: bool) -> int | None:
        """Obey a command that prints nothing; return where reading continues, None for other commands."""
        depth = 0 if is_global else self.group_depth()
        is_sure = not self.flags.unsure
        if word in self.flags.setters:
            self.flags.use(word, depth)
        elif word in flags.COMMANDS:
            self.flags.command(word, text, position, self.group_depth())
            position = flags.end(word, text, position)
        elif word in audiences.COMMANDS:
            self.audience.command(word, text, start, position, is_sure=is_sure)
            return position
        elif word in numbers.COMMANDS or word in self.numbers.values:
            is_local = depth > 0
            position = self.numbers.command(word, text, start, position, is_sure=is_sure, is_local=is_local)
        elif word in _LOADING:
            self.use_packages(text, position)
            return position
        else:
            return None
        self.calls.forget_values()
        return position

    def obey(self, value: str) -> str:
        """Apply what a macro's value does to flags and the document; return what it prints."""
        if "\\begin{document}" in value:
            self.in_body, self.depth = True, 0
        if self.flags.setters and "\\" in value:
            value = WORD.sub(self._set, value)
        return value

    def _set(self, mark: re.Match) -> str:
        """Set a flag if the command does so; return what the command prints."""
        if mark[1] not in self.flags.setters:
            return mark[0]
        self.flags.use(mark[1], self.group_depth())
        self.calls.forget_values()
        return mark[0] if self.flags.unsure else ""

    def branch(self, word: str, text: str, start: int, position: int) -> tuple[int, int, int] | None:
        """Where the kept branch starts and ends, and where the conditional ends; None if undecided."""
        if word == "fi":
            self.flags.unsure = max(0, self.flags.unsure - 1)
            return None
        if word in audiences.CHOOSE:
            return self.audience.chosen(word, text, position, self.calls.read)
        if word in predicates.COMMANDS or word in self.calls.drafts:
            return self._chosen_argument(word, text, position)
        if conditionals.takes_branches(word, text, position, self._known_flags):
            return None
        if word == "unless":
            inverted = _UNLESS.match(text, position)
            if inverted is None:
                return None
            word, position = "unless\\" + inverted[1], inverted.end()
        if named := conditionals.NAMED_TEST.match(text, position) if word == "expandafter" else None:
            is_defined = self.names.is_defined(named[1])
            found = None if is_defined is None else (conditionals.ELSE if is_defined else 0, named.end())
        else:
            found = conditionals.decided(word, text, start, position, self.names.asked)
        chosen = None
        if found and self._endless < _ENDLESS:
            chosen = conditionals.branch(text, found[1], found[0], self._known_flags)
            self._endless += chosen is None
        if found is None or chosen is None:
            self.flags.unsure += word[0] == "i"  # after \unless, the scan meets the \if again
            return None
        return chosen.start, chosen.end, chosen.fi

    def _chosen_argument(self, word: str, text: str, position: int) -> tuple[int, int, int] | None:
        """As `branch`, for a test that takes its branches as arguments."""
        value, position = predicates.answer(word, text, position, self.calls)
        if value is None:
            return None
        spans = []
        for _ in range(2):
            opening = blanks_end(text, position)
            is_group = text[opening : opening + 1] == "{"
            position = self.calls.read.group_end(text, opening) if is_group else -1
            if position < 0:
                return None
            spans.append((opening + 1, position - 1))
        return *spans[0 if value else 1], position

    def mode(self, word: str, text: str, position: int) -> tuple[int, int, int] | None:
        """As `branch`, for what only one mode of beamer shows."""
        if not self.audience.mode or not text.startswith("<", position):
            return None
        return self.audience.mode_span(word, text, position, self.calls.read)

    def take(self, definition: Definition) -> bool:
        """Expand uses of the name from here on, if possible; return whether to remove its definition."""
        name = definition.name
        is_undefined = definition.meaning in conditionals.UNDEFINED
        (self.names.defined.discard if is_undefined else self.names.defined.add)(name)
        if definition.is_kept:
            return True
        meaning = _CONSTANTS.get(definition.meaning.strip())
        if meaning is not None or name in self.flags.values:
            self.flags.put(name, meaning, 0 if definition.is_global else self.group_depth())
            self.calls.forget_values()
        if meaning is not None:
            self.calls.put(name, None)
            return False
        if definition.is_global:
            self._kept[name] = len(self._undo)
        elif self.in_body and self.depth:
            self._kept[name] = min(len(self._undo), self._kept.get(name, 0))
            self._undo.append((self.depth, name, self.calls.macros.get(name), self.definers.get(name)))
        if name not in DEFINERS:
            self.definers.pop(name, None)
            meant = definition.meaning.strip().replace("command*", "command")
            definer = self.definers.get(meant.removeprefix("\\"))
            if definer and name not in PROTECTED:
                self.definers[name] = definer
                self.calls.put(name, None)
                return True
        macro = None if name in PROTECTED or "@" in name else definition.macro
        if macro and definition.is_expanded:
            macro = self.calls.expanded(macro)
        self.calls.put(name, macro)
        return macro is not None and not _SETTING.match(name)

    def use_packages(self, text: str, position: int) -> None:
        """Take in the definitions of the packages loaded here, as far as they matter to readers."""
        found = _PACKAGES.match(text, position)
        for package in found[2].split(",") if found else ():
            if package.strip() in ("optional", "tagging") and found:
                self.audience.tags = {tag.strip() for tag in (found[1] or "").split(",")}
            if package.strip() == "ifdraft" and found:
                options = f"{self._class_options},{found[1] or ''}"
                modes = [
                    option.strip() for option in options.split(",") if option.strip() in ("draft", "final")
                ]
                self.calls.drafts["ifdraft"] = modes[-1:] == ["draft"]
                self.calls.drafts |= {f"ifoption{mode}": mode in modes for mode in ("draft", "final")}
                self.calls.forget_values()
            if package.strip() == "subfiles":
                is_class = text.endswith("documentclass", 0, position)
                self.calls.drafts["ifSubfilesClassLoaded"] = is_class
                self.calls.forget_values()
            if package.strip() == "IEEEtran" and found:
                self.flags.use_ieeetran(found[1] or "")
                self.calls.forget_values()
            self.audience.hidden.update(HIDDEN.get(package.strip(), ()))
            self._define_all(PACKAGES.get(package.strip(), ""))

    def _define_all(self, commands: str) -> None:
        """Take definitions that the paper itself does not write, unless it has them already."""
        for mark in _NEWCOMMAND.finditer(commands):
            definition = read_definition(mark[1], commands, mark.end(), self.calls.read, self.known)
            if definition and definition.name not in self.calls.macros:
                self.calls.put(definition.name, definition.macro)
