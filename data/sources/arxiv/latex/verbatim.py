r"""Finds what a paper treats as verbatim or as comments: known environments, and those that it declares.

In: the text of a paper's files. Out: a `Verbatim`, the names of the environments and commands in which `%`
and `\` are literal, and of the environments that are comments. Sources: the manuals of verbatim,
fancyvrb, fvextra, listings, minted, moreverb, tcolorbox, comment, versions and environ.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from data.sources.arxiv.latex.syntax import Arguments, inline_end

MAX_NAMES = 200  # most names of a kind; a text that would exceed this adds none


@dataclass(frozen=True)
class Verbatim:
    """Names without backslashes; environments include their star, if any."""

    environments: frozenset[str]
    comments: frozenset[str]  # environments that are left out
    commands: frozenset[str]  # such as \verb|…| and \lstinline{…}
    language_commands: frozenset[str]  # such as \mintinline{python}|…|
    short: str = ""  # characters that open and close verbatim text by themselves, between `SWITCHES`

    def is_short_at_start(self, text: str) -> bool:
        """Whether the characters of `short` are verbatim where a text begins: unless it makes them so."""
        return not self.short or not _OPENS.search(text)

    def inline(self, name: str, text: str, position: int) -> int:
        """The end of the verbatim argument after a command's name, or `position` if there is none."""
        return inline_end(text, position, name in self.language_commands)

    def short_end(self, text: str, position: int) -> int:
        """The end of the verbatim text whose opening character ends at `position`; else `position`."""
        line_end = text.find("\n", position, position + 4000)
        close = text.find(text[position - 1], position, line_end if line_end >= 0 else position + 4000)
        return close + 1 if close >= 0 else position


_ENVIRONMENTS = (
    "verbatim Verbatim BVerbatim LVerbatim SaveVerbatim VerbatimOut lstlisting minted alltt verbatimtab"
    " spverbatim boxedverbatim listingcont tcblisting tcboutputlisting pycode pyblock pyconsole pyverbatim"
    " luacode Sinput Soutput Scode CodeInput CodeOutput Code"  # Sweave's and jss.cls's
    " markdown juliaverbatim jlcode jllisting python pycon"
    " Piton sageblock sagesilent sageverbatim sageexample sagecommandline asy asydef"
)
LATEX = Verbatim(
    environments=frozenset(name + star for name in _ENVIRONMENTS.split() for star in ("", "*")),
    comments=frozenset({"comment", "comment*"}),
    commands=frozenset({"verb", "Verb", "spverb", "lstinline", "piton", "tcbverb", "jlinl", "mcode"}),
    language_commands=frozenset({"mintinline", "mint", "SaveVerb"}),
)

# Where the characters of `short` become verbatim, and where they no longer are.
SWITCHES = {
    **dict.fromkeys(("MakeShortVerb", "DefineShortVerb", "lstMakeShortInline"), True),
    **dict.fromkeys(("DeleteShortVerb", "UndefineShortVerb", "lstDeleteShortInline"), False),
}
SWITCHED = re.compile(r"\*?(?:\s*+\[[^\]]{0,300}\])?(?:\s*+\{?\\?[^\sA-Za-z])?")  # which character
_NAME = r"\s*+\{\s*+([A-Za-z@]{1,60}\*?)\s*+\}"
_COMMAND = r"\s*+\{?\s*+\\([A-Za-z@]{1,60})\s*+\}?"
_OPTION = r"\s*+(?:\[([^\]]{0,200})\])?"
_DECLARATION = re.compile(
    r"\\(?=new|renew|provide|lst|def|let|[CDLMNPRU])(?:"  # few commands begin like this
    rf"(?P<environment>lstnewenvironment|(?:Define|Recustom)VerbatimEnvironment|(?:new|renew|provide)tcblisting"
    rf"|(?:New|Renew|Provide|Declare)TCBListing)(?:\s*+\[[^\]]{{0,300}}\])?{_NAME}"
    rf"|newminted(?P<minted>){_OPTION}\s*+\{{\s*+([A-Za-z+#-]{{1,30}})\s*+\}}"
    rf"|newmint(?P<mint>(?:inline)?){_OPTION}\s*+\{{\s*+([A-Za-z+#-]{{1,30}})\s*+\}}"
    rf"|(?:Recustom|Custom|Define)VerbatimCommand(?P<command>){_COMMAND}"
    rf"|(?:re)?newenvironment(?P<wraps>)\*?{_NAME}"
    rf"|(?:New|Renew)Environ(?P<environ>){_NAME}"
    rf"|(?:New|Renew|Provide|Declare)DocumentEnvironment(?P<document>){_NAME}"
    rf"|(?:New|Renew|Provide|Declare)DocumentCommand(?P<verbatim>){_COMMAND}\s*+\{{\s*+\+?v\s*+\}}"
    rf"|DeclareUrlCommand(?P<url>){_COMMAND}|newverbatim(?P<moreverb>){_NAME}"
    rf"|(?:newcommand|renewcommand|providecommand|def|let)(?P<alias>)\*?{_COMMAND}\s*+=?\s*+\{{?\s*+"
    r"\\(verb|Verb|lstinline|mintinline(?:\s*+\[[^\]]{0,200}\])?\s*+\{[^{}]{1,40}\}|mintinline)(?![A-Za-z])"
    r"(?:\s*+\[[^\]]{0,300}\])?(?!\s*+[#{|!+])"
    r"|(?:MakeShortVerb\*?|DefineShortVerb|lstMakeShortInline)(?P<short>)(?:\s*+\[[^\]]{0,300}\])?\s*+\{?\\?([^\sA-Za-z\\{}])"
    r")"
)
_COUNT = re.compile(r"(?:\s*+\[[^\]]{0,200}\]){0,2}")
_READS_VERBATIM = re.compile(
    r"\\(?:verbatim|Verbatim|BVerbatim|lstlisting|minted|alltt|tcblisting|VerbatimEnvironment|VerbatimOut)(?![A-Za-z@])"
)
_INTO_BOX = re.compile(
    r"(?:\\begin\s*+\{lrbox\}\s*+\{?\\[A-Za-z@]++\}?|\\setbox\s*+(?:\d++|\\[A-Za-z@]++)\s*+=?\s*+\\[vh]box\s*+"
    r"(?:to\s*+\S++\s*+)?\\bgroup)\s*+\Z"
)
_BOX_END = re.compile(r"\s*+(?:\\end\s*+\{lrbox\}|\\egroup)\s*+")
_OPENS = re.compile(r"\\(?:MakeShortVerb|DefineShortVerb|lstMakeShortInline)(?![A-Za-z@])")
_IS_COMMENT = re.compile(r"\\comment(?![A-Za-z@])")


def declared(text: str, known: Verbatim = LATEX) -> Verbatim:
    """`known`, extended by what this text declares."""
    environments, comments = set(known.environments), set(known.comments)
    commands, language = set(known.commands), set(known.language_commands)
    short, shown, read = known.short, set(), Arguments()
    for mark in _DECLARATION.finditer(text):
        kind = _kind(mark)
        names = [group for group in mark.groups()[mark.re.groupindex[kind] :] if group is not None]
        if kind == "environment":
            environments.add(names[0])
        elif kind == "minted":
            name = names[0] if len(names) > 1 and names[0] else names[-1] + "code"
            environments |= {name, name + "*"}
        elif kind == "mint":
            default = names[-1] + mark["mint"]
            commands.add(names[0] if len(names) > 1 and names[0] else default)
        elif kind in ("command", "verbatim", "url"):
            commands.add(names[0])
        elif kind == "moreverb":
            environments.add(names[0])
        elif kind in ("wraps", "environ", "document"):
            bodies = _bodies(text, mark.end(), kind, read)
            if _is_hidden(kind, *bodies):
                comments.add(names[0])
            else:
                shown.add(names[0])
                if kind != "environ" and _READS_VERBATIM.search(bodies[1]):
                    environments.add(names[0])
        elif kind == "alias":
            (language if names[1] == "mintinline" else commands).add(names[0])
        else:
            short += names[0]
    if max(map(len, (environments, comments, commands))) > MAX_NAMES:
        return known
    return Verbatim(
        frozenset(environments),
        frozenset(comments - shown),  # declared as both: the expansion of macros decides
        frozenset(commands),
        frozenset(language),
        "".join(sorted(set(short))),
    )


def _kind(mark: re.Match[str]) -> str:
    return mark.lastgroup or next(name for name, group in mark.groupdict().items() if group is not None)


def hides(text: str) -> tuple[str, bool]:
    """The environment that a text begins to define, and whether it hides what is in it."""
    mark = _DECLARATION.match(text)
    kind = _kind(mark) if mark else ""
    if mark is None or kind not in ("wraps", "environ", "document"):
        return "", False
    return mark[mark.re.groupindex[kind] + 1], _is_hidden(kind, *_bodies(text, mark.end(), kind, Arguments()))


def _bodies(text: str, position: int, kind: str, read: Arguments) -> tuple[str, str, str]:
    """An environment's signature and what it does at either end; its name ends at `position`."""
    signature = read.argument(text, position) if kind == "document" else None
    position = signature[1] if signature else position
    count = _COUNT.match(text, position)
    first = read.argument(text, count.end() if count else position)
    last = read.argument(text, first[1]) if first else None
    return signature[0] if signature else "", first[0] if first else " \\relax", last[0] if last else ""


def _is_hidden(kind: str, signature: str, first: str, last: str) -> bool:
    """Whether an environment shows nothing: a comment, an unused body, or a box that is not used."""
    if _IS_COMMENT.search(first):
        return True
    if kind == "environ":
        return not first.strip()
    if kind == "document" and "b" in re.sub(r"\{[^{}]*\}", "", signature):
        return not first.strip() and not last.strip()
    return _INTO_BOX.search(first) is not None and _BOX_END.fullmatch(last) is not None


@lru_cache(maxsize=64)
def alternatives(names: frozenset[str]) -> str:
    """A pattern of these names, longest first."""
    return "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))
