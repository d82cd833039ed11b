"""Before a run starts: resolve its configuration, once; check its layout, data, tokenizer and memory."""

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch

from data.cache.ahead import bucket_stores
from data.cache.config import CacheConfig
from data.cache.store import open_store
from data.errors import DataError
from data.folders import run_path
from data.mixture import SAMPLE, Place, find_stores
from data.remote import is_remote
from data.tokens.store import TokenStore
from model.config import LlamaConfig
from model.parallelize.mesh import Layout
from train.checkpoint.uploads import state_there
from train.config import RunError, TrainConfig
from train.plan import needs
from train.plan.auto import settle
from train.ranks import identity
from train.ranks.layout import choose_layout, layout_of
from train.ranks.together import first_rank_does
from train.run.configuration import settle_horizon, settle_precision
from train.run.folder import refuse_other_data
from train.run.lineage import Lineage

# `verify_data=auto` checks the shards up to this size.
QUICK_TO_VERIFY = 2 * 2**30
MADE_HERE = ("sample", "text")  # what data= prepares at its first use, which can take long
OWN_VOCABULARY = 4096  # of data=text, for data.vocab_size=null


@dataclass(frozen=True)
class Resolved:
    """What a run is made from. After `settled` nothing in it is left to be chosen or filled in."""

    config: TrainConfig
    layout: Layout
    train: dict[str, TokenStore]  # by source
    heldout: dict[str, TokenStore]  # by source, of those that have held-out data
    there: Callable[[], dict | None]  # the newest state at checkpoint.remote as the start found it, on rank 0

    @property
    def tokenizer_fingerprint(self) -> str:
        return next(iter(self.train.values())).tokenizer_fingerprint

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of each source's training tokens."""
        return {source: store.fingerprint for source, store in self.train.items()}


def resolve(config: TrainConfig, refuse: Callable[[TrainConfig], None] = lambda _: None) -> Resolved:
    """Choose what `config` leaves open (layout, vocabulary), and open its data.

    `refuse` is called once the layout is known, before any data is prepared. Raises RunError, naming
    everything that is missing (corpora, memory) or the keys that conflict.
    """
    config = settle(config)
    layout = choose_layout(config)
    refuse(config)
    there = cache(partial(state_there, config.checkpoint, run_path(config.run)))
    if config.data.name in MADE_HERE:
        _refuse_before_data(config, layout, there)
    train, heldout = open_data(config, layout)
    config = replace(config, model=_with_vocabulary(config.model, next(iter(train.values()))))
    if config.data.sources is not None:
        total = sum(config.data.weights.values())
        shares = (f"{source} {weight / total:.1%}" for source, weight in config.data.weights.items())
        identity.say(f"weights renormalized over data.sources: {', '.join(shares)}")
    _refuse_without_data(config, layout)
    _warn_of_long_rewinds(config)
    return Resolved(config, layout, train, heldout, there)


def _refuse_before_data(config: TrainConfig, layout: Layout, there: Callable[[], dict | None]) -> None:
    """Refuse whatever can be refused before data=sample or data=text is prepared. Raises RunError."""
    data, model = config.data, config.model
    if data.name == "text" and config.source:  # a wrong path would pass for another run's text
        from data.prepare.own_text import refuse_unreadable

        refuse_unreadable(Path(config.corpora), config.source, config.input)
    refuse_other_data(config)
    if identity.is_first():
        there()
    size = data.vocab_size or (OWN_VOCABULARY if data.name == "text" else None)
    if size is None:  # that of the sample which is there
        return
    if model.vocab_size not in (-1, size):
        raise RunError(
            f"model.vocab_size={model.vocab_size}: data={data.name} trains a tokenizer of data.vocab_size="
            f"{size}; set model.vocab_size=-1, or give both the same value"
        )
    config = replace(config, model=replace(model, vocab_size=size))
    if problem := needs.weights_problem(config, layout):
        raise RunError(problem[0])
    _refuse_without_data(config, layout)


def _refuse_without_data(config: TrainConfig, layout: Layout) -> None:
    """Refuse what can be refused once the vocabulary is known, before data is read. Raises RunError."""
    run = run_path(config.run)
    layout_of(config, config.model, layout.world_size)  # again, now that the vocabulary is known
    if config.init and not (run / "checkpoints" / "latest").exists():
        from train.weights.open import refuse_unknown  # heavy, and rarely needed

        refuse_unknown(Path(config.init))
    needs.refuse_what_cannot_fit(config, layout, run)


def _warn_of_long_rewinds(config: TrainConfig) -> None:
    """Warn if a rewind may find no checkpoint that is old enough, and so return to the start."""
    checkpoint, back = config.checkpoint, config.recovery.back
    needed = -(-(back - 1) // checkpoint.every) + 1  # a spike may follow the newest one at once
    if config.recovery.policy == "rewind" and not checkpoint.keep_every and checkpoint.keep < needed:
        identity.say(
            f"warning: recovery=rewind goes back recovery.back={back} steps, but {checkpoint.keep} "
            f"checkpoints, one every {checkpoint.every} steps, may not reach so far: the run would begin "
            f"again; set checkpoint.keep={needed}"
        )


def settled(run: Resolved, device: torch.device, say: Callable[[str], object]) -> Resolved:
    """`run` with its last choices made, which depend on `device` and its folder: precision and warm-up.

    All ranks call it, once they have joined. `say` gets the precision and the reason for it. Raises RunError.
    """
    there = first_rank_does(run.there)
    config = settle_precision(run.config, device, say, there)
    return replace(run, config=settle_horizon(config, there))


def open_data(config: TrainConfig, layout: Layout) -> tuple[dict[str, TokenStore], dict[str, TokenStore]]:
    """The training and held-out stores by source, checked; data=sample and data=text are prepared first.

    Raises RunError that names everything that is missing.
    """
    lineage = Lineage.read(run_path(config.run))
    begun = lineage.step if lineage else 0
    if config.data.name in MADE_HERE:
        _make_data(config, begun)
    missing = []
    try:
        folders = _places(config, begun)
    except DataError as error:
        folders, missing = {}, [str(error)]
    missing += needs.weights_problem(config, layout)
    if missing:
        raise RunError("; and ".join(missing))
    train = {source: open_store(place, "train", config.cache) for source, place in folders.items()}
    heldout = open_heldout(folders, config.cache)
    _refuse_mixed_tokenizers(train)
    for phase in (phase for phase in config.timeline.phases if phase.end > begun):
        for source, store in ((source, train[source]) for source in phase.weights):
            if store.n_sequences(phase.seq_len) < 1:
                where = f" of phase {phase.name}" if config.phases else ""
                kept = heldout[source].n_tokens if source in heldout else 0
                less = (
                    f"hold out fewer than {kept:,} (relama prepare … stage=tokens heldout=0.01 replace=true)"
                )
                again = f"{less}, " if kept > store.n_tokens else ""
                raise RunError(
                    f"{store.place}: {store.n_tokens} tokens are too few for one sequence of "
                    f"seq_len={phase.seq_len}{where}; {again}prepare more for {source}, or exclude it "
                    "(data.sources=A,B)"
                )
    _verify(config, [*train.values(), *heldout.values()])
    _refuse_small_disk(train)
    return train, heldout


def _make_data(config: TrainConfig, begun: int) -> None:
    """Prepare data=sample or data=text, unless it is there. Raises RunError or DataError."""
    corpora, data = Path(config.corpora), config.data
    if is_remote(config.corpora):
        raise RunError(
            f"corpora={config.corpora}: data={data.name} makes its tokens on this machine; "
            "give a local folder"
        )
    _places(config, begun, but=SAMPLE if data.name == "sample" else (config.source,))  # are the others there?
    if data.name == "sample":
        from data.prepare.sample import prepare_sample  # heavy, and needed only once

        if note := prepare_sample(corpora, vocab_size=data.vocab_size):
            identity.say(note)
    elif config.source:
        from data.prepare.own_text import prepare_text

        prepare_text(corpora, config.source, config.input, data.vocab_size or OWN_VOCABULARY)


def _places(config: TrainConfig, begun: int, but: Collection[str | None] = ()) -> dict[str, Place]:
    """Where the sources of the phases after step `begun` are, `but` for some. Raises DataError."""
    needed = config.timeline.needed(config.corpora, begun)
    weights = {source: weight for source, weight in needed.items() if source not in but}
    return find_stores(config.corpora, replace(config.data, weights=weights, sources=None)) if weights else {}


def open_heldout(places: Mapping[str, Place], cache: CacheConfig) -> dict[str, TokenStore]:
    """The held-out store of each source that has one; reports those that have none."""
    stores = {source: open_store(place, "heldout", cache) for source, place in places.items()}
    empty = [source for source, store in stores.items() if store.n_tokens < 2]
    if empty and identity.is_first():
        print(
            f"relama: no held-out data for {', '.join(empty)}; skipping its validation "
            "(relama prepare … stage=tokens heldout=0.01 replace=true makes some)",
            file=sys.stderr,
        )
    return {source: store for source, store in stores.items() if source not in empty}


def _refuse_mixed_tokenizers(stores: dict[str, TokenStore]) -> None:
    first = next(iter(stores.values()))
    for store in stores.values():
        if store.tokenizer_fingerprint != first.tokenizer_fingerprint:
            raise RunError(
                f"{store.place}/manifest.json: made with a different tokenizer than {first.place}; "
                "prepare both with one tokenizer (relama prepare … stage=tokens tokenizer=…)"
            )


def _with_vocabulary(model: LlamaConfig, store: TokenStore) -> LlamaConfig:
    if model.vocab_size not in (-1, store.vocab_size):
        raise RunError(
            f"{store.place}/manifest.json: a vocabulary of {store.vocab_size}, but model.vocab_size="
            f"{model.vocab_size}; prepare the tokens with a tokenizer of that size, or "
            "set model.vocab_size=-1"
        )
    return replace(model, vocab_size=store.vocab_size)


def _refuse_small_disk(stores: dict[str, TokenStore]) -> None:
    """Refuse a cache disk without room, on each machine's first rank."""
    remote = bucket_stores(stores)
    if remote and identity.local_rank() == 0:
        needed = sum(store.n_tokens * store.dtype.itemsize for store in remote.values())
        next(iter(remote.values())).disk.refuse_too_little(needed)


def _verify(config: TrainConfig, stores: list[TokenStore]) -> None:
    """Check the shards' checksums, on each machine's first rank."""
    if config.verify_data != "always":  # tokens from a bucket are compared with checksums as they are read
        stores = [store for store in stores if not is_remote(store.place)]
    size = sum(store.n_tokens * store.dtype.itemsize for store in stores)
    wanted = config.verify_data == "always" or (config.verify_data == "auto" and size <= QUICK_TO_VERIFY)
    if wanted and identity.local_rank() == 0:
        for store in stores:
            with identity.waiting(f"checking {store.place} (verify_data=never skips this)"):
                store.verify()
