r"""Macros with computed names, of which a paper defines many at once: `\ddefloop ABC\ddefloop` makes `\bA`, …

In: LaTeX without comments. Out: the same with each such definition written out, as `\def\bA{\mathbf{A}}`, in
the place of the call that makes it. Read are names made by `\csname`, `\@namedef` and etoolbox's `\csdef`;
macros of one argument that define such names; and the loops that papers call them in. A call is left as it
is unless every name that it makes is known. Sources: The TeXbook, chapter 7 (`\csname`); source2e, ltcntrl
(`\@for`, `\@tfor`); the manuals of etoolbox (§3.8) and pgffor.
"""

import re

from data.sources.arxiv.latex.syntax import Arguments
from data.sources.arxiv.latex.verbatim import LATEX, Verbatim

_ITEMS = 200  # of a loop
_LIST = 20_000  # characters of one
_NESTED = 4  # a loop calls a macro that calls another
_GROWTH = 1 << 20  # characters that all calls of a paper may add
_ANY = re.compile(r"\\csname|\\csg?def(?![A-Za-z])|\\@namedef")
_WORD = re.compile(r"\\([A-Za-z@]++)")
_NAME = r"[A-Za-z]{1,60}"
_MADE = re.compile(
    r"\s*+\\(?P<word>[egx]?def|let|(?:re)?newcommand\*?|providecommand\*?|DeclareMathOperator\*?)\s*+"
    r"(?:\\expandafter\s*+)?(?P<group>\{\s*+)?"
    rf"\\csname\s*+(?P<name>{_NAME})\s*+\\endcsname[ \t]*+(?(group)\}})"
)
_CSNAME_END = re.compile(rf"\s*+({_NAME})\s*+\\endcsname(?![A-Za-z@])[ \t]*+")
_BRACED_NAME = re.compile(rf"\s*+\{{\s*+({_NAME})\s*+\}}")
_ONE_ARGUMENT = re.compile(
    r"\*?\s*+(?:\{\s*+\\([A-Za-z@]++)\s*+\}|\\([A-Za-z@]++))\s*+(\[\s*+1\s*+\]|#1)?\s*+"
)
_ENDLESS = re.compile(  # \def\name#1{\ifx\stop#1\else … \expandafter\name\fi}
    r"\s*+\\ifx\s*+(?:#1\s*+)?\\(?P<stop>[A-Za-z@]++)\s*+(?:#1\s*+)?\\else(?![A-Za-z@])"
    r"(?P<body>.*)\\expandafter\s*+\\(?P<name>[A-Za-z@]++)\s*+\\fi\s*+",
    re.DOTALL,
)
_PARAMETER = re.compile(r"(\\[A-Za-z@]++)?(##|#1)")
_PROGRAMS = re.compile(
    r"\\(?:expandafter|noexpand|csname|endcsname|if[a-z]*|else|fi|[ex]def|begingroup|endgroup)(?![A-Za-z@])"
    r"|\\[A-Za-z]*@"
)
_ENVIRONMENT = re.compile(r"[ \t]*+\{([A-Za-z]*\*?)\}")
_NOEXPAND = re.compile(r"\\noexpand\s*+(?=\\)")
_FOR = re.compile(r"\s*+\\([A-Za-z@]++)\s*+:=([^\\{}]{1,2000}?)\\do(?![A-Za-z@])")
_FOREACH = re.compile(r"\s*+\\([A-Za-z@]++)\s+in\s*+\{([^\\{}]{1,2000})\}")
_RANGE = re.compile(r"([A-Za-z]),\s*\.\.\.\s*,\s*([A-Za-z])")
_AT_ONCE = {"edef": "def", "xdef": "gdef"}  # expand their values at once, others when they are used
_DEFS = frozenset({"def", "gdef", "newcommand", "renewcommand", "providecommand"})


def written_out(text: str, verbatim: Verbatim = LATEX) -> str:
    """The text with the definitions of computed names written out."""
    return _Writer(verbatim).read(text) if _ANY.search(text) else text


class _Writer:
    def __init__(self, verbatim: Verbatim) -> None:
        self._verbatim = verbatim
        self._arguments = Arguments()
        self._definers: dict[str, str] = {}  # macros of one argument, and their bodies
        self._endless: dict[str, tuple[str, str]] = {}  # loops over tokens: the name before which they end
        self._unclosed: set[str] = set()  # verbatim environments that no longer end
        self._left = _GROWTH

    def read(self, text: str, depth: int = 0) -> str:
        out, start, position = [], 0, 0
        for mark in _WORD.finditer(text):
            if mark.start() < position:
                continue
            made = self._made(mark[1], text, mark.end(), depth)
            if made is not None:
                out += [text[start : mark.start()], made[0]]
                start = position = made[1]
            elif mark[1] in _DEFS:
                position = self._note(text, mark.end())
            else:
                position = self._verbatim_end(mark[1], text, mark.end())
        return "".join(out) + text[start:]

    def _verbatim_end(self, word: str, text: str, position: int) -> int:
        """Where verbatim text that begins here ends; `position` for anything else."""
        found = _ENVIRONMENT.match(text, position) if word == "begin" else None
        if found and found[1] in self._verbatim.environments - self._unclosed:
            end = text.find(f"\\end{{{found[1]}}}", position)
            if end >= 0:
                return end
            self._unclosed.add(found[1])
        if word in self._verbatim.commands or word in self._verbatim.language_commands:
            return max(position, self._verbatim.inline(word, text, position))
        return position

    def _note(self, text: str, position: int) -> int:
        """Remember the macro of one argument that is defined here; returns the definition's end."""
        found = _ONE_ARGUMENT.match(text, position)
        if found is None or text[found.end() : found.end() + 1] != "{":
            return position
        name, end = found[1] or found[2], self._arguments.group_end(text, found.end())
        if end < 0:
            return position
        self._definers.pop(name, None)
        self._endless.pop(name, None)
        body = text[found.end() + 1 : end - 1]
        endless = _ENDLESS.fullmatch(body)
        if found[3] and endless and endless["name"] == name:
            self._endless[name] = endless["stop"], endless["body"]
        elif found[3] and (_ANY.search(body) or self._definers.keys() & {*_WORD.findall(body)}):
            self._definers[name] = body
        return end

    def _made(self, word: str, text: str, position: int, depth: int) -> tuple[str, int] | None:
        """What a command here defines, written out, and the command's end; None if it is another command."""
        if word == "expandafter":
            made = _MADE.match(text, position)
            word = _AT_ONCE.get(made["word"], made["word"]) if made else ""
            return (f"\\{word}\\{made['name']} ", made.end()) if made else None
        if word in ("@namedef", "csdef", "csgdef"):
            named = _BRACED_NAME.match(text, position)
            return (f"\\{'g' * (word == 'csgdef')}def\\{named[1]} ", named.end()) if named else None
        if word == "csname":
            named = _CSNAME_END.match(text, position) if depth else None
            return (f"\\{named[1]} ", named.end()) if named else None
        call = self._call(word, text, position) if depth < _NESTED else None
        bodies, end = call or ([], position)
        bodies = [_NOEXPAND.sub("", body) for body in bodies[:_ITEMS]]
        self._left -= sum(map(len, bodies))
        if not bodies or self._left < 0:
            return None
        values = [self.read(body, depth + 1) for body in bodies]
        if any(value == body or _PROGRAMS.search(value) for value, body in zip(values, bodies)):
            return None
        return "".join(values), end

    def _call(self, word: str, text: str, position: int) -> tuple[list[str], int] | None:
        """What the call of a macro or a loop reads, item by item, and its end."""
        if word in self._definers:
            argument = self._arguments.argument(text, position)
            return ([_filled(self._definers[word], argument[0])], argument[1]) if argument else None
        if word in self._endless:
            end, body = self._endless[word]
            stop = text.find(f"\\{end}", position, position + _LIST)
            items = self._tokens(text[position:stop]) if stop >= 0 else []
            return [_filled(body, item) for item in items], stop + 1 + len(end)
        if word in ("forcsvlist", "docsvlist"):
            handler = self._arguments.argument(text, position) if word[0] == "f" else ("\\do", position)
            listed = self._arguments.argument(text, handler[1]) if handler else None
            body = self._definers.get(handler[0].strip().lstrip("\\")) if handler else None
            return (
                ([_filled(body, item) for item in _items(listed[0])], listed[1]) if body and listed else None
            )
        if word not in ("@for", "@tfor", "foreach"):
            return None
        found = (_FOREACH if word == "foreach" else _FOR).match(text, position)
        body = self._arguments.argument(text, found.end()) if found else None
        if found is None or body is None or not _ANY.search(body[0]):
            return None
        variable = re.compile(rf"(\\[A-Za-z@]++)?(\\{found[1]})(?![A-Za-z@])[ \t]*")
        items = self._tokens(found[2]) if word == "@tfor" else _items(found[2])
        return [_filled(body[0], item, variable) for item in items], body[1]

    def _tokens(self, text: str) -> list[str]:
        items, position = [], 0
        while len(items) < _ITEMS and (item := self._arguments.argument(text, position)):
            items.append(item[0])
            position = item[1]
        return items


def _filled(body: str, argument: str, parameter: re.Pattern = _PARAMETER) -> str:
    """The body with the argument in the place of its parameter, as a token of its own after a name."""

    def put(mark: re.Match) -> str:
        before = mark[1] or ""
        if mark[2] == "##":
            return f"{before}#"
        return before + " " * (before != "" and argument[:1].isalpha()) + argument

    return parameter.sub(put, body)


def _items(listed: str) -> list[str]:
    """The items of a list with commas, in which `A,...,Z` stands for all letters between."""

    def letters(found: re.Match) -> str:
        return ",".join(map(chr, range(ord(found[1]), ord(found[2]) + 1))) or found[0]

    return [item.strip() for item in _RANGE.sub(letters, listed).split(",") if item.strip()]
