r"""Writes out acronyms: `\gls{cnn}` is "convolutional neural network (CNN)" at first, then "CNN".

In: a paper's LaTeX, whose preamble defines them, and its body. Out: the body as a reader sees it. A use stays
as it is if nothing defines its key. Sources: the manuals of glossaries (chapters 4 to 6), glossaries-extra,
acronym and acro.
"""

import re
from dataclasses import dataclass

from data.sources.arxiv.latex.syntax import Arguments, append

_DEFINES = re.compile(
    r"\\(?P<word>newacronym|newabbreviation|(?:long)?newglossaryentry|DeclareAcronym"
    r"|(?:newacro|acrodef|acro)(?:plural|indefinite)?)(?![A-Za-z@])\*?"
)
_SIGNS = ("acro", "Acro", "newabbreviation", "newglossary")
# What each command shows of an entry; `any` is all of it at first, then only its short form.
_FORMS = {
    **dict.fromkeys(("gls", "ac"), "any"),
    **dict.fromkeys(("acrshort", "acs", "acsu", "glsxtrshort", "glsentryshort"), "short"),
    **dict.fromkeys(("glstext", "glsentrytext"), "short"),
    **dict.fromkeys(("acrlong", "acl", "aclu", "glsxtrlong", "glsentrylong"), "long"),
    **dict.fromkeys(("acrfull", "acf", "acfi", "glsxtrfull", "glsentryfull"), "full"),
    **dict.fromkeys(("glsfirst", "glsentryfirst"), "full"),
    **dict.fromkeys(("glsunset", "acused", "acuse", "glsreset", "acreset"), "nothing"),
}
_REST = "|".join(sorted({name[1:] for name in _FORMS}, reverse=True))  # longest first
_USES = re.compile(
    rf"\\(?:(?P<article>[iI](?=ac))?(?P<capital>[agAG])(?P<rest>{_REST})(?P<plural>pl?)?"
    r"|acresetall|glsresetall)(?![A-Za-z@])(?P<star>\*)?"
)
_COUNTED = ("gls", "ac", "acf", "acfi", "acsu", "aclu")  # after these, the long form has been shown
_STARRED = ("ac", "acf", "acfi")  # but not with a star
_EXTRA = re.compile(r"\\acroextra(?![A-Za-z@])")  # its argument is shown in the list of acronyms only
_KEY = re.compile(r"\s*+\{\s*+([^{}\\]{1,100}?)\s*+\}")
_VALUE = re.compile(r"\s*+([a-z-]{1,30})\s*+=\s*+((?:[^{},]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+),?")


@dataclass(slots=True)
class _Entry:
    short: str
    long: str
    shorts: str  # its plurals
    longs: str
    first: str = ""  # what is shown at first, if that is no combination of these
    articles: tuple[str, str] = ("a", "a")  # of the short and the long form
    shown_in: int = -1  # its long form has been shown since this many resets of all


def written_out(body: str, latex: str) -> str:
    """The body with its acronyms in the words that its paper defines."""
    entries = _entries(latex) if any(sign in latex for sign in _SIGNS) else {}
    read, out, place, n_resets = Arguments(), [], 0, 0
    for mark in _USES.finditer(body) if entries else ():
        n_resets += not mark["rest"]  # \glsresetall
        option = read.option(body, mark.end()) if mark["rest"] and mark.start() >= place else None
        key = _KEY.match(body, option[1] if option else mark.end())
        entry = entries.get(key[1]) if key else None
        if key is None or entry is None or mark.start() < place:
            continue
        append(out, body[place : mark.start()])
        append(out, _shown(mark, entry, n_resets))
        place = key.end()
    append(out, body[place:])
    return "".join(out)


def _shown(use: re.Match, entry: _Entry, n_resets: int) -> str:
    name = use["capital"].lower() + use["rest"]
    form = _FORMS[name]
    short, long = (entry.shorts, entry.longs) if use["plural"] else (entry.short, entry.long)
    if form == "nothing":
        entry.shown_in = -1 if "reset" in name else n_resets
        return ""
    if form == "any":
        form = "short" if entry.shown_in == n_resets else "full"
    if name in _COUNTED and not (use["star"] and name in _STARRED):
        entry.shown_in = n_resets
    if form == "full" and (long or entry.first):
        shown = entry.first or f"{long} ({short})"
    else:
        shown = (long if form == "long" else short) or short
    if use["article"]:
        shown = f"{entry.articles[form != 'short']} {shown}"
    return shown[:1].upper() + shown[1:] if (use["article"] or use["capital"]).isupper() else shown


def _entries(latex: str) -> dict[str, _Entry]:
    """The acronyms that a paper defines, by their keys."""
    read, entries = Arguments(), {}
    for mark in _DEFINES.finditer(latex):
        word = mark["word"]
        option = read.option(latex, mark.end()) if word in ("newacronym", "newabbreviation") else None
        key = _KEY.match(latex, option[1] if option else mark.end())
        if key is None:
            continue
        brackets = read.option(latex, key.end()) if "acro" in word and word != "newacronym" else None
        first = read.argument(latex, brackets[1] if brackets else key.end())
        if first is None:
            continue
        if word.endswith("indefinite"):
            long = read.argument(latex, first[1])
            if long and key[1] in entries:
                entries[key[1]].articles = first[0], long[0]
        elif word.endswith("plural"):
            if known := entries.get(key[1]):
                known.shorts, known.longs = brackets[0] if brackets else known.shorts, first[0]
        elif word in ("newacronym", "newabbreviation"):
            long = read.argument(latex, first[1])
            given = _values(option[0] if option else "")
            if long:
                entries[key[1]] = _entry(first[0], long[0], given.get("shortplural"), given.get("longplural"))
        elif word.endswith("glossaryentry"):
            given = _values(first[0])
            short = given.get("text") or given.get("name") or given.get("short")
            if short:
                entries[key[1]] = _entry(short, "", given.get("plural"), None)
                entries[key[1]].first = given.get("first", "")
        elif word == "DeclareAcronym":
            given = _values(first[0])
            if given.get("short") and given.get("long"):
                plurals = [
                    given.get(f"{kind}-plural-form") or given[kind] + given.get(f"{kind}-plural", "s")
                    for kind in ("short", "long")
                ]
                entry = entries[key[1]] = _entry(given["short"], given["long"], *plurals)
                entry.articles = given.get("short-indefinite", "a"), given.get("long-indefinite", "a")
        else:
            short = brackets[0] if brackets else key[1]
            entries[key[1]] = _entry(short, _without_extra(first[0], read), None, None)
    return entries


def _entry(short: str, long: str, shorts: str | None, longs: str | None) -> _Entry:
    return _Entry(short, long, shorts or short + "s", longs or (long and long + "s"))


def _without_extra(long: str, read: Arguments) -> str:
    out, place = [], 0
    for mark in _EXTRA.finditer(long):
        extra = read.argument(long, mark.end()) if mark.start() >= place else None
        if extra:
            out.append(long[place : mark.start()])
            place = extra[1]
    return "".join([*out, long[place:]])


def _values(text: str) -> dict[str, str]:
    """The values of a list such as `name={A b}, description=c`."""
    found, position = {}, 0
    while mark := _VALUE.match(text, position):
        value = mark[2].strip()
        found[mark[1]] = value[1:-1] if value[:1] == "{" and value[-1:] == "}" else value
        position = mark.end()
    return found
