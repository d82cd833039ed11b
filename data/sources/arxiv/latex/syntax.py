r"""Reads LaTeX's smallest parts: control sequences, arguments and groups.

Everything here works on a string and a position in it, in linear time for any text.
"""

import re
from collections.abc import Callable

MAX_TEXT = 32 << 20  # characters of one paper with everything it inputs
MAX_GROUP = 1 << 18  # characters of one argument or definition
MAX_OPTION = 4096  # characters of one optional or delimited argument
_FAILURES = 20  # give up on groups after this many unterminated ones

QUOTED = r"(?:string|meaning|show)\s*+\\[A-Za-z]++"  # a name that is shown, not used
WORD = re.compile(rf"\\({QUOTED}|[A-Za-z]+|.)", re.DOTALL)
_BLANKS = re.compile(r"[ \t]*\n?[ \t]*")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_FLAT = r"(?:[^{}\\]++|\\.)*+"
_GROUP = rf"\{{{_FLAT}(?:\{{{_FLAT}(?:\{{{_FLAT}\}}{_FLAT})*+\}}{_FLAT})*+\}}"
_SHALLOW_GROUP = re.compile(_GROUP, re.DOTALL)  # most groups: at most two more levels inside
_BRACKETS = re.compile(r"\\.|[{}\]]", re.DOTALL)
_SIMPLE_GROUP = re.compile(r"[ \t]*+\n?+[ \t]*+\{([^{}\\]*)\}")
_BRACE = re.compile(r"[{}]")
_LANGUAGE = re.compile(r"\s*+\{[^{}\n]{0,60}\}")
BRACED = re.compile(r"\s*\{([^{}]*)\}")
OPTION = re.compile(r"\s*+\[[^\]]{0,1000}\]")
GAP = r"(?:\s|%[^\n]*+(?:\n|\Z))*+"  # what may be between a command and its argument, with comments

# Commands of LaTeX and its usual packages whose last argument is missing at a text's end.
_ACCENTS = (
    "acute bar breve check dot ddot dddot ddddot grave hat mathring tilde vec widehat widetilde overbrace"
    " overline underbrace underline (?:over|under)(?:left|right|leftright)arrow x(?:left|right)arrow sqrt"
    " phantom boxed cancel"
)
_FONTS = (
    "emph text(?:bf|it|md|normal|rm|sc|sf|sl|tt|up)? mbox boldsymbol bm pmb operatorname\\*?"
    " math(?:bb|bf|cal|ds|frak|it|normal|rm|scr|sf|tt)"
)
_OTHERS = "cite[a-z]* eqref ref label footnote caption"
_OF_TWO = "[cdt]?frac [dt]?binom overset underset stackrel sfrac nicefrac"
_NEXT = rf"(?:{_GROUP}|\\(?:[A-Za-z]++\s*+|.)|[^\\{{}}\s])"
_OF_ONE = f"{_ACCENTS} {_FONTS} {_OTHERS}"
_TAKES = re.compile(
    rf"(?<!\\)(?:\\\\)*+\\(?:(?:{'|'.join(_OF_ONE.split())})\s*+(?:\[[^][]{{0,100}}\]\s*+)?"
    rf"|(?:{'|'.join(_OF_TWO.split())})\s*+(?:{_NEXT}\s*+)?)\Z",
    re.DOTALL,
)
_NAMES = re.compile("|".join(f"{_OF_ONE} {_OF_TWO}".split()))
_TWO = re.compile("frac|binom|set|stackrel")  # a sign of `_OF_TWO`
_TAKING_LENGTH = 200  # characters before an argument that are looked at
_NEAR = 30  # characters that show whether to look at these, or how they then end
_ENDS = ("}", "]", "*")
_NO_ARGUMENT = frozenset("$({[=,_^&+-/|<>~;:.")  # nothing that takes an argument ends in these
_ONE_TOKEN = re.compile(rf"\\\0?(?:[A-Za-z@]++|.)\s*|{_GROUP} ?", re.DOTALL)

# Given a name, returns a flag's True or False, or the string of a macro, number or counter (`c@NAME`). Given
# a name with its backslash, returns whether it is defined. None means unknown.
Lookup = Callable[[str], bool | str | None]


def value_of(name: str, lookup: Lookup) -> str | None:
    """The value of a macro or a number, if it is known."""
    value = lookup(name)
    return value if isinstance(value, str) else None


class Arguments:
    """Reads arguments as TeX does; gives up after `_FAILURES` unterminated ones."""

    def __init__(self) -> None:
        self._failures = 0

    @property
    def has_failed(self) -> bool:
        return self._failures > 0

    def argument(self, text: str, position: int) -> tuple[str, int] | None:
        """The group, control sequence or character here, and its end."""
        simple = _SIMPLE_GROUP.match(text, position)
        if simple:
            return simple[1], simple.end()
        position = blanks_end(text, position)
        first = text[position : position + 1]
        if first == "{":
            end = self.group_end(text, position)
            return (text[position + 1 : end - 1], end) if end >= 0 else None
        if first == "\\":
            token = WORD.match(text, position)
            return (token.group(), token.end()) if token else None
        return None if first in ("", "\n", "}", "$", "&", "#") else (first, position + 1)

    def option(self, text: str, position: int) -> tuple[str, int] | None:
        """The optional argument in [ ] here, and its end."""
        opening = blanks_end(text, position)
        if text[opening : opening + 1] != "[":
            return None
        return self._ended(_BRACKETS, "]", text, opening + 1)

    def unbraced_option(self, text: str, position: int) -> tuple[str, int] | None:
        """As `option`, for a macro: braces around all of a delimited argument are not part of it."""
        found = self.option(text, position)
        return (self.unbraced(found[0]), found[1]) if found else None

    def unbraced(self, argument: str) -> str:
        """A delimited argument without the braces around all of it (The TeXbook, chapter 20)."""
        is_group = argument[:1] == "{" and self.group_end(argument, 0) == len(argument)
        return argument[1:-1] if is_group else argument

    def between(self, opening: str, closing: str, text: str, position: int) -> tuple[str, int] | None:
        """The argument here between two characters, and its end; it may contain further pairs of these."""
        start = blanks_end(text, position)
        if text[start : start + 1] != opening:
            return None
        pattern = re.compile(rf"\\.|[{{}}{re.escape(opening + closing)}]", re.DOTALL)
        nested = opening if opening != closing else ""
        return self._ended(pattern, closing, text, start + 1, nested=nested)

    def until(self, delimiter: str, text: str, position: int) -> tuple[str, int] | None:
        r"""The argument of \def that ends at a delimiter outside of braces."""
        is_word = delimiter[0] == "\\" and delimiter[-1].isalpha()
        end = re.escape(delimiter) + ("(?![A-Za-z@])" if is_word else "")
        pattern = re.compile(f"{end}|\\\\.|[{{}}]", re.DOTALL)
        return self._ended(pattern, delimiter, text, position, MAX_GROUP if is_word else MAX_OPTION)

    def _ended(
        self,
        pattern: re.Pattern,
        end: str,
        text: str,
        position: int,
        most: int = MAX_OPTION,
        nested: str = "",
    ) -> tuple[str, int] | None:
        depth = inner = 0
        if self._failures >= _FAILURES:
            return None
        for mark in pattern.finditer(text, position, position + most):
            kind = mark.group()
            if kind == end and depth == 0:
                if inner == 0:
                    return text[position : mark.start()], mark.end()
                inner -= 1
            inner += depth == 0 and kind == nested
            depth += (kind == "{") - (kind == "}")
            if depth < 0:
                return None
        self._failures += 1
        return None

    def group_end(self, text: str, opening: int) -> int:
        """The end of the group that opens here, or -1 if it does not close within `MAX_GROUP`."""
        if self._failures >= _FAILURES:
            return -1
        shallow = _SHALLOW_GROUP.match(text, opening, opening + MAX_GROUP)
        if shallow:
            return shallow.end()
        depth = 0
        for mark in _BRACES.finditer(text, opening, opening + MAX_GROUP):
            kind = mark.group()
            if kind == "{":
                depth += 1
            elif kind == "}":
                depth -= 1
                if depth == 0:
                    return mark.end()
        self._failures += 1
        return -1


def ends_in_word(text: str, end: int) -> bool:
    r"""Whether a control word such as `\alpha` ends right before `end`."""
    start = end
    while start and text[start - 1].isalpha():
        start -= 1
    start -= start < end and text[start - 1 : start] == "\0"  # bodies.py's DONE
    slashes = start
    while slashes and text[slashes - 1] == "\\":
        slashes -= 1
    return start < end and (start - slashes) % 2 == 1


def after_word(text: str, word: int, position: int) -> int:
    r"""Where reading continues after leaving out the text from `word` to `position`.

    If that text ends in a control word, TeX skips the blanks after it. They are kept only where they separate
    a control word before `word` from what follows.
    """
    if text[position : position + 1] not in (" ", "\t") or not ends_in_word(text, position):
        return position
    end = position
    while text[end : end + 1] in (" ", "\t") and end < len(text):
        end += 1
    return position if ends_in_word(text, word) else end


def append(out: list[str], piece: str) -> None:
    """Append a piece, separated from a control word that ends right before it."""
    if not piece:
        return
    if out and piece[0].isalpha():
        last = out[-1]
        if last[-1].isalpha() and ends_in_word(last, len(last)):
            out.append(" ")
    out.append(piece)


def append_value(out: list[str], before: str, value: str) -> None:
    r"""Append a value; its leading [ must not become an option of the \\ or \item before it."""
    append(out, before)
    if value.startswith("[") and out and out[-1].rstrip().endswith(("\\\\", "\\\\*", "\\item")):
        out.append("{}")
    append(out, value if before[-1:] in _NO_ARGUMENT else as_argument(out, value))


def as_argument(out: list[str], value: str) -> str:
    r"""A macro's value, in braces if it is all of an argument: \hat\bx is \hat{\mathbf{x}}."""
    tail = out[-1][-_NEAR:].rstrip() if out else ""
    word = tail.rfind("\\") + 1
    if word and tail[word:].isalpha():
        if not _NAMES.fullmatch(tail, word) and "frac" not in tail:
            return value
    elif not (tail.endswith(_ENDS) or "frac" in tail or "binom" in tail):
        return value
    if len(value) == 1 or _ONE_TOKEN.fullmatch(value):
        return value
    before, place = "", len(out)
    while len(before) < _TAKING_LENGTH and place:
        place -= 1
        before = out[place][-_TAKING_LENGTH:] + before
    before = before[-_TAKING_LENGTH:]
    if (tail[-1:] == "}" and not _TWO.search(before)) or not _TAKES.search(before):
        return value
    argument = value.rstrip(" ")
    return f"{{{argument}}}{value[len(argument) :]}"


def inline_end(text: str, position: int, has_language: bool = False) -> int:
    r"""The end of \verb's or \lstinline's argument, or `position` if its line does not close it.

    An opening brace is closed by its partner. `has_language`: the argument is the second, as in
    \mintinline.
    """
    option = OPTION.match(text, position)
    start = option.end() if option else position
    if has_language:
        language = _LANGUAGE.match(text, start)
        if language is None:
            return position
        start = language.end()
    if text[start : start + 1] == "*":
        start += 1
    opening = text[start : start + 1]
    if opening in ("", "\n", " ", "}"):
        return position
    line = text[start + 1 : start + 4000].partition("\n")[0]
    end = _partner(line) if opening == "{" else line.find(opening)
    return start + 1 + end + 1 if end >= 0 else position


def _partner(line: str) -> int:
    """The brace that closes one opened before the line; without such a partner, the first closing brace."""
    depth = 1
    for mark in _BRACE.finditer(line):
        depth += 1 if mark.group() == "{" else -1
        if depth == 0:
            return mark.start()
    return line.find("}")


def line_rest(text: str, end: int) -> int:
    """The next line's start if only spaces are left on this one; else `end`."""
    newline = text.find("\n", end, end + 200)
    return newline + 1 if newline >= 0 and not text[end:newline].strip(" \t") else end


def blanks_end(text: str, position: int) -> int:
    """The end of the spaces here, including at most one line end."""
    blanks = _BLANKS.match(text, position)
    return blanks.end() if blanks else position
