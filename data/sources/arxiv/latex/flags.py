r"""The flags that a paper sets and tests: `\newif`, etoolbox's booleans and toggles, ifthen's `\boolean`.

A flag is True, False, or None if unknown because it was set in an undecided branch.
"""

import re
from collections.abc import Callable

from data.sources.arxiv.latex.syntax import Arguments, blanks_end

_NEWIF = re.compile(r"\s*+\\if([A-Za-z@]++)")
_NAME = re.compile(r"\s*+\{\s*+([A-Za-z@][\w@:-]{0,60})\s*+\}")
_NAME_AND_VALUE = re.compile(r"\s*+\{\s*+([A-Za-z@][\w@:-]{0,60})\s*+\}\s*+\{\s*+(true|false)\s*+\}")
_BOOLEAN = re.compile(r"\s*+\{\s*+(\\(?:not|NOT)\s*+)?\\boolean\s*+\{\s*+([A-Za-z@]{1,60})\s*+\}\s*+\}")
_DECLARE = {f"{verb}{kind}": kind for verb in ("new", "provide") for kind in ("toggle", "bool", "boolean")}
_SET = {"settoggle": "toggle", "setbool": "bool", "setboolean": "boolean"}
_SET_TO = {
    f"{kind}{value}": (kind, value == "true") for kind in ("toggle", "bool") for value in ("true", "false")
}
_EQUAL = re.compile(
    r"\s*+\{\s*+(\\(?:not|NOT)\s*+)?\\equal\s*+\{([^{}\\#]{0,200})\}\s*+\{([^{}\\#]{0,200})\}\s*+\}"
)
_SAME = re.compile(r"\s*+\{([^{}\\#]{0,200})\}\s*+\{([^{}\\#]{0,200})\}")
_BLANK = re.compile(r"\s*+\{([^{}\\#]{0,200})\}")
_CONTROL = re.compile(r"\s*+\{\s*+\\([A-Za-z@]{1,60})\s*+\}")
_DEFINED = {"ifdef": True, "ifundef": False, "ifcsdef": True, "ifcsundef": False}
_ASK = {
    "iftoggle": ("toggle", True),
    "nottoggle": ("toggle", False),
    "ifbool": ("bool", True),
    "notbool": ("bool", False),
}
_OPT = ("opt", "optv")  # of the package optional: \opt{long,short}{text}
_COMPARE = ("ifstrequal", "ifblank", "ifstrempty")
COMMANDS = frozenset({"newif", "ifthenelse", *_DECLARE, *_SET, *_SET_TO, *_ASK, *_DEFINED, *_COMPARE, *_OPT})


class Flags:
    """The flags of a paper up to the current position."""

    def __init__(self) -> None:
        self.values: dict[str, bool | None] = {}  # by their conditionals' names; of toggles, by "toggle NAME"
        self.setters: dict[str, tuple[str, bool]] = {}
        self.options: set[str] | None = None  # of the package optional, if the paper loads it
        self.unsure = 0  # open undecided conditionals
        self._undo: list[tuple[int, str, bool | None]] = []

    def put(self, name: str, value: bool | None, depth: int = 0) -> None:
        """Set a flag until the group at `depth` ends."""
        if depth:
            self._undo.append((depth, name, self.values.get(name)))
        self.values[name] = None if self.unsure else value

    def use(self, setter: str, depth: int = 0) -> None:
        r"""What \drafttrue does."""
        name, value = self.setters[setter]
        self.put(name, value, depth)

    def end_group(self, depth: int) -> bool:
        """Restore what groups deeper than `depth` set; returns whether anything changed."""
        changed = False
        while self._undo and self._undo[-1][0] > depth:
            _, name, before = self._undo.pop()
            self.values[name] = before
            changed = True
        return changed

    def command(self, word: str, text: str, position: int, depth: int) -> None:
        """What a command that declares or sets a flag does."""
        if word == "newif":
            found = _NEWIF.match(text, position)
            if found:
                self._declare(found[1])
            return
        found = (_NAME_AND_VALUE if word in _SET else _NAME).match(text, position)
        if found is None or word in _ASK or word in _DEFINED or word in (*_COMPARE, *_OPT):
            return
        if word in _DECLARE:
            if _DECLARE[word] != "toggle":
                self._declare(found[1])
            elif not (word.startswith("provide") and f"toggle {found[1]}" in self.values):
                self.put(f"toggle {found[1]}", False)
        elif word in _SET:
            self.put(_key(_SET[word], found[1]), found[2] == "true", depth)
        elif word in _SET_TO:
            kind, value = _SET_TO[word]
            self.put(_key(kind, found[1]), value, depth)

    def chosen(
        self, word: str, text: str, position: int, read: Arguments, is_defined: Callable[[str], bool | None]
    ) -> tuple[int, int, int] | None:
        r"""For \iftoggle and the like: where the chosen argument starts and ends, and where the call ends."""
        asked, value = self._asked(word, text, position, is_defined)
        if asked is None or value is None:
            return None
        spans = []
        position = asked.end()
        for _ in range(1 if word in _OPT else 2):
            opening = blanks_end(text, position)
            position = read.group_end(text, opening) if text[opening : opening + 1] == "{" else -1
            if position < 0:
                return None
            spans.append((opening + 1, position - 1))
        if word in _OPT:
            spans.append((position, position))
        start, end = spans[0] if value else spans[1]
        return start, end, position

    def _asked(
        self, word: str, text: str, position: int, is_defined: Callable[[str], bool | None]
    ) -> tuple[re.Match[str] | None, bool | None]:
        """What a command tests, and the answer; None if it is unknown."""
        if word in _COMPARE:
            asked = (_SAME if word == "ifstrequal" else _BLANK).match(text, position)
            if asked is None:
                return None, None
            one, other = asked[1], asked[2] if word == "ifstrequal" else ""
            return asked, one.strip() == other.strip() if word == "ifblank" else one == other
        if word in _OPT:
            asked = _BLANK.match(text, position) if self.options is not None else None
            tags = {tag.strip() for tag in asked[1].split(",")} if asked else set()
            return asked, bool(tags & (self.options or set()))
        if word in _DEFINED:
            asked = (_NAME if "cs" in word else _CONTROL).match(text, position)
            value, is_plain = is_defined(asked[1]) if asked else None, _DEFINED[word]
        elif word == "ifthenelse" and (asked := _EQUAL.match(text, position)):
            value, is_plain = asked[2] == asked[3], not asked[1]
        elif word == "ifthenelse":
            asked = _BOOLEAN.match(text, position)
            value, is_plain = (
                (self.values.get(_key("bool", asked[2])), not asked[1]) if asked else (None, True)
            )
        elif word in _ASK:
            asked = _NAME.match(text, position)
            kind, is_plain = _ASK[word]
            value = self.values.get(_key(kind, asked[1])) if asked else None
        else:
            return None, None
        return asked, None if value is None else value == is_plain

    def _declare(self, name: str) -> None:
        self.put(f"if{name}", False)
        self.setters |= {f"{name}true": (f"if{name}", True), f"{name}false": (f"if{name}", False)}


def _key(kind: str, name: str) -> str:
    return f"toggle {name}" if kind == "toggle" else f"if{name}"
