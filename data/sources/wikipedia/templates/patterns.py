"""The syntax of the template tables, and their compiler.

A line is `name | name → pattern`; a line without an arrow continues on the next. A name ending in `*` covers
all names with that beginning. In a pattern:

- `{1}` is the first positional argument, `{text}` a named one, `{text,1}` the first of these that is given;
- `{2=e}` has a default;
- `{*}` is all positional arguments joined by spaces, `{*:, }` by commas, `{1-3: }` the first three;
- `[…]` is left out if any argument in it is empty; if nothing is left, the template is dropped;
- `@name` is a function of rules.py;
- `␣` is a space at either end; an empty pattern leaves nothing, so that the texts on either side join.
"""

import re
from collections.abc import Callable, Mapping

from data.sources.wikipedia.marks import literal

Rule = Callable[[list[str], dict[str, str]], str | None]  # positional, named → text, or None to drop
Rules = dict[str, Rule]

_FIELD = re.compile(r"\{(\*|\d+-\d+|[^{}:=]+)(?::([^{}]*)|=([^{}]*))?\}")
_OPTION = re.compile(r"\[([^\[\]]*)\]")


def compiled(table: str, functions: Mapping[str, Rule]) -> Rules:
    """A rule for each name in the table. Raises KeyError for an unknown function."""
    rules: Rules = {}
    names = ""
    for line in table.strip().split("\n"):
        if line.lstrip().startswith("#"):
            continue
        before, arrow, pattern = line.partition("→")
        names += before
        if arrow:
            pattern = pattern.strip().replace("␣", " ")
            rule = functions[pattern[1:]] if pattern.startswith("@") else _rule(pattern)
            rules |= dict.fromkeys(filter(None, (name.strip() for name in names.split("|"))), rule)
            names = ""
    return rules


def dropped(names: str) -> Rules:
    """For each name in the list, the rule that drops the template."""
    return dict.fromkeys(filter(None, (name.strip() for name in names.replace("\n", " ").split("|"))), drop)


def drop(positional: list[str], named: dict[str, str]) -> None:
    """The rule of templates that leave no text."""
    return None


def _rule(pattern: str) -> Rule:
    parts = []  # (pattern, whether it is left out if a field is empty)
    place = 0
    for found in _OPTION.finditer(pattern):
        parts += [(pattern[place : found.start()], False), (found[1], True)]
        place = found.end()
    parts.append((pattern[place:], False))
    pieces = [(*_fields(text), optional) for text, optional in parts if text]
    if all(not fields for _, fields, _ in pieces):
        constant = "".join(texts[0] for texts, _, _ in pieces)
        return lambda positional, named: constant

    def rule(positional: list[str], named: dict[str, str]) -> str | None:
        out = []
        for texts, fields, optional in pieces:
            values = [field(positional, named) for field in fields]
            if not optional or all(values):
                out += [text + value for text, value in zip(texts, [*values, ""])]
        return "".join(out) or None

    return rule


def _fields(text: str) -> tuple[list[str], list[Callable[[list[str], dict[str, str]], str]]]:
    texts, fields, place = [], [], 0
    for found in _FIELD.finditer(text):
        texts.append(literal(text[place : found.start()]))
        fields.append(_field(found[1], found[2], found[3] or ""))
        place = found.end()
    return [*texts, literal(text[place:])], fields


def _field(name: str, between: str | None, default: str) -> Callable[[list[str], dict[str, str]], str]:
    if name == "*" or re.fullmatch(r"\d+-\d+", name):
        first, last = (1, 99) if name == "*" else map(int, name.split("-"))
        joint = " " if between is None else between
        return lambda positional, named: joint.join(filter(None, positional[first - 1 : last]))
    keys = [key.strip() for key in name.split(",")]

    def field(positional: list[str], named: dict[str, str]) -> str:
        for key in keys:
            if key.isdecimal():
                value = positional[int(key) - 1] if int(key) <= len(positional) else ""
            else:
                value = named.get(key, "")
            if value:
                return value
        return default

    return field
