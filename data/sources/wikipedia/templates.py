"""The templates that hold prose: what a reader sees of `{{lang|fr|mot}}`, `{{convert|10|km}}` and their like.

In: a template's name and its arguments, already plain. Out: the text that stays, or None for all others,
which are dropped (RECIPE §2). This is the whole list; a name stands for itself in every language's Wikipedia.
"""

import re
from collections.abc import Callable

# Text in the first argument (or 1=, text=, quote=): styles, quotations, abbreviations, anchors.
_FIRST = """
nowrap|nobr|nobreak|j|tutto attaccato|small|smaller|small2|big|bigger|larger|resize|em|strong|sc|
smallcaps|small caps|sub|sup|sub2|su|mvar|var|math|math2|italic|italics|noitalic|nobold|bold|kursiv|
underline|uline|u|strikethrough|mono|code|codes|tt|kbd|samp|key|vanchor|visible anchor|visanc|abbr|
abbrlink|tooltip|comment|quote|blockquote|bquote|cquote|quotation|rquote|quote box|quotebox|block quote|
poemquote|poem quote|talk quote|zitat|zitat-de|zitat-en|citation bloc|cita|citazione|cytat|
citat|citát|citace|citaat|citação|citar|idézet|цитата|цитат|navod|цитирање|naveden|citas|cita bloque|
início citação|blockcitat|poem|gedicht|poème|poezja|script|unicode|polytonic|music|nastaliq|lang-el|ill|
illm|interlanguage link|interlanguage link multi|link-interwiki|nihongo2|nihongo4|hebrew|rtl-lang|
ipa link|not a typo|proper name|as written|typo|okina|nee|né|née|plainlist|flatlist|
columns-list|columns list|col-list|collist|indent|nb|num|
formatnum|fmtn|gaps|exp|ind|wikicite|lj|ar|he|fr|fa|lang-grc|ensl|tsl|wl|nts|sort2|keep|
phonetic|nombre en romain|rom|romain|lsj|script/hebrew|script/arabic|qtalk|mark|highlight|
clarify span|citation needed span|cn span|fact span|verify span|dubious span
"""
# Text in the second, after a language or a colour; else in the first.
_SECOND = """
lang|langue|lang2|langx|языки|språk|sprog|kieli|w języku|vjazyce2|cizojazyčně|јез|jez|ez|nyelv|idioma|
llengua|rtl|color|colour|font color|fontcolor|font|farbe|coloré|couleur|cizo jazyčně|transl|
transliteration|ipablink|нп|нп1|нп2|нп3|нп4|нп5|не перевод|не переклад|iw|iw2|sortname2|sort|
ruby|ruby-ja
"""
# All that is written in it, side by side.
_JOINED = {"chem": "", "chem2": "", "ce": "", "nuclide": "", "keypress": "+", "key press": "+", "hlist": ", "}
_JOINED |= {"ubl": ", ", "unbulleted list": ", ", "sic": " ", "angbr": "", "angle bracket": "", "csl": ", "}
_JOINED |= {"bartable": " ", "siècle2": " ", "unité": " ", "unité/2": " ", "unidad": " ", "unitats": " "}
_JOINED |= {"date-": " ", "date": " ", "date de naissance-": " ", "dts": " ", "dtlink": " ", "unit": " "}
_JOINED |= {
    "sortname": " ",
    "hsp": "",
    "linktext": " ",
    "linktext2": " ",
    "m": " ",
    "unità": " ",
    "ordnung": " ",
}
_AT_MOST = {"date": 3, "sortname": 2, "m": 2}  # arguments; what follows is for the template itself
_CHARACTERS = {
    "'": "'", "'s": "'s", "!": "|", "pipe": "|", "=": "=", "·": " ·", "•": " •", "dot": " ·",
    "bull": " •", "nbsp": " ", "space": " ", "spaces": " ", "thinsp": " ", "thin space": " ",
    "hair space": " ", "sp": " ", "ndash": "–", "endash": "–", "en dash": "–", "–": "–", "-": " – ",
    "spnd": " – ", "snd": " – ", "dash": " – ", "spaced ndash": " – ", "spaced en dash": " – ",
    "spaced endash": " – ", "mdash": "—", "emdash": "—", "em dash": "—", "—": "—", "spaced mdash": " — ",
    "тире": " — ", "...": "...", "ellipsis": "...", "sup2": "²", "e": "e", "er": "er", "ère": "ère",
    "ac": "a. C.", "dc": "d. C.", "bce": "BCE", "ce era": "CE", "°c": "°C", "1er": "1er", "ier": "Ier",
    "n°": "nº", "nº": "nº", "numéro": "nº", "degree": "°", "times": "×", "x": "×", "minus": "−",
    "plus": "+", "±": "±", "prime": "′", "pi": "π", "euro": "€", "gbp": "£", "shy": "", "wbr": "",
}  # fmt: skip
_BEFORE = {"circa": "c. ", "c.": "c. ", "ca.": "c. ", "floruit": "fl. ", "fl.": "fl. ", "reign": "r. "}
_BEFORE |= {
    "born": "born ",
    "died": "died ",
    "siglo": "siglo ",
    "séc": "século ",
    "segle": "segle ",
    "us$": "US$",
}
_BEFORE |= {"£": "£", "€": "€", "a$": "A$", "₹": "₹", "inr": "₹", "currency": "", "§": "§ ", "usd": "US$"}
_BETWEEN = {
    "to": " to ",
    "-": "–",
    "–": "–",
    "and": " and ",
    "or": " or ",
    "x": " × ",
    "by": " by ",
    "xx": " × ",
}
_BETWEEN |= {"+/-": " ± ", "±": " ± ", "to(-)": " to ", "e": " × ", "&": " & ", ",": ", ", "*": " × "}
_RULES: dict[str, Callable[[list[str], dict[str, str]], str]] = {}

_OF_REFERENCES = {"title", "last", "last1", "author", "author1", "url", "titre", "year", "journal"}
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September")
_MONTHS += ("October", "November", "December")
_CENTURY = re.compile(r"(?:[ivx]+e (?:siècle|s\.)|[ivx]+er siècle)$")
_FUNCTIONS = ("formatnum", "lc", "uc", "lcfirst", "ucfirst", "nowrap")
_SPACES = re.compile(r"[\s_]+")


def render(name: str, arguments: list[str]) -> str | None:
    """What stays of a template: text, perhaps "", or None if its kind is dropped.

    `arguments` are its parts between the top-level `|`, named ones as `name=value`.
    """
    name = _SPACES.sub(" ", name).strip()
    key = name.lower()
    rule = _RULES.get(key)
    if rule:
        return rule(*_sorted(arguments))
    if key.startswith(("lang-", "јез-", "jez-", "мова-", "link-")) or (len(key) == 3 and name[2:] == "S"):
        positional, named = _sorted(arguments)
        return _text(positional, named)
    if _CENTURY.match(key):
        return name
    function, colon, value = name.partition(":")
    return value.strip() if colon and function.strip().lower() in _FUNCTIONS else None


def _sorted(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """Positional arguments (1= is the first), and the named ones."""
    positional: list[str] = []
    named: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        key = key.strip()
        # a "=" in running text, as in a formula or an address, names nothing
        if equals and len(key) < 25 and (key.isalnum() or key.replace("-", "").replace("_", "").isalnum()):
            named[key.lower()] = value.strip()
        else:
            positional.append(argument.strip())
    for place in range(1, 9):
        if str(place) in named:
            positional += [""] * (place - len(positional))
            positional[place - 1] = named[str(place)]
    return positional, named


def _text(positional: list[str], named: dict[str, str], place: int = 0) -> str:
    for key in ("text", "quote", "texte", "texto", "testo", "zitat", "citat", "цитата", "lt", "content"):
        if named.get(key):
            return named[key]
    at = positional[place] if place < len(positional) else ""
    return at or next(iter(positional), "")


def _second(positional: list[str], named: dict[str, str]) -> str:
    return _text(positional, named, 1)


def _citation(positional: list[str], named: dict[str, str]) -> str:
    """A quotation in French; a reference in English, which names a title or an author."""
    return "" if named.keys() & _OF_REFERENCES else _text(positional, named)


def _transliteration(positional: list[str], named: dict[str, str]) -> str:
    return next((value for value in reversed(positional) if value), "")


def _convert(positional: list[str], named: dict[str, str]) -> str:
    """`10|km` and `10|to|20|km`: the figures as they were written, and their unit."""
    words = positional[:2]
    place = 1
    while place + 1 < len(positional) and positional[place].lower() in _BETWEEN and positional[place + 1]:
        words = [
            *words[:-1],
            _BETWEEN[positional[place].lower()],
            positional[place + 1],
            *positional[place + 2 : place + 3],
        ]
        place += 2
    figures, unit = "".join(words[:-1]), words[-1] if len(words) > 1 else ""
    return f"{figures} {unit}".strip() if len(words) > 1 else "".join(words)


def _fraction(positional: list[str], named: dict[str, str]) -> str:
    if len(positional) > 2:
        return f"{positional[0]} {positional[1]}/{positional[2]}"
    return "/".join(positional) if len(positional) > 1 else "1/" + "".join(positional)


def _as_of(positional: list[str], named: dict[str, str]) -> str:
    if named.get("alt"):
        return named["alt"]
    start = "since" if "since" in named else "as of"
    year, month, day = [*positional, "", "", ""][:3]
    if month.isdecimal() and 1 <= int(month) <= 12:
        month = _MONTHS[int(month) - 1]
    words = [start if named.get("lc") else start.capitalize(), day, month, year]
    return " ".join(filter(None, words))


def _value(positional: list[str], named: dict[str, str]) -> str:
    power = f"×10^{named['e']}" if named.get("e") else ""
    unit = named.get("u") or named.get("ul") or ""
    return " ".join(filter(None, [("±".join(positional[:2]) if positional else "") + power, unit]))


def _nihongo(positional: list[str], named: dict[str, str]) -> str:
    first, *others = [*positional, "", "", ""][:4]
    inner = ", ".join(filter(None, others))
    return f"{first} ({inner})" if first and inner else first or inner


def _range(positional: list[str], named: dict[str, str], before: str) -> str:
    return before + "–".join(filter(None, positional[:2])) if positional else ""


def _lien(positional: list[str], named: dict[str, str]) -> str:
    return named.get("texte") or named.get("fr") or (positional[0] if positional else named.get("trad", ""))


def _century(positional: list[str], named: dict[str, str]) -> str:
    return "".join(positional[:2]) + " siècle" if positional else ""


def _rules() -> None:
    split = lambda names: [name.strip() for name in names.replace("\n", "").split("|")]  # noqa: E731
    _RULES.update(dict.fromkeys(filter(None, split(_FIRST)), _text))
    _RULES.update(dict.fromkeys(filter(None, split(_SECOND)), _second))
    for name, between in _JOINED.items():
        _RULES[name] = lambda positional, named, name=name, between=between: between.join(
            filter(None, positional[: _AT_MOST.get(name)])
        )
    for name, character in _CHARACTERS.items():
        _RULES[name] = lambda positional, named, character=character: character
    for name, before in _BEFORE.items():
        _RULES[name] = lambda positional, named, before=before: _range(positional, named, before)
    for name in ("convert", "cvt", "convertir", "конвертирати", "omregn"):
        _RULES[name] = _convert
    for name in ("frac", "fraction", "sfrac", "bruch"):
        _RULES[name] = _fraction
    for name in ("transl", "transliteration", "tlit"):
        _RULES[name] = _transliteration
    for name in ("nihongo", "nihongo3"):
        _RULES[name] = _nihongo
    for name in ("s", "siècle", "s mini"):
        _RULES[name] = _century
    _RULES.update({"as of": _as_of, "citation": _citation, "val": _value, "lien": _lien})


_rules()
