r"""Finds the many ways in which a macro's body asks whether an argument is empty or a certain token.

In: a body. Out: the same with each such test as one conditional, `\ifarg@same{#1}{…}`. Examples of what is
found: `\if\relax\detokenize{#1}\relax`, `\ifx&#1&`, `\ifx#1\empty`, `\def\a{#1}\ifx\a\empty`.
"""

import re
from collections import Counter

from data.sources.arxiv.latex.conditionals import COMPARISON, IS_COMMAND

# Tests of an argument: whether it is empty (between two equal tokens), or a token or another argument.
_IF = r"(?:\\expandafter\s*+)?+\\if(?:x|cat)?(?![A-Za-z@])\s*+(?:\\expandafter\s*+)?+"
_ANY_GIVEN = r"(?:#[1-9]|\\detokenize\s*+(?:\\expandafter\s*+)?+\{\s*+#[1-9]\s*+\})"
_GIVEN = re.compile("#[1-9]")
_NAMES = re.compile(r"\\[A-Za-z@]++")
_COMMAND = re.compile(r"\\ifcat\s*+\\noexpand\s*+(#[1-9])\s*+\\relax(?![A-Za-z@])[ \t]*+")
_EMPTY = re.compile(
    rf"{_IF}(?:(\\[A-Za-z@]++)\s*+{_ANY_GIVEN}\s*+\1(?![A-Za-z@])[ \t]*+"
    rf"|(\\[^A-Za-z@\s]|[^\s\\{{}}%#A-Za-z0-9]){_ANY_GIVEN}\2)"
)
_MARK = r"(?:\\(?:relax|empty|@empty|@nil|@nnil)(?![A-Za-z@])[ \t]*+|\\\\|[^\s\\{}%#])"
_COMPARED = re.compile(rf"\\ifx?(?![A-Za-z@])\s*+(?:(#[1-9])\s*+({_MARK}|#[1-9])|({_MARK})\s*+(#[1-9]))")
_SET_AND_COMPARED = re.compile(
    r"\\[egx]?def\s*+(?P<name>\\[A-Za-z@]++)\s*+\{\s*+#(?P<number>[1-9])\s*+\}\s*+"
    r"(?:\\[egx]?def\s*+(?P<other>\\[A-Za-z@]++)\s*+\{(?P<value>[^{}#\\]*+)\}\s*+)?+\\ifx\s*+"
    r"(?:(?P=name)(?![A-Za-z@])\s*+(?P<to>\\[A-Za-z@]++)|(?P<from>\\[A-Za-z@]++)\s*+(?P=name)(?![A-Za-z@]))"
    r"[ \t]*+"
)


def with_comparisons(body: str) -> str:
    """A body with its tests of arguments as `COMPARISON`, which each call decides."""
    if "def" in body:
        uses = Counter(_NAMES.findall(body))
        body = _SET_AND_COMPARED.sub(lambda mark: _of_set_names(mark, uses), body)
    body = _COMMAND.sub(rf"\\{IS_COMMAND}{{\1}}", body)
    body = _EMPTY.sub(lambda mark: f"\\{COMPARISON}{{{_GIVEN.findall(mark[0])[0]}}}{{}}", body)
    return _COMPARED.sub(lambda mark: f"\\{COMPARISON}{{{mark[1] or mark[4]}}}{{{mark[2] or mark[3]}}}", body)


def _of_set_names(mark: re.Match, uses: Counter[str]) -> str:
    r"""For \def\a{#1}\ifx\a\empty and its kin, if nothing else in the body uses \a."""
    compared, other = mark["to"] or mark["from"], mark["other"]
    is_alone = uses[mark["name"]] == 2 and (other is None or uses[other] == 2)
    if not is_alone or compared not in ((other,) if other else ("\\empty", "\\@empty")):
        return mark[0]
    return f"\\{COMPARISON}{{#{mark['number']}}}{{{mark['value'] or ''}}}"
