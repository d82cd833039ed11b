"""A run's config against the paper, Meta's code and LLaMA's tokenizer.model (docs/recipe.md §1, §3, §4).

In: a training config, and the settings recorded in a SentencePiece model. Out: a line for each published
value that differs; separately, our choices for what was never published. The published values are data
with their sources (facts.py), and nothing is inferred from our own defaults.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from data.audit import TABLE_1
from data.tokens.llama import VOCAB_SIZE
from data.tokens.tokenizer import Tokenizer
from model.config import LlamaConfig
from model.flops import n_params
from train.config import RunError, TrainConfig
from train.recipe.facts import (
    BATCH_TOKENS,
    COMMON,
    PARAMS_JSON,
    SIZES,
    TABLE_2,
    TOKENIZER,
    TOKENIZER_SETTINGS,
)

ROUNDING = 0.05  # the paper gives 4M with one digit and 1.4T with two


@dataclass(frozen=True)
class Deviation:
    """One published value that this config changes."""

    key: str
    here: object
    paper: object
    where: str  # the source of the paper's value

    def __str__(self) -> str:
        return f"{self.key}: {_shown(self.here)}; LLaMA: {_shown(self.paper)} ({self.where})"


@dataclass
class Conformance:
    """How many published values of LLaMA `size` were compared, which differ, and what is not published."""

    size: str
    compared: int
    deviations: list[Deviation]
    silent: list[str]


def conformance(config: TrainConfig, tokenizer: dict, size: str | None = None) -> Conformance:
    """Compare `config`, and a tokenizer's settings, with LLaMA `size`; None: the nearest size."""
    size = size or nearest_size(config.model)
    if config.model.vocab_size == -1:
        config = replace(config, model=replace(config.model, vocab_size=tokenizer["vocab_size"]))
    settings = TOKENIZER_SETTINGS
    if "format" in tokenizer:  # no settings to compare
        settings = {"format": "SentencePiece", "vocab_size": VOCAB_SIZE}
    found = [
        *_of_values(config, size),
        *_of_mixture(config.data.weights),
        *(
            Deviation(f"tokenizer {key}", tokenizer.get(key), value, TOKENIZER)
            for key, value in settings.items()
            if not _same(tokenizer.get(key), value)
        ),
    ]
    compared = len(published(size)) + 2 + len(TABLE_1) + len(settings)
    return Conformance(size, compared, found, list(_silent(config)))


def published(size: str) -> dict[str, tuple[object, str]]:
    """The config's keys that have a published value, with that value and its source."""
    shape = SIZES[size]
    return {
        **{f"model.{key}": (shape[key], TABLE_2) for key in ("dim", "n_heads", "n_layers")},
        "model.norm_eps": (shape["norm_eps"], PARAMS_JSON),
        "optim.lr": (shape["lr"], TABLE_2),
        **COMMON,
    }


def nearest_size(model: LlamaConfig) -> str:
    """The size that shares most of width, heads and layers; a tie goes to the nearest parameter count."""
    ours = n_params(replace(model, vocab_size=VOCAB_SIZE))

    def distance(size: str) -> tuple[int, float]:
        shape = {key: SIZES[size][key] for key in ("dim", "n_heads", "n_layers")}
        same = sum(getattr(model, key) == value for key, value in shape.items())
        theirs = n_params(LlamaConfig(**shape, vocab_size=VOCAB_SIZE))
        return -same, abs(math.log(ours / theirs))

    return min(SIZES, key=distance)


def tokenizer_settings(path: Path) -> dict:
    """What a SentencePiece model records of its training and normalization. Raises RunError if it is not one.

    A tokenizer.json records nothing of the kind.
    """
    if path.suffix == ".json":
        return {"format": "a tokenizer.json", "vocab_size": Tokenizer(path).vocab_size}
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()  # pyright: ignore[reportAttributeAccessIssue] - made at import
    try:
        model.ParseFromString(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{path}: missing; run the command that trains this run again to restore it") from None
    except (OSError, DecodeError) as error:
        raise RunError(f"{path}: not a readable SentencePiece model ({error})") from None
    spec, normalizer = model.trainer_spec, model.normalizer_spec
    kinds = spec.DESCRIPTOR.fields_by_name["model_type"].enum_type.values_by_number
    settings = {"model_type": kinds[spec.model_type].name.lower(), "normalization_rule_name": normalizer.name}
    for key in TOKENIZER_SETTINGS:
        if key not in settings:
            settings[key] = getattr(spec if hasattr(spec, key) else normalizer, key)
    return settings


def _of_values(config: TrainConfig, size: str) -> Iterator[Deviation]:
    for key, (value, where) in published(size).items():
        here = config
        for part in key.split("."):
            here = getattr(here, part)
        if key == "model.n_kv_heads" and here == config.model.n_heads:
            here = None  # its default says the same
        if not _same(here, value):
            yield Deviation(key, here, value, where)
    if abs(config.global_batch / BATCH_TOKENS - 1) > ROUNDING:
        yield Deviation("global_batch", f"{config.global_batch:,} tokens", "4M", TABLE_2)
    tokens, theirs = config.steps * config.global_batch, SIZES[size]["tokens"]
    if abs(tokens / theirs - 1) > ROUNDING:
        shown = f"{tokens:,}" if tokens < 1e9 else f"{tokens / 1e12:.3g}T"
        here = f"{config.steps:,} × global_batch = {shown} tokens"
        yield Deviation("steps", here, f"{theirs / 1e12:.1f}T tokens", TABLE_2)


def _of_mixture(weights: dict[str, float]) -> Iterator[Deviation]:
    """Weights are relative: compared on the scale on which most sources agree with Table 1."""
    total = sum(weights.values())
    known = [weights[source] / row.share for source, row in TABLE_1.items() if source in weights]
    scale = median(known) if known else total
    for source, row in TABLE_1.items():
        if source not in weights:
            yield Deviation(f"data.weights.{source}", "not in the mixture", f"{row.share:.1%}", "Table 1")
        elif not _same(weights[source] / scale, row.share):
            here = f"{weights[source]:g} ({weights[source] / total:.1%} of the mixture)"
            yield Deviation(f"data.weights.{source}", here, f"{row.share:.1%}", "Table 1")
    for source in weights:
        if source not in TABLE_1:
            share = f"{weights[source] / total:.1%} of the mixture"
            yield Deviation(f"data.weights.{source}", share, "not a source", "Table 1")


def _silent(config: TrainConfig) -> Iterator[str]:
    """Our choices for what was never published."""
    yield "initial weights: truncated normal, seeded per parameter name (model/initialize.py)"
    yield f"seed: {config.seed}"
    yield f"optim.eps: {config.optim.eps:g}"
    yield "weight decay: on matrices, not on the norms' scales"
    computed = {"auto": "in bf16 where it is faster"}.get(config.precision, f"in {config.precision}")
    yield f"precision: fp32 weights, optimizer and reduction; blocks compute {computed}"
    yield "packing: documents between BOS and EOS in one stream, cut into sequences; attention crosses them"
    yield "dropout: none, as in Meta's code"
    yield f"a batch of 4M tokens: {config.global_batch:,}, in sequences of {config.seq_len:,}"
    yield f"micro_batch: {config.micro_batch} (how a batch is divided among GPUs does not change it)"
    yield "dumps: which five of CommonCrawl, and the dates of all others (docs/data.md)"


def _same(here: object, value: object) -> bool:
    if isinstance(value, list):
        return isinstance(here, list) and len(here) == len(value) and all(map(_same, here, value))
    if isinstance(value, float) and isinstance(here, int | float):
        return math.isclose(here, value, rel_tol=1e-6)
    return here == value


def _shown(value: object) -> str:
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)
