"""What every format of weights shares: the model's shape, and any tensor of it, read when it is asked for.

A format is read by a function that checks a folder and returns `Weights`, and written by one that takes
`Weights`. Tensors cross one at a time, so no conversion holds more than the file that it writes.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from model.llama import Llama, LlamaConfig

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class FormatError(Exception):
    """Weights that cannot be read or written: one line with the file, what was expected and the mend."""


@dataclass(frozen=True)
class Weights:
    """A model's weights, wherever they lie."""

    path: Path
    config: LlamaConfig
    read: Callable[[str], Tensor]  # one tensor, whole and on the CPU, by its name in Meta's checkpoints
    tokenizer: Path | None = None  # the SentencePiece model that came with them
    step: int | None = None  # of our own checkpoints
    tokenizer_fingerprint: str | None = None  # of the tokenizer they were trained with, as they say


def parameter_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter, by name, in the model's order."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in Llama(config).named_parameters()}


def cast(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """`tensor` rounded once to `dtype`. Raises FormatError for a value that float16 cannot hold."""
    rounded = tensor.to(dtype)
    if dtype == torch.float16 and (rounded.isinf() & ~tensor.isinf()).any():
        raise FormatError(
            f"{name}: holds {tensor.abs().max().item():g}, and float16 ends at 65504; give dtype=bfloat16"
        )
    return rounded


def rotary_frequencies(config: LlamaConfig) -> Tensor:
    """theta^(-2j/head_dim), float32 (head_dim / 2,)."""
    return config.rope_theta ** (-torch.arange(0, config.head_dim, 2).float() / config.head_dim)


def refuse_other_rotary(path: Path, name: str, frequencies: Tensor, config: LlamaConfig) -> None:
    """Raises FormatError if the frequencies stored beside the weights are not those of `config`."""
    ours = rotary_frequencies(config)
    same = frequencies.shape == ours.shape and torch.allclose(frequencies.float(), ours, rtol=0.01, atol=1e-4)
    if not same:
        raise FormatError(
            f"{path}: {name} is not theta^(-2j/{config.head_dim}) with theta={config.rope_theta:g}: "
            "weights of another rotary layout, which LLaMA's cannot stand for"
        )


def refuse_other_names(path: Path, there: set[str], expected: set[str]) -> None:
    """Raises FormatError that names a tensor that is missing, or one that LLaMA has not."""
    for kind, names in (("is missing", expected - there), ("is no tensor of LLaMA's", there - expected)):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise FormatError(f"{path}: {min(names)} {kind}{more}; expected a LLaMA's weights, whole")


def refuse_other_shape(path: Path, name: str, there: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if tuple(there) != tuple(expected):
        raise FormatError(f"{path}: {name} has shape {list(there)}, expected {list(expected)} by its config")


def refuse_other_dtype(path: Path, name: str, dtype: torch.dtype | str) -> None:
    if dtype not in DTYPES.values():
        raise FormatError(f"{path}: {name} is {dtype}; expected one of {', '.join(DTYPES)}")


def refuse_unless_whole_number(path: Path, values: dict, *keys: str) -> None:
    """Raises FormatError if one of `keys` is missing from a config's `values`, or is no positive integer."""
    for key in keys:
        value = values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise FormatError(f"{path}: {key}={value}: expected a whole number above 0")


@contextmanager
def written_whole(output: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `output` when all is on disk; nothing is left if it fails."""
    if output.exists():
        raise FormatError(f"output={output}: is there already; choose another folder, or remove it")
    aside = output.with_name(output.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        yield aside
        for path in (*aside.rglob("*"), aside):
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
        aside.rename(output)
    except (OSError, RuntimeError) as error:
        raise FormatError(f"output={output}: could not be written ({_first_line(error)})") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
