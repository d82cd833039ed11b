"""Dates and eras in each language: {{date|5|6|1990}} is 5 juin 1990, {{дата|5|6|1990}} 5 июня 1990.

In: a day, a month and a year in this order, or a year, a month and a day; months as numbers or words. Out:
the date as the language writes it (the long form of Unicode CLDR). Dates in two calendars are computed.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache

from data.sources.wikipedia.templates.patterns import Rule, Rules

_ISO = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?")
_IN_WORDS = re.compile(r"(\d{1,2})\.? ([^\W\d_]+)(?: (\d{1,4}))?")
_DAY_OF_MONTH = re.compile(r"\d{1,2}(?:\. ?| )[^\W\d_]{3,11}")
_YEAR = re.compile(r"1\d{3}|20\d\d")
_WITH_YEAR = re.compile(r"[^\W\d_] \d{3,4}\Z")
_NEGATIVE = re.compile(r"(?<!\S)[-−](\d{1,4})\Z")  # a year, in {{date|15|mars|-44}} and {{date|mars -44}}
_JULIAN_DAY = 1_721_425  # of the ordinal 0


@dataclass(frozen=True)
class Calendar:
    """How a language writes dates."""

    months: tuple[str, ...]  # as written after a day
    day_mark: str = ""
    between: str = " "
    year_mark: str = ""
    first: str = ""  # the first day of a month
    order: str = "dmy"  # mdy, ymd

    def written(self, year: str, month: str, day: str) -> str:
        """A date; any part of it may be missing."""
        if month.isdecimal() and len(month) < 10 and int(month) <= 12:
            month = self.months[int(month) - 1] if int(month) else ""
        day = day.lstrip("0")
        day = self.first if day == "1" and self.first else day + self.day_mark * day.isdecimal()
        if self.order == "mdy":
            before = f"{month} {day}".strip()
            return f"{before}, {year}" if day and year else f"{before} {year}".strip()
        parts = [day, month, year + self.year_mark if year else ""]
        text = self.between.join(filter(None, parts if self.order == "dmy" else reversed(parts)))
        return _BEFORE_VOWEL.sub("d'", text) if self.months[0] == "gener" else text


def _calendar(months: str, *marks: str) -> Calendar:
    return Calendar(tuple(months.split()), *marks)


_BEFORE_VOWEL = re.compile(r"\bde (?=[ao])")  # in Catalan
_CALENDARS = {
    "en": _calendar(
        "January February March April May June July August September October November December",
        *("", " ", "", "", "mdy"),
    ),
    "de": _calendar(
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember", "."
    ),
    "nl": _calendar(
        "januari februari maart april mei juni juli augustus september oktober november december"
    ),
    "sv": _calendar("januari februari mars april maj juni juli augusti september oktober november december"),
    "da": _calendar(
        "januar februar marts april maj juni juli august september oktober november december", "."
    ),
    "fr": _calendar(
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        *("", " ", "", "1er"),
    ),
    "es": _calendar(
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        *("", " de "),
    ),
    "ca": _calendar(
        "gener febrer març abril maig juny juliol agost setembre octubre novembre desembre", *("", " de ")
    ),
    "it": _calendar(
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        *("", " ", "", "1º"),
    ),
    "pt": _calendar(
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        *("", " de "),
    ),
    "ro": _calendar(
        "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie"
    ),
    "pl": _calendar(
        "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia"
    ),
    "cs": _calendar(
        "ledna února března dubna května června července srpna září října listopadu prosince", "."
    ),
    "hr": _calendar(
        "siječnja veljače ožujka travnja svibnja lipnja srpnja kolovoza rujna listopada studenoga prosinca",
        *(".", " ", "."),
    ),
    "sl": _calendar(
        "januar februar marec april maj junij julij avgust september oktober november december", "."
    ),
    "hu": _calendar(
        "január február március április május június július augusztus szeptember október november december",
        *(".", " ", ".", "", "ymd"),
    ),
    "ru": _calendar("января февраля марта апреля мая июня июля августа сентября октября ноября декабря"),
    "uk": _calendar("січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня"),
    "bg": _calendar("януари февруари март април май юни юли август септември октомври ноември декември"),
    "sr": _calendar(
        "јануара фебруара марта априла маја јуна јула августа септембра октобра новембра децембра",
        *(".", " ", "."),
    ),
}
# Date templates with arguments that need not be numbers; others are recognized by their arguments.
_NAMES = """
date|date-|data|dato|datum|дата|дат|dátum|dată|fecha|dts|dtsh|dtlink|dtext|dni|date de naissance
|date de naissance-|date de décès|date de décès-|naissance|décès|date républicaine
|formatdate|datumzelle|fecha de inicio|fecha de nacimiento|fecha de fallecimiento|morte|falecimento
|nascimento|data de nascimento|dni/d|датарождения|датасмерти|birth date|birth date and age|bda|death date
|death date and age|start date|end date|film date|start date and age|end date and age
|birth-date|death-date|start-date|end-date|birthdate|deathdate|birth-date and age|death-date and age|b-da
|d-da
|birth date2|birth year and age|release date|data naixement|datum narození|datum úmrtí
|дата рождения|дата смерти|дата рождения и возраст|дата народження|дата смерті|дата на раждане|дата на смърт
|датум рођења|датум смрти|datum rođenja|datum smrti|datum rojstva|data urodzenia|data śmierci|fødselsdato
|dødsdato|född datum|död datum|geboortedatum|overlijdensdatum|születési dátum|halálozási dátum
|data nașterii|data decesului|data de naixement|data defunció|data de falecimento|data di nascita
"""
_BOTH = "oldstyledate|old style date|олдстайлдейт|сс|сс2|стара дата"
# Eras, by their templates' names without spaces and periods.
_ERAS = {
    "vchr": "v. Chr.", "nchr": "n. Chr.", "fkr": "f.Kr.", "ekr": "e.Kr.", "přnl": "př. n. l.", "nl": "n. l.",
    "přkr": "př. Kr.", "pokr": "po Kr.", "prkr": "pr. Kr.", "pne": "p.n.e.", "ne": "n.e.", "ie": "i. e.",
    "isz": "i. sz.", "prnšt": "pr. n. št.", "nšt": "n. št.", "прхр": "пр. Хр.", "слхр": "сл. Хр.",
    "прне": "пр. н. е.", "пне": "п. н. е.", "не": "н. е.", "доне": "до н. е.", "донэ": "до н. э.",
    "нэ": "н. э.", "avjc": "av. J.-C.", "apjc": "apr. J.-C.", "aprjc": "apr. J.-C.", "ac": "a. C.",
    "dc": "d. C.", "îhr": "î.Hr.", "dhr": "d.Hr.", "îen": "î.e.n.", "en": "e.n.", "aec": "a.e.c.",
}  # fmt: skip


def calendar(language: str) -> Calendar:
    return _CALENDARS.get(language, _CALENDARS["en"])


@cache
def rules_of(language: str) -> Rules:
    """The rules for the names of date templates in a language."""
    dates: Rules = dict.fromkeys((name.strip() for name in _NAMES.split("|")), _date_rule(language))
    both: Rules = dict.fromkeys(_BOTH.split("|"), _both_rule(language))
    labeled = _labeled_rule(language)
    computed: Rules = {"julgregdatum": labeled, "julgreg": labeled, "сс3": _from_julian_rule(language)}
    return dates | both | computed


def date_in(positional: list[str], language: str) -> str | None:
    """The date in the first arguments of a template without a rule; None if they are not a date."""
    if positional and (iso := _ISO.fullmatch(positional[0])) and iso[3]:
        return calendar(language).written(*iso.groups(""))
    if len(positional) == 2 and _YEAR.fullmatch(positional[1]) and _DAY_OF_MONTH.fullmatch(positional[0]):
        day, month = positional[0].replace(".", " ").split()
        return calendar(language).written(positional[1], month, day)  # {{mp|5. maj|1990}}
    found = _parts(positional)
    return calendar(language).written(*found) if found else None


def era(name: str, positional: list[str], language: str = "") -> str | None:
    """{{v. Chr.}}: the era, after a year if there is one; None if the name does not abbreviate an era."""
    key = re.sub(r"[\s.\-]", "", name.lower())
    if "." not in name and (len(key) < 3 or name.isupper()):  # {{не}} may be a word
        return None
    if not (shown := _ERAS.get(key)):
        return None
    parts = [shown, *positional[:1]] if language == "hu" else [*positional[:1], shown]  # i. e. 300
    return " ".join(filter(None, parts))


def _parts(positional: list[str]) -> tuple[str, str, str] | None:
    """Year, month and day, if the first three arguments are these in either order."""
    if len(positional) < 3 or not 3 <= len(positional) <= 8:
        return None
    first, month, last = positional[:3]
    if len(first) == 4 and first.isdecimal():
        year, day = first, last
    elif len(last) in (3, 4) and last.isdecimal():
        year, day = last, first.rstrip(".")
    else:
        return None
    is_month = month.isalpha() or (month.isdecimal() and 1 <= int(month[:3]) <= 12)
    is_day = day.isdecimal() and len(day) < 3 and 1 <= int(day) <= 31
    return (year, month, day) if is_month and is_day else None


def _date_rule(language: str) -> Rule:
    written, first_day = calendar(language).written, calendar(language).first

    def rule(positional: list[str], named: dict[str, str]) -> str:
        if not _parts(positional) and _parts(positional[1:]):  # {{датум рођења|да|1950|5|1}}
            positional = positional[1:]
        shown = [part for part in positional[:3] if part]  # {{date||mai|1950|en sport}}
        if len(shown) == 2 and _WITH_YEAR.search(shown[0]):  # {{date|1 mai 1950|en sport}}
            del shown[1]
        if language == "fr":
            shown = [_NEGATIVE.sub(r"\1 av. J.-C.", part) for part in shown]
        if shown and (iso := _ISO.fullmatch(shown[0])):
            is_day_first = "dmy" in shown or named.get("df")
            return _british(*iso.groups("")) if is_day_first else written(*iso.groups(""))
        if len(shown) < 2:
            text = "".join(shown).removesuffix("-").rstrip()  # {{date|4 juillet 1888-}}: without its links
            words = _IN_WORDS.fullmatch(text)
            return written(words[3] or "", words[2], words[1]) if words and first_day else text
        year, month, day = _parts(shown) or (*shown[:3], "", "", "")[:3]
        if not _parts(shown):
            is_year_first = len(year) == 4 and year.isdecimal()
            if not is_year_first:
                year, day = day, year
        return (
            _british(year, month, day) if language == "en" and named.get("df") else written(year, month, day)
        )

    return rule


def _british(year: str, month: str, day: str) -> str:
    return " ".join(filter(None, [day.lstrip("0"), calendar("en").written("", month, ""), year]))


def _both_rule(language: str) -> Rule:
    """{{OldStyleDate|17 октября|1905|4 октября}} and {{OldStyleDate|17|10|1905|4}}: 4 (17) октября 1905."""
    written = calendar(language).written

    def rule(positional: list[str], named: dict[str, str]) -> str:
        if _parts(positional):
            year, month, day = _parts(positional) or ("", "", "")
            new = written("", month, day)
            old, old_year = _in_julian(year, month, day, language)
            if positional[3:4] and positional[3].isdecimal():
                old_year = positional[5].split()[0] if len(positional) > 5 and positional[5] else year
                old_month = positional[4] if len(positional) > 4 and positional[4] else month
                old = written("", old_month, positional[3])
            elif positional[3:4] and positional[3]:  # {{OldStyleDate|5|июня|1990|24 мая}}
                old, old_year = positional[3], year
            if old and old_year != year:
                new, old, year = f"{new} {year}", f"{old} {old_year}", ""
        else:
            new, year, old = [*positional, "", "", ""][:3]
        if not old:
            return f"{new} {year}".strip()
        if language not in ("ru", "uk", "bg", "sr"):
            mark = "O.S. " if language == "en" else ""
            return " ".join(filter(None, [new, f"[{mark}{old}]", year]))
        new_day, _, new_month = new.partition(" ")
        old_day, _, old_month = old.partition(" ")
        if old_month in ("", new_month):
            return f"{old_day} ({new_day}) {new_month} {year}".strip()
        return f"{old} ({new}) {year}".strip()

    return rule


def _from_julian_rule(language: str) -> Rule:
    """{{СС3|17.10.1905}}: 17 (30) октября 1905. The argument is in the Julian calendar."""
    both = _both_rule(language)

    def rule(positional: list[str], named: dict[str, str]) -> str | None:
        old = [*"".join(positional[:1]).split("."), "", ""][:3]
        new = _in_gregorian(*old)
        return both([*new, *old], named) if new else " ".join(positional)

    return rule


def _labeled_rule(language: str) -> Rule:
    """{{JULGREGDATUM|7|11|1917}}: both dates, computed from the later one."""
    written = calendar(language).written

    def rule(positional: list[str], named: dict[str, str]) -> str:
        found = _parts(positional)
        if not found:
            return " ".join(filter(None, positional[:3]))
        old, year = _in_julian(*found, language)
        old += f" {year}" * (year != found[0])
        return f"{old} jul. / {written(*found)} greg." if old else written(*found)

    return rule


def _in_julian(year: str, month: str, day: str, language: str) -> tuple[str, str]:
    """Day and month in the Julian calendar, and the year (Meeus, Astronomical Algorithms).

    If there is no such date, "" and the same year.
    """
    try:
        ordinal = date(int(year), int(month), int(day)).toordinal()
    except ValueError:
        return "", year
    days = ordinal - 1 + _JULIAN_DAY + 32_083
    years = (4 * days + 3) // 1461
    rest = days - 1461 * years // 4
    months = (5 * rest + 2) // 153
    julian_day, julian_month = rest - (153 * months + 2) // 5 + 1, months + 3 - 12 * (months // 10)
    julian_year = years - 4800 + months // 10
    return calendar(language).written("", str(julian_month), str(julian_day)), str(julian_year)


def _in_gregorian(day: str, month: str, year: str) -> list[str]:
    """Day, month and year in the Gregorian calendar; [] if these numbers are no date."""
    try:
        shift = (14 - int(month)) // 12
        years, months = int(year) + 4800 - shift, int(month) + 12 * shift - 3
        days = int(day) + (153 * months + 2) // 5 + 365 * years + years // 4 - 32_083
        found = date.fromordinal(days - _JULIAN_DAY)
    except (ValueError, OverflowError):
        return []
    return [str(found.day), str(found.month), str(found.year)]


def as_of(positional: list[str], named: dict[str, str]) -> str:
    """{{as of|2014|5}}: As of May 2014."""
    after = named.get("post", "")
    if named.get("alt"):
        return named["alt"] + after
    start = "since" if "since" in named else "as of"
    year, month, day = [*positional, "", "", ""][:3]
    words = [start if named.get("lc") else start.capitalize(), day, month_name([month], {}), year]
    return " ".join(filter(None, words)) + after


def month_name(positional: list[str], named: dict[str, str]) -> str:
    """{{monthname|5}}: May."""
    return calendar("en").written("", positional[0] if positional else "", "")


def _other_year(positional: list[str], named: dict[str, str]) -> str:
    """{{OldStyleDateDY|17 January|1706|6 January 1705}}: 17 January 1706 [O.S. 6 January 1705]."""
    *new, old = positional[:3] or [""]
    return f"{' '.join(filter(None, new))} [O.S. {old}]" if new and old else " ".join(positional)


def _old_to_new(positional: list[str], named: dict[str, str]) -> str:
    """{{OS2NS|20 January|1905|2 February}}: 20 January [2 February N.S.] 1905."""
    old, year, new = [*positional, "", "", ""][:3]
    return " ".join(filter(None, [old, f"[{new} N.S.]" if new else "", year]))


ENGLISH: Rules = {
    "as of": as_of,
    "month name": month_name,
    "date of another year": _other_year,
    "old to new style": _old_to_new,
}
