"""From the words on a command line to a validated, typed dataclass; Hydra stops here.

`configs/<name>.yaml` is composed with the overrides by Hydra, then checked against a dataclass:
unknown keys (also with `+`), wrong types and unknown groups are refused in one line that names
the key and the choices. Contradictory values are refused by the dataclasses' own `__post_init__`.
"""

import difflib
import os
import re
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import TypeVar, get_origin, get_type_hints

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from configs.redact import redact, redact_tree

CONFIGS = Path(__file__).resolve().parent
T = TypeVar("T")


class ConfigError(Exception):
    """One line that names the key, what is wrong with it and the choices."""


def load(name: str, schema: type[T], overrides: list[str]) -> T:
    """Compose `configs/<name>.yaml` with `key=value` overrides into an instance of `schema`.

    Raises ConfigError with one line for anything that the schema does not allow.
    """
    if "--help" in overrides or "-h" in overrides:
        print(_help(name, schema))
        raise SystemExit(0)
    _refuse_words_without_equals(overrides)
    # A key that the schema knows may be given whether or not the YAML mentions it (Hydra's ++).
    known = dict(_leaves(schema))
    mappings = tuple(f"{key}." for key, kind in known.items() if get_origin(kind) is dict)
    texts = {key for key, kind in known.items() if kind in (str, str | None)}
    overrides = [_as_text(word) if word.partition("=")[0] in texts else word for word in overrides]
    overrides = [
        f"++{word}" if word.partition("=")[0] in known or word.startswith(mappings) else word
        for word in overrides
    ]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
            composed = compose(config_name=name, overrides=overrides, return_hydra_config=True)
        HydraConfig.instance().set_config(composed)  # so that ${hydra:runtime.choices…} resolves
        composed = OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])
        OmegaConf.resolve(composed)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_hydra_line(error, schema)) from None
    return _to_dataclass(composed, schema)


def save(config: object, path: Path) -> None:
    """Write a config dataclass as YAML, the same text for the same values, without secrets."""
    path.write_text(yaml.safe_dump(redact_tree(asdict(config)), sort_keys=False, allow_unicode=True))


def from_yaml(path: Path, schema: type[T]) -> T:
    """Read back what `save` wrote. Raises ConfigError if the file does not fit `schema`."""
    try:
        composed = OmegaConf.load(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a readable config ({_first_line(error)})") from None
    if not isinstance(composed, DictConfig):
        raise ConfigError(f"{path}: expected a mapping of keys to values")
    return _to_dataclass(composed, schema)


def entry(verb: Callable[[list[str]], int | None], argv: list[str] | None, errors: tuple = ()) -> int:
    """Run a verb; the user's mistakes (ConfigError and `errors`) become one line and exit code 1.

    Under torchrun every rank meets the same mistake: the first rank of each node says it.
    """
    try:
        return verb(sys.argv[1:] if argv is None else argv) or 0
    except (ConfigError, *errors) as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            where = f" [{socket.gethostname()}]" if os.environ.get("GROUP_RANK", "0") != "0" else ""
            print(
                f"relama: error{where}: {redact(' '.join(str(error).split()))}", file=sys.stderr, flush=True
            )
        return 1
    except BrokenPipeError:  # `relama explain … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _to_dataclass(composed: DictConfig, schema: type[T]) -> T:
    for key, kind in get_type_hints(schema).items():
        if is_dataclass(kind) and key in composed and not isinstance(composed[key], DictConfig):
            parts = ", ".join(f"{key}.{field.name}" for field in fields(kind))
            raise ConfigError(f"{key}={composed[key]}: not a value but a group of keys: {parts}")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), composed)
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            raise ConfigError(f"{missing[0]}: is required; give {missing[0]}=…")
        return OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        raise ConfigError(_unknown_key(error.full_key or str(error.key), schema)) from None
    except OmegaConfBaseException as error:
        key = error.full_key or error.key
        expected = _type_at(schema, key) if key else ""
        raise ConfigError(f"{key}: {_first_line(error)}{expected}") from None
    except ValueError as error:  # a dataclass's own __post_init__
        raise ConfigError(_first_line(error)) from None


def _help(name: str, schema: type) -> str:
    lines = [f"keys of configs/{name}.yaml (give key=value):", ""]
    for key, kind in _leaves(schema):
        lines.append(f"  {key:<36}{getattr(kind, '__name__', None) or str(kind).replace('typing.', '')}")
    for group in _groups(name):
        choices = ", ".join(sorted(path.stem for path in (CONFIGS / group).glob("*.yaml")))
        lines.append(f"  {group + ' (group)':<36}{choices}")
    return "\n".join(lines)


def _groups(name: str) -> list[str]:
    defaults = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()).get("defaults", [])
    return [group for entry in defaults if isinstance(entry, dict) for group in entry]


def quoted(value: str) -> str:
    """A text in Hydra's words: it reads back as it is, whatever its characters."""
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + "\\'" * bool(found[2]), value) + "'"


def _as_text(word: str) -> str:
    """`output=/tmp/a,b` quoted for Hydra's parser, unless it is null, an interpolation or quoted already."""
    key, _, value = word.partition("=")
    is_quoted = len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
    if value.lower() in ("", "null") or "${" in value or is_quoted:
        return word
    return f"{key}={quoted(value)}"


def _refuse_words_without_equals(overrides: list[str]) -> None:
    for word in overrides:
        if "=" not in word or word.startswith(("~", "-")):
            raise ConfigError(f"{word!r}: expected key=value (for example steps=100)")


def _hydra_line(error: Exception, schema: type) -> str:
    text = str(error)
    if isinstance(error, OverrideParseException):
        word = error.override.removeprefix("++")
        return (
            f"{word}: not readable as key=value ({_first_line(error)}); quote special characters: key=\"'…'\""
        )
    missing = re.search(r"Could not find '([^']+)'", text)
    if missing:
        group, _, choice = missing[1].rpartition("/")
        folder = CONFIGS / group
        if group and folder.is_dir():
            choices = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
            return f"{group}={choice}: no such choice; {group} is one of: {choices}"
    unknown = re.search(r"Could not (?:override|append to config|delete from config)[^']*'([^'=]+)", text)
    if unknown:
        return _unknown_key(unknown[1].lstrip("+~"), schema)
    group = re.search(r"Could not override '([^'@]+)'", text)
    if group:
        return _unknown_key(group[1], schema)
    return _first_line(error)


def _unknown_key(key: str, schema: type) -> str:
    known = dict(_leaves(schema))
    parent = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    if not parent or not siblings:
        siblings = [field.name for field in fields(schema)]
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.75)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{key}: unknown key; {hint}the choices are: {', '.join(siblings)}"


def _leaves(schema: type, prefix: str = "") -> list[tuple[str, object]]:
    hints = get_type_hints(schema)
    found = []
    for field in fields(schema):
        name, kind = prefix + field.name, hints[field.name]
        found += _leaves(kind, name + ".") if is_dataclass(kind) else [(name, kind)]
    return found


def _type_at(schema: type, key: str) -> str:
    kind = dict(_leaves(schema)).get(key)
    return f" (expected {getattr(kind, '__name__', kind)})" if kind else ""


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
