"""Splits a template's arguments into positional and named ones, and finds the one that holds the text."""

import re

from data.sources.wikipedia.marks import HOLE
from data.sources.wikipedia.templates.forms import forms_of
from data.sources.wikipedia.templates.patterns import Rule

_TEXTS = (  # names of an argument that holds the text
    "text", "quote", "texte", "texto", "testo", "zitat", "citat", "цитата", "lt", "content", "tekst", "treść",
    "текст", "contenu", "contenido", "conteúdo", "citaat", "citát", "szöveg", "liste", "содержание", "зміст",
    "zawartość", "inhoud", "lista", "innehåll", "indhold", "obsah", "sadržaj", "vsebina", "tartalom",
    "conținut", "contenuto", "съдържание", "садржај", "список",
)  # fmt: skip
_CODE = re.compile(r"[a-z]{2}(-[A-Za-z]+)?")  # {{lang|de}}: a label, such as (niem.)
_SOUND_FILE = re.compile(r"\.(?:og[ga]|wav|mp3)$", re.IGNORECASE)
_TIME = re.compile(r"\d{8,14}")
_DATES = frozenset(("date", "data", "datum", "dato", "fecha", "dată", "dátum", "дата", "датум"))  # of notes
_TAG_OF_NOTE = re.compile(  # the content of a "citation needed" that wraps no text: a date, a signature
    r"[^\W\d_]*[ -]?(?:de |of )?\d{4}|[\d.\-/ :]+|[\d]{1,2}\.? (?:de )?[^\W\d_]+\.? (?:de )?\d{4}.*|\W*",
    re.IGNORECASE,
)


def split(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """Positional arguments (`1=` is the first), and named ones by their lower-case names."""
    positional: list[str] = []
    named: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        key = key.strip()
        # A "=" in running text, as in a formula or an address, does not end a name.
        if equals and len(key) < 25 and (key.isalnum() or key.replace("-", "").replace("_", "").isalnum()):
            named[key.lower()] = value.strip()
        else:
            positional.append(argument.strip())
    for place in range(1, 9):
        if str(place) in named:
            positional += [""] * (place - len(positional))
            positional[place - 1] = named.pop(str(place))
    return positional, named


def text(positional: list[str], named: dict[str, str], place: int = 0) -> str:
    """The argument that holds the text: a named one, or the one at `place`, or the first."""
    for key in _TEXTS:
        if named.get(key):
            return named[key]
    at = positional[place] if place < len(positional) else ""
    if not positional and len(named) == 1 and len(key := next(iter(named))) == 1:
        return f"{key} = {named[key]}"  # {{math|x = 5}}, where {{=}} is due
    return at or next(iter(positional), "")


def second(positional: list[str], named: dict[str, str]) -> str | None:
    """The text after a language, a script or a color; without these, the first argument, but no code."""
    # {{langx|ko|hangul=서울}}
    forms_only = len(positional) == 1 and _CODE.fullmatch(positional[0]) and forms_of(named)
    if len(positional) > 1 and not positional[1]:  # {{lang|fr|}}
        return text([], named) or HOLE
    place = 0 if len(positional) > 1 and _SOUND_FILE.search(positional[1]) else 1
    shown = forms_only or text(positional, named, place)
    return None if [shown] == positional and _CODE.fullmatch(shown) else shown


def last(positional: list[str], named: dict[str, str]) -> str:
    """The last argument that is not empty, as for a transliteration."""
    return next((value for value in reversed(positional) if value), "")


def wrapped(positional: list[str], named: dict[str, str]) -> str | None:
    """The running text in an editors' note such as "citation needed"; None if the note wraps none.

    A date is that of the note, unless the note has another: {{refnec|1693|date=mai 2011}}.
    """
    content = text(positional, named)
    has_date = len(positional) > 3 or not _DATES.isdisjoint(named)  # {{нет АИ 2|text|29|12|2002}}
    if not content or (not has_date and _TAG_OF_NOTE.fullmatch(content)):
        return None
    return content if " " in content or len(content) > 2 or content.isdecimal() else None


def wrapped_clause(positional: list[str], named: dict[str, str]) -> str | None:
    """As `wrapped`, but one word is a topic's code: {{carece de fontes|soc|data=2011}} (Portuguese)."""
    content = wrapped(positional, named)
    return content if content and (" " in content or content.isdecimal()) else None


def wrapped_after_time(positional: list[str], named: dict[str, str]) -> str | None:
    """As `wrapped`, after a time if there is one: {{Fakt/dne|20091022193405|text}} (Czech)."""
    has_time = bool(positional) and _TIME.fullmatch(positional[0]) is not None
    return wrapped(positional[has_time:], named)


EDITORS_NOTES = (wrapped, wrapped_clause, wrapped_after_time)
FUNCTIONS: dict[str, Rule] = {
    "text": text,
    "second": second,
    "last": last,
    "wrapped": wrapped,
    "wrapped clause": wrapped_clause,
    "wrapped after a time": wrapped_after_time,
}
