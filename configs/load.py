"""From command-line arguments to a validated, typed dataclass; callers never see Hydra or OmegaConf.

Hydra composes `configs/<name>.yaml` with overrides that configs/overrides.py has checked. The result is
checked against a dataclass: types here, contradictory values by its own `__post_init__`. Every refusal is one
line that names the key and the choices.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException, ValidationError

from configs import describe, terminal
from configs import schema as schemas
from configs.describe import CONFIGS
from configs.errors import explained, report
from configs.files import expand, file_behind
from configs.interrupts import interrupted, raise_again
from configs.overrides import ConfigError, checked, meaning, quoted
from configs.plain_yaml import read_tree, refuse_interpolation
from configs.redact import redact_tree

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["CONFIGS", "ConfigError", "entry", "from_tree", "from_yaml", "load", "quoted", "save", "to_yaml"]
LOCAL = ("corpora", "run", "output", "to", "folder")  # keys that name a place here; some verbs take URLs
NO_MEMORY = (
    "out of memory: this machine has too little free, or a limit allows too little (ulimit -v, the job's); "
    "free some or raise the limit, and run the same command again"
)
T = TypeVar("T")


def load(name: str, schema: type[T], overrides: list[str]) -> T:
    """Compose `configs/<name>.yaml` with `key=value` overrides into an instance of `schema`.

    Raises ConfigError with one line for anything that the schema does not allow.
    """
    if "--help" in overrides or "-h" in overrides:
        print(describe.page(name, schema.__module__, schema.__name__))
        raise SystemExit(0)
    typed, overrides = overrides, checked(name, schema, overrides)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
            composed = compose(config_name=name, overrides=overrides, return_hydra_config=True)
        HydraConfig.instance().set_config(composed)  # so that ${hydra:runtime.choices…} resolves
        composed = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        OmegaConf.resolve(composed)
    except OmegaConfBaseException as error:  # the user's interpolation
        word = next((argument for argument in typed if "${" in argument), error.full_key or name)
        raise ConfigError(f"{word}: {_first_line(error)}") from None
    except HydraException as error:
        raise ConfigError(_composing(error, typed)) from None
    return _to_dataclass(composed, schema, name)


def to_yaml(config: "DataclassInstance") -> str:
    """A config dataclass as YAML without secrets; equal values give equal text."""
    return yaml.safe_dump(redact_tree(asdict(config)), sort_keys=False, allow_unicode=True)


def save(config: "DataclassInstance", path: Path) -> None:
    """Write `to_yaml` to `path`."""
    path.write_text(to_yaml(config))


def from_yaml(path: Path, schema: type[T]) -> T:
    """Read back what `save` wrote. Raises ConfigError if the file does not fit `schema`."""
    try:
        tree = read_tree(path)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise ConfigError(f"{path}: not a readable config ({why or _first_line(error)})") from None
    try:
        return from_tree(tree, schema)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def from_tree(tree: object, schema: type[T]) -> T:
    """A config dataclass from its `asdict`, an older version's too. Raises ConfigError if it does not fit."""
    if not isinstance(tree, dict):
        raise ConfigError("not a readable config (expected a mapping of keys to values)")
    try:
        refuse_interpolation(tree)
        return _to_dataclass(OmegaConf.create(tree), schema)
    except (OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"not a readable config ({_first_line(error)})") from None


def entry(
    verb: Callable[[list[str]], int | None],
    argv: list[str] | None,
    errors: tuple[type[Exception], ...] = (),
) -> int:
    """Run a verb; the user's mistakes (ConfigError and `errors`) become one line and exit code 1.

    So do a full disk, missing rights and memory that runs out. Ctrl-C is one line and exit code 130. Under
    torchrun, where every rank meets the same mistake, the first rank of each node prints the line.
    """
    terminal.accept_any_text()
    raise_again()
    arguments = sys.argv[1:] if argv is None else argv
    try:
        return verb(expand(arguments)) or 0
    except (ConfigError, *errors) as error:
        report(error, file_behind(str(error), arguments))
        return 1
    except KeyboardInterrupt:
        return interrupted()
    except BrokenPipeError:  # `relama explain … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if explained(error) is None:
            raise
        report(error)
        return 1
    except MemoryError:
        report(MemoryError(NO_MEMORY))
        return 1
    except BaseException as error:
        # torch's checkpoints wrap what any rank raised, Ctrl-C too.
        wrapped = [failure for failure, *_ in getattr(error, "failures", {}).values()]
        if any(isinstance(failure, KeyboardInterrupt) for failure in wrapped):
            return interrupted()
        raise


def _to_dataclass(composed: DictConfig, schema: type[T], verb: str = "") -> T:
    known, branches = schemas.leaves(schema), schemas.branches(schema)
    for key in branches:
        value = OmegaConf.select(composed, key)
        if value is not None and not isinstance(value, DictConfig):
            parts = ", ".join(name for name in known if name.startswith(f"{key}."))
            raise ConfigError(f"{key}={value}: not a value but a group of keys: {parts}")
    for key in (key for key, kind in known.items() if schemas.is_mapping_of_scalars(kind)):
        entries = OmegaConf.select(composed, key)
        for name, value in entries.items() if isinstance(entries, DictConfig) else ():
            if isinstance(value, DictConfig | ListConfig):  # which OmegaConf lets through
                raise ConfigError(f"{key}.{name}={value}: expected {schemas.item_of(known[key])}")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), composed)
        for key in sorted(OmegaConf.missing_keys(merged)):
            what = f" ({meant})" if verb and (meant := meaning(verb, schema, key)) else ""
            raise ConfigError(f"{key}: is required; give {key}=…{what}")
        config = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        raise ConfigError(schemas.unknown_key(error.full_key or str(error.key), schema)) from None
    except OmegaConfBaseException as error:
        raise ConfigError(_type_line(error, known)) from None
    except ValueError as error:  # a dataclass's own __post_init__; a value may hold newlines
        raise ConfigError(" ".join(str(error).split())) from None
    assert isinstance(config, schema)
    for key in (key for key in known if key.rpartition(".")[2] in LOCAL):
        value = attrgetter(key)(config)
        if key == "corpora" and hasattr(config, "cache"):  # this verb reads tokens, from buckets too
            continue
        if key in getattr(schema, "URLS", ()):
            continue
        if key == "run" and value == "":
            raise ConfigError("run=: expected a run's name (run=NAME: runs/NAME)")
        if isinstance(value, str) and _has_surrogates(value):
            raise ConfigError(f"{key}={value}: not UTF-8; choose another name")
        if isinstance(value, str) and "://" in value:
            raise ConfigError(f"{key}={value}: expected a local folder; copy it to one, or mount the bucket")
    return config


def _has_surrogates(value: str) -> bool:
    """Whether the shell passed bytes that are not UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _type_line(error: OmegaConfBaseException, known: dict[str, object]) -> str:
    """A value of the wrong type: the key, the value and the type expected."""
    key = error.full_key or str(error.key)
    if isinstance(error, ValidationError):
        value = "null" if str(error.value) == "None" else error.value  # may be a node that holds None
        if key in known:
            return f"{key}={value}: expected {schemas.described(known[key])}"
        for parent in (
            key.partition("[")[0],
            key.rpartition(".")[0],
        ):  # of a list item or dict entry
            if parent in known:
                return f"{key}={value}: expected {schemas.item_of(known[parent])}"
    return f"{key}: {_first_line(error)}"


def _composing(error: Exception, typed: list[str]) -> str:
    """What kept Hydra from composing, with how to go on if a dict has a key that its group lacks."""
    line = _first_line(error)
    group = line.removeprefix("Could not override '").removesuffix("'.")
    word = next((argument for argument in typed if argument.startswith(f"{group}={{")), None)
    if word is None:
        return line
    return f"{word}: has a key that configs/{group} does not list; give each key alone: {group}.KEY=VALUE"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
