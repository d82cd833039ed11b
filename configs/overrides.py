"""The `key=value` arguments of a command, checked against its dataclass and written as Hydra reads them.

A key must exist, a group's choice must be a file of that group, and a value must parse. All of it is checked
here, so that nobody has to understand Hydra's messages. Texts and lists are taken as the shell gives them:
`output=/tmp/a,b`, `data.sources=c4,books`, `input={a,b}.txt`.
"""

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import fields

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from configs import describe
from configs import schema as schemas

# The key to use instead, for a path given to a group.
_PATHS = {
    "model": "to start from weights, give init=PATH (train) or weights=PATH",
    "data": "for your own text: data=text input=PATH (train), or relama prepare recipe=text source=NAME "
    "input=PATH, then data.weights.NAME=1 data.sources=NAME",
}
SUGGESTED = 3  # choices; instead of more, the full list is as useful
_SEVERAL = ("logger",)  # groups that take several choices: logger=wandb,tensorboard


class ConfigError(Exception):
    """One line that names the key, what is wrong with it and the choices."""

    is_final = True  # no restart changes it


def checked(name: str, schema: type, arguments: list[str], also: Iterable[str] = ()) -> list[str]:
    """The arguments as overrides of `configs/<name>.yaml`. Raises ConfigError for the first wrong one.

    `also`: other keys of the command, to suggest for an unknown one.
    """
    groups, parser = groups_of(name), OverridesParser.create()
    found = []
    for before, argument in zip(["", *arguments], arguments):
        if hint := _of_the_one_before(before, argument, schema, groups):
            raise ConfigError(f"{argument!r}: expected key=value{hint}")
        written = _checked(argument, schema, groups, parser, also)
        key, _, value = written.lstrip("+").partition("=")
        if value in ("", "[]") and argument[-1] != "]" and schemas.needs_value(schema, key):
            what = f" ({meant})" if (meant := meaning(name, schema, key)) else ""
            raise ConfigError(f"{key}=: empty; expected a value{what}")
        found.append(_with_earlier(found, written, argument))
    return found


def as_key(key: str, arguments: list[str]) -> list[str]:
    """The arguments of a verb that takes one run: `run=` and `weights=` both name it, and become `key=`.

    Raises ConfigError if both are given.
    """
    naming = [arg for arg in arguments if arg.startswith(("run=", "weights="))]
    if len({arg.partition("=")[0] for arg in naming}) > 1:
        raise ConfigError(f"{naming[0]} {naming[1]}: both name the run; give one of them")
    return [f"{key}={arg.partition('=')[2]}" if arg in naming else arg for arg in arguments]


def groups_of(name: str) -> dict[str, list[str]]:
    """The config groups of `configs/<name>.yaml`, each with its choices."""
    listed = _read(name).get("defaults", [])
    names = [group for entry in listed if isinstance(entry, dict) for group in entry]
    return {group: choices_of(group) for group in names}


def _read(name: str) -> dict:
    return yaml.safe_load((describe.CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))


def meaning(name: str, schema: type, key: str) -> str:
    """What a key means, as --help says it; empty if it says nothing."""
    keys = describe.keys(name, schema.__module__, schema.__name__)
    return next((each.meaning for each in keys if each.name == key), "")


def choices_of(group: str) -> list[str]:
    """The choices of a config group, by name."""
    return sorted(path.stem for path in (describe.CONFIGS / group).glob("*.yaml"))


def quoted(value: str) -> str:
    """A string in Hydra's grammar: it reads back unchanged, whatever its characters."""
    return (
        "'" + re.sub(r"(?<!\\)(\\*+)('|\Z)", lambda found: 2 * found[1] + "\\'" * bool(found[2]), value) + "'"
    )


def unquoted(value: str) -> str:
    """What `quoted` was given; any other value unchanged."""
    if len(value) < 2 or value[0] != "'" or value[-1] != "'":
        return value
    return str(OverridesParser.create().parse_override(f"key={value}").value())


def items_of(value: str) -> list[str]:
    """The keys of a value in braces, as Hydra reads it: `{a:1, b: 2}`."""
    return list(OverridesParser.create().parse_override(f"key={value}").value())  # type: ignore[arg-type]


def at_home(value: str) -> str:
    """`value` with a leading ~ expanded: shells do not expand one after an equals sign.

    Raises ConfigError for a user without a home folder, as in some containers.
    """
    if value != "~" and not value.startswith("~/"):
        return value
    if (found := os.path.expanduser(value)) == value:
        raise ConfigError(f"{value}: this user has no home folder; give a path without ~, or set HOME")
    return found


def _checked(
    argument: str, schema: type, groups: dict[str, list[str]], parser: OverridesParser, also: Iterable[str]
) -> str:
    key, equals, value = argument.partition("=")
    if not equals or not key or argument.startswith(("~", "-")):
        raise ConfigError(f"{argument!r}: expected key=value{_instead(argument, schema, groups)}")
    key = key.lstrip("+")
    known = schemas.leaves_near(schema, key)
    meant = _number(value, is_whole=known.get(key) in (int, int | None))
    if meant and key in known and schemas.is_number(known[key]):
        expected = schemas.described(known[key])
        if "." not in meant or "number" in expected:  # 0,5 is not an integer
            raise ConfigError(f"{key}={value}: expected {expected} in digits: {key}={meant}")
    if key in groups:
        return _choice(key, value, groups[key], parser)
    if key in known:
        if key != "prompt":
            value = at_home(value)
        written = f"++{key}={_as_hydra(known[key], value)}"
    elif any(key.startswith(f"{name}.") and schemas.is_mapping(kind) for name, kind in known.items()):
        written = f"++{key}={value}"
    elif key in schemas.branches(schema):
        if not value.startswith("{"):
            parts = ", ".join(name for name in known if name.startswith(f"{key}."))
            raise ConfigError(f"{key}={value}: not a value but a group of keys: {parts}")
        written = f"++{key}={value}"
    else:
        raise ConfigError(schemas.unknown_key(key, schema, (*groups, *also)))
    if _parsed(written, key, value, parser, known.get(key)).is_sweep_override():
        several = "; relama train --multirun trains a run for each of several" if "optim.lr" in known else ""
        raise ConfigError(f"{key}={value}: expected one value{several}")
    return written


def _with_earlier(found: list[str], written: str, argument: str) -> str:
    """`written`, plus any earlier list of its key: a shell turns `input={a,b}.txt` into two arguments.

    A list in brackets replaces the earlier one, as in Hydra.
    """
    key, _, value = written.partition("=")
    is_plain_list = value.startswith("[") and not argument.endswith(f"={value}")
    earlier = next((each for each in reversed(found) if each.startswith(f"{key}=")), "")
    if not is_plain_list or not earlier.startswith(f"{key}=["):
        return written
    items = [each.partition("=")[2][1:-1] for each in (earlier, written)]
    return f"{key}=[{','.join(filter(None, items))}]"


def _of_the_one_before(before: str, argument: str, schema: type, groups: Iterable[str]) -> str:
    """How to write a word that belongs to the argument before it: more of its text, or a list's next item."""
    key, equals, value = before.partition("=")
    known = schemas.leaves_near(schema, key)
    kind, whole = known.get(key), f"{value} {argument}"
    if not equals or "=" in argument or argument.startswith("-") or argument in (*known, *groups):
        return ""
    if schemas.list_of(kind) and not os.path.exists(whole):
        return f"; separate several values with commas: {key}={value},{argument}"
    if schemas.list_of(kind) or (schemas.is_text(kind) and not os.path.exists(argument)):
        return f'; a value with spaces needs quotes: {key}="{whole}"'
    return ""


def _instead(argument: str, schema: type, groups: Iterable[str]) -> str:
    """How to write what was meant by an argument that is not key=value."""
    key, equals, value = argument.lstrip("-").partition("=")
    keys = [field.name for field in fields(schema)]
    known = [*schemas.leaves(schema), *schemas.branches(schema), *groups, "config"]
    if argument.startswith("-") and key:
        key = key.replace("-", "_")
        if key not in known:
            near = schemas.meant(key, known)
            if len(near) != 1:
                return f" without dashes; {schemas.unknown_key(key, schema, tuple(groups))}"
            key = near[0]
        return f" without dashes: {key}={value or '…'}"
    name, colon, rest = key.partition(":")
    if colon and name in (*keys, *groups):
        return f" with an equals sign: {name}={rest.strip() or '…'}"
    if key in (*keys, *groups) and not equals:
        return f" without spaces: {key}=…"
    if argument.endswith((".yaml", ".yml")):
        return f", such as config={argument}"
    required = next((field.name for field in fields(schema) if schemas.is_required(field)), None)
    exists = os.path.exists(argument)
    if exists and required is None and (reason := schemas.absent("input", known)):
        return f"; {reason}"
    if exists and "input" in keys:
        return f", such as {'data=text' if 'steps' in keys else 'recipe=…'} input={argument}"
    if group := next((group for group in groups if argument in choices_of(group)), None):
        return f", such as {group}={argument}"
    plain = [key for key in keys if key not in (*groups, *schemas.branches(schema))]
    usual = required or next((key for key in ("recipe", "steps") if key in keys), plain[0])
    is_meant = (exists and usual != "steps") or required or usual == "recipe"
    return f", such as {usual}={argument if is_meant and not argument.startswith('-') else '…'}"


def _number(value: str, is_whole: bool) -> str | None:
    """In digits, what was written as 10k, 1,000, 0,001 or, for an integer, 1e3; None for anything else."""
    if is_whole and re.fullmatch(r"\d(\.\d+)?[eE]\+?1?\d|\d+\.0", value):  # YAML's 1e9 is 1000000000.0
        return f"{float(value):.0f}" if float(value).is_integer() else None
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMbBtT])", value):
        number = float(found[1]) * {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}[found[2].lower()]
        return f"{number:.0f}" if number == int(number) else None
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+", value):
        return value.replace(",", "")
    return value.replace(",", ".") if re.fullmatch(r"0,\d+", value) else None


def _choice(group: str, value: str, choices: list[str], parser: OverridesParser) -> str:
    """`model=7b`; or a dict of keys, `parallel={tp:2}`; or several choices, `logger=wandb,tensorboard`."""
    if group in _SEVERAL and "," in value and not value.startswith("{"):
        parts = [part.strip() for part in value.strip("[]").split(",")]
        if wrong := [part for part in parts if part not in choices]:
            raise ConfigError(
                f"{group}={value}: no choice {wrong[0]!r}; {group} is one or more of: {', '.join(choices)}"
            )
        return f"{group}=[{','.join(parts)}]"
    if value.startswith("{"):
        _parsed(f"{group}={value}", group, value, parser)
    elif value.strip("'\"") not in choices:
        raise ConfigError(f"{group}={value}: no such choice; {_meant(group, value, choices)}")
    return f"{group}={value}"


def _meant(group: str, value: str, choices: list[str]) -> str:
    """What to type instead of a choice that does not exist."""
    listed = f"{group} is one of: {', '.join(choices)}"
    if group in _PATHS and (os.sep in value or os.path.exists(value)):
        return f"{listed}; {_PATHS[group]}"
    if group == "data" and value in _read("data/mix")["weights"]:
        return f"{listed}; for this source alone: data=mix data.sources={value}"
    value = value.lower()
    alike = [choice for choice in choices if _holds(choice, value) or _holds(value, choice)]  # 70b, llama-7b
    if value in choices:
        alike = [value]
    near = alike or difflib.get_close_matches(value, choices, n=1, cutoff=0.7)
    return f"did you mean {' or '.join(near)}? {listed}" if 0 < len(near) <= SUGGESTED else listed


def _holds(text: str, word: str) -> bool:
    """Whether the parts of `word`, split at hyphens and the like, follow one another in `text`."""
    inner, outer = (f"-{re.sub(r'[^a-z0-9]+', '-', each)}-" for each in (word, text))
    return inner in outer


def _parsed(written: str, key: str, value: str, parser: OverridesParser, kind: object = str):
    try:
        return parser.parse_override(written)
    except HydraException:
        if schemas.is_number(schemas.list_of(kind) or kind) or kind is bool:  # quotes would not help
            raise ConfigError(f"{key}={value}: expected {schemas.described(kind)}") from None
        raise ConfigError(
            f"{key}={value}: not readable as key=value; quote special characters: {key}=\"'…'\""
        ) from None


def _as_hydra(kind: object, value: str) -> str:
    """`value` for Hydra's parser: strings are quoted, and commas separate a list's items.

    null, an interpolation, a quoted text and a list in brackets keep their meaning in Hydra.
    """
    item = schemas.list_of(kind)
    if value.lower() == "null" or ("${" in value and (item is None or value.startswith("["))):
        return value
    is_path = item is str and os.path.exists(value)  # one path, commas included
    if item is not None and (is_path or not value.startswith("[")):
        parts = [value] if is_path else value.split(",")
        parts = [at_home(part.strip()) for part in parts if part.strip()]
        return f"[{','.join(_text(part) if item is str else part for part in parts)}]"
    return _text(value) if schemas.is_text(kind) and value else value


def _text(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
    return value if is_quoted else quoted(value)
