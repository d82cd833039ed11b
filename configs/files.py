"""`config=FILE`, for every verb: keys from a YAML file, as if they had been typed before all others.

The file may nest its keys (`optim: {lr: 0.001}`) or not (`optim.lr: 0.001`); a run's own config.yaml fits.
What is typed wins, and a group that is typed (`model=7b`) replaces all that the file says about it.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import yaml

from configs.describe import CONFIGS
from configs.overrides import ConfigError, at_home, quoted
from configs.plain_yaml import read_tree, unread
from configs.redact import MASK

KEY = "config"


def expand(arguments: list[str]) -> list[str]:
    """The arguments with each `config=FILE` replaced by the file's keys. Raises ConfigError."""
    files = [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{KEY}=")]
    if not files:
        return arguments
    if "" in files:
        raise ConfigError(f"{KEY}=: empty; expected a YAML file of keys")
    typed = [argument for argument in arguments if not argument.startswith(f"{KEY}=")]
    # status and stop of `relama launch` come before all keys
    first = next((place for place, argument in enumerate(typed) if "=" in argument), len(typed))
    for file in reversed(files):
        typed[first:first] = _without(words_of(_read(Path(at_home(file)))), typed)
    return typed


def file_behind(line: str, arguments: list[str]) -> str:
    """`config=FILE: ` if the key that an error's line begins with was given by that file; otherwise empty."""
    key = re.split("[=:]", line, maxsplit=1)[0]
    files = [argument for argument in arguments if argument.startswith(f"{KEY}=")]
    typed = [argument for argument in arguments if argument not in files]
    for file in reversed(files):
        with suppress(ConfigError):  # it may not be readable any more
            if any(word.startswith((f"{key}=", f"{key}.")) for word in _without(expand([file]), typed)):
                return f"{file}: "
    return ""


def changed(tree: dict, typed: list[str]) -> list[str]:
    """The arguments that give the config `tree`, with typed values in place of its own."""
    return [*_without(words_of(tree), typed), *typed]


def _without(arguments: list[str], later: list[str]) -> list[str]:
    """The arguments that no later one replaces."""
    keys = [argument.partition("=")[0] for argument in later]
    return [
        argument
        for argument in arguments
        if not any(argument.startswith((f"{key}=", f"{key}.")) for key in keys)
    ]


def _read(path: Path) -> dict:
    try:
        found = read_tree(path)
    except (OSError, UnicodeDecodeError) as error:
        why = f"{KEY}={path}: cannot be read ({unread(error)})"
        raise ConfigError(f"{why}; expected a YAML file of keys") from None
    except (yaml.YAMLError, RecursionError) as error:
        why = f"{KEY}={path}: not readable as YAML ({unread(error)})"
        raise ConfigError(f"{why}; expected KEY: VALUE lines") from None
    except ValueError as error:
        raise ConfigError(f"{KEY}={path}: {error}") from None
    if not isinstance(found, dict) or not found:
        raise ConfigError(f"{KEY}={path}: {'' if found else 'empty; '}expected KEY: VALUE lines")
    if KEY in found:
        raise ConfigError(
            f"{KEY}={path}: it names another file ({KEY}: …); type {KEY}= once for each instead"
        )
    if masked := next((key for key, value in _flat(found, "") if MASK in _texts(value)), None):
        raise ConfigError(
            f"{KEY}={path}: {masked} was masked as a secret ({MASK}) when this file was written; write the "
            "value there, or type the key instead"
        )
    return found


def _texts(value: object) -> str:
    return " ".join(map(_texts, value)) if isinstance(value, list) else str(value)


def words_of(found: dict) -> list[str]:
    """The arguments that give the keys of a tree."""
    chosen = [
        f"{group}={keys['name']}"  # what the file does not say of this choice is the choice's own
        for group, keys in found.items()
        if isinstance(keys, dict) and (CONFIGS / group / f"{keys.get('name')}.yaml").is_file()
    ]
    return [*chosen, *(f"{key}={_written(value)}" for key, value in _flat(found, ""))]


def _flat(tree: dict, prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _written(value: object) -> str:
    """A value as an argument has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if value and value.isprintable() and value.replace("_", "").isalnum() else quoted(value)
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return str(value)
