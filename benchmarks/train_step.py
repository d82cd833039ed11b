"""Our training step against a plain loop over transformers: `python benchmarks/train_step.py`.

Same shapes, threads, optimizer (fused AdamW), clipping and loss, on the CPU; theirs computes in bf16 under
autocast. The contestants are separate processes that take turns, so that other load affects all equally;
both have our allocator setting. A figure is the median over the turns' medians; ratios are also given by CPU
time, which other processes on the cores affect less. Memory is a process's largest resident set, less what
it had before it built its model. `--profile` prints the operators of one step instead.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch._C._distributed_c10d import HashStore

from model.config import LlamaConfig
from model.flops import flops_per_token
from model.initialize import initialize
from model.llama import Llama
from model.parallelize import mesh as meshes
from model.parallelize.apply import parallelize
from model.parallelize.gradients import clip_gradients, forward_backward
from model.parallelize.mesh import Layout
from train.config_groups import OptimConfig
from train.metrics.peak import measured_peak
from train.optimizer import build_optimizer
from train.precision import DTYPES
from train.ranks.allocator import raise_malloc_thresholds
from train.ranks.products import use_onednn_where_faster


@dataclass(frozen=True)
class Shape:
    model: LlamaConfig
    batch: int
    target: str

    @property
    def tokens(self) -> int:
        return self.batch * self.model.max_seq_len


SHAPES = {
    "a": Shape(
        LlamaConfig(512, 8, 8, 32000, max_seq_len=512), 4, "fp32 at least 1.1×, bf16 1.25×, and less memory"
    ),
    "b": Shape(LlamaConfig(256, 6, 8, 4096, max_seq_len=256), 8, "at least 1.05× in both precisions"),
    # TinyLlama's proportions: eight queries share a key, and the hidden dim is 2.75 times as wide.
    "gqa": Shape(LlamaConfig(512, 8, 16, 32000, 64, max_seq_len=512, n_kv_heads=2), 4, "not slower"),
}
SIDES = ("relama", "transformers")


@dataclass(frozen=True)
class Contestant:
    side: str
    precision: str
    allocator: bool  # with our allocator setting


@dataclass
class Result:
    seconds: list[float] = field(default_factory=list)  # a step's, of each turn
    busy: list[float] = field(default_factory=list)  # the same, of CPU time in each thread
    rss: int = 0


WARM_UP = 2


def relama_step(shape: Shape, precision: str):
    """The step as the trainer runs it on one rank."""
    use_onednn_where_faster()
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    with torch.device("meta"):
        model = Llama(shape.model)
    model = parallelize(model, meshes.build(Layout(), "cpu"), param_dtype=DTYPES[precision])
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


def transformers_step(shape: Shape, precision: str):
    from transformers import LlamaConfig as TheirConfig
    from transformers import LlamaForCausalLM

    config = TheirConfig(
        vocab_size=shape.model.vocab_size,
        hidden_size=shape.model.dim,
        intermediate_size=shape.model.hidden_dim,
        num_hidden_layers=shape.model.n_layers,
        num_attention_heads=shape.model.n_heads,
        num_key_value_heads=shape.model.kv_heads,
        max_position_embeddings=shape.model.max_seq_len,
        rms_norm_eps=shape.model.norm_eps,
        tie_word_embeddings=False,
        use_cache=False,
        attn_implementation="sdpa",  # pyright: ignore[reportCallIssue] - any keyword, but not in its type
    )
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=3.0e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )

    def step(inputs: torch.Tensor, labels: torch.Tensor) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(inputs).logits
        loss = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def contestant(who: Contestant, shape: Shape, threads: int) -> None:
    """Serve turns: a number of steps in on stdin, a line of their seconds and the peak memory out."""
    if who.allocator and not raise_malloc_thresholds():
        raise SystemExit("this C library is not glibc: there is no allocator setting to measure")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = (relama_step if who.side == "relama" else transformers_step)(shape, who.precision)
    tokens = torch.randint(0, shape.model.vocab_size, (shape.batch, shape.model.max_seq_len + 1))
    inputs, labels = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    for line in sys.stdin:
        seconds, busy = [], []
        for _ in range(int(line)):
            start, work = time.perf_counter(), time.process_time()
            step(inputs, labels)
            seconds.append(time.perf_counter() - start)
            busy.append((time.process_time() - work) / threads)
        rss = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        print(json.dumps({"seconds": seconds, "busy": busy, "rss": rss}), flush=True)


def profiled(who: Contestant, name: str, shape: Shape, threads: int) -> None:
    """Print each operator's share in the time of the second step, down to 1 %."""
    raise_malloc_thresholds()
    torch.set_num_threads(threads)
    step = (relama_step if who.side == "relama" else transformers_step)(shape, who.precision)
    tokens = torch.randint(0, shape.model.vocab_size, (shape.batch, shape.model.max_seq_len + 1))
    inputs, labels = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    step(inputs, labels)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        step(inputs, labels)
    operators = sorted(profile.key_averages(), key=lambda one: -one.self_cpu_time_total)
    total = sum(one.self_cpu_time_total for one in operators)
    print(f"({name}) {who.side}, {who.precision}, {threads} threads: {total / 1e3:.0f} ms")
    for one in operators:
        if one.self_cpu_time_total >= total / 100:
            print(f"{one.self_cpu_time_total / total:8.1%}{one.count:7}  {one.key}")


def take_turns(name: str, contestants: list[Contestant], threads: int, turns: int, steps: int) -> None:
    """Measure one shape and print its table; progress goes to stderr."""
    use_onednn_where_faster()  # the peak is the faster library's
    shape = SHAPES[name]
    workers = {who: start(name, who, threads) for who in contestants}
    results = {who: Result() for who in contestants}
    peak = 0.0
    try:
        for worker in workers.values():
            ask(worker, WARM_UP)
        for turn in range(turns):
            print(f"({name}) turn {turn + 1} of {turns}", file=sys.stderr, flush=True)
            peak = max(peak, measured_peak(threads))
            for who, worker in workers.items():
                answer, result = ask(worker, steps), results[who]
                result.seconds.append(statistics.median(answer["seconds"]))
                result.busy.append(statistics.median(answer["busy"]))
                result.rss = answer["rss"]
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()
    report(name, shape, results, peak, threads)


def start(name: str, who: Contestant, threads: int) -> subprocess.Popen:
    arguments = [sys.executable, __file__, f"--shapes={name}", f"--threads={threads}", f"--side={who.side}"]
    arguments += [f"--precisions={who.precision}", *["--allocator"] * who.allocator]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(worker: subprocess.Popen, steps: int) -> dict:
    """Let a contestant run `steps` steps while the others wait."""
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write(f"{steps}\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"a contestant ended early (exit code {worker.wait()}): {worker.args}")
    return json.loads(answer)


def report(name: str, shape: Shape, results: dict[Contestant, Result], peak: float, threads: int) -> None:
    config = shape.model
    print(
        f"\n({name}) dim {config.dim}, {config.n_layers} layers, {config.n_heads} heads ({config.kv_heads} "
        f"of keys), vocabulary {config.vocab_size}, sequence {config.max_seq_len}, batch {shape.batch}; "
        f"{threads} threads, fp32 peak {peak / 1e9:.0f} GFLOP/s; target: {shape.target}"
    )
    heads = ("", "precision", "allocator", "tokens/s", "ratio", "by CPU time", "of fp32 peak", "memory")
    print("".join(f"{head:>14}" for head in heads))
    for who, result in results.items():
        theirs, median = results.get(replace(who, side="transformers")), statistics.median(result.seconds)
        flops = flops_per_token(config, config.max_seq_len) * shape.tokens
        cells = (
            who.side,
            who.precision,
            "raised" if who.allocator else "default",
            f"{shape.tokens / median:.0f}",
            f"{statistics.median(theirs.seconds) / median:.2f}" if theirs else "",
            f"{statistics.median(theirs.busy) / statistics.median(result.busy):.2f}" if theirs else "",
            f"{flops / peak / median:.0%}",
            f"{result.rss / 2**30:.2f} GiB",
        )
        print("".join(f"{cell:>14}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps in a turn")
    parser.add_argument("--defaults", action="store_true", help="also without the allocator setting")
    parser.add_argument("--batch", type=int, help="with --profile: sequences, if not the shape's")
    parser.add_argument("--profile", choices=SIDES, help="print the operators of one step of this side")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--allocator", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        who = Contestant(asked.side, asked.precisions, asked.allocator)
        contestant(who, SHAPES[asked.shapes], asked.threads)
        return
    if asked.profile:
        for name in asked.shapes.split(","):
            shape = replace(SHAPES[name], batch=asked.batch or SHAPES[name].batch)
            for precision in asked.precisions.split(","):
                profiled(Contestant(asked.profile, precision, True), name, shape, asked.threads)
                if dist.is_initialized():
                    dist.destroy_process_group()
        return
    contestants = [
        Contestant(side, precision, allocator)
        for precision in asked.precisions.split(",")
        for allocator in ((True, False) if asked.defaults else (True,))
        for side in SIDES
    ]
    for name in asked.shapes.split(","):
        take_turns(name, contestants, asked.threads, asked.turns, asked.steps)


if __name__ == "__main__":
    main()
