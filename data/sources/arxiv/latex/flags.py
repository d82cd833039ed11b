r"""Follows the flags that a paper sets: `\newif`, etoolbox's booleans and toggles, ifthen's `\boolean`.

A flag is True, False, or None if unknown because it was set in an undecided branch.
"""

import re

_NEWIF = re.compile(r"\s*+(?P<brace>\{\s*+)?+\\if(?P<name>[A-Za-z@]++)(?(brace)\s*+\})")
_NAME = re.compile(r"\s*+\{\s*+([A-Za-z@][\w@:-]{0,60})\s*+\}")
_NAME_AND_VALUE = re.compile(r"\s*+\{\s*+([A-Za-z@][\w@:-]{0,60})\s*+\}\s*+\{\s*+(true|false)\s*+\}")
_DECLARE = {f"{verb}{kind}": kind for verb in ("new", "provide") for kind in ("toggle", "bool", "boolean")}
_SET = {"settoggle": "toggle", "setbool": "bool", "setboolean": "boolean"}
_SET_TO = {
    f"{kind}{value}": (kind, value == "true") for kind in ("toggle", "bool") for value in ("true", "false")
}
# arXiv runs pdfTeX (https://info.arxiv.org/help/submit_tex.html); the packages iftex, ifxetex and ifluatex.
_ENGINES = {"ifPDFTeX": True, "ifpdftex": True, "iftutex": False}
_ENGINES |= dict.fromkeys(("ifxetex", "ifXeTeX", "ifluatex", "ifLuaTeX", "ifluahbtex", "ifLuaHBTeX"), False)
# IEEEtran's options, as \ifCLASSOPTION… tells them: of each row the last that is given, or else the first.
_IEEETRAN = (
    ("oneside", "twoside"),
    ("twocolumn", "onecolumn", "twocolumn"),
    ("final", "draft", "draftcls", "draftclsnofoot", "final"),
    ("journal", "conference", "technote", "peerreview", "peerreviewca"),
    ("", "comsoc", "compsoc", "transmag"),
    *(("", option) for option in ("captionsoff", "nofonttune", "romanappendices")),
)
_IMPLIED = {"draft": "draftcls", "draftclsnofoot": "draftcls", "peerreviewca": "peerreview"}
COMMANDS = frozenset({"newif", *_DECLARE, *_SET, *_SET_TO})


class Flags:
    """The flags of a paper up to the current position."""

    def __init__(self) -> None:
        # By the names of their conditionals; a toggle's is "toggle NAME".
        self.values: dict[str, bool | None] = dict(_ENGINES)
        self.setters: dict[str, tuple[str, bool]] = {}
        self.unsure = 0  # open undecided conditionals
        self._undo: list[tuple[int, str, bool | None]] = []

    def put(self, name: str, value: bool | None, depth: int = 0) -> None:
        """Set a flag until the group at `depth` ends."""
        if depth:
            self._undo.append((depth, name, self.values.get(name)))
        self.values[name] = None if self.unsure else value

    def use_ieeetran(self, options: str) -> None:
        """Set the flags that the class IEEEtran has from its options."""
        given = {option.strip() for option in options.split(",")}
        for row in _IEEETRAN:
            chosen = ([option for option in row if option in given] or row[:1])[-1]
            for option in row:
                # \ifCLASSOPTIONfinal is always true.
                self.put(f"ifCLASSOPTION{option}", option in (chosen, _IMPLIED.get(chosen), "final"))

    def use(self, setter: str, depth: int = 0) -> None:
        r"""Do what \drafttrue does."""
        name, value = self.setters[setter]
        self.put(name, value, depth)

    def are_known(self, word: str) -> bool:
        """Whether a command only declares or sets a flag, and flags are known: it prints nothing."""
        return (word in self.setters or word in COMMANDS) and not self.unsure

    def end_group(self, depth: int) -> bool:
        """Restore what groups deeper than `depth` set; returns whether anything changed."""
        changed = False
        while self._undo and self._undo[-1][0] > depth:
            _, name, before = self._undo.pop()
            self.values[name] = before
            changed = True
        return changed

    def command(self, word: str, text: str, position: int, depth: int) -> None:
        """Carry out a command that declares or sets a flag."""
        if word == "newif":
            found = _NEWIF.match(text, position)
            if found:
                self._declare(found["name"])
            return
        found = (_NAME_AND_VALUE if word in _SET else _NAME).match(text, position)
        if found is None:
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

    def _declare(self, name: str) -> None:
        self.put(f"if{name}", False)
        self.setters |= {f"{name}true": (f"if{name}", True), f"{name}false": (f"if{name}", False)}


def end(word: str, text: str, position: int) -> int:
    """The end of a command of `COMMANDS`, given the end of its name."""
    found = (_NEWIF if word == "newif" else _NAME_AND_VALUE if word in _SET else _NAME).match(text, position)
    return found.end() if found else position


def _key(kind: str, name: str) -> str:
    return f"toggle {name}" if kind == "toggle" else f"if{name}"
