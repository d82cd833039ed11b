"""Finds and applies a template's rule, and handles templates without a rule."""

import re
from collections.abc import Callable
from enum import Enum
from functools import cache

from data.sources.wikipedia.templates import common, cyrillic, eastern, english, french, germanic, romance
from data.sources.wikipedia.templates.authors import bare
from data.sources.wikipedia.templates.countries import flag_rules, named_country
from data.sources.wikipedia.templates.figures import of_its_name
from data.sources.wikipedia.templates.forms import forms_of
from data.sources.wikipedia.templates.patterns import Rule, Rules, compiled, drop, dropped
from data.sources.wikipedia.templates.rules import FUNCTIONS, prefixed_ship, wrapped

_COMMON = dropped(common.DROPPED) | compiled(common.TABLE, FUNCTIONS)
_COMMON |= {
    name.lower(): prefixed_ship(name)
    for name in ["HMS", "USS", "RMS", "HMCS", "HMAS", "HMNZS", "USNS", "USCGC"]
}
_LANGUAGES = english.RULES | french.RULES | germanic.RULES | romance.RULES | eastern.RULES | cyrillic.RULES

_FUNCTIONS: dict[str, Callable[[str], str]] = {
    "formatnum": str,
    "nowrap": str,
    "lc": str.lower,
    "uc": str.upper,
    "lcfirst": lambda value: value[:1].lower() + value[1:],
    "ucfirst": lambda value: value[:1].upper() + value[1:],
}
_ORDINAL = re.compile(r"(?:\d+|[ivxlc]+)(?:er|re|ère|e|ème|nd|nde)(?: [^\W\d]+)?", re.IGNORECASE)
_CENTURY = re.compile(
    r"[ivx]+(?:e (?:siècle|millénaire|s\.)|er (?:siècle|millénaire))(?: av\. j\.-c\.)?", re.IGNORECASE
)
_FRACTION = re.compile(r"\d+/\d+")
_SOUNDS = re.compile(r"ipa\b|ipa[ac]?-|ipas?b?link|lautschrift$|api$|afi$", re.IGNORECASE)
_SPACES = re.compile(r"[\s_]+")

# Names of notes, boxes and pictures in all these languages; such templates are dropped if they have no rule.
_NOTE = re.compile(
    r"#|.*[:?/]|cit[eaoáé]|ref|not[ae]?\b|efn|sfn|harv|is[bs]n|doi|arxiv|pmid|oclc|coor\b|coord|koord|geo\w*\b"
    r"|anchor|quel+e|flag|drapea|bandei?[ri]|zastav|zászl|vlag|vlajk|прапор|флаг|знаме|застав|.*icon\b|image"
    r"|file|audio|stub|portal|info|nav\w*box|.*needed|see\b|main\b|also\b|voir|siehe|ver\b|zie\b"
    r"|se også|см\b|див\b|commons|wiki|web|lccn|imdb|use\b|pp-|pages?\b|.*сноска|прим|книга|статья|источник"
    r"|карт|основ|главн",
    re.IGNORECASE,
)
_FILE = re.compile(r"//|\.(?:jpe?g|png|svg|gif|og[agv]|webm|pdf|tiff?|mp3|mid)\b|^\W*$", re.IGNORECASE)
_SETTING = re.compile(
    r"[a-z]{2,3}(?:-[A-Za-z]+)?|#[0-9a-fA-F]{3,8}|https?:.*"
)  # a language, a color, an address
_RUNNING = 200  # most characters of running text in a template without a rule


class Rendered(Enum):
    """The result for a template that leaves no text."""

    DROPPED = "a note, a box or a picture: no prose is missing"
    UNKNOWN = "no rule: its text is missing"


class Templates:
    """The templates of one Wikipedia."""

    def __init__(self, language: str = "") -> None:
        self._language = language
        self._rules, self._prefixes = _rules_of(language)
        self._ordinals = language == "fr"

    def render(
        self,
        name: str,
        arguments: list[str],
        in_brackets: Callable[[], bool] = lambda: False,
        is_word: Callable[[str], bool] = lambda text: True,
    ) -> str | Rendered:
        """The text of a template, which may be "", or why it has none.

        `arguments` are the parts between its own `|`, with named ones as `name=value`. `in_brackets` tells
        whether the template is in brackets, where pronunciations are dropped; `is_word` whether its text
        is part of a sentence, without which a citation is a note.
        """
        name = _SPACES.sub(" ", name).strip()
        key = name.lower()
        if (country := named_country(name, arguments, self._language)) is not None and (
            not arguments or key not in self._rules
        ):
            return country or Rendered.DROPPED
        rule = self._rules.get(key) or self._prefix_rule(key)
        if rule is drop or (_SOUNDS.match(key) and in_brackets()):
            return Rendered.DROPPED
        if rule:
            text = rule(*split(arguments))
            return Rendered.DROPPED if text is None or (rule is bare and not is_word(text)) else text
        if _FRACTION.fullmatch(key):
            return name
        if key.endswith("?") and (text := wrapped(*split(arguments))):
            return text
        if self._ordinals and _CENTURY.fullmatch(key):
            return name
        if self._ordinals and _ORDINAL.fullmatch(key):
            return " ".join([name, *filter(None, split(arguments)[0])])
        function, colon, value = name.partition(":")
        if colon and (change := _FUNCTIONS.get(function.strip().lower())):
            return change(value.strip())
        if (text := of_its_name(name, split(arguments)[0])) is not None:
            return text
        return Rendered.DROPPED if _NOTE.match(key) else Rendered.UNKNOWN

    def _prefix_rule(self, key: str) -> Rule | None:
        for prefix in self._prefixes.get(key[:2], ()):
            if key.startswith(prefix):
                return self._rules[prefix + "*"]
        return None


def running_text(arguments: list[str]) -> str:
    """The argument of a template without a rule that can be part of a sentence; else "".

    It is the only one, or of two the first, unless that is a language, a color or the like.
    """
    positional, named = split(arguments)
    texts = list(filter(None, positional))
    if not texts:
        return forms_of(named)
    if len(positional) > 2 or len(named) > 2:
        return ""
    text = texts[1] if len(texts) > 1 and _SETTING.fullmatch(texts[0]) else texts[0]
    if len(texts) > 1 and not any(map(str.isalpha, text)):
        return ""  # {{INRConvert|5|c}}: without the rule, a wrong figure
    if len(text) > _RUNNING or "\n" in text or text[-1] in ".!?" or _FILE.search(text):
        return ""
    return text


@cache
def _rules_of(language: str) -> tuple[Rules, dict[str, list[str]]]:
    """All rules by name, and the prefixes of names, longest first, by their first two letters."""
    rules = _COMMON | _LANGUAGES.get(language, {}) | flag_rules(language)
    prefixes: dict[str, list[str]] = {}
    for prefix in sorted((name[:-1] for name in rules if name.endswith("*") and len(name) > 2), key=len)[
        ::-1
    ]:
        prefixes.setdefault(prefix[:2], []).append(prefix)
    return rules, prefixes


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
