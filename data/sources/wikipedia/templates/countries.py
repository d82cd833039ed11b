"""Flag templates that also show the country's name: {{GER}}, {{flag|GER}}, {{Naz|CA|ITA}}.

countries.tsv has a row per country: its codes (ISO 3166, IOC, FIFA) and its name in each of the 20 languages
(names from Unicode CLDR). Templates that show only a flag leave nothing.
"""

import re
from functools import cache
from pathlib import Path

from data.sources.wikipedia.templates.patterns import Rule, Rules

_NAMES = Path(__file__).with_name("countries.tsv")
_CODE = re.compile(r"[A-Z]{3}")
_FLAG_ONLY = re.compile(r"(?:[A-Z]{3}|[A-Z]{2}-)(?:b|f|flag|-d|-?(?:VLAG|FLAG|vlag|flag|bandera|bandeira))")
_NATIONAL = re.compile(
    r"(\S.*?) (?:football|rugby|basket|handball|volley|hockey|cyclisme|tennis)(?:-ball| à XIII| à XV)?"
    r"(?: féminin| espoirs| -\d\d ans)?",
    re.IGNORECASE,
)
_VARIANT = re.compile(r"|#|(?:[A-Z]{3}-)?\d{4}|\w{1,20}=.*")
_TEAM = re.compile(
    r"(?:calcio|basket|pallavolo|rugby|hockey|futebol|fútbol|basquete|fotbal) (\S.*)", re.IGNORECASE
)

_CHOSEN = ("name", "nome", "nombre", "namn", "nazwa")  # names of an argument with other words to show

# The templates of each Wikipedia that show the country of an argument; "" is for all of them.
_FLAGS = {
    "": "fb | fbw | fb-rt | nft | flag | flagcountry | flagioc | flagu | flagathlete",
    "en": "flagiocathlete | flagcgfathlete | flagg | flag country | flagdeco2 | nfa | cr | cr-rt | crw | ru"
    " | rl | bk | ih | vb | country | noflag | flaglist | national football team | fbu | fbwu"
    " | flagiocmedalist | hb | bb | nbb | flagcgf | flagiocteam | flagipc | country name | flagteam",
    "de": "flagge text",
    "es": "bandera2 | sel | selb | selbal | selvol | selfut",
    "it": "naz | naznb | nazionale | nazionale di calcio | bandiera nome",
    "pt": "flag | flagcountry | futebol | seleção | país | bandeira2 | futfem",
    "pl": "państwo | państwol | państwolink | bandera",
    "ru": "флагификация | флаг2",
    "uk": "прапорифікація",
    "bg": "флагче с име | флаг2",
    "sr": "застава2 | zastava2 | заставица 2",
    "nl": "vlagland",
    "sv": "flagga | landsnamn | flaggbild2",
    "da": "flagland",
    "cs": "vlajka a název",
    "hr": "z+x | zastava i ime",
    "sl": "zastava | zastava država",
    "hu": "zászlóország | zászló2",
    "ca": "país",
    "ro": "steag2 | țară",
    "fr": "drapeau2 | pays",
}


@cache
def _countries(language: str) -> tuple[dict[str, str], frozenset[str]]:
    """Names by code, and all names, in a language; in English if the language is not one of the 20."""
    head, *rows = (line.split("\t") for line in _NAMES.read_text(encoding="utf-8").splitlines())
    place = head.index(language) if language in head else 1
    names = {code: row[place] for row in rows for code in row[0].split()}
    return names, frozenset(names.values())


def flag_rules(language: str) -> Rules:
    """The rules for the flag templates of a Wikipedia."""
    names, _ = _countries(language)

    def rule_of(at: int) -> Rule:
        def rule(positional: list[str], named: dict[str, str]) -> str:
            shown = [part for part in positional if part]
            if len(shown) > 1 and shown[0].isdecimal():  # {{fbu|21|England}}: an age
                del shown[0]
            chosen = next(filter(None, map(named.get, _CHOSEN)), "")
            chosen = chosen or (shown[min(at, len(shown) - 1)] if shown else "")
            return names.get(chosen, chosen)

        return rule

    first, second = rule_of(0), rule_of(1)
    listed = f"{_FLAGS['']} | {_FLAGS.get(language, '')}".split("|")
    flags = second if language == "it" else first  # {{Naz|CA|ITA}}: the sport comes first
    rules = {name.strip(): flags for name in listed if name.strip()}
    if language == "it":  # {{Bandiera|ITA|nome}}; without the word, only the flag
        rules["bandiera"] = lambda positional, named: first(positional, {}) if "nome" in positional else None
    return rules | dict.fromkeys(("flag+link", "flaglink"), second)  # {{flag+link|History of|Spain}}


def is_variant(arguments: list[str]) -> bool:
    """Whether these choose a flag of a country: {{BRA|BRA-1889}} is no {{bra|x}}, the sign of physics."""
    return all(map(_VARIANT.fullmatch, map(str.strip, arguments)))


def named_country(name: str, arguments: list[str], language: str) -> str | None:
    """The country of {{GER}} or {{Allemagne}}, the team of {{Calcio Roma}}; "" for a flag, else None."""
    names, spelled = _countries(language)
    if _CODE.fullmatch(name) and name in names:
        first = arguments[0].strip() if arguments else ""
        return "" if first == "#" else names[name]
    if language == "fr" and (team := _NATIONAL.fullmatch(name)) and names.get(team[1], team[1]) in spelled:
        return names.get(team[1], team[1])  # {{France football}}, {{FRA football}}
    if team := _TEAM.fullmatch(name):  # {{Calcio Roma|N}}: the argument is a color
        return team[1]
    if arguments:
        return None
    if _FLAG_ONLY.fullmatch(name) and name[:3].rstrip("-") in names:
        return ""
    return name if name in spelled else None
