r"""Numbers and lengths that a paper sets and tests: `\newcounter`, `\newcount`, `\chardef`, `\newlength`.

Lengths are in scaled points. A number is None if it is unknown: set in an undecided branch, in a group, or by
a macro.
"""

import re

from data.sources.arxiv.latex.conditionals import read_number
from data.sources.arxiv.latex.dimensions import read_length
from data.sources.arxiv.latex.syntax import Lookup

_NAME = re.compile(r"\s*+(?:\\([A-Za-z@]++)|\{\s*+\\([A-Za-z@]++)\s*+\})\s*+=?")
_COUNTER = re.compile(r"\s*+\{\s*+([A-Za-z@]{1,60})\s*+\}(\s*+\[)?")
_BY = re.compile(r"\s*+(?:by(?![A-Za-z]))?\s*+")
_EQUALS = re.compile(r"\s*+=?")
_READ = re.compile(
    r"(?:\\(?:if[A-Za-z]*|the|number|value|romannumeral|global\\advance|advance)\s*+|[<=>]\s*+)\Z"
)
_CHANGES = re.compile(
    r"\\(?:(?:set|addto|step|refstep)counter\s*+\{\s*+([A-Za-z@]++)"
    r"|(?:set(?:length|to(?:width|height|depth))|addtolength)\s*+\{?\s*+\\([A-Za-z@]++)"
    r"|advance\s*+\\([A-Za-z@]++)|\\([A-Za-z@]++)\s*+=\s*+[-\d.\\#])"
)
_THEOREM = re.compile(r"\\newtheorem\*?\s*+\{[^{}]{1,60}\}\s*+\[\s*+([A-Za-z@]++)")  # shares a counter
_NEW_LENGTHS = frozenset({"newlength", "newdimen", "newskip"})
_SET_LENGTHS = frozenset({"setlength", "addtolength", "settowidth", "settoheight", "settodepth"})
COMMANDS = frozenset(
    {"newcount", "chardef", "mathchardef", "advance", *_NEW_LENGTHS, *_SET_LENGTHS}
    | {"newcounter", "setcounter", "addtocounter", "stepcounter", "refstepcounter"}
)


class Numbers:
    """The numbers of a paper up to the current position; `lookup` answers for macros too."""

    def __init__(self, lookup: Lookup, paper: str = "") -> None:
        self.values: dict[str, int | None] = {}  # counters as c@NAME
        self._lengths: set[str] = set()
        # By macros and theorems, so unknown.
        self._changed = (
            {f"c@{name}" for name in _THEOREM.findall(paper)} if "\\newtheorem" in paper else set()
        )
        self._lookup = lookup

    def command(
        self, word: str, text: str, start: int, position: int, *, is_sure: bool, is_local: bool
    ) -> int:
        r"""What a command does that declares or sets a number, or the number's own name; returns its end."""
        lookup = self._lookup
        if word in COMMANDS and word.endswith("counter"):
            found = _COUNTER.match(text, position)
            if found:
                name, end = f"c@{found[1]}", found.end()
                old, new = self.values.get(name), None
                if word == "newcounter":
                    new = None if found[2] else 0
                elif word.endswith("stepcounter"):
                    new = None if old is None else old + 1
                else:
                    argument = text[end : end + 200].lstrip()
                    given = read_number(argument, 1, lookup)[0] if argument.startswith("{") else None
                    new = given if word == "setcounter" or given is None or old is None else old + given
                    new = None if word == "addtocounter" and old is None else new
                self._put(name, new if is_sure else None, is_new=word == "newcounter")
            return position
        if word not in COMMANDS:
            if _READ.search(text, max(0, start - 30), start):
                return position
            name, is_new = word, False
        else:
            found = _NAME.match(text, position)
            if found is None:
                return position
            name, position, is_new = (
                found[1] or found[2],
                found.end(),
                word != "advance" and word not in _SET_LENGTHS,
            )
        read = read_length if name in self._lengths else read_number
        if word in _NEW_LENGTHS:
            self._lengths.add(name)
        if word == "newcount" or word in _NEW_LENGTHS:
            number, end = 0, position
        elif word in _SET_LENGTHS:
            argument = text[position : position + 200].lstrip()
            number = (
                read(argument, 1, lookup)[0] if argument.startswith("{") and word[:5] != "setto" else None
            )
            old, end = self.values.get(name), position
            if word == "addtolength":
                number = None if number is None or old is None else old + number
        elif word == "advance":
            by = _BY.match(text, position)
            number, end = read(text, by.end() if by else position, lookup)
            old = self.values.get(name)
            number = None if number is None or old is None else old + number
        else:
            equals = _EQUALS.match(text, position)
            number, end = read(text, equals.end() if equals else position, lookup)
            if number is None and not is_new and text[position:end].strip()[:1] != "=":
                return position  # used, not set
        self._put(name, number if is_sure and not is_local else None, is_new=is_new)
        return end

    def defined(self, source: str) -> None:
        """Forget the numbers that a definition changes."""
        for found in _CHANGES.finditer(source):
            name = next(name for name in found.groups() if name)
            for each in (name, f"c@{name}"):
                self._changed.add(each)
                if each in self.values:
                    self.values[each] = None

    def _put(self, name: str, number: int | None, *, is_new: bool) -> None:
        if is_new or name in self.values:
            self.values[name] = None if name in self._changed else number
