r"""Chooses one of the four forms that a macro's formula has in different sizes: the one of text.

In: a body. Out: the same with the form of text in place of `\mathchoice{…}{…}{…}{…}`, and `\mathpalette` as
it is in text. Sources: The TeXbook, chapter 17 and appendix B.
"""

import re

from data.sources.arxiv.latex.syntax import Arguments, append

STYLES = re.compile(r"(?:\\protect\s*+)?+\\(?:mathchoice|(mathpalette))(?![A-Za-z@])")
_HELPER = re.compile(r"\s*+(?:\\protect\s*+)?+(\\[A-Za-z@]++)")  # where it may have an @ in its name
_PROTECTED = re.compile(r"\\protect(?![A-Za-z@])\s*+")
_NESTED = 5  # nesting of choices


def in_text_style(body: str, depth: int = 0) -> str:
    """A body with the forms that its formulas have in text."""
    out: list[str] = []
    place, read = 0, Arguments()
    for mark in STYLES.finditer(body) if depth < _NESTED else ():
        if mark.start() < place:
            continue
        helper = _HELPER.match(body, mark.end()) if mark[1] else None
        given = [helper[1]] if helper else []
        end = helper.end() if helper else mark.end()
        while len(given) < (2 if mark[1] else 4) and (argument := read.argument(body, end)):
            given.append(argument[0])
            end = argument[1]
        if len(given) < (2 if mark[1] else 4):
            continue
        form = given[1]
        if mark[1]:
            form = f"{_PROTECTED.sub('', given[0]).strip()}\\textstyle{{{given[1]}}}"
        append(out, body[place : mark.start()])
        append(out, in_text_style(form.strip(), depth + 1))
        place = end
    append(out, body[place:])
    return "".join(out)
