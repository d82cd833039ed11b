"""`relama validate weights=PATH data=…`: a checkpoint's held-out loss per source."""

from dataclasses import dataclass
from pathlib import Path

from configs.load import entry, load
from data.errors import DataError
from data.mixture import DataConfig, find_stores
from data.tokens.tokenizer import Tokenizer
from model.formats.weights import FormatError
from model.parallelize.mesh import Layout
from train.config import RunError
from train.preflight import open_heldout
from train.ranks.setup import set_up, tear_down
from train.validation import validate
from train.weights.open import load_model, open_weights, same_tokenizer


@dataclass
class ValidateWeightsConfig:
    """What to measure, on which data."""

    weights: str  # a run folder, its name, a step folder, a Hugging Face folder or a Meta folder
    data: DataConfig
    corpora: str = "corpora"
    sequences: int = 1000000  # at most, per source
    seq_len: int | None = None  # null: the model's own
    micro_batch: int = 4
    device: str = "auto"

    def __post_init__(self) -> None:
        for key in ("sequences", "micro_batch"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected at least 1")


def run(argv: list[str]) -> None:
    config = load("validate", ValidateWeightsConfig, argv)
    stores = open_heldout(find_stores(Path(config.corpora), config.data))
    if not stores:
        raise RunError(f"{config.corpora}: nothing was held out, so there is nothing to validate on")
    weights = open_weights(Path(config.weights))
    for store in stores.values():
        if not same_tokenizer(weights, store.tokenizer_fingerprint, store.vocab_size):
            raise RunError(
                f"{store.folder}: tokens of another tokenizer than {config.weights} was trained with; "
                "give data= and corpora= of that run"
            )
    ranks = set_up(Layout(), config.device)
    try:
        model = load_model(weights, ranks.device)
        seq_len = config.seq_len or model.config.max_seq_len
        if not 1 <= seq_len <= model.config.max_seq_len:
            raise RunError(f"seq_len={seq_len}: expected 1 to {model.config.max_seq_len}, the model's own")
        tokenizer = Tokenizer(next(iter(stores.values())).folder / "tokenizer.model")
        results = validate(
            model,
            stores,
            tokenizer,
            ranks,
            seq_len=seq_len,
            sequences=config.sequences,
            batch=config.micro_batch,
        )
    finally:
        tear_down()
    print(f"{weights.path}, sequences of {seq_len} tokens")
    print(f"{'source':<16}{'loss':>10}{'perplexity':>14}{'bits/byte':>12}{'tokens':>12}")
    for source, result in results.items():
        print(
            f"{source:<16}{result['loss']:>10.4f}{result['perplexity']:>14.2f}"
            f"{result['bits_per_byte']:>12.4f}{result['tokens']:>12,}"
        )


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))
