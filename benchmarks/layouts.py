"""Our step on every layout of two cores, compared with plain PyTorch: `python benchmarks/layouts.py`.

Same small model, loss, optimizer and clipping; 1 process × 2 threads, or 2 processes × 1 thread. "Plain" is
the loop that one writes with torch alone: unwrapped, in DistributedDataParallel, with `fully_shard` around
the same modules, or with `parallelize_module` as in its tutorial. Each of ours takes turns with its
counterpart, so that other load affects both equally. A peak is the most memory that a process has held since
it started, including torch.
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch._C._distributed_c10d import TCPStore
from torch.distributed.device_mesh import init_device_mesh

from model.config import LlamaConfig
from model.initialize import initialize
from model.llama import Llama
from model.parallelize import mesh as meshes
from model.parallelize.apply import parallelize
from model.parallelize.gradients import clip_gradients, forward_backward
from model.parallelize.mesh import Layout
from train.config_groups import OptimConfig
from train.optimizer import build_optimizer
from train.ranks.allocator import raise_malloc_thresholds
from train.ranks.products import use_onednn_where_faster

MODEL = LlamaConfig(512, 8, 8, 32000, max_seq_len=512)
SEQUENCES, MICRO_BATCHES = 4, 2  # in a global batch; MICRO_BATCHES if one rank has them all
WARM_UP = 2


@dataclass(frozen=True)
class Contestant:
    ranks: int
    layout: Layout | None  # None: plain PyTorch
    plain: str = ""  # none | ddp | fsdp | tp
    against: str = ""  # its plain counterpart


CONTESTANTS = {
    "plain, 1 process": Contestant(1, None, "none"),
    "relama, 1 process": Contestant(1, Layout(), against="plain, 1 process"),
    "plain DDP": Contestant(2, None, "ddp"),
    "relama DDP": Contestant(2, Layout(dp_replicate=2), against="plain DDP"),
    "plain fully_shard": Contestant(2, None, "fsdp"),
    "relama FSDP2": Contestant(2, Layout(dp_shard=2), against="plain fully_shard"),
    "plain TP": Contestant(2, None, "tp"),
    "relama TP": Contestant(2, Layout(tp=2), against="plain TP"),
    "relama PP": Contestant(2, Layout(pp=2)),
}


def ours(layout: Layout):
    """One step as the trainer runs it, on this rank's (tokens, labels)."""
    use_onednn_where_faster()
    mesh = meshes.build(layout, "cpu")
    with torch.device("meta"):
        model = Llama(MODEL)
    model = parallelize(model, mesh)
    model.to_empty(device="cpu")
    initialize(model, seed=0)
    optimizer = build_optimizer(model, OptimConfig())
    rank, size = meshes.dp_rank(mesh), layout.dp_size
    count = MICRO_BATCHES // size

    def step(tokens: torch.Tensor, labels: torch.Tensor) -> None:
        mine = [part.chunk(size)[rank].chunk(count) for part in (tokens, labels)]
        forward_backward(model, zip(*mine, strict=True), count)
        clip_gradients(model, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def plain(kind: str):
    model = Llama(MODEL)
    initialize(model, seed=0)
    if kind == "ddp":
        model = torch.nn.parallel.DistributedDataParallel(model)
    elif kind == "fsdp":
        from torch.distributed.fsdp import fully_shard

        for layer in model.layers:
            fully_shard(layer)
        fully_shard(model)
    elif kind == "tp":
        split_over_ranks(model)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=3.0e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    rank, size = (0, 1) if kind == "tp" else (dist.get_rank(), dist.get_world_size())
    count = MICRO_BATCHES // size

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(model(x).flatten(0, 1), y.flatten()) if kind == "tp" else model(x, y)

    def step(tokens: torch.Tensor, labels: torch.Tensor) -> None:
        mine = (part.chunk(size)[rank].chunk(count) for part in (tokens, labels))
        for x, y in zip(*mine, strict=True):
            (loss(x, y) / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def split_over_ranks(model: Llama) -> None:
    """Tensor and sequence parallelism as in PyTorch's tutorial."""
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor import parallel as tp

    mesh, columns, rows = init_device_mesh("cpu", (2,)), tp.ColwiseParallel(), tp.RowwiseParallel
    whole: dict[str, Any] = {
        "tok_embeddings": rows(input_layouts=Replicate(), output_layouts=Shard(1)),
        "norm": tp.SequenceParallel(),
        "output": tp.ColwiseParallel(input_layouts=Shard(1), output_layouts=Replicate()),
    }
    tp.parallelize_module(model, mesh, whole)
    attention = tp.PrepareModuleInput(
        input_layouts=(Shard(1), None), desired_input_layouts=(Replicate(), None)
    )
    plan: dict[str, Any] = {
        "attention_norm": tp.SequenceParallel(),
        "ffn_norm": tp.SequenceParallel(),
        "attention": attention,
        "feed_forward": tp.PrepareModuleInput(
            input_layouts=(Shard(1),), desired_input_layouts=(Replicate(),)
        ),
    }
    plan |= {f"attention.{name}": columns for name in ("wq", "wk", "wv")}
    plan |= {f"feed_forward.{name}": columns for name in ("w1", "w3")}
    plan |= {name: rows(output_layouts=Shard(1)) for name in ("attention.wo", "feed_forward.w2")}
    for layer in model.blocks:
        tp.parallelize_module(layer, mesh, plan)


def contestant(name: str, rank: int, port: int) -> None:
    """Serve turns: a number of steps in on stdin, a line of seconds per step and the peak out."""
    raise_malloc_thresholds()
    who = CONTESTANTS[name]
    torch.set_num_threads(2 // who.ranks)
    store = TCPStore("127.0.0.1", port, who.ranks, is_master=rank == 0)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=who.ranks)
    step = ours(who.layout) if who.layout else plain(who.plain)
    generator = torch.Generator().manual_seed(0)
    shape = (SEQUENCES, MODEL.max_seq_len + 1)
    tokens = torch.randint(0, MODEL.vocab_size, shape, generator=generator)
    inputs, labels = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            dist.barrier()
            start = time.perf_counter()
            step(inputs, labels)
            dist.barrier()
            seconds.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak": peak}), flush=True)


def start(name: str) -> list[subprocess.Popen]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        subprocess.Popen(
            [sys.executable, __file__, f"--contestant={name}", f"--rank={rank}", f"--port={port}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(2 // CONTESTANTS[name].ranks)},
        )
        for rank in range(CONTESTANTS[name].ranks)
    ]


def ask(workers: list[subprocess.Popen], steps: int) -> dict:
    """Let a contestant run `steps` steps while the others wait; the slowest rank's times."""
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(f"{steps}\n")
        worker.stdin.flush()
    answers = [worker.stdout.readline() for worker in workers if worker.stdout is not None]
    if not all(answers):
        raise SystemExit(f"a contestant ended early: {workers[0].args}")
    answers = [json.loads(answer) for answer in answers]
    return {
        "seconds": [max(times) for times in zip(*(answer["seconds"] for answer in answers), strict=True)],
        "peak": max(answer["peak"] for answer in answers),
    }


def take_turns(names: list[str], turns: int, steps: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds of every step and the peak of each; they are in memory together."""
    groups: dict[str, list[subprocess.Popen]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    peaks = {}
    try:
        for name in names:
            groups[name] = start(name)
            ask(groups[name], WARM_UP)
        for turn in range(turns):
            print(f"{' and '.join(names)}: turn {turn + 1} of {turns}", file=sys.stderr, flush=True)
            for name in names if turn % 2 == 0 else reversed(names):
                answer = ask(groups[name], steps)
                seconds[name] += answer["seconds"]
                peaks[name] = answer["peak"]
    finally:
        for worker in (worker for group in groups.values() for worker in group):
            worker.kill()
            worker.wait()
    return seconds, peaks


def report(seconds: dict[str, list[float]], peaks: dict[str, int]) -> None:
    tokens = SEQUENCES * MODEL.max_seq_len
    print(
        f"\ndim {MODEL.dim}, {MODEL.n_layers} layers, vocabulary {MODEL.vocab_size}, {SEQUENCES} sequences "
        f"of {MODEL.max_seq_len} a step; goal: at least 1.0 of plain PyTorch"
    )
    print(f"{'':<22}{'tokens/s':>10}{'best':>10}{'ratio':>8}{'best':>8}{'peak a process':>16}")
    for name, times in seconds.items():
        median, best = statistics.median(times), min(times)
        theirs = seconds.get(CONTESTANTS[name].against)
        ratios = (
            (f"{statistics.median(theirs) / median:.2f}", f"{min(theirs) / best:.2f}") if theirs else ("", "")
        )
        print(
            f"{name:<22}{tokens / median:>10.0f}{tokens / best:>10.0f}{ratios[0]:>8}{ratios[1]:>8}"
            f"{peaks[name] / 2**20:>12.0f} MiB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="contestants, by parts of their names, with ; between")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps in a turn")
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        contestant(arguments.contestant, arguments.rank, arguments.port)
        return
    only = arguments.only.split(";") if arguments.only else [""]
    chosen = [name for name in CONTESTANTS if any(part in name for part in only)]
    rivals = {who.against for who in CONTESTANTS.values()} & set(chosen)
    seconds: dict[str, list[float]] = {}
    peaks: dict[str, int] = {}
    for name in chosen:
        if name in rivals:
            continue
        pair = [name for name in (CONTESTANTS[name].against, name) if name in chosen]
        times, most = take_turns(pair, arguments.turns, arguments.steps)
        seconds, peaks = seconds | times, peaks | most
    report(seconds, peaks)


if __name__ == "__main__":
    main()
