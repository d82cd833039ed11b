"""Held-out loss per source: loss, perplexity and bits per byte on documents that are never trained on."""

import math
import random
from collections.abc import Callable

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer
from train.preflight import Resolved
from train.ranks import identity
from train.ranks.setup import Ranks


class Interrupted(Exception):
    """The run must stop before the held-out loss is known."""


class Validation:
    """A run's held-out losses: after which steps they are due, and their measurement."""

    def __init__(self, run: Resolved, ranks: Ranks) -> None:
        self._run, self._ranks = run, ranks

    def is_due(self, step: int) -> bool:
        every = self._run.config.validate.every
        is_due = step == self._run.config.last_step or (every > 0 and step % every == 0)
        return bool(self._run.heldout) and is_due

    def measure(self, model: nn.Module, tokenizer: Tokenizer, must_stop: Callable[[], bool]) -> dict:
        """{"validation": the results of `validate` with the run's settings}; empty if it must stop before."""
        config = self._run.config
        try:
            results = validate(
                model,
                self._run.heldout,
                tokenizer,
                self._ranks,
                seq_len=config.sequence_length,
                sequences=config.validate.sequences,
                batch=config.micro_batch,
                seed=config.seed,
                must_stop=must_stop,
            )
        except Interrupted:
            return {}
        return {"validation": results}


def validate(
    model: nn.Module,
    stores: dict[str, TokenStore],
    tokenizer: Tokenizer,
    ranks: Ranks,
    *,
    seq_len: int,
    sequences: int,
    batch: int,
    seed: int,
    must_stop: Callable[[], bool] = lambda: False,
) -> dict[str, dict[str, float]]:
    """Loss on `sequences` held-out sequences of each source, chosen by `spread`; all ranks call it.

    Each source's result has `loss` (nats per token), `perplexity`, `bits_per_byte`, `tokens`, and how many
    sequences were read (`sequences`) of how many held out (`of_sequences`). A source with less held-out text
    than one sequence is measured on one shorter sequence (which the ranks that share it can divide evenly).

    `must_stop` is called before each batch, with the same answer on all ranks; raises Interrupted if true.
    """
    was_training = model.training
    model.eval()
    try:
        return {
            source: _of_source(
                source, model, store, tokenizer, ranks, seq_len, sequences, batch, seed, must_stop
            )
            for source, store in stores.items()
            if store.n_tokens > ranks.layout.sequence_multiple
        }
    finally:
        model.train(was_training)


@torch.no_grad()
def _of_source(
    source: str,
    model: nn.Module,
    store: TokenStore,
    tokenizer: Tokenizer,
    ranks: Ranks,
    seq_len: int,
    sequences: int,
    batch: int,
    seed: int,
    must_stop: Callable[[], bool],
) -> dict[str, float]:
    seq_len = min(seq_len, store.n_tokens - 1)
    seq_len -= seq_len % ranks.layout.sequence_multiple
    available = store.n_sequences(seq_len)
    chosen = spread(sequences, available, seed)
    sums = torch.zeros(3, dtype=torch.float64)  # nats, tokens, bytes
    what = f"held-out loss of {source}"
    for begin in identity.counted(what, range(0, len(chosen), batch * ranks.dp_size)):
        if must_stop():
            raise Interrupted
        first = begin + ranks.dp_rank * batch
        mine = chosen[first : first + batch]
        # FSDP gathers in each forward, so a rank with nothing left runs one too, and does not count it.
        tokens = np.stack([store.sequence(i, seq_len) for i in mine or [0]]).astype(np.int64)
        inputs = torch.from_numpy(tokens[:, :-1]).to(ranks.device)
        labels = torch.from_numpy(tokens[:, 1:]).to(ranks.device)
        loss = model(inputs, labels).item()
        sums += torch.tensor(
            [loss * len(mine) * seq_len, len(mine) * seq_len, len(mine) and tokenizer.text_bytes(tokens)],
            dtype=torch.float64,
        )
    sums = sums.to(ranks.device)
    dist.all_reduce(sums)
    sums /= ranks.world_size // ranks.dp_size  # all ranks that share a sample counted it
    nats, tokens_seen, bytes_seen = sums.tolist()
    return {
        "loss": nats / tokens_seen,
        "perplexity": math.exp(min(nats / tokens_seen, 700.0)),
        "bits_per_byte": nats / math.log(2) / max(1.0, bytes_seen),
        "tokens": int(tokens_seen),
        "sequences": len(chosen),
        "of_sequences": available,
    }


def spread(count: int, available: int, seed: int) -> list[int]:
    """Which sequences to read: `count` of `available` evenly spaced from an offset set by `seed`; or all."""
    if count >= available:
        return list(range(available))
    shift = random.Random(seed).random()
    return [int((i + shift) * available / count) for i in range(count)]
