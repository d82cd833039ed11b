"""Ranks: how many of them work, which device each has, and how they speak.

Everything a rank needs to know of the others is a `Ranks`. One process without torchrun is a group
of one, so the rest of the trainer never asks whether it is distributed.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from model.llama import LlamaConfig
from model.parallelize.mesh import DIMENSIONS, Layout, LayoutError, Limits, build, choose, dp_rank
from train.config import RunError, TrainConfig
from train.ranks.rendezvous import name_of_this_start

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among the working ones."""

    rank: int
    world_size: int
    device: torch.device
    mesh: DeviceMesh
    layout: Layout
    dp_rank: int = 0  # among those that see different samples

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def dp_size(self) -> int:
        return self.layout.dp_size


def choose_layout(config: TrainConfig) -> Layout:
    """Where the started ranks will stand; says so where some stay idle. RunError if they cannot stand so."""
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    layout = layout_of(config, config.model, world_size)
    if layout.world_size < world_size and os.environ.get("RANK") == "0":
        print(
            f"relama: {world_size} ranks do not divide the batch of {config.batch_sequences} sequences "
            f"(micro_batch={config.micro_batch}): {layout.world_size} work, "
            f"{world_size - layout.world_size} stay idle",
            file=sys.stderr,
        )
    return layout


def layout_of(config: TrainConfig, model: LlamaConfig, world_size: int) -> Layout:
    """The layout that `config` asks of `world_size` ranks for `model`. RunError if it does not fit."""
    parallel = config.parallel
    wanted = Layout(**{name: getattr(parallel, name) for name in DIMENSIONS})
    limits = Limits(
        model=model,
        seq_len=config.seq_len,
        micro_batches=config.batch_sequences // config.micro_batch,
        schedule=parallel.schedule,
        stages_per_rank=parallel.stages_per_rank,
    )
    try:
        return choose(wanted, world_size, limits)
    except LayoutError as error:
        raise RunError(str(error)) from None


def is_idle(world_size: int) -> bool:
    return int(os.environ.get("RANK", 0)) >= world_size


def device_type(asked: str) -> str:
    """cpu or cuda. Raises RunError."""
    if asked not in ("auto", "cpu", "cuda"):
        raise RunError(f"device={asked}: expected one of auto, cpu, cuda")
    if asked == "cuda" and not torch.cuda.is_available():
        raise RunError("device=cuda: no CUDA device is available here; set device=cpu")
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return asked


def set_up(
    layout: Layout,
    device: str = "auto",
    threads: int | None = None,
    patience: timedelta = timedelta(minutes=10),
) -> Ranks:
    """Join the process group of the layout's working ranks: gloo on CPUs, NCCL on GPUs.

    `patience`: how long the first to come wait for the last.
    """
    world_size = layout.world_size
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    local_world_size = min(int(os.environ.get("LOCAL_WORLD_SIZE", 1)), world_size)
    kind = device_type(device)
    if kind == "cuda":
        torch.cuda.set_device(local_rank)
        torch.set_float32_matmul_precision("high")  # TF32 for what stays in fp32
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(threads or max(1, cores // local_world_size))
    rank = join_process_group("cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo", world_size, patience)
    mesh = build(layout, kind)
    return Ranks(
        rank=rank,
        world_size=world_size,
        device=torch.device(kind, local_rank) if kind == "cuda" else torch.device(kind),
        mesh=mesh,
        layout=layout,
        dp_rank=dp_rank(mesh),
    )


def join_process_group(backend: str, world_size: int, patience: timedelta) -> int:
    """Returns this rank. The prefix: after a restart the agent's store still holds the dead start's keys."""
    if not {"MASTER_ADDR", "RANK"} <= os.environ.keys():  # some clusters set the first for everybody
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
        return 0
    rank = int(os.environ["RANK"])
    agent_serves = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    store = dist.TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        world_size=None if agent_serves else world_size,
        is_master=rank == 0 and not agent_serves,
        timeout=patience,
    )
    store = dist.PrefixStore(name_of_this_start(store, rank, world_size), store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
    return rank


def tear_down() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def first_rank_does(work: Callable[[], T]) -> T:
    """Rank 0 does `work`; all ranks get its result, or its RunError."""
    if not dist.is_initialized():
        return work()
    box: list = [None, None]
    if dist.get_rank() == 0:
        try:
            box[0] = work()
        except (RunError, OSError) as error:
            box[1] = str(error)
    dist.broadcast_object_list(box, src=0)
    if box[1] is not None:
        raise RunError(box[1])
    return box[0]


def gather_objects(value: T) -> list[T]:
    """Each rank's value, in order of rank, on all ranks."""
    if not dist.is_initialized():
        return [value]
    values: list = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def die_with_parent() -> None:
    """Workers of a killed torchrun must not live on and write (Linux's PR_SET_PDEATHSIG)."""
    if "TORCHELASTIC_RUN_ID" in os.environ and sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)
