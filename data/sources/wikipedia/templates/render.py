"""Finds and applies a template's rule, and handles templates without a rule."""

import re
from collections.abc import Callable
from enum import Enum
from functools import cache

from data.sources.wikipedia.templates import dates, languages, separators
from data.sources.wikipedia.templates.arguments import EDITORS_NOTES, split
from data.sources.wikipedia.templates.authors import bare
from data.sources.wikipedia.templates.coordinates import coordinates, german
from data.sources.wikipedia.templates.countries import flag_rules, is_variant, named_country
from data.sources.wikipedia.templates.functions import evaluated
from data.sources.wikipedia.templates.languages import common
from data.sources.wikipedia.templates.languages.cyrillic import with_latin_names
from data.sources.wikipedia.templates.patterns import Rule, Rules, compiled, drop, dropped
from data.sources.wikipedia.templates.rules import FUNCTIONS, lines, prefixed_ship, quotation
from data.sources.wikipedia.templates.unknown import running_text, shown_by_name

_COMMON = dropped(common.DROPPED) | compiled(common.TABLE, FUNCTIONS)
_COMMON |= {name: prefixed_ship(name) for name in common.SHIPS.split()}

_SOUNDS = re.compile(
    r"ipa\d?\b|ipa[ac]?-|ipas?b?link|lautschrift$|audio(?:-ipa|$)|(?:ms)?api$|afi$|мфа\w?$|respell|ljud$"
    r"|pron(?:-\w{2,8})?$|pronunciation|prononciation$|výslovnost$|uttal$|uitspraak$|вимова$|и[пф]а$|іпа$|kiejtés$|wymowa$|udtale$"
    r"|izgovor$|изговор$|произношение$|pronun[cț]i",
    re.IGNORECASE,
)
_SPACES = re.compile(r"[\s_]+")

# Names of notes, boxes and pictures in all these languages; such templates are dropped if they have no rule.
_NOTE = re.compile(
    r"#|.*[:?/]|cit[eaoáé]|ref|not[ae]?\b|poznámk|jegyzet|megj|opomb|napomen|напомен|бележк|uwag|efn|sfn|сфн|реф|harv|is[bs]n|исбн|doi|arxiv|pmid|oclc|coor\b|coord|koord|geo\w*\b"
    r"|anchor|quel+e|flag|drapea|bandei?[ri]|zastav|zászl|vlag|vlajk|прапор|флаг|знаме|застав|.*i[ck]on|.*икон|image"
    r"|file|audio|stub|portal|info|nav\w*box|.*needed|see\b|main\b|also\b|voir|siehe|ver\b|zie\b"
    r"|se også|см\b|див\b|commons|wiki|web|lccn|imdb|use\b|pp-|pages?\b|.*сноска|прим|книга|статья|источник"
    r"|карт|основ|главн",
    re.IGNORECASE,
)
# {{citat bloc}}, {{blokový citát}}, {{poema}}, but not {{citat behövs}}.
_QUOTATION = re.compile(
    r"(?!.*(?:need|behöv|nodig|nødv|mangl|n[eé]ces|reque))(?:.*\b)?(?:cit(?:a(?!r)|á[tc])|cytat|quot[ae]|zitat|idézet|цитат|навод"
    r"|naved[ei]k|exergue|szövegdoboz|каре\b|poem|poes[ií]|poezj|wiersz|báse[ňn]|vers\b|вірш|стих|gedicht"
    r"|dikt\b|digt\b|pjesma|песма|pesem|poezie)"
)
# Lists in columns: {{lista de columnas|2|* a}}, {{Список в столбцы|* a}}. Boxes hold lists of links.
_COLUMNS = re.compile(
    r"(?:.*\b)?(?:[ck]ol|spalt|hasáb|oszlop|sloup|stolp|stup|coloan|стол?б|колон|кол\b|список|листа)"
    r"|.*(?:kolum|list(?:a|e|ing)?\b)"
)
_ITEMS = re.compile(r"\n(?:\* |[*#][^\n]*\n[*#])")  # one item with a space, or two
_BOXES = re.compile(r".*(?:nav|box|side|menu|карт)")
_NAMESPACE = re.compile(
    r"\A\s*+(?:template|vorlage|modèle|plantilla|plantilla|predefinição|format|sjabloon|mall|skabelon|szablon|šablona"
    r"|predložak|predloga|sablon|шаблон|msg)\s*+:\s*+",
    re.IGNORECASE,
)
_NOTES_ELSEWHERE = (bare, coordinates, german)  # words of a sentence; outside one, notes


class Rendered(Enum):
    """The result for a template that leaves no text."""

    DROPPED = "a note, a box or a picture: no prose is missing"
    SOUND = "a pronunciation in brackets: its label may be left over"
    UNKNOWN = "no rule: its text is missing"


class Templates:
    """The templates of one Wikipedia."""

    def __init__(self, language: str = "") -> None:
        self._language = language
        self._rules, self._prefixes = _rules_of(language)

    def render(
        self,
        name: str,
        arguments: list[str],
        in_brackets: Callable[[], bool] = lambda: False,
        is_word: Callable[[str], bool] = lambda text: True,
        is_attached: Callable[[], bool] = lambda: False,
    ) -> str | Rendered:
        """The text of a template, which may be "", or why it has none.

        `arguments` are the parts between its own `|`, with named ones as `name=value`. `in_brackets` tells
        whether the template is in brackets, where pronunciations are dropped; `is_word` whether its text
        is part of a sentence, as a citation elsewhere is a note; `is_attached` whether it follows a word
        without a space, as an editors' note there holds a remark and not the text.
        """
        name = _SPACES.sub(" ", name).strip()
        name = _NAMESPACE.sub("", name, 1) if ":" in name else name
        key = name.lower()
        if (country := named_country(name, arguments, self._language)) is not None and (
            is_variant(arguments) or self._rules.keys().isdisjoint((name, key))
        ):
            return country or Rendered.DROPPED
        # The case of a name may count: in German, {{SMS}} is a ship and {{smS}} is Samoan.
        rule = self._rules.get(name) or self._rules.get(key) or self._prefix_rule(key)
        if _SOUNDS.match(key) and in_brackets():
            return Rendered.SOUND
        if rule is drop or (rule is coordinates and in_brackets()):
            return Rendered.DROPPED
        if (rule in EDITORS_NOTES or (rule is None and name.endswith("?"))) and is_attached():
            return Rendered.DROPPED
        if rule:
            text = rule(*split(arguments))
            if text is None or (rule in _NOTES_ELSEWHERE and not is_word(text)):
                return Rendered.DROPPED
            return text
        if ":" in name and (value := evaluated(name, arguments, self._language)) is not None:
            return value
        if (shown := shown_by_name(name, arguments, self._language)) is not None:
            return shown
        if _QUOTATION.match(key) and (text := quotation(*split(arguments))):
            return text
        if _BOXES.match(key):
            return Rendered.DROPPED if _NOTE.match(key) else Rendered.UNKNOWN
        positional, named = split(arguments)
        items = lines(positional, named if _COLUMNS.match(key) else {})
        if _ITEMS.match(items) and not _NOTE.match(key):
            return items
        return Rendered.DROPPED if _NOTE.match(key) else Rendered.UNKNOWN

    def running_text(self, name: str, arguments: list[str]) -> str:
        """What an unknown template shows where it is part of a sentence; "" if that cannot be known."""
        return running_text(arguments, self._language, _SPACES.sub(" ", name).strip())

    def _prefix_rule(self, key: str) -> Rule | None:
        for prefix in self._prefixes.get(key[:2], ()):
            if key.startswith(prefix):
                return self._rules[prefix + "*"]
        return None


@cache
def _rules_of(language: str) -> tuple[Rules, dict[str, list[str]]]:
    """All rules by name, and the prefixes of names, longest first, by their first two letters."""
    rules = _COMMON | dates.rules_of(language) | separators.rules_of(language)
    rules |= languages.RULES.get(language, {}) | flag_rules(language)
    rules = with_latin_names(rules) if language == "sr" else rules
    prefixes: dict[str, list[str]] = {}
    for prefix in sorted((name[:-1] for name in rules if name.endswith("*") and len(name) > 2), key=len)[
        ::-1
    ]:
        prefixes.setdefault(prefix[:2], []).append(prefix)
    return rules, prefixes
