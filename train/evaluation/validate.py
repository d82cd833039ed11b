"""`relama validate weights=PATH`: held-out loss per source, by default on the data that the run trains on."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from configs import terminal
from configs.load import entry, load
from configs.overrides import as_key
from configs.table import table as aligned
from data.cache.config import CacheConfig
from data.errors import DataError
from data.mixture import DataConfig, find_stores
from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer
from model.formats.errors import FormatError
from model.formats.weights import Weights
from model.parallelize.mesh import Layout
from train.config import RunError
from train.evaluation.validation import validate
from train.precision import inference_dtype, refuse_unknown_dtype
from train.preflight import open_heldout
from train.ranks.setup import set_up, tear_down
from train.run.configuration import read_run_config
from train.run.lineage import inherited
from train.weights.open import load_model, open_weights, same_tokenizer


@dataclass
class ValidateWeightsConfig:
    """What to measure, on which data. Without `data=`, a run is measured on its own data."""

    weights: str  # a run's folder or name, RUN@STEP, a Hugging Face folder or a Meta folder
    data: DataConfig
    corpora: str = "corpora"  # the folder of the prepared sources
    cache: CacheConfig = field(default_factory=CacheConfig)
    sequences: int = 1000000  # at most, per source, spread evenly over what is held out
    seq_len: int | None = None  # null: the run's, or else the model's context
    micro_batch: int = 4  # sequences computed at once
    device: str = "auto"  # auto | cpu | cuda
    dtype: str = "auto"  # for computation: auto (a run's own, else bf16 where it is faster) | fp32 | bf16
    seed: int = 0  # where the spread begins; a run's own data: its seed

    def __post_init__(self) -> None:
        refuse_unknown_dtype(self.dtype)
        for key in ("sequences", "micro_batch"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected at least 1")


def run(argv: list[str]) -> None:
    config = load("validate", ValidateWeightsConfig, as_key("weights", argv))
    weights = open_weights(Path(config.weights))
    config = _with_the_runs_data(config, weights, {word.partition("=")[0] for word in argv})
    stores = open_heldout(find_stores(config.corpora, config.data), config.cache)
    if not stores:
        raise RunError(
            f"{config.corpora}: no held-out data; "
            "relama prepare … stage=tokens heldout=0.01 replace=true makes some"
        )
    _refuse_other_tokenizer(config, weights, stores)
    seq_len = weights.config.max_seq_len if config.seq_len is None else config.seq_len
    if not 1 <= seq_len <= weights.config.max_seq_len:
        raise RunError(f"seq_len={seq_len}: expected 1 to {weights.config.max_seq_len}, the model's context")
    ranks = set_up(Layout(), config.device)
    try:
        rows = config.micro_batch * seq_len
        results = validate(
            load_model(weights, ranks.device, inference_dtype(config.dtype, ranks, weights.config, rows)),
            stores,
            Tokenizer(next(iter(stores.values())).tokenizer),
            ranks,
            seq_len=seq_len,
            sequences=config.sequences,
            batch=config.micro_batch,
            seed=config.seed,
        )
    finally:
        tear_down()
    terminal.write(f"{weights.path} on {config.corpora}, sequences of {seq_len} tokens")
    for line in table(results):
        terminal.write(line)


def table(results: dict[str, dict[str, float]]) -> list[str]:
    """A line for each source, under a heading."""
    rows = [
        (
            source,
            f"{result['loss']:.4f}",
            f"{result['perplexity']:.2f}",
            f"{result['bits_per_byte']:.4f}",
            f"{result['tokens']:,}",
            f"{result['sequences']:,} of {result['of_sequences']:,}",
        )
        for source, result in results.items()
    ]
    return aligned(("source", "loss", "perplexity", "bits/byte", "tokens", "sequences"), rows)


def _with_the_runs_data(
    config: ValidateWeightsConfig, weights: Weights, given: set[str]
) -> ValidateWeightsConfig:
    """`config` with what the run used, if `weights` are a run's: its precision and, without data=, its data,
    sequence length and seed. `given`: the keys that were typed; data.sources= chooses among the run's own."""
    if weights.step is None or not (weights.path.parents[1] / "config.yaml").exists():
        return config
    folder = weights.path.parents[1]
    run = read_run_config(folder)
    if config.dtype == "auto":
        config = replace(config, dtype=run.precision)
    about_data = {key for key in given if key.partition(".")[0] == "data"}
    if about_data - {"data.sources"}:
        return config
    own = {"corpora": run.corpora, "seq_len": run.seq_len, "seed": run.seed}
    as_run = replace(config, **{key: own[key] for key in own if key not in given})
    # A phase, or a branch, may read sources that data.weights lacks.
    weighted = run.timeline.needed(as_run.corpora, inherited(folder))
    sources = config.data.sources if about_data else None
    if sources and not set(sources) <= weighted.keys():
        return config
    return replace(as_run, data=replace(run.data, weights=weighted, sources=sources))


def _refuse_other_tokenizer(
    config: ValidateWeightsConfig, weights: Weights, stores: dict[str, TokenStore]
) -> None:
    for store in stores.values():
        if not same_tokenizer(weights, store.tokenizer_fingerprint, store.vocab_size):
            raise RunError(
                f"{store.place}: made with a different tokenizer than {config.weights} was trained with; "
                "give data= and corpora= of its run"
            )


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))
