"""`parallel.compile=true` under each layout: no graph breaks in a block, no recompilation after two steps."""

from functools import partial

import pytest
import torch
from torch._dynamo.utils import counters

from model.config import LlamaConfig
from model.initialize import initialize
from model.llama import Llama
from model.parallelize import mesh as meshes
from model.parallelize.apply import parallelize
from model.parallelize.gradients import clip_gradients, forward_backward
from model.parallelize.mesh import Layout
from tests.support.ranks import run_ranks

CONFIG = LlamaConfig(32, 2, 4, vocab_size=64, multiple_of=16, max_seq_len=16, n_kv_heads=2)
WAYS = {
    1: [
        (Layout(), {}),
        (Layout(), {"activation_checkpointing": "selective", "param_dtype": torch.bfloat16}),
    ],
    2: [
        (Layout(dp_shard=2), {"param_dtype": torch.bfloat16}),
        (Layout(tp=2), {}),
        (Layout(cp=2), {}),
        (Layout(pp=2), {}),
    ],
}


def steps(layout: Layout, options: dict, compiled: bool) -> tuple[list[float], list[int], dict]:
    """Losses, graphs compiled so far after each of four steps, and reasons of graph breaks."""
    torch._dynamo.reset()
    counters.clear()
    # Graph breaks and recompilation do not depend on what compiles the graphs; this takes no time.
    torch.compile, inductor = partial(torch.compile, backend="aot_eager"), torch.compile
    try:
        model = parallelize(Llama(CONFIG), meshes.build(layout, "cpu"), compile=compiled, **options)
    finally:
        torch.compile = inductor
    initialize(model, seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses, graphs = [], []
    for step in range(4):
        draw = torch.Generator().manual_seed(step)
        batches = [torch.randint(0, 64, (2, 17), generator=draw) for _ in range(2)]
        loss = forward_backward(model, [(batch[:, :-1], batch[:, 1:].contiguous()) for batch in batches], 2)
        clip_gradients(model, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        graphs.append(counters["stats"]["unique_graphs"])
    return losses, graphs, dict(counters["graph_break"])


def compare(ways: list) -> list:
    return [[steps(*way, compiled=compiled) for compiled in (False, True)] for way in ways]


@pytest.mark.parametrize("ranks", WAYS)
@pytest.mark.distributed
def test_blocks_compile_in_one_graph_and_once_and_train_as_without(ranks):
    for of_rank in run_ranks(compare, ranks, WAYS[ranks]):
        for way, (eager, compiled) in zip(WAYS[ranks], of_rank, strict=True):
            losses, graphs, breaks = compiled
            assert not breaks, way
            assert 0 < graphs[1] == graphs[-1], way
            assert losses == pytest.approx(eager[0], rel=1e-2 if "param_dtype" in way[1] else 1e-5), way
