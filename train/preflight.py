"""What a run stands on, checked before anything starts: the data, the tokenizer, the memory."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from data.errors import DataError
from data.mixture import find_stores
from data.tokens.store import TokenStore
from model.flops import n_params
from model.llama import LlamaConfig
from model.parallelize.mesh import Layout
from train.config import RunError, TrainConfig
from train.ranks.setup import device_type
from train.recipe.facts import with_vocabulary

# fp32 weights, gradients and AdamW's two moments.
BYTES_PER_PARAMETER = 16
# Up to here, `verify_data=auto` reads every shard to check it.
QUICK_TO_VERIFY = 2 * 2**30


def open_data(
    config: TrainConfig, layout: Layout
) -> tuple[dict[str, TokenStore], dict[str, TokenStore], LlamaConfig]:
    """The training and held-out stores of each source, and the model's config with the vocabulary filled in.

    Raises one error that names all that is missing: corpora, memory, or both.
    """
    if config.data.name == "sample":
        from data.prepare.sample import (
            prepare_sample,  # the text side is heavy, and a prepared run has no need of it
        )

        prepare_sample(Path(config.corpora), vocab_size=config.data.vocab_size or 4096)
    missing = []
    try:
        folders = find_stores(Path(config.corpora), config.data)
    except DataError as error:
        folders, missing = {}, [str(error)]
    missing += _memory_problem(config, layout)
    if missing:
        raise RunError("; and ".join(missing))
    train = {source: TokenStore.open(folder, "train") for source, folder in folders.items()}
    heldout = open_heldout(folders)
    _refuse_mixed_tokenizers(train)
    for source, store in train.items():
        if store.n_sequences(config.seq_len) < 1:
            raise RunError(
                f"{store.folder}: {store.n_tokens} tokens are too few for one sequence of "
                f"seq_len={config.seq_len}; prepare more for {source}, or leave it out (data.sources=[…])"
            )
    _verify(config, [*train.values(), *heldout.values()])
    return train, heldout, _with_vocabulary(config.model, next(iter(train.values())))


def open_heldout(folders: dict[str, Path]) -> dict[str, TokenStore]:
    """The held-out store of each source that has one; says which have none."""
    stores = {source: TokenStore.open(folder, "heldout") for source, folder in folders.items()}
    empty = [source for source, store in stores.items() if store.n_tokens < 2]
    if empty and os.environ.get("RANK", "0") == "0":
        print(
            f"relama: nothing was held out of {', '.join(empty)}, so it is not validated "
            "(relama prepare … stage=tokens heldout=0.01 sets more apart)",
            file=sys.stderr,
        )
    return {source: store for source, store in stores.items() if source not in empty}


def _refuse_mixed_tokenizers(stores: dict[str, TokenStore]) -> None:
    first = next(iter(stores.values()))
    for store in stores.values():
        if store.tokenizer_fingerprint != first.tokenizer_fingerprint:
            raise RunError(
                f"{store.folder / 'manifest.json'}: made with another tokenizer than {first.folder}; "
                "prepare both with one tokenizer (relama prepare … stage=tokens tokenizer=…)"
            )


def _with_vocabulary(model: LlamaConfig, store: TokenStore) -> LlamaConfig:
    if model.vocab_size not in (-1, store.vocab_size):
        raise RunError(
            f"{store.folder / 'manifest.json'}: a vocabulary of {store.vocab_size}, but model.vocab_size="
            f"{model.vocab_size}; prepare the tokens with a tokenizer of that size, or "
            "set model.vocab_size=-1"
        )
    return replace(model, vocab_size=store.vocab_size)


def _verify(config: TrainConfig, stores: list[TokenStore]) -> None:
    """Each machine's first rank reads the shards."""
    size = sum(store.n_tokens * store.dtype.itemsize for store in stores)
    wanted = config.verify_data == "always" or (config.verify_data == "auto" and size <= QUICK_TO_VERIFY)
    if wanted and os.environ.get("LOCAL_RANK", "0") == "0":
        for store in stores:
            store.verify()


def _memory_problem(config: TrainConfig, layout: Layout) -> list[str]:
    """One line if this machine's ranks cannot hold their share of the training state."""
    parts = layout.world_size // layout.dp_replicate  # of one copy
    model = with_vocabulary(config.model)
    total = n_params(model) * BYTES_PER_PARAMETER
    if device_type(config.device) == "cuda":
        free, place = torch.cuda.get_device_properties(0).total_memory, "each GPU"
        share = total / parts
    else:
        free, place = _available_memory(), "this machine"
        share = total * min(int(os.environ.get("LOCAL_WORLD_SIZE", 1)), layout.world_size) / parts
    if free is None or share <= free:
        return []
    copies = f" (parallel.dp_replicate={layout.dp_replicate} copies)" if layout.dp_replicate > 1 else ""
    return [
        f"the model needs {share / 2**30:,.0f} GiB on {place} for fp32 weights, gradients and AdamW state "
        f"over {parts} rank(s){copies}, and {free / 2**30:,.0f} GiB are there: use more ranks (torchrun "
        "--nnodes, --nproc_per_node) or a smaller model=tiny|small|7b|…"
    ]


def _available_memory() -> int | None:
    try:
        with open("/proc/meminfo") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
