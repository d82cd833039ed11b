"""Read and write Hugging Face's `LlamaForCausalLM`: config.json and safetensors, in one file or in shards.
`*.bin` files and Mistral's models are read too.

Names differ, and the rows of q and k are permuted: Meta rotates adjacent pairs within a head, Hugging Face
pairs half a head apart (docs/recipe.md §6). Its config.json is translated by huggingface_config.py. Nothing
else differs.
"""

import json
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.config import LlamaConfig
from model.flops import n_params
from model.formats.huggingface_config import read_config, their_config
from model.formats.pickled import SUFFIX, PickledTensors
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
    tokenizer_beside,
    written_whole,
)

OUTER = {"tok_embeddings": "model.embed_tokens", "norm": "model.norm", "output": "lm_head"}
INNER = {
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER = "adapter_config.json"  # PEFT's, beside changes to a model's weights
SINGLE_BIN, INDEX_BIN = "pytorch_model.bin", "pytorch_model.bin.index.json"
# safetensors' names of dtypes.
STORED = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def is_huggingface(folder: Path) -> bool:
    is_other = any((folder / name).is_file() for name in (ADAPTER, "params.json"))
    return (folder / "config.json").is_file() or (not is_other and any(folder.glob("*.safetensors")))


def open_huggingface(folder: Path) -> Weights:
    """The weights in `folder`. Raises FormatError if the config, or any name, shape or dtype, is wrong."""
    config, notes = read_config(folder / "config.json")
    files = _files(folder)
    names = {name: their_name(name) for name in parameter_shapes(config)}
    if config.tie_word_embeddings:
        names["tok_embeddings.weight"] = _shared(files)
    dtypes = set()
    for name, shape in parameter_shapes(config).items():
        files_name = names[name]
        if files_name not in files:
            raise FormatError(f"{folder}: {files_name} is missing; expected all of LLaMA's weights")
        with _opened(files[files_name]) as file:
            part = file.get_slice(files_name)
            refuse_other_shape(files[files_name], files_name, part.get_shape(), shape)
            stored = part.get_dtype()
            refuse_other_dtype(files[files_name], files_name, STORED.get(stored) or stored)
            dtypes.add(STORED[stored])
    for name in [name for name in files if name.endswith("rotary_emb.inv_freq")]:
        with _opened(files[name]) as file:
            refuse_other_rotary(files[name], name, file.get_tensor(name), config)
        del files[name]
    refuse_other_names(folder, set(files), set(names.values()))
    return Weights(
        folder,
        config,
        partial(_read, files, names, config),
        tokenizer=tokenizer_beside(folder),
        notes=tuple(notes),
        dtype=common_dtype(dtypes),
    )


def write_huggingface(
    weights: Weights,
    output: Path,
    *,
    dtype: torch.dtype,
    shard_bytes: int,
    extra: dict[str, str | bytes] | None = None,
    bos_id: int = 1,
    eos_id: int = 2,
) -> None:
    """Write `weights` in files of at most `shard_bytes` (or one tensor), with one file in memory at a time.

    `extra` holds further files (the tokenizer's) by name. Raises FormatError.
    """
    plan = list(_plan(weights.config, dtype, shard_bytes))
    weight_map = {}
    with written_whole(output) as folder:
        for number, names in enumerate(plan, 1):
            file = (
                f"model-{number:05d}-of-{len(plan):05d}.safetensors" if len(plan) > 1 else "model.safetensors"
            )
            part = {
                their_name(name): cast(name, to_halves(name, weights.read(name), weights.config), dtype)
                for name in names
            }
            _save(part, folder / file)
            weight_map |= dict.fromkeys(part, file)
            del part
        if len(plan) > 1:
            total = n_params(weights.config) * dtype.itemsize
            index = {"metadata": {"total_size": total}, "weight_map": weight_map}
            (folder / INDEX).write_text(json.dumps(index, indent=1))
        ids = {"bos_token_id": bos_id, "eos_token_id": eos_id}
        _write_json(folder / "config.json", their_config(weights.config, dtype) | ids)
        # Meta's settings (docs/recipe.md §6).
        sampling = {"do_sample": True, "temperature": 0.8, "top_p": 0.95, "top_k": 0}
        _write_json(folder / "generation_config.json", ids | sampling)
        for name, content in (extra or {}).items():
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a file. Raises OSError, as other writers do; safetensors has its own error."""
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


def their_name(name: str) -> str:
    """Hugging Face's name for a parameter that Meta calls `name`."""
    stem = name.removesuffix(".weight")
    if stem in OUTER:
        return f"{OUTER[stem]}.weight"
    _, layer, inner = stem.split(".", 2)
    return f"model.layers.{layer}.{INNER[inner]}.weight"


def to_halves(name: str, tensor: Tensor, config: LlamaConfig) -> Tensor:
    """Permute rows of q and k to Hugging Face's order: in a head, new row a·hd/2 + i is old row 2i + a."""
    if not name.endswith(("wq.weight", "wk.weight")):
        return tensor
    pairs = tensor.unflatten(0, (-1, config.head_dim // 2, 2))
    return pairs.transpose(1, 2).flatten(0, 2)


def to_pairs(name: str, tensor: Tensor, config: LlamaConfig) -> Tensor:
    """The inverse of `to_halves`."""
    if not name.endswith(("wq.weight", "wk.weight")):
        return tensor
    halves = tensor.unflatten(0, (-1, 2, config.head_dim // 2))
    return halves.transpose(1, 2).flatten(0, 2)


def _shared(files: dict[str, Path]) -> str:
    """The name that tied weights have here: safetensors' save_model keeps the first in alphabetical order.

    If both are there, one is taken out of `files`. Raises FormatError if they differ.
    """
    embedding, output = (f"{OUTER[stem]}.weight" for stem in ("tok_embeddings", "output"))
    if output not in files or embedding not in files:
        return output if output in files else embedding
    with _opened(files[output]) as one, _opened(files[embedding]) as other:
        if not torch.equal(one.get_tensor(output), other.get_tensor(embedding)):
            raise FormatError(
                f"{files[output]}: {output} differs from {embedding}, but config.json has "
                "tie_word_embeddings=True; set it to false if both were trained"
            )
    del files[output]
    return embedding


def _read(files: dict[str, Path], names: dict[str, str], config: LlamaConfig, name: str) -> Tensor:
    # Reopen for each tensor, to release what was mapped before.
    with _opened(files[names[name]]) as file:
        tensor = file.get_tensor(names[name])
    return to_pairs(name, tensor, config).clone(memory_format=torch.contiguous_format)


def _opened(path: Path) -> safe_open | PickledTensors:
    refuse_pointer(path)
    if path.suffix == SUFFIX:
        return PickledTensors(path)
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError:
        raise FormatError(f"{path}: missing; expected every file named in the index") from None
    except (SafetensorError, OSError) as error:
        raise FormatError(f"{path}: truncated, or not safetensors ({error})") from None


def _files(folder: Path) -> dict[str, Path]:
    """The file that holds each tensor, according to the files themselves."""
    found = next((name for name in (SINGLE, INDEX, SINGLE_BIN, INDEX_BIN) if (folder / name).is_file()), None)
    if found is None:
        raise FormatError(f"{folder}: none of {SINGLE}, {INDEX}, {SINGLE_BIN}, {INDEX_BIN}; get its weights")
    index = folder / found
    if found in (INDEX, INDEX_BIN):
        try:
            weight_map = json.loads(index.read_text())["weight_map"]
            claimed = {name: folder / file for name, file in weight_map.items()}
            elsewhere = [file for file in weight_map.values() if Path(file).name != file or file == ".."]
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise FormatError(f"{index}: not an index of weights ({error!r})") from None
        if elsewhere:
            raise FormatError(f"{index}: names {elsewhere[0]!r}, which is not a file in its folder; refused")
        paths = sorted(set(claimed.values()))
    else:
        claimed, paths = None, [index]
    files = {}
    for path in paths:
        with _opened(path) as file:
            files |= dict.fromkeys(file.keys(), path)
    if claimed is not None and claimed != files:
        name = min(name for name in {*claimed, *files} if claimed.get(name) != files.get(name))
        raise FormatError(
            f"{index}: {name} is not in the file that the index says ({claimed.get(name)}, found in "
            f"{files.get(name)}): files of different models are mixed, or one is incomplete"
        )
    return files


def _plan(config: LlamaConfig, dtype: torch.dtype, shard_bytes: int) -> Iterator[list[str]]:
    """The parameter names in each file, in the model's order."""
    part: list[str] = []
    size = 0
    for name, shape in parameter_shapes(config).items():
        here = torch.Size(shape).numel() * dtype.itemsize
        if part and size + here > shard_bytes:
            yield part
            part, size = [], 0
        part.append(name)
        size += here
    yield part


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")
