"""The tables of templates: those that all Wikipedias share (common.py) and those of each language."""

from data.sources.wikipedia.templates.languages import (
    cyrillic,
    eastern,
    english,
    french,
    germanic,
    labels,
    romance,
)
from data.sources.wikipedia.templates.patterns import Rules

RULES: dict[str, Rules] = (
    english.RULES | french.RULES | germanic.RULES | romance.RULES | eastern.RULES | cyrillic.RULES
)
RULES |= {language: RULES[language] | labels.RULES[language] for language in labels.RULES}

__all__ = ["RULES"]
