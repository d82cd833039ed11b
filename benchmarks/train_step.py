"""Our training step against a plain loop over transformers: `python benchmarks/train_step.py`.

Same shapes, threads, optimizer (fused AdamW), clipping and loss; fp32 on the CPU. The contestants are
separate processes that take turns, so that other load affects all equally; each runs with and without our
allocator setting. Peak memory is measured in the same turns.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F

from model.flops import flops_per_token
from model.initialize import initialize
from model.llama import Llama, LlamaConfig
from model.parallelize import mesh as meshes
from model.parallelize.apply import parallelize
from model.parallelize.gradients import clip_gradients, forward_backward
from model.parallelize.mesh import Layout
from train.allocator import raise_malloc_thresholds
from train.config_groups import OptimConfig
from train.metrics.peak import measured_peak
from train.optimizer import build_optimizer


@dataclass(frozen=True)
class Shape:
    model: LlamaConfig
    batch: int
    target: str

    @property
    def tokens(self) -> int:
        return self.batch * self.model.max_seq_len


SHAPES = {
    "a": Shape(LlamaConfig(512, 8, 8, 32000, max_seq_len=512), 4, "at least 1.3× and 75 % of the peak"),
    "b": Shape(LlamaConfig(256, 6, 8, 4096, max_seq_len=256), 8, "not slower"),
}
SIDES = ("relama", "transformers")
WARM_UP = 2


def relama_step(shape: Shape):
    """The step as the trainer runs it: FSDP2 on a group of one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    with torch.device("meta"):
        model = Llama(shape.model)
    model = parallelize(model, meshes.build(Layout(), "cpu"))
    model.to_empty(device="cpu")
    initialize(model, seed=0)
    optimizer = build_optimizer(model, OptimConfig())

    def step(inputs: torch.Tensor, labels: torch.Tensor) -> float:
        loss = forward_backward(model, [(inputs, labels)], 1)
        clip_gradients(model, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def transformers_step(shape: Shape):
    from transformers import LlamaConfig as TheirConfig
    from transformers import LlamaForCausalLM

    config = TheirConfig(
        vocab_size=shape.model.vocab_size,
        hidden_size=shape.model.dim,
        intermediate_size=shape.model.hidden_dim,
        num_hidden_layers=shape.model.n_layers,
        num_attention_heads=shape.model.n_heads,
        max_position_embeddings=shape.model.max_seq_len,
        rms_norm_eps=shape.model.norm_eps,
        tie_word_embeddings=False,
        use_cache=False,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=3.0e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )

    def step(inputs: torch.Tensor, labels: torch.Tensor) -> float:
        logits = model(inputs).logits
        loss = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def contestant(side: str, shape: Shape, allocator: bool, threads: int) -> None:
    """Serve turns: a number of steps in on stdin, a line of seconds per step and the peak RSS out."""
    if allocator and not raise_malloc_thresholds():
        raise SystemExit("this C library is not glibc: there is no allocator setting to measure")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    step = (relama_step if side == "relama" else transformers_step)(shape)
    tokens = torch.randint(0, shape.model.vocab_size, (shape.batch, shape.model.max_seq_len + 1))
    inputs, labels = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step(inputs, labels)
            seconds.append(time.perf_counter() - start)
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "rss": rss}), flush=True)


def take_turns(name: str, threads: int, turns: int, steps: int) -> None:
    """Measure one shape and print its table; progress goes to stderr."""
    shape = SHAPES[name]
    workers = {
        (side, allocator): start(name, side, allocator, threads)
        for allocator in (True, False)
        for side in SIDES
    }
    seconds: dict[tuple[str, bool], list[float]] = {key: [] for key in workers}
    rss, peak = {}, 0.0
    try:
        for worker in workers.values():
            ask(worker, WARM_UP)
        for turn in range(turns):
            print(f"({name}) turn {turn + 1} of {turns}", file=sys.stderr, flush=True)
            peak = max(peak, measured_peak(threads))
            for key, worker in workers.items():
                answer = ask(worker, steps)
                seconds[key] += answer["seconds"]
                rss[key] = answer["rss"]
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()
    report(name, shape, seconds, rss, peak, threads)


def start(name: str, side: str, allocator: bool, threads: int) -> subprocess.Popen:
    words = [sys.executable, __file__, f"--shapes={name}", f"--threads={threads}", f"--side={side}"]
    words += ["--allocator"] * allocator
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(worker: subprocess.Popen, steps: int) -> dict:
    """Let a contestant run `steps` steps while the others wait."""
    worker.stdin.write(f"{steps}\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"a contestant ended early (exit code {worker.wait()}): {' '.join(worker.args)}")
    return json.loads(answer)


def report(name: str, shape: Shape, results: dict, rss: dict, peak: float, threads: int) -> None:
    config = shape.model
    print(
        f"\n({name}) dim {config.dim}, {config.n_layers} layers, {config.n_heads} heads, vocabulary "
        f"{config.vocab_size}, sequence {config.max_seq_len}, batch {shape.batch}; {threads} threads, "
        f"sgemm peak {peak / 1e9:.0f} GFLOP/s; target: {shape.target}"
    )
    plainest = results["transformers", False]  # what a newcomer's loop gets: no allocator setting
    heads = (
        "",
        "allocator",
        "tokens/s",
        "best",
        "ratio",
        "best",
        "of plainest",
        "of peak",
        "best",
        "peak RSS",
    )
    print("".join(f"{head:>13}" for head in heads))
    for (side, allocator), seconds in results.items():
        theirs, median = results["transformers", allocator], statistics.median(seconds)
        at_peak = flops_per_token(config, config.max_seq_len) * shape.tokens / peak  # seconds
        cells = (
            side,
            "raised" if allocator else "default",
            f"{shape.tokens / median:.0f}",
            f"{shape.tokens / min(seconds):.0f}",
            f"{statistics.median(theirs) / median:.2f}",
            f"{min(theirs) / min(seconds):.2f}",
            f"{statistics.median(plainest) / median:.2f}",
            f"{at_peak / median:.1%}",
            f"{at_peak / min(seconds):.1%}",
            f"{rss[side, allocator] / 2**30:.2f} GiB",
        )
        print("".join(f"{cell:>13}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="a,b")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps in a turn")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--allocator", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.side:
        contestant(words.side, SHAPES[words.shapes], words.allocator, words.threads)
        return
    for name in words.shapes.split(","):
        take_turns(name, words.threads, words.turns, words.steps)


if __name__ == "__main__":
    main()
