"""The tokens of a ladder's runs: opened and checked once, with enough of them for its largest run."""

from collections.abc import Sequence
from dataclasses import dataclass

from configs.load import load
from data.tokens.store import TokenStore
from model.parallelize.mesh import Layout
from train.config import MOST_STEPS, RunError, TrainConfig
from train.ladder.config import LadderConfig
from train.ladder.family import Rung
from train.preflight import open_data


@dataclass(frozen=True)
class Tokens:
    """What all runs of a ladder are trained and measured on."""

    config: TrainConfig  # of a run, except what the ladder sets
    stores: dict[str, TokenStore]  # by source

    @property
    def fingerprints(self) -> dict[str, str]:
        return {source: store.fingerprint for source, store in self.stores.items()}

    @property
    def vocab_size(self) -> int:
        return next(iter(self.stores.values())).vocab_size


def open_once(config: LadderConfig, typed: list[str]) -> Tokens:
    """Open the data once, before the first run, and prepare it where a run would."""
    sets = (
        *("model=tiny", f"model.max_seq_len={config.seq_len}", f"seq_len={config.seq_len}", "micro_batch=1"),
        f"steps={MOST_STEPS}",  # each run has its own
    )
    given = [word for word in typed if word.partition("=")[0] not in ("micro_batch", "global_batch")]
    train = load("train", TrainConfig, [*sets, f"global_batch={config.seq_len}", *given])
    for name, phase in train.phases.items():
        if key := next((key for key in phase.ends if key != "until_share"), ""):
            raise RunError(f"phases.{name}.{key}: the ladder's runs differ in length; give until_share")
    stores, heldout = open_data(train, Layout())
    if not heldout:
        raise RunError(
            f"{train.corpora}: no held-out data to measure a law on; relama prepare … stage=tokens "
            "heldout=0.01 replace=true makes some"
        )
    return Tokens(train, stores)


def refuse_repetition(ladder: Sequence[Sequence[Rung]], data: Tokens, epochs: float) -> None:
    """Raise RunError, naming the largest run and its most repeated source, if that is read too often."""
    weights = data.config.data.weights
    largest = max((rung for size in ladder for rung in size), key=lambda rung: rung.tokens)
    needs = {source: largest.tokens * weights[source] / sum(weights.values()) for source in data.stores}
    source = max(needs, key=lambda source: needs[source] / data.stores[source].n_tokens)
    needed, there = needs[source], data.stores[source].n_tokens
    if needed > epochs * there:
        raise RunError(
            f"{largest.name}: needs {needed:,.0f} tokens of {source}, {needed / there:.1f} epochs of its "
            f"{there:,}; prepare more of it, lower sizes= or tokens_per_parameter=, or allow it with "
            f"epochs={needed / there + 0.05:.1f}"
        )
