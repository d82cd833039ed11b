"""The keys of a config dataclass: their names, types, and what to suggest for one that does not exist."""

import difflib
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType
from typing import get_args, get_origin, get_type_hints

# What other frameworks call our keys. A name is suggested only where the command has its key.
ELSEWHERE = {
    "batch_size": ("micro_batch", "global_batch", "batch"),
    "per_device_train_batch_size": ("micro_batch",),
    "micro_batch_size": ("micro_batch",),
    "device_train_microbatch_size": ("micro_batch",),
    "global_batch_size": ("global_batch",),
    "train_batch_size": ("global_batch",),
    "gradient_accumulation_steps": ("global_batch",),
    "accumulate_grad_batches": ("global_batch",),
    "epochs": ("steps",),
    "num_epochs": ("steps",),
    "num_train_epochs": ("steps",),
    "max_steps": ("steps",),
    "max_iters": ("steps",),
    "num_steps": ("steps",),
    "total_steps": ("steps",),
    "train_iters": ("steps",),
    "iterations": ("steps",),
    "learning_rate": ("optim.lr",),
    "max_lr": ("optim.lr",),
    "min_lr": ("optim.min_lr_ratio",),
    "warmup": ("optim.warmup_steps",),
    "warmup_iters": ("optim.warmup_steps",),
    "lr_warmup_iters": ("optim.warmup_steps",),
    "grad_clip": ("optim.clip",),
    "clip_grad": ("optim.clip",),
    "clip_grad_norm": ("optim.clip",),
    "max_grad_norm": ("optim.clip",),
    "beta1": ("optim.betas",),
    "beta2": ("optim.betas",),
    "adam_beta1": ("optim.betas",),
    "adam_beta2": ("optim.betas",),
    "block_size": ("seq_len",),
    "context_length": ("seq_len", "max_seq_len"),
    "sequence_length": ("seq_len",),
    "seq_length": ("seq_len",),
    "max_seq_length": ("seq_len", "max_seq_len"),
    "hidden_size": ("model.dim",),
    "n_embd": ("model.dim",),
    "d_model": ("model.dim",),
    "n_layer": ("model.n_layers",),
    "num_layers": ("model.n_layers",),
    "num_hidden_layers": ("model.n_layers",),
    "n_head": ("model.n_heads",),
    "num_attention_heads": ("model.n_heads",),
    "num_key_value_heads": ("model.n_kv_heads",),
    "num_query_groups": ("model.n_kv_heads",),
    "head_dim": ("model.head_size",),
    "intermediate_size": ("model.multiple_of", "model.ffn_dim_multiplier"),
    "eval_interval": ("validate.every",),
    "eval_steps": ("validate.every",),
    "eval_iters": ("validate.sequences",),
    "save_steps": ("checkpoint.every",),
    "save_interval": ("checkpoint.every",),
    "save_total_limit": ("checkpoint.keep",),
    "out_dir": ("run", "output"),
    "output_dir": ("run", "output"),
    "output_path": ("output",),
    "out": ("output",),
    "run_name": ("run",),
    "name": ("run", "source"),
    "resume": ("run",),
    "resume_from_checkpoint": ("run",),
    "pretrained": ("init", "weights"),
    "checkpoint_path": ("init", "weights"),
    "ckpt": ("init", "weights"),
    "ckpt_path": ("init", "weights"),
    "model_path": ("init", "weights"),
    "dataset": ("data",),
    "data_dir": ("corpora",),
    "dataset_path": ("corpora", "input"),
    "files": ("input",),
    "tensor_parallel_size": ("parallel.tp",),
    "tensor_model_parallel_size": ("parallel.tp",),
    "pipeline_parallel_size": ("parallel.pp",),
    "pipeline_model_parallel_size": ("parallel.pp",),
    "context_parallel_size": ("parallel.cp",),
    "gradient_checkpointing": ("parallel.activation_checkpointing",),
    "torch_compile": ("parallel.compile",),
    "wandb_project": ("logger.project",),
    "use_wandb": ("logger.wandb",),
    "num_workers": ("workers",),
    "max_new_tokens": ("max_tokens",),
    "max_length": ("max_tokens",),
    "max_tokens_to_sample": ("max_tokens",),
    "num_fewshot": ("tasks",),
    "gpus": ("world_size",),
    "n_gpus": ("gpus", "world_size"),
    "num_gpus": ("gpus", "world_size"),
    "nproc": ("processes", "world_size"),
    "nproc_per_node": ("processes", "gpus_per_node"),
    "num_processes": ("processes", "world_size"),
    "num_nodes": ("nodes",),
    "nnodes": ("nodes",),
    "dtype": ("precision",),
    "bf16": ("precision", "dtype"),
    "fp16": ("precision", "dtype"),
    "mixed_precision": ("precision",),
    "torch_dtype": ("precision", "dtype"),
    "temp": ("temperature",),
    "weights": ("init",),
    "tokenizer_path": ("tokenizer",),
    "tokenizer_model": ("tokenizer",),
}
# Keys of `relama launch`, and what others call them, that are given to `relama train`.
PROCESSES = (
    *("processes", "nodes", "gpus", "cluster", "world_size", "num_gpus", "n_gpus", "nproc"),
    *("nproc_per_node", "num_processes", "num_nodes", "nnodes", "devices"),
)
_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "text", NoneType: "null"}


def leaves(schema: type, prefix: str = "") -> dict[str, object]:
    """Every key, dotted, with its type; nested dataclasses are replaced by their keys."""
    hints = get_type_hints(schema)
    found: dict[str, object] = {}
    for field in fields(schema):
        name, kind = prefix + field.name, hints[field.name]
        if isinstance(kind, type) and is_dataclass(kind):
            found |= leaves(kind, name + ".")
        else:
            found[name] = kind
    return found


def is_required(field: Field) -> bool:
    """Whether a key of one value has no default."""
    return not is_dataclass(field.type) and field.default is MISSING and field.default_factory is MISSING


def branches(schema: type, prefix: str = "") -> dict[str, type]:
    """Every key that stands for a nested dataclass, dotted, with that class."""
    found: dict[str, type] = {}
    for name, kind in get_type_hints(schema).items():
        if isinstance(kind, type) and is_dataclass(kind):
            found[prefix + name] = kind
            found |= branches(kind, f"{prefix}{name}.")
    return found


def is_text(kind: object) -> bool:
    """Whether a key takes one string: `str`, or `str | None`."""
    return kind is str or set(get_args(kind)) == {str, NoneType}


def list_of(kind: object) -> object | None:
    """The type of the items of a key that takes a list, or a list or null; None for other keys."""
    for option in (kind, *get_args(kind)):
        if get_origin(option) is list:
            return get_args(option)[0]
    return None


def is_mapping(kind: object) -> bool:
    """Whether a key takes a dict, so that its entries can be given one by one."""
    return any(get_origin(option) is dict for option in (kind, *get_args(kind)))


def is_number(kind: object) -> bool:
    """Whether a key takes one number."""
    options = set(get_args(kind) or (kind,)) - {NoneType}
    return options <= {int, float}


def described(kind: object) -> str:
    """A type in English: "an integer or null"."""
    item = list_of(kind)
    if item is not None:
        words = f"a list such as {'1,2' if item in (int, float) else 'a,b'}"
        return words + " or null" * (NoneType in get_args(kind))
    if is_mapping(kind):
        return "entries, each given as KEY.NAME=VALUE"
    options = get_args(kind) or (kind,)
    return " or ".join(_NAMES.get(option, getattr(option, "__name__", str(option))) for option in options)


def item_of(kind: object) -> str:
    """The type of the items of a list, or of the values of a dict, in English."""
    for option in (kind, *get_args(kind)):
        if get_origin(option) in (list, dict):
            return described(get_args(option)[-1])
    return described(kind)


def unknown_key(key: str, schema: type, groups: tuple[str, ...] = ()) -> str:
    """The line that refuses `key`: what may be meant, and the keys that exist next to it."""
    known = leaves(schema)
    for name, kind in [*known.items()]:  # entries that are groups of keys themselves
        inner = get_args(kind)[-1] if is_mapping(kind) and get_args(kind) else None
        if isinstance(inner, type) and is_dataclass(inner) and key.startswith(f"{name}."):
            entry = key.removeprefix(f"{name}.").partition(".")[0]
            known |= leaves(inner, f"{name}.{entry}.")
    parent = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    if not parent or not siblings:
        siblings = [field.name for field in fields(schema)]
    if key in PROCESSES and "micro_batch" in known and "world_size" not in known:
        return f"{key}: unknown key; to train in several processes: relama launch processes=N …"
    near = _meant(key, [*known, *groups])
    if near:
        return f"{key}: unknown key; did you mean {' or '.join(near)}? (--help lists all keys)"
    return f"{key}: unknown key; the choices are: {', '.join(siblings)}"


def _meant(key: str, known: list[str]) -> list[str]:
    name = key.rpartition(".")[2].replace("-", "_")
    within = [full for full in known if full.rpartition(".")[2] == name]
    elsewhere = [full for full in ELSEWHERE.get(name, ()) if full in known]
    return [*dict.fromkeys([*elsewhere, *within])] or difflib.get_close_matches(key, known, n=1, cutoff=0.75)
