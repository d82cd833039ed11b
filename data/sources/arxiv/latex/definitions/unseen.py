r"""Removes from a body what shows nothing where the macro is used, and would keep it from being expanded.

In: a body. Out: the same without `\m@th` and what is only for references: `\def\@currentlabel{#1}` and
`\protected@write\@auxout{}{…}` (source2e, ltxref and ltplain).
"""

import re

from data.sources.arxiv.latex.syntax import Arguments, append

_UNSEEN = re.compile(
    r"\\m@th(?![A-Za-z@])[ \t]*+"
    r"|\\(?:(?P<label>(?:protected@)?[egx]?def\s*+\\@currentlabel(?:name)?)"
    r"|(?P<file>protected@write\s*+\\@(?:mainaux|partaux|auxout)\s*+\{\s*+\}))\s*+(?=\{)"
)


def without_unseen(body: str) -> str:
    """A body without what shows nothing."""
    out: list[str] = []
    place, read = 0, Arguments()
    for mark in _UNSEEN.finditer(body):
        has_text = mark["label"] or mark["file"]
        end = read.group_end(body, mark.end()) if has_text else mark.end()
        if mark.start() >= place and end > 0:
            append(out, body[place : mark.start()])
            place = end
    append(out, body[place:])
    return "".join(out)
