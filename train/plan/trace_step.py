"""Trace one rank's training step in a large world: the trainer's own code, on fake tensors.

The step is divided into stretches (each layer's forward and backward, the head, the optimizer). Every
additional layer adds the same cost, so two shallow models determine a deep one.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from model.config import LlamaConfig
from model.llama import Llama
from model.parallelize.apply import parallelize
from model.parallelize.gradients import clip_gradients, forward_backward
from model.parallelize.pipeline import Pipeline
from train.config_groups import OptimConfig
from train.optimizer import build_optimizer
from train.plan.fake_ranks import Trace, Watcher, watching


@dataclass(frozen=True)
class Work:
    """One rank's work in a step, apart from its layout."""

    seq_len: int
    micro_batch: int
    micro_batches: int  # per rank
    mode: str = "none"  # activation checkpointing
    reshard: str = "auto"
    param_dtype: torch.dtype = torch.bfloat16  # as on GPUs


def trace_step(model: LlamaConfig, mesh: DeviceMesh, work: Work) -> Trace:
    """One step of the rank that sees `mesh` (from `fake_world`), once the optimizer has its state."""
    with torch.device("meta"):
        module = Llama(model)
    parallel = parallelize(
        module,
        mesh,
        activation_checkpointing=work.mode,
        reshard=work.reshard,
        param_dtype=work.param_dtype,
        reduce_dtype=torch.float32,
    )
    with watching(mesh) as watcher:
        with watcher.allocating("buffers"):
            parallel.to_empty(device="cpu")
        watcher.watch(parallel)
        optimizer = build_optimizer(parallel, OptimConfig())
        with watcher.allocating("optimizer"):
            _give_state(optimizer)
        watcher.forget()
        return watcher.trace(_step(parallel, optimizer, work, watcher))


def _give_state(optimizer: torch.optim.Optimizer) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()


def _step(
    model: Llama | Pipeline, optimizer: torch.optim.Optimizer, work: Work, watcher: Watcher
) -> dict[str, int]:
    shape = (work.micro_batch, work.seq_len)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(work.micro_batches):
            watcher.enter("embedding")
            yield torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)

    with ExitStack() as stack:
        for handle in _mark_stretches(model, watcher):
            stack.callback(handle.remove)
        forward_backward(model, batches(), work.micro_batches)
    watcher.enter("clip")
    clip_gradients(model, 1.0)
    watcher.enter("optimizer")
    optimizer.step()
    return watcher.alive()


def _mark_stretches(model: Llama | Pipeline, watcher: Watcher) -> list:
    """Add hooks that tell the watcher which stretch the step is in."""
    layers = list(model.layers.children())

    def forward_begins(number: int):
        def hook(_module, inputs):
            watcher.enter("forward", number)
            if isinstance(inputs[0], Tensor) and inputs[0].requires_grad and number == 0:
                inputs[0].register_hook(lambda _grad: watcher.enter("backward ends"))

        return hook

    def forward_ends(number: int):
        def hook(_module, _inputs, output):
            if output.requires_grad:
                output.register_hook(lambda _grad: watcher.enter("backward", number))
            if number == len(layers) - 1:
                watcher.enter("head")

        return hook

    return [
        handle
        for number, layer in enumerate(layers)
        for handle in (
            layer.register_forward_pre_hook(forward_begins(number), prepend=True),
            layer.register_forward_hook(forward_ends(number)),
        )
    ]
