"""The ranks: on which device each computes, and how they communicate.

`Ranks` has everything a rank needs to know about the others. A process without torchrun forms a group of
one, so the trainer never asks whether it is distributed.
"""

import atexit
import ctypes
import gc
import os
import signal
import socket
import sys
import weakref
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore, PrefixStore, TCPStore
from torch.distributed.device_mesh import DeviceMesh

from data.cache.ahead import Node
from data.page import plural
from model.parallelize.mesh import Layout, build, dp_rank
from train.config import Refused, RunError
from train.ranks import identity
from train.ranks.products import use_onednn_where_faster
from train.ranks.rendezvous import name_of_this_start
from train.ranks.together import gather_objects

LOOPBACK = "lo"


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


def device_type(requested: str) -> str:
    """cpu or cuda, for `requested` or auto. Raises RunError if it is not available."""
    if requested not in ("auto", "cpu", "cuda"):
        raise RunError(f"device={requested}: expected one of auto, cpu, cuda")
    if requested == "cuda" and not torch.cuda.is_available():
        built = "" if torch.backends.cuda.is_built() else " (this torch is built for CPUs alone)"
        raise Refused(f"device=cuda: no CUDA device is available{built}; set device=cpu")
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
    longest: timedelta | None = None,
) -> Ranks:
    """Join the process group of the layout's ranks: gloo on CPUs, NCCL on GPUs. Raises RunError.

    `patience`: how long the first ranks to arrive wait for the last. `longest`: how long ranks wait for one
    another later; None: torch's default.
    """
    world_size = layout.world_size
    local_rank = identity.local_rank()
    local_world_size = min(identity.local_world_size(), world_size)
    kind = device_type(device)
    if kind == "cuda":
        _refuse_without_gpu(local_rank)
        torch.cuda.set_device(local_rank)
        torch.set_float32_matmul_precision("high")  # TF32 for what is left in fp32
    else:
        torch.set_num_threads(threads or default_threads(local_world_size))
        use_onednn_where_faster()
    backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
    rank = join_process_group(backend, world_size, patience, longest)
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


def _refuse_without_gpu(local_rank: int) -> None:
    """Raise Refused if this process has no GPU of its own."""
    if local_rank >= (there := torch.cuda.device_count()):
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        shown = "" if visible is None else f" (CUDA_VISIBLE_DEVICES={visible})"
        raise Refused(
            f"device=cuda: process {local_rank + 1} of {identity.node()} sees only {plural(there, 'GPU')}"
            f"{shown}; each needs one of its own: start fewer processes, let each see all of them, or set "
            "device=cpu"
        )


def join_process_group(
    backend: str, world_size: int, patience: timedelta, longest: timedelta | None = None
) -> int:
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
            dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1, timeout=longest)
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
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = TCPStore(
            host,
            port,
            world_size=None if agent_serves else world_size,
            is_master=rank == 0 and not agent_serves,
            timeout=patience,
        )
        store = PrefixStore(name_of_this_start(store, rank, world_size), store)
    except dist.DistError as error:
        raise RunError(_not_met(host, port, error)) from None
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=longest)
    return rank


def _not_met(host: str, port: int, error: Exception) -> str:
    """Why the ranks did not find each other."""
    fix = "set PET_LOCAL_ADDR on each machine to an address that the others reach"
    try:
        socket.getaddrinfo(host, port)
    except OSError as unknown:
        return (
            f"MASTER_ADDR={host}: rank 0's machine, whose name is not known here ({unknown.strerror}); {fix}"
        )
    why = str(error).partition("\n")[0].rstrip(".")
    return f"the ranks did not meet at {host}:{port} ({why}); see what the other ranks say, or {fix}"


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
