r"""Finds text that is only for some readers: tags, audiences, versions, and beamer's modes.

In: the commands that choose a kind of reader. Out: the arguments and environments hidden from that reader.
Sources: the manuals of comment, versions, tagging, optional, multiaudience and beamer (chapter 21).
"""

import re

from data.sources.arxiv.latex.syntax import Arguments, blanks_end
from data.sources.arxiv.latex.verbatim import hides

_NAMES = re.compile(r"\s*+\{([^{}\\#]{0,300})\}")
_MODES = re.compile(r"<\s*+([a-z]+(?:\s*+:\s*+0)?+(?:\s*+\|\s*+[a-z]+(?:\s*+:\s*+0)?+)*+)\s*+>")
_LINE_END = re.compile(r"[ \t]*\n")
_NEXT_MODE = re.compile(r"\\mode\s*+[<*]|\\end\s*+\{document\}")
_BEAMER = re.compile(
    r"\\(?:usepackage\s*+(?:\[[^\]]{0,300}\]\s*+)?\{\s*+(beamerarticle)\s*+\}"
    r"|documentclass\s*+(?:\[[^\]]{0,300}\]\s*+)?\{\s*+beamer\s*+\})"
)
_IN_MODE = {"article": {"article", "all"}, "presentation": {"presentation", "beamer", "all"}}
CHOOSE = frozenset({"tagged", "untagged", "iftagged", "opt", "optv", "showto", "processifversion"})
_SET = frozenset({"usetag", "droptag", "DefCurrentAudience"})
_VERSIONS = {
    f"{verb}{kind}": verb == "exclude" for verb in ("include", "exclude") for kind in ("comment", "version")
}
_ENVIRONMENTS = frozenset(
    {"newenvironment", "renewenvironment", "NewEnviron", "RenewEnviron", "NewDocumentEnvironment"}
)
_BLOCKS = {"taggedblock": "tagged", "untaggedblock": "untagged", "shownto": "showto"}
COMMANDS = _SET | _VERSIONS.keys() | {"NewEnviron", "RenewEnviron", "NewDocumentEnvironment"}


class Audience:
    """Whom the paper is typeset for, as of the current position."""

    def __init__(self, paper: str) -> None:
        self.tags: set[str] | None = None  # if the paper loads tagging or optional
        self._audience = ""
        self.hidden: set[str] = set()  # environments
        self._versions: set[str] = set()  # excluded
        self._unclosed: set[str] = set()  # hidden environments that no longer end
        found = _BEAMER.finditer(paper) if "beamer" in paper else ()
        modes = {"article" if each[1] else "presentation" for each in found}
        self.mode = modes.pop() if len(modes) == 1 else ""

    def command(self, word: str, text: str, start: int, position: int, *, is_sure: bool) -> None:
        """Carry out a command that selects readers, or defines an environment for some."""
        if word in _ENVIRONMENTS:
            name, is_hidden = hides(text[start : start + 3000])
            (self.hidden.add if is_hidden and is_sure else self.hidden.discard)(name)
            return
        found = _NAMES.match(text, position)
        if found is None:
            return
        names = _listed(found[1])
        if word == "usetag":
            self.tags = (self.tags or set()) | names
        elif word == "droptag":
            self.tags = (self.tags or set()) - names
        elif word == "DefCurrentAudience":
            self._audience = found[1].strip()
        elif word in _VERSIONS:
            is_hidden = _VERSIONS[word] and is_sure
            for kept in (self.hidden, self._versions):
                kept.update(names) if is_hidden else kept.difference_update(names)

    def chosen(self, word: str, text: str, position: int, read: Arguments) -> tuple[int, int, int] | None:
        r"""For \tagged and the like: where the visible text starts and ends, and where the call ends."""
        found = _NAMES.match(text, position)
        is_seen = self._sees(word, found[1]) if found else None
        if found is None or is_seen is None:
            return None
        spans = []
        position = found.end()
        for _ in range(2 if word == "iftagged" else 1):
            opening = blanks_end(text, position)
            position = read.group_end(text, opening) if text[opening : opening + 1] == "{" else -1
            if position < 0:
                return None
            spans.append((opening + 1, position - 1))
        start, end = (*spans, (position, position))[0 if is_seen else 1]
        return start, end, position

    def hidden_end(self, name: str, text: str, position: int) -> int:
        r"""Where a hidden environment ends; 0 if it is shown. `position` is right after its \begin{…}."""
        if name in _BLOCKS:
            found = _NAMES.match(text, position)
            is_seen = self._sees(_BLOCKS[name], found[1]) if found else None
        elif self.mode and text.startswith("<", position):
            is_seen = self._in_mode(text, position)
        else:
            is_seen = name not in self.hidden
        if is_seen is not False or name in self._unclosed:
            return 0
        end = _environment_end(name, text, position)
        if not end:
            self._unclosed.add(name)
        return end

    def plain_end(self, name: str, text: str, position: int) -> int:
        r"""Where a hidden \name … \endname ends; 0 if it does not, or has text on its first line."""
        if name in self._unclosed or not _LINE_END.match(text, position):
            return 0
        end = text.find(f"\\end{name}", position)
        if end < 0:
            self._unclosed.add(name)
        return end + len(name) + 4 if end >= 0 else 0

    def mode_span(self, word: str, text: str, position: int, read: Arguments) -> tuple[int, int, int] | None:
        r"""For \mode<…>, \only<…>{…} and the like: as `chosen`, if only one mode of beamer shows it."""
        is_seen = self._in_mode(text, position)
        modes = _MODES.match(text, position)
        if is_seen is None or modes is None:
            return None
        position = modes.end()
        if word == "mode":
            if text[position : position + 1] != "{":
                following = _NEXT_MODE.search(text, position)
                end = following.start() if following else len(text)
                return (position, position, position) if is_seen else (end, end, end)
        elif is_seen:
            return None
        end, spans = position, []
        while text[end : end + 1] in ("[", "{"):
            option = read.option(text, end) if text[end] == "[" else None
            after = option[1] if option else read.group_end(text, end)
            if after < 0:
                return None
            if text[end] == "{":
                spans.append((end + 1, after - 1))
            end = after
        if not spans:
            return None
        if word in ("alt", "mode") and (word == "mode") == is_seen:
            return *spans[-1], end
        return end, end, end

    def _sees(self, word: str, names: str) -> bool | None:
        if word == "processifversion":
            return names.strip() not in self._versions
        listed = _listed(names)
        if word == "showto":
            if not self._audience:
                return None
            is_but = names.strip().startswith("-")
            return (self._audience in {name.removeprefix("-").strip() for name in listed}) != is_but
        if self.tags is None:
            return None
        return bool(listed & self.tags) != (word == "untagged")

    def _in_mode(self, text: str, position: int) -> bool | None:
        """Whether the mode's reader sees text with a specification such as <presentation>."""
        found = _MODES.match(text, position)
        if found is None or not self.mode:
            return None
        named = {name.strip() for name in found[1].split("|")}
        zeros = {name.partition(":")[0].strip() for name in named if ":" in name}
        modes = named & {"presentation", "article", "beamer", "second", "handout", "trans", "all"}
        if zeros & (_IN_MODE[self.mode] - {"all"}):
            return False
        if zeros:
            return None
        return bool(modes & _IN_MODE[self.mode]) if modes == named else None


def _listed(names: str) -> set[str]:
    return {name.strip() for name in names.split(",") if name.strip()}


def _environment_end(name: str, text: str, position: int) -> int:
    r"""The position after the \end that closes an environment; 0 if there is none."""
    depth = 1
    for mark in re.compile(rf"\\(begin|end)[ \t]*+\{{{re.escape(name)}\}}").finditer(text, position):
        depth += 1 if mark[1] == "begin" else -1
        if not depth:
            return mark.end()
    return 0
