r"""Finds names with an @ that are short for text: `\newcommand{\my@norm}[1]{\|#1\|}`, for `\norm` to use.

In: a paper's preamble. Out: the names that it defines once, by text, arguments and such names. What a macro
defines, as the name of an author to show later, is none of them.
"""

import re
from collections import Counter

from data.sources.arxiv.latex.definitions.bodies import PROGRAMS
from data.sources.arxiv.latex.syntax import Arguments

_NAME = r"\\(?=[A-Za-z@]*@)([A-Za-z@]++)"
_DEFINED = re.compile(
    rf"\\(?:(?:g?def|(?:re)?newcommand|providecommand|DeclareRobustCommand)\*?\s*+\{{?"
    rf"|[ex]def|let|newif|futurelet\s*+\\[A-Za-z@]++)\s*+{_NAME}"
)
_PARAMETERS = re.compile(r"\s*+\}?\s*+(?:\[\d\]\s*+(?:\[[^]{}]{0,200}\]\s*+)?|(?:#\d){1,9}+)?(?=\{)")
_WORD = re.compile(_NAME)
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_LONGEST = 400  # characters of a value


def plain_names(preamble: str) -> set[str]:
    """The names with an @ that a preamble defines once, and as text."""
    if not _DEFINED.search(preamble):
        return set()
    marks = [*_DEFINED.finditer(preamble)]
    counts = Counter(mark[1] for mark in marks)
    marks = _outside_groups(preamble, marks)
    read = Arguments()
    uses: dict[str, set[str]] = {}  # of names with an @ in the value of each
    for mark in marks:
        found = _PARAMETERS.match(preamble, mark.end()) if counts[mark[1]] == 1 else None
        end = read.group_end(preamble, found.end()) if found else -1
        body = preamble[found.end() : end] if found and end > 0 else ""
        used = set(_WORD.findall(body))
        if 0 < len(body) < _LONGEST and not PROGRAMS.search(_WORD.sub("", body)):
            uses[mark[1]] = used
    users: dict[str, list[str]] = {}
    for name, used in uses.items():
        for each in used:
            users.setdefault(each, []).append(name)
    others = [name for name in users if name not in uses]
    while others:  # what uses a name that is no text is none either
        for user in users.get(others.pop(), ()):
            if uses.pop(user, None) is not None:
                others.append(user)
    return set(uses)


def _outside_groups(text: str, marks: list[re.Match]) -> list[re.Match]:
    """Those of the marks that no group holds."""
    outside: list[re.Match] = []
    depth, braces = 0, _BRACES.finditer(text)
    brace = next(braces, None)
    for mark in marks:
        while brace and brace.start() < mark.start():
            kind = brace.group()
            depth = max(0, depth + (kind == "{") - (kind == "}"))
            brace = next(braces, None)
        if depth == 0:
            outside.append(mark)
    return outside
