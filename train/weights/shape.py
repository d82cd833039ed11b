"""model.yaml beside imported weights: their shape as keys, for `relama train config=FOLDER/model.yaml`."""

import shlex
from dataclasses import asdict
from pathlib import Path

import yaml

from configs.existence import is_file
from model.config import LlamaConfig

FILE = "model.yaml"


def write_shape(folder: Path, shape: LlamaConfig) -> None:
    """Write the file. The tokens decide on the vocabulary, so it is left out."""
    keys = {key: value for key, value in asdict(shape).items() if key != "vocab_size"}
    (folder / FILE).write_text(yaml.safe_dump({"model": keys}, sort_keys=False))


def to_train_from(folder: str) -> str:
    """What to type after `relama train` to start from the weights in `folder`."""
    return f"{_typed(folder)} init={shlex.quote(folder)}"


def shape_beside(weights: str | None) -> str:
    """What to type for the shape of these weights; empty if they have no file of it."""
    return _typed(weights) if weights and is_file(Path(weights) / FILE) else ""


def _typed(folder: str) -> str:
    return f"config={shlex.quote(f'{folder}/{FILE}')}"
