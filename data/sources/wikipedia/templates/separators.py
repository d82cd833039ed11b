"""Numbers as each language's MediaWiki writes them: {{formatnum:1234567.8}} is 1.234.567,8 in German.

Source: $separatorTransformTable and $minimumGroupingDigits of languages/messages in MediaWiki, and
https://www.mediawiki.org/wiki/Help:Magic_words#Formatting. A no-break space is a space here.
"""

import re
from collections.abc import Callable

from data.sources.wikipedia.templates.measures import units
from data.sources.wikipedia.templates.patterns import Rules

_SEPARATORS = {"en": (",", ".")}  # of thousands, of decimals
_SEPARATORS |= dict.fromkeys(("ca", "da", "de", "hr", "nl", "ro", "sl", "sr"), (".", ","))
_SEPARATORS |= dict.fromkeys(("bg", "cs", "es", "fr", "hu", "it", "pl", "pt", "ru", "sv", "uk"), (" ", ","))
_FOUR_TOGETHER = ("bg", "es", "pl", "ru", "uk")  # languages that write 1234 without a separator
_UNITS = (
    "unit", "units", "unitat", "einheit", "enhed", "enota", "jedinica", "јединица", "единица", "одиниця",
    "mértékegység",
)  # fmt: skip
_NUMBER = re.compile(r"[-−]?(?:\d+(?:\.\d+)?|\.\d+)", re.ASCII)
_BETWEEN = re.compile(r"(?<=\d)[., ](?=\d)")
_WITH_COMMA = re.compile(r"[-−]?\d+,\d+", re.ASCII)


def written(number: str, language: str, *, in_groups: bool = True) -> str:
    """A plain number with the language's separators; anything else, such as 1,234, unchanged."""
    if language not in _SEPARATORS or not _NUMBER.fullmatch(number):
        return number
    thousands, decimal = _SEPARATORS[language]
    whole, point, rest = number.partition(".")
    digits = whole.lstrip("-−")
    sign = "−" if digits != whole else ""
    if in_groups and len(digits) > (4 if language in _FOUR_TOGETHER else 3):
        ends = range(len(digits), 0, -3)
        digits = thousands.join([digits[max(0, end - 3) : end] for end in ends][::-1])
    return sign + digits + (decimal + rest if point else "")


def plain(number: str, language: str) -> str:
    """A number written in a language as a plain one: 1.234,5 is 1234.5 in German."""
    thousands, decimal = _SEPARATORS.get(language, (",", "."))
    number = number.replace("\xa0", " ").replace("−", "-")
    number = _BETWEEN.sub(lambda found: "" if found[0] == thousands else found[0], number)
    return number.replace(decimal, ".")


def formatted(number: str, flags: list[str], language: str) -> str:
    """{{formatnum:NUMBER|FLAG}}: R turns a written number back into a plain one; NOSEP keeps its point."""
    if "R" in flags and language in _SEPARATORS:
        return plain(number, language)
    if "NOSEP" in flags:
        return number.replace("-", "−", 1) if _NUMBER.fullmatch(number) else number
    return written(number, language)


def number_and_units(
    language: str, *, four_together: bool = False
) -> Callable[[list[str], dict[str, str]], str]:
    """{{unité|1234.5|km}}: 1 234,5 km; {{unité|1000|à=2000|m}}: 1 000 à 2 000 m.

    The number may have a decimal comma where the language writes one: {{число|12345,67}} is 12 345,67.
    """

    def shown(number: str) -> str:
        if _WITH_COMMA.fullmatch(number) and _SEPARATORS[language][1] == ",":
            number = number.replace(",", ".")
        is_short = four_together and len(number.partition(".")[0]) < 5
        return written(number, language, in_groups=not is_short)

    def rule(positional: list[str], named: dict[str, str]) -> str:
        others = {key: value if key == "e" else shown(value) for key, value in named.items()}
        return units([*map(shown, positional[:1]), *positional[1:]], others)

    return rule


def rules_of(language: str) -> Rules:
    """The templates around this function: {{formatnum|5000}}, {{nts|5000}}, {{fmtn|5000|km}}."""

    def rule(positional: list[str], named: dict[str, str]) -> str:
        return written(next(iter(positional), ""), language)

    def with_unit(positional: list[str], named: dict[str, str]) -> str:
        return " ".join([rule(positional, named), *positional[1:]])

    rules: Rules = {"formatnum": rule, "nts": rule, "fmtn": with_unit}
    return rules | dict.fromkeys(_UNITS, number_and_units(language) if language in _SEPARATORS else units)
