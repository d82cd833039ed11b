"""Steps of the run's real model and layout on random tokens: finite, equal on all ranks, and how fast."""

import math
import time

import torch
import torch.distributed as dist

from model.flops import flops_per_token
from model.initialize import initialize
from model.parallelize.gradients import clip_gradients, forward_backward
from train.build import build_model
from train.config import TrainConfig
from train.metrics.hardware import peak_memory_gib
from train.optimizer import build_optimizer
from train.ranks.setup import Ranks
from train.ranks.together import gather_objects

STEPS = 3  # the first may compile; the last is timed
MOST = 8  # micro-batches of a step: a large batch would take a few ranks minutes


def try_steps(config: TrainConfig, ranks: Ranks) -> dict:
    """`loss`, `norm`, `seconds`, `flops_per_second` of each rank, `memory_gib`; all ranks call it."""
    model = build_model(config, ranks)
    optimizer = build_optimizer(model, config.optim)
    initialize(model, config.seed)
    count = config.batch_sequences // (config.micro_batch * ranks.dp_size)
    count = count if ranks.layout.pp > 1 else min(count, MOST)
    draw = torch.Generator().manual_seed(ranks.dp_rank)
    shape = (config.micro_batch, config.sequence_length + 1)
    found: dict = {}
    for _ in range(STEPS):
        tokens = [torch.randint(config.model.vocab_size, shape, generator=draw) for _ in range(count)]
        batches = [(each[:, :-1].to(ranks.device), each[:, 1:].to(ranks.device)) for each in tokens]
        dist.barrier()
        begin = time.perf_counter()
        total = torch.stack(
            [
                forward_backward(model, iter(batches), count).detach().float().reshape(()),
                clip_gradients(model, config.optim.clip).detach().float().reshape(()),
            ]
        )
        dist.all_reduce(total)
        loss, norm = (total / ranks.world_size).tolist()
        optimizer.step()
        optimizer.zero_grad()
        if ranks.device.type == "cuda":
            torch.cuda.synchronize(ranks.device)
        found = {"loss": loss, "norm": norm, "seconds": time.perf_counter() - begin}
    n_tokens = count * config.micro_batch * ranks.dp_size * config.sequence_length
    flops = flops_per_token(config.model, config.sequence_length) * n_tokens
    found["flops_per_second"] = flops / found["seconds"] / ranks.world_size
    return found | {"memory_gib": peak_memory_gib(ranks.device)}


def problems_of(found: list[dict]) -> list[str]:
    """What is wrong with the steps of all ranks."""
    results = [(each["loss"], each["norm"]) for each in found]
    if lost := [rank for rank, result in enumerate(results) if not all(map(math.isfinite, result))]:
        return [f"training step: the loss or the gradient norm is not finite on rank(s) {lost}"]
    if len(set(results)) > 1:
        return [f"training step: the ranks disagree about its loss and norm: {sorted(set(results))}"]
    return []


def step_of_all(config: TrainConfig, ranks: Ranks) -> list[dict]:
    """Each rank's `try_steps`."""
    return gather_objects(try_steps(config, ranks))
