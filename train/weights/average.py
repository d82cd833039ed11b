"""`relama average weights=A@5000,A@6000 output=FOLDER`: the mean of several checkpoints, or a moving average.

They may have any format, but must share one shape and one tokenizer. The output is a checkpoint like that of
`relama import`. One tensor of each is read at a time.
"""

import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from configs.load import entry, load
from configs.overrides import as_key
from data.errors import DataError
from data.tokens.store import tokenizer_files
from data.tokens.tokenizer import Tokenizer
from model.config import LlamaConfig
from model.formats.errors import FormatError
from model.formats.weights import Weights, parameter_shapes, written_whole
from train.checkpoint.tensors import save_weights
from train.config import RunError
from train.weights.open import open_weights, tokenizer_of
from train.weights.shape import to_train_from, write_shape


@dataclass
class AverageConfig:
    """What to average, and where to put it."""

    weights: list[str]  # two or more: runs, RUN@STEP, step folders, Hugging Face or Meta folders
    output: str  # the folder to create
    ema: float | None = None  # null: their mean; else each next one changes the average by 1 - ema
    tokenizer: str | None = None  # null: the one that came with the first weights

    def __post_init__(self) -> None:
        if len(self.weights) < 2:
            raise ValueError(
                f"weights={','.join(self.weights)}: expected two or more (weights=A@5000,A@6000)"
            )
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"ema={self.ema}: expected a number between 0 and 1, or null for the mean")


def shares(count: int, ema: float | None) -> list[float]:
    """How much of each of `count` weights is in their average; they sum to 1.

    With `ema`, the average starts as the first and becomes ema · average + (1 - ema) · next for each.
    """
    if ema is None:
        return [1 / count] * count
    return [ema ** (count - 1), *((1 - ema) * ema ** (count - 1 - i) for i in range(1, count))]


def average(weights: list[Weights], ema: float | None) -> Callable[[str], Tensor]:
    """Reads the average of a tensor by its name: summed in fp64, rounded once to fp32."""
    parts = shares(len(weights), ema)

    def read(name: str) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for each, share in zip(weights, parts):
            total = total + each.read(name).double() * share
        return total.float()

    return read


def run(argv: list[str]) -> None:
    config = load("average", AverageConfig, as_key("weights", argv))
    weights = [open_weights(Path(path)) for path in config.weights]
    for number, each in enumerate(weights):
        if each.path.resolve() in (other.path.resolve() for other in weights[:number]):
            raise RunError(f"weights={','.join(config.weights)}: {each.path} twice; give different ones")
    tokenizer = tokenizer_of(weights[0], config.tokenizer)
    for each in weights[1:]:
        _refuse_other(each, weights[0], tokenizer)
    state = {
        "step": 0,
        "model": asdict(weights[0].config),
        "tokenizer": tokenizer.fingerprint,
        "fingerprints": {},
        "averaged": {"weights": [str(each.path) for each in weights], "ema": config.ema},
    }
    with written_whole(Path(config.output)) as folder:
        save_weights(
            folder / "checkpoints", parameter_shapes(weights[0].config), average(weights, config.ema), state
        )
        write_shape(folder, weights[0].config)
        for name, file in tokenizer_files(tokenizer.path).items():
            (folder / name).write_bytes(file.read_bytes())
    kind = "mean" if config.ema is None else f"moving average (ema={config.ema:g})"
    name = shlex.quote(config.output)
    print(
        f"{config.output}: the {kind} of {len(weights)} checkpoints (relama train "
        f"{to_train_from(config.output)} starts from it). Next: relama generate weights={name} prompt='The'"
    )


def _refuse_other(weights: Weights, first: Weights, tokenizer: Tokenizer) -> None:
    """Raise RunError if `weights` cannot be averaged with the `first`."""
    ours, theirs = (_shape(each.config) for each in (weights, first))
    different = [f"model.{key}: {ours[key]}, not {theirs[key]}" for key in ours if ours[key] != theirs[key]]
    if different:
        raise RunError(f"{weights.path}: not the shape of {first.path} ({'; '.join(different)})")
    if weights.tokenizer_fingerprint not in (None, tokenizer.fingerprint):
        raise RunError(f"{weights.path}: trained with another tokenizer than {first.path}")


def _shape(config: LlamaConfig) -> dict[str, object]:
    """What must be equal: two formats may express the same hidden dim by different factors."""
    factors = ("multiple_of", "ffn_dim_multiplier", "max_seq_len", "n_kv_heads", "head_size")
    shape = {key: value for key, value in asdict(config).items() if key not in factors}
    return shape | {key: getattr(config, key) for key in ("hidden_dim", "kv_heads", "head_dim")}


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))
