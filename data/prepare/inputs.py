"""Finds the recipe's module and its inputs from `recipe=` and `input=`."""

import importlib
import os
from pathlib import Path
from types import ModuleType

from data import remote
from data.clients.refusals import DENIED, refusal
from data.errors import DataError
from data.prepare.config import PrepareConfig


def recipe_module(config: PrepareConfig) -> ModuleType:
    """The recipe's module. Raises DataError if a package that it needs is not installed."""
    try:
        module = importlib.import_module(f"data.sources.{config.recipe}")
        for package in getattr(module, "NEEDS", ()):
            importlib.import_module(package)
        return module
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in ("data", "configs"):
            raise
        raise DataError(
            f"recipe={config.recipe}: needs the package {error.name} (pip install -e '.[data]')"
        ) from None


def find_inputs(config: PrepareConfig) -> list[Path]:
    """The inputs in order, without duplicates. Raises DataError."""
    module = recipe_module(config)
    try:
        found = [one for path in config.input for one in _inputs(module, path)]
    except DataError:
        raise
    except Exception as error:
        typed = f"input={','.join(config.input)}"
        is_remote = any(map(remote.is_remote, config.input))
        if is_remote and (how := refusal(error)):
            if how.startswith(DENIED) and any(path.startswith("s3://") for path in config.input):
                how += "; if its readers pay for this bucket, as for arXiv's, FSSPEC_S3_REQUESTER_PAYS=true"
            raise DataError(f"{typed}: {how}") from None
        if isinstance(error, OSError | ValueError | ImportError):
            raise DataError(f"{typed}: cannot be read ({error})") from None
        if is_remote:  # storage libraries raise errors of their own kinds
            raise DataError(
                f"{typed}: cannot be read ({error}); give credentials in the way that the storage's own "
                "tools expect (AWS_*, HF_TOKEN, ~/.netrc, …)"
            ) from None
        raise
    if found and all(map(_is_empty, found)):
        others = f", like {len(found) - 1:,} other inputs" if len(found) > 1 else ""
        raise DataError(f"input={found[0]}: empty (0 bytes){others}; give files with text in them")
    first: dict[str, Path] = {}
    for path in found:
        first.setdefault(_identity(path), path)
    together = getattr(module, "together", list)
    return together(list(first.values()))


def _inputs(module: ModuleType, path: str) -> list[Path]:
    if not remote.is_remote(path):
        return module.inputs(remote.place(path))
    with remote.waiting_for(path):
        return module.inputs(remote.place(path))


def _identity(path: Path) -> str:
    """The same for two names of one file."""
    return str(path) if remote.is_remote(path) else os.path.realpath(path)


def _is_empty(path: Path) -> bool:
    return not remote.is_remote(path) and path.is_file() and path.stat().st_size == 0
