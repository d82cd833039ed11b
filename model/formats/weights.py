"""What all weight formats share: the model's shape, and its tensors, each read on demand.

Each format has a function that checks a folder and returns `Weights`, and one that writes `Weights`.
Tensors are read one at a time, so a conversion holds no more than the file it is writing.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor

from model.config import LlamaConfig
from model.formats.errors import FormatError
from model.llama import Llama
from model.rotary import rotary_frequencies

_POINTER = b"version https://git-lfs.github.com/spec/"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def refuse_pointer(path: Path) -> None:
    """Raise FormatError if a clone without Git LFS left a pointer in place of the file."""
    with suppress(OSError):
        if path.is_file() and path.stat().st_size < 1024 and path.read_bytes().startswith(_POINTER):
            raise FormatError(f"{path}: a Git LFS pointer, not the file; run `git lfs pull` in its folder")


@dataclass(frozen=True)
class Weights:
    """A model's weights, wherever they are stored."""

    path: Path
    config: LlamaConfig
    read: Callable[[str], Tensor]  # a full tensor, on the CPU, by its name in Meta's checkpoints
    tokenizer: Path | None = None  # the SentencePiece model, or tokenizer.json, found with them
    step: int | None = None  # if from a Relama checkpoint
    notes: tuple[str, ...] = ()  # what differs here from the model that was read, a line each
    tokenizer_fingerprint: str | None = None  # of the tokenizer that they were trained with, as recorded
    dtype: torch.dtype = torch.float32  # the smallest that holds every tensor without rounding


def untied(weights: Weights) -> Weights:
    """`weights` with the output as a matrix of its own, if it is tied to the embedding."""
    if not weights.config.tie_word_embeddings:
        return weights

    def read(name: str) -> Tensor:
        return weights.read("tok_embeddings.weight" if name == "output.weight" else name)

    config = replace(weights.config, tie_word_embeddings=False)
    return replace(weights, config=config, read=read, step=None)  # a checkpoint lacks that matrix


def tokenizer_beside(*folders: Path) -> Path | None:
    """The first tokenizer.model in `folders`, or else the first tokenizer.json."""
    paths = (folder / name for name in ("tokenizer.model", "tokenizer.json") for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def parameter_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter's shape by name, in the model's order."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in Llama(config).named_parameters()}


def common_dtype(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    """The smallest dtype that holds values of all these without rounding."""
    return reduce(torch.promote_types, dtypes)


def cast(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """`tensor` rounded once to `dtype`. Raises FormatError for a value that float16 cannot hold."""
    rounded = tensor.to(dtype)
    if dtype == torch.float16 and (rounded.isinf() & ~tensor.isinf()).any():
        raise FormatError(
            f"{name}: holds {tensor.abs().max().item():g}, above float16's 65504; use dtype=bfloat16"
        )
    return rounded


def refuse_other_rotary(path: Path, name: str, frequencies: Tensor, config: LlamaConfig) -> None:
    """Raises FormatError if the frequencies stored with the weights are not those of `config`."""
    # Llama 3.1's files hold them before its scaling.
    for ours in (rotary_frequencies(config), rotary_frequencies(replace(config, rope_scaling=1.0))):
        same = frequencies.shape == ours.shape
        if same and torch.allclose(frequencies.float(), ours, rtol=0.01, atol=1e-4):
            return
    raise FormatError(
        f"{path}: {name} is not theta^(-2j/{config.head_dim}) with theta={config.rope_theta:g}: "
        "weights with other rotary embeddings than their config's"
    )


def refuse_other_names(path: Path, there: set[str], expected: set[str]) -> None:
    """Raise FormatError, naming the tensor, if one is missing or unknown to LLaMA."""
    for kind, names in (("is missing", expected - there), ("is not a LLaMA tensor", there - expected)):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise FormatError(f"{path}: {min(names)} {kind}{more}; expected exactly LLaMA's weights")


def refuse_other_shape(path: Path, name: str, there: Sequence[int], expected: Sequence[int]) -> None:
    """Raise FormatError if a tensor has another shape than its config implies."""
    if tuple(there) != tuple(expected):
        raise FormatError(f"{path}: {name} has shape {list(there)}, but its config implies {list(expected)}")


def refuse_other_dtype(path: Path, name: str, dtype: torch.dtype | str) -> None:
    """Raise FormatError if a tensor has a dtype that is not in DTYPES."""
    if dtype not in DTYPES.values():
        raise FormatError(f"{path}: {name} is {dtype}; expected one of {', '.join(DTYPES)}")


def refuse_unless_whole_number(path: Path, values: dict, *keys: str) -> None:
    """Raise FormatError if one of `keys` is not a positive integer in a config's `values`."""
    for key in keys:
        value = values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise FormatError(f"{path}: {key}={value}: expected a positive integer")


@contextmanager
def written_whole(output: Path) -> Iterator[Path]:
    """A folder to write into. It becomes `output` once everything is on disk; a failure leaves nothing.

    Raises FormatError if `output` exists, if another process is writing it, or if it cannot be written.
    """
    _refuse_existing(output)
    aside = output.with_name(output.name + ".tmp")
    try:
        aside.mkdir(parents=True, exist_ok=True)
        with _locked(aside, output):
            _refuse_existing(output)
            for left in aside.iterdir():  # by a process that was killed
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield aside
            for path in (*aside.rglob("*"), aside):
                if path.is_file():
                    path.chmod(_usual_mode())  # safetensors makes files that only their owner can read
                handle = os.open(path, os.O_RDONLY)
                os.fsync(handle)
                os.close(handle)
            aside.rename(output)
    except OSError as error:
        raise FormatError(f"output={output}: could not be written ({error.strerror or error})") from None
    except RuntimeError as error:  # torch.save hides the cause
        free = shutil.disk_usage(output.absolute().parent).free
        raise FormatError(
            f"output={output}: could not be written ({_first_line(error)}); its disk has {free:,} bytes "
            "free; if that is too little, make room there, or choose another folder"
        ) from None


def _refuse_existing(output: Path) -> None:
    if output.exists():
        raise FormatError(f"output={output}: already exists; choose another folder, or remove it")


@contextmanager
def _locked(aside: Path, output: Path) -> Iterator[None]:
    """Hold the folder `aside`; afterwards delete it, unless it was renamed."""
    handle = os.open(aside, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FormatError(
                f"output={output}: another process is writing it; wait for it, or choose another folder"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):  # no locks here
                raise
        if not _is(handle, aside):  # its writer has just ended, and another may have begun
            raise FormatError(f"output={output}: another process was writing it; run the same command again")
        try:
            yield
        finally:
            if _is(handle, aside):
                shutil.rmtree(aside, ignore_errors=True)
    finally:
        os.close(handle)


def _is(handle: int, path: Path) -> bool:
    """Whether `path` is still what was opened as `handle`."""
    return path.exists() and os.path.samestat(path.stat(), os.fstat(handle))


def _usual_mode() -> int:
    """A new file's mode, as the umask says."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def refuse_not_finite(path: Path, name: str, tensor: Tensor) -> Tensor:
    """`tensor`. Raises FormatError if it has non-finite values: no LLaMA has any."""
    if count := int((~tensor.isfinite()).sum()):
        raise FormatError(
            f"{path}: {name} has {count:,} non-finite values of {tensor.numel():,}; get the weights "
            "again, or from another source"
        )
    return tensor


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
