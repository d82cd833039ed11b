"""Tensors from PyTorch's `*.bin` files, opened as safetensors opens its own.

Most weights of LLaMA 1's time are in these. They are pickles, and are only read with torch's restricted
unpickler: a name that is not of a tensor is refused before it is looked up.
"""

import pickle
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from model.formats.errors import FormatError

SUFFIX = ".bin"
# safetensors' names of dtypes.
NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


class PickledTensors:
    """One file. Tensors are mapped, not read, where its format allows that. Raises FormatError."""

    def __init__(self, path: Path) -> None:
        try:
            found = _loaded(path, path.stat().st_mtime_ns)
        except FileNotFoundError:
            raise FormatError(f"{path}: missing; expected every file named in the index") from None
        except (pickle.UnpicklingError, RuntimeError, ValueError, OSError, EOFError) as error:
            line = next(iter(str(error).splitlines()), type(error).__name__)
            raise FormatError(f"{path}: truncated, or holds more than tensors ({line})") from None
        if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
            raise FormatError(f"{path}: expected tensors by name, and nothing else")
        self._tensors: dict[str, Tensor] = found

    def __enter__(self) -> "PickledTensors":
        return self

    def __exit__(self, *_: object) -> None:
        self._tensors = {}

    def keys(self) -> list[str]:
        return list(self._tensors)

    def get_tensor(self, name: str) -> Tensor:
        return self._tensors[name]

    def get_slice(self, name: str) -> "_Shape":
        return _Shape(self._tensors[name])


class _Shape:
    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor

    def get_shape(self) -> list[int]:
        return list(self._tensor.shape)

    def get_dtype(self) -> str:
        return NAMES.get(self._tensor.dtype, str(self._tensor.dtype))


@lru_cache(maxsize=1)  # the older format would be read once for each tensor
def _loaded(path: Path, _changed: int) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # the format before torch 1.6 cannot be mapped
        return torch.load(path, map_location="cpu", weights_only=True)
