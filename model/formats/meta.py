"""Read and write Meta's format: params.json, consolidated.NN.pth (one per rank), tokenizer.model.

As LLaMA 1 to 3 were released (docs/recipe.md §6): each file is a pickled dict of tensors, split over the
ranks along the dimension that fairscale's layers split. They are only read with torch's restricted unpickler.
"""

import json
import pickle
import re
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from model.config import LlamaConfig
from model.formats.weights import (
    FormatError,
    Weights,
    cast,
    common_dtype,
    parameter_shapes,
    refuse_other_dtype,
    refuse_other_names,
    refuse_other_rotary,
    refuse_other_shape,
    refuse_pointer,
    refuse_unless_whole_number,
    tokenizer_beside,
    untied,
    written_whole,
)
from model.rotary import rotary_frequencies

SHARDS = (1, 2, 4, 8)
META_CONTEXT = 2048  # used where params.json does not say (docs/recipe.md §4)
# The dimension along which a matrix is split; norms are replicated.
EMBEDDING = "tok_embeddings.weight"  # Llama 3 splits it by rows
CUT = {"wq": 0, "wk": 0, "wv": 0, "w1": 0, "w3": 0, "output": 0, "wo": 1, "w2": 1, "tok_embeddings": 1}
# Llama 3.1's scaling, as in its code (`apply_scaling`, llama-models/models/llama3/model.py); params.json only
# switches it on.
SCALED = {
    "rope_type": "llama3",
    "rope_scaling": 8.0,
    "rope_low_freq_factor": 1.0,
    "rope_high_freq_factor": 4.0,
    "rope_original_seq_len": 8192,
}
OTHER_FACTOR = (
    "its slow rotations are slower by 8, as Meta's code has it for every model; Hugging Face's config of "
    "Llama 3.2 has 32: for that one, import the files in Hugging Face's format"
)
NOT_SHAPE = ("max_seq_len", "max_batch_size")


def is_meta(folder: Path) -> bool:
    return (folder / "params.json").is_file() or any(folder.glob("consolidated.*.pth"))


def open_meta(folder: Path, max_seq_len: int = META_CONTEXT) -> Weights:
    """The weights in `folder`. Checks every shard's names, shapes and dtypes; raises FormatError.

    `max_seq_len` applies where params.json has none, as in LLaMA's.
    """
    shards = _shards(folder)
    first = _load(shards[0])
    config = _config(folder, first, len(shards), max_seq_len)
    expected = parameter_shapes(config)
    by_rows = EMBEDDING in first and first[EMBEDDING].shape[1:] == (config.dim,)
    for path in shards:
        _check(path, _load(path), first, expected, len(shards), by_rows, config)
    found = tokenizer_beside(folder, folder.parent)
    dtype = common_dtype(first[name].dtype for name in expected)
    notes = (OTHER_FACTOR,) if config.rope_scaling != 1 else ()
    return Weights(folder, config, partial(_read, shards, by_rows), tokenizer=found, notes=notes, dtype=dtype)


def write_meta(
    weights: Weights, output: Path, *, shards: int, dtype: torch.dtype, tokenizer: Path | None = None
) -> None:
    """Write `weights` as `shards` files of `dtype`, with one in memory at a time. Raises FormatError."""
    weights = untied(weights)
    config = weights.config
    if shards not in SHARDS:
        raise FormatError(f"shards={shards}: expected one of {', '.join(map(str, SHARDS))}")
    for key in ("n_heads", "n_kv_heads", "vocab_size"):
        size = config.kv_heads if key == "n_kv_heads" else getattr(config, key)
        if size % shards:
            raise FormatError(f"shards={shards}: does not divide model.{key}={size}")
    if config.hidden_dim % shards:
        raise FormatError(
            f"shards={shards}: does not divide the feed-forward's hidden dim {config.hidden_dim}"
        )
    if config.head_size and config.head_size * config.n_heads != config.dim:
        raise FormatError(f"model.head_size={config.head_size}: params.json cannot hold it; use format=hf")
    if config.rope_scaling != 1 and any(getattr(config, key) != value for key, value in SCALED.items()):
        raise FormatError(
            f"model.rope_scaling={config.rope_scaling:g}: params.json only holds Llama 3.1's (its code has "
            f"{', '.join(f'{key}={value}' for key, value in SCALED.items())}); use format=hf"
        )
    names = parameter_shapes(config)
    with written_whole(output) as folder:
        for rank in range(shards):
            part = {name: _cut(config, name, weights.read(name), rank, shards, dtype) for name in names}
            part["rope.freqs"] = rotary_frequencies(config)
            torch.save(part, folder / f"consolidated.{rank:02d}.pth")
            del part  # before building the next one
        (folder / "params.json").write_text(json.dumps(_params(config, tokenizer)))
        if tokenizer:
            names = tokenizer.with_name("tokenizer_config.json")  # a tokenizer.json's BOS and EOS
            if tokenizer.suffix == ".json" and names.is_file():
                (folder / names.name).write_bytes(names.read_bytes())
            kept = "tokenizer.json" if tokenizer.suffix == ".json" else "tokenizer.model"
            (folder / kept).write_bytes(tokenizer.read_bytes())


def _params(config: LlamaConfig, tokenizer: Path | None) -> dict:
    keys = ("dim", "multiple_of", "n_heads", "n_layers", "norm_eps")
    known_size = tokenizer is not None and tokenizer.suffix != ".json"
    later = {  # keys that LLaMA 1's code refuses, so only what differs from it
        "n_kv_heads": (config.kv_heads, config.n_heads),
        "ffn_dim_multiplier": (config.ffn_dim_multiplier, 1.0),
        "rope_theta": (config.rope_theta, 10000.0),
        "use_scaled_rope": (config.rope_scaling != 1, False),
    }
    return {
        **{key: getattr(config, key) for key in keys},
        "vocab_size": -1 if known_size else config.vocab_size,  # -1: Meta's code asks its tokenizer.model
        **{key: value for key, (value, usual) in later.items() if value != usual},
    }


def _cut(
    config: LlamaConfig, name: str, tensor: Tensor, rank: int, shards: int, dtype: torch.dtype
) -> Tensor:
    """The rank's shard in its own storage, because torch.save writes all of a view's storage."""
    dim = _dim(name)
    if name == EMBEDDING and config.rope_theta != 10000.0:
        dim = 0  # as in Llama 3's code, which alone reads rope_theta
    part = tensor if dim is None else tensor.chunk(shards, dim)[rank]
    return cast(name, part, dtype).clone(memory_format=torch.contiguous_format)


def _dim(name: str) -> int | None:
    return CUT.get(name.split(".")[-2])


def _read(shards: list[Path], by_rows: bool, name: str) -> Tensor:
    # Reopen for each tensor, to release what was mapped before.
    dim = 0 if by_rows and name == EMBEDDING else _dim(name)
    if dim is None or len(shards) == 1:
        return _load(shards[0])[name].clone()
    return torch.cat([_load(path)[name] for path in shards], dim)


def _shards(folder: Path) -> list[Path]:
    found = sorted(folder.glob("consolidated.*.pth"))
    if not found:
        raise FormatError(f"{folder}: has params.json but no consolidated.00.pth; expected Meta's files")
    if len(found) not in SHARDS:
        raise FormatError(f"{folder}: {len(found)} files consolidated.NN.pth; expected 1, 2, 4 or 8")
    for number, path in enumerate(found):
        if path.name != f"consolidated.{number:02d}.pth":
            raise FormatError(
                f"{folder}: consolidated.{number:02d}.pth is missing, but {path.name} exists; expected "
                f"consolidated.00.pth to consolidated.{len(found) - 1:02d}.pth of one model"
            )
    return found


def _load(path: Path) -> dict[str, Tensor]:
    """The shard's tensors, memory-mapped."""
    refuse_pointer(path)
    try:
        tensors = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error)) or re.search(r"global (\S+)", str(error))
        problem = f"its pickle refers to {asked[1]}" if asked else "its pickle holds more than tensors"
        raise FormatError(f"{path}: refused, {problem}; expected tensors, and nothing was executed") from None
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        if "mmap can only be used" in str(error):
            raise FormatError(
                f"{path}: refused, not torch.save's zip format (nothing was executed); expected Meta's files"
            ) from None
        line = (str(error).splitlines() or ["empty"])[0]
        raise FormatError(f"{path}: truncated, or not written by torch.save ({line})") from None
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise FormatError(f"{path}: expected a dict of tensors by name")
    return tensors


def _config(folder: Path, first: dict[str, Tensor], shards: int, max_seq_len: int) -> LlamaConfig:
    path = folder / "params.json"
    keys, params = _read_params(path)
    vocab_size = params.pop("vocab_size", -1)
    if params.get("max_seq_len") is not None:
        refuse_unless_whole_number(path, params, "max_seq_len")
        max_seq_len = params["max_seq_len"]
    later = {
        "rope_theta": params.pop("rope_theta", None) or 10000.0,
        "ffn_dim_multiplier": params.pop("ffn_dim_multiplier", None) or 1.0,
    }
    for key, value in later.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise FormatError(f"{path}: {key}={value}: expected a number")
    if params.get("n_kv_heads") is not None:
        refuse_unless_whole_number(path, params, "n_kv_heads")
    kv_heads = params.pop("n_kv_heads", None)
    scaled = params.pop("use_scaled_rope", None)
    if scaled not in (True, False, None):
        raise FormatError(f"{path}: use_scaled_rope={scaled}: expected true or false")
    for key, value in params.items():
        if key not in NOT_SHAPE and value is not None:
            raise FormatError(
                f"{path}: {key}={value}: not a LLaMA setting; expected a model of LLaMA's architecture"
            )
    _refuse_missing_files(folder, first, shards, keys["dim"])
    if "output.weight" not in first:
        raise FormatError(f"{folder / 'consolidated.00.pth'}: output.weight is missing")
    rows = first["output.weight"].shape[0] * shards
    if vocab_size not in (-1, rows):
        raise FormatError(
            f"{path}: vocab_size={vocab_size}, but output.weight has {rows} rows over {shards} file(s): "
            "wrong vocabulary size, or missing shards"
        )
    try:
        return LlamaConfig(
            **keys,
            vocab_size=rows,
            max_seq_len=max_seq_len,
            n_kv_heads=None if kv_heads == keys["n_heads"] else kv_heads,
            **{key: float(value) for key, value in later.items()},
            **(SCALED if scaled else {}),
        )
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path}: {error}") from None


def _refuse_missing_files(folder: Path, first: dict[str, Tensor], shards: int, dim: int) -> None:
    """Raise FormatError if a file holds a smaller part of the model than one of `shards` files does."""
    cut = first.get("layers.0.attention.wo.weight")  # by columns, in every version
    if cut is None or cut.dim() != 2 or cut.shape[0] != dim or not cut.shape[1]:
        return  # refused by its name or shape
    files, rest = divmod(dim, cut.shape[1])
    if files in SHARDS and files > shards and not rest:
        raise FormatError(
            f"{folder}: has {shards} of the {files} files of this model; expected consolidated.00.pth to "
            f"consolidated.{files - 1:02d}.pth: get the others"
        )


def _read_params(path: Path) -> tuple[dict, dict]:
    """The keys that every params.json has, and the others. Raises FormatError."""
    try:
        params = json.loads(path.read_text())
        keys = {key: params.pop(key) for key in ("dim", "multiple_of", "n_heads", "n_layers", "norm_eps")}
    except FileNotFoundError:
        raise FormatError(f"{path}: missing; Meta keeps it in the folder of consolidated.00.pth") from None
    except KeyError as error:
        raise FormatError(f"{path}: {error.args[0]} is missing") from None
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise FormatError(f"{path}: not readable as JSON ({error})") from None
    refuse_unless_whole_number(path, keys, "dim", "multiple_of", "n_heads", "n_layers")
    return keys, params


def _check(
    path: Path,
    tensors: dict[str, Tensor],
    first: dict[str, Tensor],
    expected: dict[str, tuple[int, ...]],
    shards: int,
    by_rows: bool,
    config: LlamaConfig,
) -> None:
    rotary = {name: tensors.pop(name) for name in list(tensors) if name.endswith("rope.freqs")}
    refuse_other_names(path, set(tensors), set(expected))
    for name, tensor in tensors.items():
        dim, shape = 0 if by_rows and name == EMBEDDING else _dim(name), list(expected[name])
        if dim is not None:
            shape[dim] //= shards
        refuse_other_shape(path, f"{name} of one of {shards} file(s)", tensor.shape, shape)
        refuse_other_dtype(path, name, tensor.dtype)
        if tensor.dtype != first[name].dtype or (dim is None and not torch.equal(tensor, first[name])):
            raise FormatError(
                f"{path}: {name} differs from consolidated.00.pth's: files of different models are mixed"
            )
    for name, frequencies in rotary.items():
        refuse_other_rotary(path, name, frequencies, config)
