"""The ranks: how many are used, on which device, and how they communicate.

`Ranks` has everything a rank needs to know about the others. A process without torchrun forms a group of
one, so the trainer never asks whether it is distributed.
"""

import atexit
import ctypes
import gc
import math
import os
import signal
import socket
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore, PrefixStore, TCPStore
from torch.distributed.device_mesh import DeviceMesh

from configs.errors import explained
from data.cache.ahead import Node
from data.errors import DataError
from model.config import LlamaConfig
from model.parallelize.mesh import DIMENSIONS, Layout, LayoutError, Limits, build, choose, dp_rank
from train.config import Refused, RunError, TrainConfig
from train.ranks import identity
from train.ranks.products import use_onednn_where_faster
from train.ranks.rendezvous import name_of_this_start

LOOPBACK = "lo"
T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among the ranks in use."""

    rank: int
    world_size: int
    device: torch.device
    mesh: DeviceMesh
    layout: Layout
    dp_rank: int = 0  # index among the ranks that see different samples

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def dp_size(self) -> int:
        return self.layout.dp_size


def choose_layout(config: TrainConfig) -> Layout:
    """The layout of the started ranks; reports idle ones. Raises RunError if it is impossible."""
    world_size = identity.world_size()
    layout = layout_of(config, config.model, world_size)
    if layout.world_size < world_size and identity.is_first():
        print(
            f"relama: {world_size} ranks do not divide the batch of {config.batch_sequences} sequences "
            f"(micro_batch={config.micro_batch}): using {layout.world_size}, "
            f"leaving {world_size - layout.world_size} idle",
            file=sys.stderr,
        )
    return layout


def layout_of(config: TrainConfig, model: LlamaConfig, world_size: int) -> Layout:
    """The layout that `config` requests of `world_size` ranks. Raises RunError if `model` does not fit it."""
    wanted = Layout(**{name: getattr(config.parallel, name) for name in DIMENSIONS})
    try:
        return choose(wanted, world_size, limits_of(config, model))
    except LayoutError as error:
        raise RunError(str(error)) from None


def limits_of(config: TrainConfig, model: LlamaConfig) -> Limits:
    """What a layout of `config` with `model` must divide, in every phase."""
    timeline = config.timeline
    batches = timeline.micro_batches(config.micro_batch)
    return Limits(
        model=model,
        seq_len=timeline.longest,
        micro_batches=math.gcd(*batches),
        schedule=config.parallel.schedule,
        stages_per_rank=config.parallel.stages_per_rank,
        no_pipeline=config.parallel.no_pipeline or _no_evaluation(config),
        # validation has the run's own length
        lengths=(config.sequence_length, *(phase.seq_len for phase in timeline.phases)),
        batches=batches,
    )


def _no_evaluation(config: TrainConfig) -> str | None:
    """Why in-loop evaluation takes no pipeline, if the run has any."""
    evaluate = config.evaluate
    return (
        evaluate.conflict("parallel.pp, whose ranks have parts of the model only") if evaluate.every else None
    )


def is_idle(layout: Layout) -> bool:
    """Whether this process was started beyond what the layout uses."""
    return identity.rank() >= layout.world_size


def device_type(requested: str) -> str:
    """cpu or cuda, for `requested` or auto. Raises RunError if it is not available."""
    if requested not in ("auto", "cpu", "cuda"):
        raise RunError(f"device={requested}: expected one of auto, cpu, cuda")
    if requested == "cuda" and not torch.cuda.is_available():
        raise RunError("device=cuda: no CUDA device is available; set device=cpu")
    if requested == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return requested


def default_threads(local_world_size: int) -> int:
    """A rank's CPU threads: OMP_NUM_THREADS, or its share of the cores. torchrun sets the variable to 1."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > (1 if identity.under_torchrun() else 0):
        return int(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // local_world_size)


def set_up(
    layout: Layout,
    device: str = "auto",
    threads: int | None = None,
    patience: timedelta = timedelta(minutes=10),
) -> Ranks:
    """Join the process group of the layout's ranks: gloo on CPUs, NCCL on GPUs.

    `patience`: how long the first ranks to arrive wait for the last.
    """
    world_size = layout.world_size
    local_rank = identity.local_rank()
    local_world_size = min(identity.local_world_size(), world_size)
    kind = device_type(device)
    if kind == "cuda":
        torch.cuda.set_device(local_rank)
        torch.set_float32_matmul_precision("high")  # TF32 for what is left in fp32
    else:
        torch.set_num_threads(threads or default_threads(local_world_size))
        use_onednn_where_faster()
    rank = join_process_group("cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo", world_size, patience)
    mesh = build(layout, kind)
    _end_threads_with(mesh)
    return Ranks(
        rank=rank,
        world_size=world_size,
        device=torch.device(kind, local_rank) if kind == "cuda" else torch.device(kind),
        mesh=mesh,
        layout=layout,
        dp_rank=dp_rank(mesh),
    )


def join_process_group(backend: str, world_size: int, patience: timedelta) -> int:
    """Join the group on the agent's store, which may hold keys of starts that died; returns this rank.

    Raises RunError.
    """
    identity.refuse_half()
    is_one_machine = identity.local_world_size() == identity.world_size()
    if is_one_machine and LOOPBACK in [name for _, name in socket.if_nameindex()]:
        # gloo would listen at the address of the machine's name, which others may reach.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
    if not {"MASTER_ADDR", "RANK"} <= os.environ.keys():  # some clusters set MASTER_ADDR everywhere
        try:
            dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
        except RuntimeError as error:
            if "Unable to find address" not in str(error):
                raise
            name = os.environ.get("GLOO_SOCKET_IFNAME", LOOPBACK)
            raise RunError(
                f"{name}: no such network interface, or it is down; bring it up (ip link set {name} up)"
            ) from None
        return 0
    rank = identity.rank()
    agent_serves = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    store = TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        world_size=None if agent_serves else world_size,
        is_master=rank == 0 and not agent_serves,
        timeout=patience,
    )
    store = PrefixStore(name_of_this_start(store, rank, world_size), store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
    return rank


def tear_down() -> None:
    """Leave the process group, if there is one."""
    fairscale = sys.modules.get("fairscale.nn.model_parallel.initialize")
    if fairscale:  # a gloo group that is kept to the interpreter's end can abort the process there
        fairscale.destroy_model_parallel()
    if identity.has_group():
        dist.destroy_process_group()


def _end_threads_with(mesh: DeviceMesh) -> None:
    """End the threads of the mesh's groups before the interpreter ends; a thread that is left may abort it.

    torch's caches keep the mesh, and so its groups; what else has them refers to itself.
    """
    weakref.finalize(mesh, mesh._pg_registry.clear)  # at the latest when the interpreter ends
    atexit.unregister(gc.collect)
    atexit.register(gc.collect)


def first_rank_does(work: Callable[[], T]) -> T:
    """Rank 0 does `work`; all ranks get its result, or a RunError with the line of its error."""
    if not identity.has_group():
        return work()
    box: list = [None, None]
    if identity.is_first():
        try:
            box[0] = work()
        except (RunError, DataError, OSError) as error:
            box[1] = Refused(_line(error)) if isinstance(error, Refused) else RunError(_line(error))
    dist.broadcast_object_list(box, src=0)
    if box[1] is not None:
        raise box[1]
    return box[0]


def all_ranks_do(work: Callable[[], T]) -> T:
    """Each rank does `work` and gets its own result; if one fails, all raise RunError with its line.

    Without this, the ranks where it worked would wait for the others in the next collective.
    """
    if not identity.has_group():
        return work()
    result, line = None, None
    try:
        result = work()
    except (RunError, DataError, OSError) as error:
        line = _line(error)
    lines = gather_objects(line)
    failed = [rank for rank, line in enumerate(lines) if line is not None]
    if failed:
        where = "" if len(failed) == len(lines) else f"rank {failed[0]}: "
        raise RunError(f"{where}{lines[failed[0]]}")
    return cast(T, result)


def end_together(code: int = 0) -> int:
    """The exit code for all ranks, once each has finished its work: the first one that is not 0.

    Without this, a machine whose ranks ended well would wait for minutes if a rank elsewhere failed later,
    and then report success. All ranks call it last, except one that failed. Raises RunError if one did.
    """
    if not identity.has_group():
        return code
    sys.stdout.flush()  # if it failed at exit, only this rank's code would change
    try:
        codes = gather_objects(code)
    except RuntimeError:  # gloo: the connection was closed
        raise RunError(
            "another rank failed while it ended; its machine's output says why: run the same command again"
        ) from None
    return next((code for code in codes if code), 0)


def _line(error: Exception) -> str:
    return (explained(error) if isinstance(error, OSError) else None) or str(error)


def gather_objects(value: T) -> list[T]:
    """Each rank's value, in order of rank, on all ranks."""
    if not identity.has_group():
        return [value]
    values: list = [None] * identity.group_size()
    dist.all_gather_object(values, value)
    return values


def node_of(ranks: Ranks) -> Node:
    """The data-parallel ranks on this machine; its first process fetches tokens for all of them."""
    placed = gather_objects((socket.gethostname(), ranks.dp_rank))
    here = frozenset(dp_rank for host, dp_rank in placed if host == socket.gethostname())
    return Node(here, fetches=identity.local_rank() == 0)


def die_with_parent() -> None:
    """Die with torchrun: workers that outlive it must not write (Linux's PR_SET_PDEATHSIG)."""
    if identity.under_torchrun() and sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)
