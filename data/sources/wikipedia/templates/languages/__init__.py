"""The tables of templates: those that all Wikipedias share (common.py) and those of each language."""

from data.sources.wikipedia.templates.languages import cyrillic, eastern, english, french, germanic, romance

RULES = english.RULES | french.RULES | germanic.RULES | romance.RULES | eastern.RULES | cyrillic.RULES

__all__ = ["RULES"]
