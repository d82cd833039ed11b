"""Hugging Face's config.json of a `LlamaForCausalLM` as our shape, and back.

LLaMA 1 to 3 and what others trained in their shape, Mistral's among them. A setting that our model does not
have (biases, another activation, longrope) is refused by name. Position interpolation (`linear`, arXiv
2306.15595) is Llama 3.1's scaling with every rotation slow. What a model does only beyond some context
(`dynamic` rotations, Mistral's sliding window) ends our context there.
"""

import json
import math
from pathlib import Path

import torch

from model.config import LlamaConfig, hidden_dim
from model.formats.errors import FormatError
from model.formats.weights import DTYPES, refuse_unless_whole_number

# Values that a config may have or omit; any other value would change what is computed.
FIXED = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "rope_interleaved": False,
}
NOT_WRITTEN = ("rope_interleaved",)
# Llama 3.1's scaling: their keys to ours.
LLAMA3 = {
    "factor": "rope_scaling",
    "low_freq_factor": "rope_low_freq_factor",
    "high_freq_factor": "rope_high_freq_factor",
    "original_max_position_embeddings": "rope_original_seq_len",
}
YARN = {
    "factor": "rope_scaling",
    "beta_slow": "rope_low_freq_factor",
    "beta_fast": "rope_high_freq_factor",
    "original_max_position_embeddings": "rope_original_seq_len",
}
YARN_DEFAULTS = {"beta_slow": 1, "beta_fast": 32}  # transformers'
ROPES = {"default": {}, "dynamic": {}, "linear": {"factor": "rope_scaling"}, "llama3": LLAMA3, "yarn": YARN}
# No rotation turns as often as this over the original context, so every one is slow.
ALL_SLOW = {"rope_low_freq_factor": 8192.0, "rope_high_freq_factor": 16384.0, "rope_original_seq_len": 8192}
COUNTS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size")
# (multiple_of, ffn_dim_multiplier) to try: LLaMA's, powers of two, Llama 3's, Llama 2 70B's.
ROUNDINGS = [(256, 1.0), *((2**power, 1.0) for power in range(12, -1, -1)), (1024, 1.3), (4096, 1.3)]


def read_config(path: Path) -> tuple[LlamaConfig, list[str]]:
    """The shape, and what whoever imports it should know.

    Raises FormatError, naming the key.
    """
    try:
        theirs = json.loads(path.read_text())
        kind = theirs.get("model_type", "llama")
    except FileNotFoundError:
        raise FormatError(f"{path}: missing; Hugging Face keeps it in the folder of the weights") from None
    except (OSError, ValueError, AttributeError) as error:
        raise FormatError(f"{path}: not readable as a model's config ({error})") from None
    if quantized := theirs.get("quantization_config"):
        method = quantized.get("quant_method", quantized) if isinstance(quantized, dict) else quantized
        raise FormatError(f"{path}: quantized weights (quantization_config: {method}); get the original ones")
    if kind not in ("llama", "mistral"):
        raise FormatError(f"{path}: model_type={kind}: expected llama, or mistral, which has the same layers")
    for key, value in FIXED.items():
        if theirs.get(key, value) != value:
            raise FormatError(f"{path}: {key}={theirs[key]}: expected {value}, as in LLaMA")
    optional = [key for key in ("num_key_value_heads", "head_dim") if theirs.get(key) is not None]
    optional += [key for key in ("max_position_embeddings",) if key in theirs]
    refuse_unless_whole_number(path, theirs, *COUNTS, *optional)
    tied = theirs.get("tie_word_embeddings", False)
    if not isinstance(tied, bool):
        raise FormatError(f"{path}: tie_word_embeddings={tied}: expected true or false")
    dim, heads, hidden = theirs["hidden_size"], theirs["num_attention_heads"], theirs["intermediate_size"]
    kv_heads, head_dim = theirs.get("num_key_value_heads"), theirs.get("head_dim")
    multiple_of, multiplier = _rounding(dim, hidden)
    rope = _rope(path, theirs)
    context, notes = _context(path, theirs, _kind(rope) == "dynamic", kind == "mistral")
    try:
        config = LlamaConfig(
            dim=dim,
            n_layers=theirs["num_hidden_layers"],
            n_heads=heads,
            vocab_size=theirs["vocab_size"],
            multiple_of=multiple_of,
            norm_eps=_number(path, "rms_norm_eps", theirs.get("rms_norm_eps", 1e-6)),
            max_seq_len=context,
            n_kv_heads=None if kv_heads == heads else kv_heads,
            head_size=None if head_dim is None or head_dim * heads == dim else head_dim,
            ffn_dim_multiplier=multiplier,
            tie_word_embeddings=tied,
            **_rotations(path, rope, theirs.get("rope_theta", 10000.0)),
        )
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path}: {error}") from None
    return config, notes


def their_config(config: LlamaConfig, dtype: torch.dtype) -> dict:
    """The config.json for `config`, which transformers 4 and 5 read."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **{key: value for key, value in FIXED.items() if key not in NOT_WRITTEN},
        "tie_word_embeddings": config.tie_word_embeddings,
        "hidden_size": config.dim,
        "intermediate_size": config.hidden_dim,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.kv_heads,
        **({"head_dim": config.head_size} if config.head_size else {}),
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_seq_len,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": _scaling(config),
        "initializer_range": 0.02,
        "use_cache": True,
        "torch_dtype": next(name for name, known in DTYPES.items() if known == dtype),
    }


def _scaling(config: LlamaConfig) -> dict | None:
    if config.rope_scaling == 1:
        return None
    if config.rope_type == "yarn":
        values = {key: getattr(config, ours) for key, ours in YARN.items()}
        return {"rope_type": "yarn", **values, "attention_factor": config.attention_factor}
    if all(getattr(config, key) == value for key, value in ALL_SLOW.items()):
        return {"type": "linear", "factor": config.rope_scaling}  # the name that old transformers know, too
    return {"rope_type": "llama3", **{key: getattr(config, ours) for key, ours in LLAMA3.items()}}


def _rope(path: Path, theirs: dict) -> dict:
    """What it says of its rotations. transformers 5 writes it as rope_parameters, 4 as rope_scaling."""
    rope = theirs.get("rope_scaling") or theirs.get("rope_parameters") or {}
    if not isinstance(rope, dict):
        raise FormatError(f"{path}: rope_scaling={rope}: expected an object with rope_type, or null")
    kind = _kind(rope)
    if not isinstance(kind, str) or kind not in ROPES or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise FormatError(
            f"{path}: rotary embeddings of type {kind!r}; expected {', '.join(ROPES)}, of complete heads"
        )
    return rope


def _kind(rope: dict) -> object:
    return rope.get("rope_type", rope.get("type", "default"))


def _rotations(path: Path, rope: dict, theta: object) -> dict:
    """Our keys for the rotations."""
    kind = str(_kind(rope))
    values = {key: rope.get(key) or YARN_DEFAULTS.get(key) for key in YARN} if kind == "yarn" else rope
    found = {"rope_theta": _number(path, "rope_theta", rope.get("rope_theta", theta))}
    found |= {ours: _number(path, key, values.get(key)) for key, ours in ROPES[kind].items()}
    if kind == "linear" and found["rope_scaling"] != 1:
        return found | ALL_SLOW
    if kind in ("llama3", "yarn"):
        refuse_unless_whole_number(path, rope, "original_max_position_embeddings")
        found["rope_original_seq_len"] = rope["original_max_position_embeddings"]
    if kind == "yarn":
        if not rope.get("truncate", True):
            raise FormatError(f"{path}: truncate=false: expected YaRN's whole numbers, or no such key")
        factor = _attention_factor(path, rope)
        if factor in (1, None) and found["rope_scaling"] == 1:
            return {"rope_theta": found["rope_theta"]}
        return found | {"rope_type": "yarn", "rope_attention_factor": factor}
    return found


def _attention_factor(path: Path, rope: dict) -> float | None:
    """The config's own, or the one that DeepSeek's two keys give (`yarn` in transformers); None: YaRN's."""
    if rope.get("attention_factor") is not None:
        return _number(path, "attention_factor", rope["attention_factor"])
    scales = [rope.get(key) for key in ("mscale", "mscale_all_dim")]
    if not all(scales):
        return None
    numbers = [
        _number(path, key, value) for key, value in zip(("mscale", "mscale_all_dim"), scales, strict=True)
    ]
    above, below = (0.1 * number * math.log(max(rope["factor"], 1)) + 1 for number in numbers)
    return above / below


def _context(path: Path, theirs: dict, is_dynamic: bool, has_window: bool) -> tuple[int, list[str]]:
    """The longest context in which it computes what our model does, and what to say of that."""
    context, notes = theirs.get("max_position_embeddings", 2048), []
    if is_dynamic:
        notes.append(
            f"its dynamic rotations are LLaMA's up to {context:,} tokens, and longer contexts are not read"
        )
    window = _window(path, theirs) if has_window else None
    if window and window < context:
        notes.append(
            f"its sliding window of {window:,} tokens makes no difference up to that context, which it gets "
            f"here instead of {context:,}"
        )
        context = window
    return context, notes


def _window(path: Path, theirs: dict) -> int | None:
    """How far back a Mistral attends; transformers' default is 4,096, and null is no limit."""
    if theirs.get("sliding_window", 4096) is None:
        return None
    refuse_unless_whole_number(path, {"sliding_window": 4096} | theirs, "sliding_window")
    return theirs.get("sliding_window", 4096)


def _number(path: Path, key: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise FormatError(f"{path}: {key}={value}: expected a number")
    return float(value)


def _rounding(dim: int, hidden: int) -> tuple[int, float]:
    """A `multiple_of` and a multiplier that give this hidden dim; the config has neither."""
    last = (hidden, min(1.0, hidden / int(8 * dim / 3)))  # always fits
    return next((way for way in ROUNDINGS if hidden_dim(dim, *way) == hidden), last)
