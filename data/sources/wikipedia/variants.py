"""Reads `-{…}-`, the markup for Serbian's two scripts, as LanguageConverter does in the page's script.

Source: https://www.mediawiki.org/wiki/Writing_systems/Syntax.
"""

import re

from data.sources.wikipedia.marks import GONE

_MARKUP = re.compile(r"-\{([^{}]*)\}-")
_FLAGS = re.compile(
    r"\s*+([A-Z-]|[a-z-]{2,10}(?:\s*+;\s*+[a-z-]{2,10})*|[A-Z](?:\s*+;\s*+[A-Z])*)?\s*+\|", re.ASCII
)
_RULE = re.compile(
    r"(?:^|;)\s*+(?:[^;:=]*+=>)?\s*+(sr(?:-ec|-el|-cyrl|-latn)?|[a-z]{2,3}(?:-[a-z]++)?)\s*+:", re.ASCII
)
_ORDER = ("sr", "sr-ec", "sr-cyrl", "sr-el", "sr-latn")  # the default variant, then its fallbacks
_HIDDEN = set("HT-DN")  # rules and titles for the page, removed rules, descriptions, names


def converted(text: str) -> str:
    """The text with each conversion replaced by the default variant's text."""
    return _MARKUP.sub(lambda found: _shown(found[1]), text) if "-{" in text else text


def _shown(content: str) -> str:
    flags = _FLAGS.match(content)
    if flags:
        content = content[flags.end() :]
        given = set(re.split(r"[\s;]+", flags[1] or ""))
        if given & _HIDDEN:
            return GONE
        if "R" in given:
            return content
    rules = list(_RULE.finditer(content))
    if not rules or content[: rules[0].start()].strip():
        return content
    ends = [*(rule.start() for rule in rules[1:]), len(content)]
    texts = {rule[1]: content[rule.end() : end].rstrip("; ").strip() for rule, end in zip(rules, ends)}
    return next((texts[variant] for variant in _ORDER if variant in texts), next(iter(texts.values())))
