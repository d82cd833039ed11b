"""`relama import weights=FOLDER output=FOLDER`: turn Hugging Face's or Meta's weights into a checkpoint.

The output looks like a run before its first step (checkpoints/step-000000/ and the tokenizer), so every
command opens it, and `relama train config=FOLDER/model.yaml init=FOLDER` starts from it in any layout.
Tensors become fp32, which represents fp16 and bf16 exactly; one is held at a time.
"""

import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import Tensor

from configs.load import entry, load
from data.errors import DataError
from data.tokens.store import tokenizer_files
from model.formats.errors import FormatError
from model.formats.weights import Weights, parameter_shapes, refuse_not_finite, written_whole
from train.checkpoint.tensors import save_weights
from train.config import RunError
from train.weights.open import open_weights, tokenizer_of
from train.weights.shape import to_train_from, write_shape

OF_PIECES = ("tok_embeddings.weight", "output.weight")  # with a row for each piece


@dataclass
class ImportConfig:
    """What to read and where to put it."""

    weights: str  # a Hugging Face folder or a Meta folder
    output: str  # the folder to create
    tokenizer: str | None = None  # null: the tokenizer.model, or tokenizer.json, next to the weights
    max_seq_len: int | None = None  # context length; null: theirs (Meta's files do not say: 2048)

    def __post_init__(self) -> None:
        if self.max_seq_len is not None and self.max_seq_len < 1:
            raise ValueError(f"max_seq_len={self.max_seq_len}: expected at least 1")


def run(argv: list[str]) -> None:
    config = load("import", ImportConfig, argv)
    weights = open_weights(Path(config.weights))
    if weights.step is not None:
        raise RunError(f"weights={config.weights}: already a Relama checkpoint; nothing to import")
    tokenizer = tokenizer_of(weights, config.tokenizer, is_import=True)
    shape = replace(
        weights.config,
        max_seq_len=config.max_seq_len or weights.config.max_seq_len,
        vocab_size=tokenizer.vocab_size,
    )
    state = {"step": 0, "model": asdict(shape), "tokenizer": tokenizer.fingerprint, "fingerprints": {}}
    with written_whole(Path(config.output)) as folder:
        checkpoints, shapes = folder / "checkpoints", parameter_shapes(shape)
        save_weights(checkpoints, shapes, lambda name: _tensor(weights, name, shapes[name]), state)
        write_shape(folder, shape)
        for name, file in tokenizer_files(tokenizer.path).items():
            (folder / name).write_bytes(file.read_bytes())
    for note in weights.notes:
        print(note)
    if surplus := weights.config.vocab_size - shape.vocab_size:
        print(
            f"{weights.path}: its vocabulary of {weights.config.vocab_size:,} has {surplus:,} pieces that "
            f"{tokenizer.path.name} does not have (padding, or added tokens): cut to {shape.vocab_size:,}"
        )
    print(
        f"{config.output}: {weights.path} as a checkpoint with a context of {shape.max_seq_len:,} tokens "
        "(max_seq_len= sets another). "
        f"Next: relama generate weights={shlex.quote(config.output)} prompt='The'"
        f", or relama train {to_train_from(config.output)} with tokens of its tokenizer"
    )


def _tensor(weights: Weights, name: str, shape: tuple[int, ...]) -> Tensor:
    """A parameter in fp32, without the rows of pieces that the tokenizer does not have."""
    tensor = weights.read(name)
    if name in OF_PIECES:
        tensor = tensor[: shape[0]]
    return refuse_not_finite(weights.path, name, tensor).float()


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))
