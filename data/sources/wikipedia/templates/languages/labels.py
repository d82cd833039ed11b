"""Words with the name of their language: {{lang-de|Wort}} is German: Wort in English, нем. Wort in Russian.

labels.tsv has a row per language: its code and its name in each Wikipedia whose templates show it, from
Unicode CLDR, or as an abbreviation or an adverb where the templates show one.
"""

from functools import cache
from pathlib import Path

from data.sources.wikipedia.templates import arguments
from data.sources.wikipedia.templates.forms import forms_of
from data.sources.wikipedia.templates.patterns import Rule, Rules

_NAMES = Path(__file__).with_name("labels.tsv")
_BEFORE = {  # what stands before the word, around the name of its language
    "en": "{}:", "fr": "en {} :", "es": "en {}:", "ca": "en {}:", "pt": "em {}:", "sv": "{}:", "da": "{}:",
    "bg": "на {}:", "hu": "{}:",
}  # fmt: skip
_BY_CODE = {"ro": "{}", "sl": "jezik-{}"}  # names of templates, around a code; elsewhere lang-de and so on
_BY_WORD = ("hu", "cs", "sl")  # the name of a language in these is an adverb, which means nothing else
_BY_ABBREVIATION = {"sr": ("јез-", "jez-"), "hr": ("jez-",)}  # before the name in labels.tsv


@cache
def _labels(language: str) -> dict[str, str]:
    """What stands before a word in a Wikipedia, by the code of the word's language."""
    head, *rows = (line.split("\t") for line in _NAMES.read_text(encoding="utf-8").splitlines())
    place, shown = head.index(language), _BEFORE.get(language, "{}")
    return {row[0]: shown.format(row[place]) for row in rows if row[place]}


def _word(positional: list[str], named: dict[str, str]) -> str | None:
    return arguments.text(positional, named) or forms_of(named) or None


def by_name(language: str, rule: Rule = _word) -> Rules:
    """The rules of {{lang-de|Wort}} and its relatives in a Wikipedia; `rule` shows the word."""
    rules: Rules = {}
    for code, label in _labels(language).items():
        names = [_BY_CODE[language].format(code)] if language in _BY_CODE else []
        names += [f"lang-{code}", f"lang-{code}-*"] if language != "ro" else []  # {{lang-sr-latn|…}}
        abbreviation = label.rstrip(".")
        for prefix in _BY_ABBREVIATION.get(language, ()):  # {{јез-енгл|…}}, {{јез-енг|…}}
            names += [prefix + code, prefix + abbreviation, prefix + abbreviation[:3]]
        names += [label.rstrip(":")] if language in _BY_WORD else []
        rules |= dict.fromkeys(names, _labeled(label, rule))
    return rules


def by_argument(language: str, rule: Rule = arguments.second) -> Rule:
    """The rule of {{langx|de|Wort}}: the code of the language is the first argument."""
    labels = _labels(language)
    return lambda positional, named: _labeled(labels.get(_code(positional), ""), rule)(positional, named)


def name(language: str) -> Rule:
    """The rule of {{vjazyce|de}}, before a word: německy (Czech)."""
    labels = _labels(language)
    return lambda positional, named: labels.get(_code(positional))


def _code(positional: list[str]) -> str:
    """The language in the first argument, without its script or country."""
    return positional[0].lower().partition("-")[0] if positional else ""


def _labeled(label: str, rule: Rule) -> Rule:
    def labeled(positional: list[str], named: dict[str, str]) -> str | None:
        shown, has_none = rule(positional, named), named.get("label", "") in ("none", "no")
        return f"{label} {shown}" if label and shown and not has_none else shown or None

    return labeled


_OTHERS = ("fr", "es", "ca", "pt", "sv", "da", "bg", "ro", "cs", "sl", "hu", "hr", "sr", "ru", "uk")
RULES: dict[str, Rules] = {
    language: by_name(language) | {"langx": by_argument(language)} for language in _OTHERS
}
RULES["bg"] |= dict.fromkeys(("lang", "език"), by_argument("bg"))
RULES["pl"] = {"w języku": by_argument("pl")}
RULES["cs"] |= {"vjazyce2": by_argument("cs"), "vjazyce": name("cs")}
