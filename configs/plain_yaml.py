"""YAML files that may come from anyone: values only, so that reading one cannot hang or leak a secret."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from configs import regular_file

MAX_BYTES = 1 << 20  # a config has a few thousand
MAX_VALUES = 100_000  # with aliases, a few lines can make a billion


def read_tree(path: Path) -> object:
    """The values in a YAML file. Raises OSError, yaml.YAMLError, RecursionError, or ValueError in a few words
    for `${…}`, which could read the environment, and for aliases that expand without end."""
    text = regular_file.content(path, MAX_BYTES).decode()
    tree = yaml.safe_load(text)
    refuse_interpolation(tree)
    if not isinstance(tree, dict):
        return tree
    try:
        return OmegaConf.to_container(OmegaConf.create(text))  # reads 1e-3 as a number
    except OmegaConfBaseException as error:
        raise ValueError(str(error).splitlines()[0]) from None


def unread(error: Exception) -> str:
    """Why a file is not YAML or cannot be read, in a few words."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text"
    mark = getattr(error, "problem_mark", None)
    problem = (getattr(error, "problem", None) or str(error).splitlines()[0]).removeprefix("but ")
    return f"line {mark.line + 1}: {problem}" if mark else problem


def refuse_interpolation(tree: object) -> None:
    """Raises ValueError for `${…}` anywhere in a tree, and for more than MAX_VALUES values."""
    for number, value in enumerate(_values(tree)):
        if number > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES:,} values")
        if isinstance(value, str) and "${" in value:
            raise ValueError(f"it refers to another value ({value[:60]!r}); write the value itself")


def _values(tree: object) -> Iterator[object]:
    yield tree
    if isinstance(tree, dict | list):
        for item in tree if isinstance(tree, list) else (*tree.keys(), *tree.values()):
            yield from _values(item)
