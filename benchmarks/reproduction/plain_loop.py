"""A finished run trained again by a plain loop over transformers: `python …/plain_loop.py RUN_FOLDER`.

The same initial weights, tokens in the same order, schedule, precision (bf16 by autocast) and held-out text.
Prints both held-out losses and how long the steps took; exits with 1 if the losses differ by more than 0.3 %.
"""

import json
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data.loader import Loader
from data.order import Order
from data.tokens.store import TokenStore
from model.initialize import initialize
from model.llama import Llama
from tests.support.theirs import their_model
from train.config import TrainConfig
from train.evaluation.validation import spread
from train.optimizer import build_optimizer, learning_rate, set_learning_rate
from train.run.record import RunRecord

TOLERANCE = 0.003


def main(run: Path) -> None:
    record = RunRecord.read(run)
    config, saved = record.config, json.loads((run / "order.json").read_text())
    torch.set_num_threads(config.threads or 1)
    ours_model = Llama(record.model)
    initialize(ours_model, config.seed)
    model = their_model(record.model, ours_model)
    optimizer = build_optimizer(model, config.optim)
    precision = partial(torch.autocast, "cpu", torch.bfloat16, enabled=config.precision == "bf16")
    stores = {name: TokenStore.open(Path(folder), "train") for name, folder in saved["stores"].items()}
    order, sequences = Order.from_json(saved["order"]), config.batch_sequences
    micro_batches = sequences // config.micro_batch
    with Loader(order, stores, micro_batch=config.micro_batch, global_batch=sequences) as loader:
        batches = loader.batches(0, config.steps)
        begin = time.perf_counter()
        for step in range(1, config.steps + 1):
            set_learning_rate(optimizer, learning_rate(step, config.steps, config.optim))
            for _ in range(micro_batches):
                inputs, labels = next(batches)
                with precision():
                    loss = loss_of(model, inputs, labels)
                (loss / micro_batches).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip)
            optimizer.step()
            optimizer.zero_grad()
        seconds = time.perf_counter() - begin
    validation, weights = record.last["validation"], config.data.weights
    with precision():
        theirs = held_out(model, saved["stores"], config)
    ours = sum(weights[name] * validation[name]["loss"] for name in validation) / sum(weights.values())
    spent = record.seconds() - record.seconds("validate")
    print(f"{config.steps:,} steps of {config.global_batch:,} tokens in {config.precision}", end=", ")
    print(f"{config.threads} thread(s)")
    print(f"{'':20}{'held-out loss':>14}{'seconds':>10}")
    print(f"{'relama':20}{ours:14.6f}{spent:10.1f}")
    print(f"{'transformers loop':20}{theirs:14.6f}{seconds:10.1f}")
    print(f"the losses differ by {abs(ours / theirs - 1):.4%} (at most {TOLERANCE:.1%})")
    if abs(ours / theirs - 1) > TOLERANCE:
        sys.exit(1)


@torch.no_grad()
def held_out(model: nn.Module, folders: dict[str, str], config: TrainConfig) -> float:
    """Nats per token on the sequences on which the run was measured, by the mixture's weights."""
    total, seq_len, weights = 0.0, config.sequence_length, config.data.weights
    for name, folder in folders.items():
        store = TokenStore.open(Path(folder), "heldout")
        losses = []
        for i in spread(config.validate.sequences, store.n_sequences(seq_len), config.seed):
            row = torch.from_numpy(store.sequence(i, seq_len).astype(np.int64))[None]
            losses.append(loss_of(model, row[:, :-1], row[:, 1:]).item())
        total += weights[name] * sum(losses) / len(losses)
    return total / sum(weights.values())


def loss_of(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(inputs).logits.flatten(0, 1).float(), labels.flatten())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
