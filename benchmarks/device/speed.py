"""Tokens/s, MFU and peak memory of one device's step, eager and compiled, next to what the plan estimates.

Models of two depths are measured; the difference of their steps is what a layer takes, which gives the full
depth. Communication and the optimizer are not part of that figure: both depend on the number of ranks.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist
from device.shapes import DEPTHS, SHAPES, TINY, Shape, batch, built, optimizer_of

from model.flops import flops_per_token
from model.llama import Llama
from model.parallelize import mesh as meshes
from model.parallelize.estimate import estimate
from model.parallelize.gradients import clip_gradients, forward_backward
from model.parallelize.mesh import Layout
from train.metrics.peak import peak_flops

SECONDS = 1.5  # of steps, at least, for each depth
FEWEST = 3  # steps


def on_one(device: torch.device, tiny: bool) -> Iterator[dict]:
    """A line for each shape, eager and compiled."""
    peak = peak_flops(device, torch.bfloat16)
    for shape in TINY if tiny else SHAPES:
        for compiled in (False, True):
            line = {"shape": shape.name, "compiled": compiled, "dim": shape.model.dim}
            try:
                line |= _line(shape, device, compiled, peak)
            except torch.OutOfMemoryError:
                line["error"] = "out of memory"
            except Exception as error:  # of a compiler or driver: the other lines still count
                line["error"] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
            yield line
            _free(device)


def _line(shape: Shape, device: torch.device, compiled: bool, peak: float | None) -> dict:
    computing, updating, memory = zip(
        *(_measure(shape, depth, device, compiled) for depth in DEPTHS), strict=True
    )
    layers = shape.model.n_layers - DEPTHS[0]

    def at_full_depth(seconds: tuple[float, ...]) -> float:
        return seconds[0] + layers * max(0.0, seconds[1] - seconds[0]) / (DEPTHS[1] - DEPTHS[0])

    flops = flops_per_token(shape.model, shape.model.max_seq_len)
    rate = shape.tokens / at_full_depth(computing)
    planned = estimate(
        shape.with_layers(DEPTHS[1]),
        Layout(),
        seq_len=shape.model.max_seq_len,
        micro_batch=shape.batch,
        micro_batches=1,
        mode="none",
    )
    return {
        "tokens_per_second": rate,
        "flops_per_second": rate * flops,
        "mfu": None if peak is None else rate * flops / peak,
        "optimizer_seconds": at_full_depth(updating),
        "peak_gib": memory[1],
        "planned_gib": planned.peak / 2**30,
    }


def _measure(
    shape: Shape, depth: int, device: torch.device, compiled: bool
) -> tuple[float, float, float | None]:
    """Seconds of forward and backward, seconds of the rest of the step, and the peak in GiB."""
    config = shape.with_layers(depth)
    mesh = meshes.build(Layout(), device.type)
    model = built(config, mesh, device, torch.bfloat16, compile=compiled)
    inputs, labels = batch(config, shape.batch, device)
    step = _stepper(model, inputs, labels, device)
    for _ in range(2):
        step()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    taken, begin = [], time.perf_counter()
    while len(taken) < FEWEST or (shape not in TINY and time.perf_counter() - begin < SECONDS):
        taken.append(step())
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    del model, step
    _free(device)
    computing, updating = (statistics.median(part) for part in zip(*taken, strict=True))
    return computing, updating, memory


def _stepper(
    model: Llama, inputs: torch.Tensor, labels: torch.Tensor, device: torch.device
) -> Callable[[], tuple[float, float]]:
    optimizer = optimizer_of(model)

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def step() -> tuple[float, float]:
        start = now()
        forward_backward(model, [(inputs, labels)], 1)
        computed = now()
        clip_gradients(model, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return computed - start, now() - computed

    return step


def on_all(device: torch.device, tiny: bool) -> Iterator[dict]:
    """The widest shape, as deep as one device holds it, sharded over all ranks: tokens/s of them together."""
    shape, world = (TINY if tiny else SHAPES)[-1], dist.get_world_size()
    config = shape.with_layers(DEPTHS[1])
    model = built(config, meshes.build(Layout(dp_shard=world), device.type), device, torch.bfloat16)
    inputs, labels = batch(config, shape.batch, device)
    step = _stepper(model, inputs, labels, device)
    seconds = [sum(step()) for _ in range(FEWEST + 2)][2:]
    rate = world * shape.tokens / statistics.median(seconds)
    yield {"shape": shape.name, "ranks": world, "layers": DEPTHS[1], "sharded_tokens_per_second": rate}


def _free(device: torch.device) -> None:
    gc.collect()
    torch._dynamo.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()
