r"""Writes out definitions with computed names, often made in bulk: `\ddefloop ABC\ddefloop` makes `\bA`, …

In: LaTeX without comments. Out: the same with `\def\bA{\mathbf{A}}` and the like in place of each call that
makes such definitions. Names are made by `\csname`, `\@namedef` and etoolbox's `\csdef`, by macros that use
these or define a name that they are given, and by loops that call such macros. A call stays as it is unless
every name that it makes is known. Sources: The TeXbook, chapter 7 (`\csname`); source2e, ltcntrl (`\@for`,
`\@tfor`); the manuals of etoolbox (§3.8) and pgffor.
"""

import re

from data.sources.arxiv.latex.conditionals import branch
from data.sources.arxiv.latex.macros import PROTECTED
from data.sources.arxiv.latex.syntax import Arguments
from data.sources.arxiv.latex.verbatim import LATEX, Verbatim
from data.sources.arxiv.loops import LOOPS, MOST, all_tokens, items_of, tokens, turns

_LIST = 20_000  # most characters of a loop's list
_LONGEST = 400  # most characters of a name
_NESTED = 4  # nesting of calls: a loop calls a macro that calls another
_GROWTH = 1 << 20  # characters that all calls of a paper may add
_DOCUMENT = r"(?:New|Renew|Provide|Declare)(?:Expandable)?DocumentCommand"
_COMMAND = (
    r"(?:[egx]?def|let|(?:re)?newcommandx?\*?|providecommandx?\*?|(?:(?:re)?new|provide)robustcmd\*?"
    rf"|DeclareRobustCommand\*?|DeclareMathOperator\*?|{_DOCUMENT})"
)
_DEFINITION = rf"\\{_COMMAND}(?![A-Za-z])"
_DEFINES = re.compile(_DEFINITION)
_FIRST = r"\\(?P<word>g?def|(?:re)?newcommand)\s*+\\expandafter\s*+\\(?P<name>[A-Za-z@]++)"
_ANY = re.compile(
    rf"\\csname|\\csuse|\\csg?def(?![A-Za-z])|\\@name(?:def|use)|{_DEFINITION}\s*+\{{?\s*+#\d|\\expandafter\s*+{_FIRST}"
)
_WORD = re.compile(r"\\(?:([A-Za-z@]++)|.)", re.DOTALL)
_NAME = r"[^\\{}#%~$&^\s]{1,60}(?: [^\\{}#%~$&^\s]{1,60}){0,5}"
_MADE = re.compile(
    rf"\s*+\\(?P<word>{_COMMAND})\s*+"
    r"(?:\\expandafter\s*+)?(?P<group>\{\s*+)?"
    rf"\\csname\s*+(?P<name>{_NAME})\s*+\\endcsname[ \t]*+(?(group)\}})"
)
# A definition by the present value of what its body begins with, which is expanded as a whole.
_BY_VALUE = re.compile(rf"\s*+{_FIRST}\s*+\\expandafter\s*+(?=\{{)")
_BY_NAME = re.compile(
    r"\s*+\\let\s*+\\expandafter\s*+\\(?P<new>[A-Za-z@]++)"
    rf"\s*+\\csname\s*+(?P<name>{_NAME})\s*+\\endcsname[ \t]*+"
)
_CALLED = re.compile(
    r"\s*+\\(?P<word>[A-Za-z@]++)\s*+(?:\\expandafter\s*+)?(?:(?P<group>\{\s*+)?"
    rf"\\csname\s*+(?P<name>{_NAME})\s*+\\endcsname[ \t]*+(?(group)\}})|\\(?P<named>[A-Za-z@]++)[ \t]*+)?+"
)
_COMPUTED = re.compile(
    rf"\\csname\s*+({_NAME})\s*+\\endcsname(?![A-Za-z@])[ \t]*+"
    rf"|\\(?:csuse|@nameuse)\s*+\{{\s*+({_NAME})\s*+\}}"
)
_TEST = re.compile(
    rf"\\ifcsname\s*+(?P<name>{_NAME})\s*+\\endcsname(?![A-Za-z@])[ \t]*+"
    rf"|\\(?P<word>ifcsdef|ifcsundef|@ifundefined)\s*+\{{\s*+(?P<key>{_NAME})\s*+\}}"
)
_MOST_TESTS = 8  # in one call
_CSNAME_END = re.compile(rf"\s*+({_NAME})\s*+\\endcsname(?![A-Za-z@])[ \t]*+")
# What reads \csname itself, or only after what follows it.
_READS_FIRST = re.compile(r"\\(?:ifx|let\s*+\\[A-Za-z@]++|expandafter\s*+(?:\\[A-Za-z@]++)?)\s*+\{?\Z")
_NAME_AT_END = re.compile(r"\\[A-Za-z]+\Z")
_BRACED_NAME = re.compile(rf"\s*+\{{\s*+({_NAME})\s*+\}}")
_HEAD = re.compile(
    r"\*?\s*+(?:\{\s*+\\([A-Za-z@]++)\s*+\}|\\([A-Za-z@]++))\s*+(?:\[\s*+([1-9])\s*+\]|((?:#[1-9])++))?+\s*+"
)
_DOCUMENT_HEAD = re.compile(r"\s*+(?:\{\s*+\\([A-Za-z]++)\s*+\}|\\([A-Za-z]++))\s*+\{([m+\s]{0,20})\}\s*+()")
_ENDLESS = re.compile(  # \def\name#1{\ifx\stop#1\else … \expandafter\name\fi}
    r"\s*+\\ifx\s*+(?:#1\s*+)?\\(?P<stop>[A-Za-z@]++)\s*+(?:#1\s*+)?\\else(?![A-Za-z@])"
    r"(?P<body>.*)\\expandafter\s*+\\(?P<name>[A-Za-z@]++)\s*+\\fi\s*+",
    re.DOTALL,
)
_PARAMETER = re.compile(r"(\\[A-Za-z@]++)?(##|#[1-9])")
_PROGRAMS = re.compile(
    r"\\(?:expandafter|noexpand|csname|endcsname|csg?def|csuse|if(?!thenelse|blank|str|bool|toggle)[a-z]*"
    r"|else|fi|begingroup|endgroup)(?![A-Za-z@])"
    r"|\\[ex]def(?![A-Za-z@])(?!\s*+\\[A-Za-z]++\s*+\{[^\\{}]*+\})"
    r"|\\[A-Za-z]*@"
)
_ENVIRONMENT = re.compile(r"[ \t]*+\{([A-Za-z]*\*?)\}")
_NOEXPAND = re.compile(r"\\noexpand\s*+(?=\\)")
_AT_ONCE = {"edef": "def", "xdef": "gdef"}  # these expand their values at once, others when used
_DEFS = frozenset(
    {"def", "gdef", "edef", "xdef", "newcommand", "renewcommand", "providecommand", "DeclareRobustCommand"}
)
_DOCUMENTS = re.compile(_DOCUMENT)


def written_out(text: str, verbatim: Verbatim = LATEX) -> str:
    """The text with the definitions of computed names written out."""
    return _Writer(text, verbatim).read(text) if _ANY.search(text) else text


class _Writer:
    def __init__(self, text: str, verbatim: Verbatim) -> None:
        self._verbatim = verbatim
        self._arguments = Arguments()
        self._definers: dict[str, tuple[int, str]] = {}  # macros that define others: arguments and body
        self._endless: dict[str, tuple[str, str]] = {}  # loops over tokens: name at their end, and body
        self._values: dict[str, str] = {}  # of macros without arguments
        self._names: dict[str, str] = {}  # for computed names with characters other than letters
        self._made_names: set[str] = set()  # the computed names that have been defined
        self._taken = set(_WORD.findall(text))
        self._unclosed: set[str] = set()  # verbatim environments that no longer end
        self._left = _GROWTH

    def read(self, text: str, depth: int = 0) -> str:
        """The text with its definitions written out; `depth` counts the calls that it comes from."""
        out, start, position = [], 0, 0
        for mark in _WORD.finditer(text):
            if mark.start() < position or not mark[1]:
                continue
            made = self._made(mark[1], text, mark.end(), depth)
            if made is not None:
                value, position = made
                out += [text[start : mark.start()], value]
                if text[position : position + 1].isalpha() and _NAME_AT_END.search(value[-_LONGEST:]):
                    out.append(" ")
                start = position
            elif mark[1] in _DEFS or _DOCUMENTS.fullmatch(mark[1]):
                position = self._note(mark[1], text, mark.end())
                if "\\" in text[mark.end() : position]:
                    out += [text[start : mark.end()], self._with_names(text[mark.end() : position])]
                    start = position
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

    def _note(self, word: str, text: str, position: int) -> int:
        """Remember the macro defined here if its calls define others; return where its definition ends."""
        is_document = word.endswith("DocumentCommand")
        found = (_DOCUMENT_HEAD if is_document else _HEAD).match(text, position)
        if found is None or text[found.end() : found.end() + 1] != "{":
            return position
        name, end = found[1] or found[2], self._arguments.group_end(text, found.end())
        if end < 0 or name in PROTECTED:
            return position
        self._definers.pop(name, None)
        self._endless.pop(name, None)
        body = text[found.end() + 1 : end - 1]
        endless = _ENDLESS.fullmatch(body)
        if not (found[3] or found[4] or "\\" in body):
            self._values[name] = body
        n_arguments = found[3].count("m") if is_document else int(found[3] or len(found[4] or "") // 2)
        if n_arguments == 1 and endless and endless["name"] == name:
            self._endless[name] = endless["stop"], endless["body"]
        elif n_arguments and (_ANY.search(body) or self._definers.keys() & {*_WORD.findall(body)}):
            self._definers[name] = n_arguments, body
        return end

    def _made(self, word: str, text: str, position: int, depth: int) -> tuple[str, int] | None:
        """What the command here defines, written out, and the command's end; None to leave it as it is."""
        if word == "expandafter":
            if by_value := _BY_VALUE.match(text, position):
                defines = "xdef" if by_value["word"] == "gdef" else "edef"
                return f"\\{defines}\\{by_value['name']}", by_value.end()
            if (by_name := _BY_NAME.match(text, position)) and (known := self._known(by_name["name"])):
                return f"\\let\\{by_name['new']}\\{known}", by_name.end()
            made = _MADE.match(text, position)
            if made is None:
                return self._made_first(text, position, depth)
            word = _AT_ONCE.get(made["word"], made["word"])
            return f"\\{word}\\{self._new(made['name'])}", made.end()
        if word in ("@namedef", "csdef", "csgdef"):
            named = _BRACED_NAME.match(text, position)
            defined = f"\\{'g' * (word == 'csgdef')}def"
            return (f"{defined}\\{self._new(named[1])}", named.end()) if named else None
        if word in ("csname", "csuse", "@nameuse"):
            named = (_CSNAME_END if word == "csname" else _BRACED_NAME).match(text, position)
            at = position - len(word) - 1
            if named is None or (not depth and _READS_FIRST.search(text, max(0, at - _LONGEST), at)):
                return None
            known = self._known(named[1])
            return (f"\\{known}", named.end()) if known and (depth or known in self._taken) else None
        call = self._call(word, text, position) if depth < _NESTED else None
        bodies, end = call or ([], position)
        self._left -= sum(map(len, bodies))
        if not 0 < len(bodies) <= MOST or self._left < 0:
            return None
        bodies = [self._decided(_NOEXPAND.sub("", body)) for body in bodies]
        values = [self.read(body, depth + 1) for body in bodies]
        for value, body in zip(values, bodies):
            if _PROGRAMS.search(value) or (value == body and not _DEFINES.search(value)):
                return None
        return "".join(values), end

    def _made_first(self, text: str, position: int, depth: int) -> tuple[str, int] | None:
        r"""As `_made`, for \expandafter before a macro that defines others: its first argument is a name."""
        called = _CALLED.match(text, position)
        if called is None or called["word"] not in self._definers:
            return None
        end = called.end()
        if called["name"]:
            first = f"{{\\{self._new(called['name'])}}}"
        elif called["named"] in self._values:
            first = f"{{{self._values[called['named']]}}}"
        else:
            first, end = "", called.end("word")
        made = self._made(called["word"], first + text[end : end + _LIST], 0, depth)
        return (made[0], end + made[1] - len(first)) if made and made[1] >= len(first) else None

    def _with_names(self, definition: str) -> str:
        """A definition with names in place of what computes them."""

        def put(mark: re.Match) -> str:
            known = self._known(mark[1] or mark[2])
            if _READS_FIRST.search(definition, max(0, mark.start() - _LONGEST), mark.start()):
                return mark[0]
            return (
                f"\\{known}" + " " * definition[mark.end() : mark.end() + 1].isalpha() if known else mark[0]
            )

        return _COMPUTED.sub(put, definition)

    def _decided(self, body: str) -> str:
        """A body with its tests whether names are defined decided, as far as these are."""
        for _ in range(_MOST_TESTS):
            test = _TEST.search(body)
            if test is None or (test["name"] or test["key"]) not in self._made_names:
                break
            if test["name"]:
                found = branch(body, test.end(), 0)
                chosen, end = (body[found.start : found.end], found.fi) if found else ("", -1)
            else:
                first = self._arguments.argument(body, test.end())
                second = self._arguments.argument(body, first[1]) if first else None
                is_second = test["word"] != "ifcsdef"
                chosen, end = ((first, second)[is_second][0], second[1]) if first and second else ("", -1)
            if end < 0:
                break
            body = body[: test.start()] + chosen + body[end:]
        return body

    def _known(self, name: str) -> str:
        return self._names.get(name, name * _is_word(name))

    def _new(self, name: str) -> str:
        """The name to define for a computed one: only letters, whatever characters that has."""
        self._made_names.add(name)
        if _is_word(name):
            self._taken.add(name)
            return name
        if name not in self._names:
            letters = re.sub("[^A-Za-z]", "", name) or "x"
            while letters in self._taken:
                letters += "x"
            self._taken.add(letters)
            self._names[name] = letters
        return self._names[name]

    def _call(self, word: str, text: str, position: int) -> tuple[list[str], int] | None:
        """What TeX reads in place of a macro's call or a loop, item by item, and its end."""
        if word in self._definers:
            n_arguments, body = self._definers[word]
            items, end = tokens(text, position, n_arguments, self._arguments)
            return ([_filled(body, *items)], end) if len(items) == n_arguments else None
        if word in self._endless:
            end, body = self._endless[word]
            stop = text.find(f"\\{end}", position, position + _LIST)
            items = all_tokens(text[position:stop], self._arguments) if stop >= 0 else []
            return [_filled(body, item) for item in items], stop + 1 + len(end)
        if word in ("forcsvlist", "docsvlist"):
            handler = self._arguments.argument(text, position) if word[0] == "f" else ("\\do", position)
            listed = self._arguments.argument(text, handler[1]) if handler else None
            known = self._definers.get(handler[0].strip().lstrip("\\")) if handler else None
            if known is None or listed is None or known[0] != 1:
                return None
            return [_filled(known[1], item) for item in items_of(listed[0])], listed[1]
        found = turns(word, text, position, self._values, self._arguments) if word in LOOPS else None
        defines = found and (
            _ANY.search(found[0][0]) or self._definers.keys() & {*_WORD.findall(found[0][0])}
        )
        return found if defines else None


def _is_word(name: str) -> bool:
    return name.isascii() and name.isalpha()


def _filled(body: str, *arguments: str) -> str:
    """The body with arguments in place of its parameters, each kept apart from a name before it."""

    def put(mark: re.Match) -> str:
        before = mark[1] or ""
        if mark[2] == "##":
            return f"{before}#"
        number = int(mark[2][1])
        argument = arguments[number - 1] if number <= len(arguments) else ""
        return before + " " * (before != "" and argument[:1].isalpha()) + argument

    return _PARAMETER.sub(put, body)
