"""Which process this is, and among how many: from torchrun's variables, later from the process group.

This is the only file of `train` that reads those variables or asks whether there is a group. Without torchrun
the answers are those of a single rank.
"""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from configs import terminal
from configs.waiting import Doing
from configs.waiting import counted as report_counted
from configs.waiting import waiting as report_waiting
from train.config import RunError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

T = TypeVar("T")
NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # to join the other ranks
NODE = "RELAMA_NODE"  # in a pod, whose host name is not the machine's


def rank() -> int:
    """This process's number among all that were started, idle ones included."""
    return _number("RANK", 0)


def world_size() -> int:
    """How many processes were started, idle ones included."""
    return _number("WORLD_SIZE", 1, least=1)


def local_rank() -> int:
    """This process's number on its machine."""
    return _number("LOCAL_RANK", 0)


def local_world_size() -> int:
    """How many processes were started on this machine."""
    return _number("LOCAL_WORLD_SIZE", 1, least=1)


def _number(name: str, alone: int, least: int = 0) -> int:
    """A variable that torchrun sets; `alone` without torchrun. Raises RunError for other values."""
    value = os.environ.get(name, str(alone))
    if not (value.isascii() and value.isdecimal() and int(value) >= least):
        raise RunError(
            f"{name}={value}: expected a number{' from 1 on' * least}, as torchrun sets it; unset {name} for "
            "one process"
        )
    return int(value)


def refuse_half() -> None:
    """Raise RunError for incomplete or contradicting variables, which another tool may have left."""
    is_alone = world_size() == 1 and rank() == 0 and not {"RANK", "MASTER_ADDR"} <= os.environ.keys()
    if missing := [] if is_alone else [name for name in NEEDED if name not in os.environ]:
        there = (f"{name}={os.environ[name]}" for name in NEEDED if name in os.environ)
        raise RunError(
            f"{' '.join(there)}: set in the environment without {', '.join(missing)}; for one process "
            f"{unset()}, for several start with `relama launch processes=N`"
        )
    _number("MASTER_PORT", 0)
    if rank() >= world_size():
        raise RunError(
            f"RANK={rank()}: expected a number below WORLD_SIZE={world_size()}, as torchrun sets it; for one "
            f"process {unset()}"
        )


def unset() -> str:
    """The command that unsets those of torchrun's variables that are set."""
    return f"`unset {' '.join(name for name in NEEDED if name in os.environ)}`"


def node() -> str:
    """This machine's name: what the cluster calls it, or its host name."""
    return os.environ.get(NODE) or socket.gethostname()


def under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def restarts() -> int:
    """How often torchrun has restarted these workers."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def has_group() -> bool:
    """Whether ranks have joined a process group. Does not import torch: without it, none have."""
    dist = sys.modules.get("torch.distributed")
    return dist is not None and dist.is_initialized()


def group_rank() -> int:
    """This rank's number in the process group, or among those started if there is none yet."""
    return sys.modules["torch.distributed"].get_rank() if has_group() else rank()


def group_size(group: "ProcessGroup | None" = None) -> int:
    """The number of ranks in `group` (None: the default one), 1 if there is none."""
    return sys.modules["torch.distributed"].get_world_size(group) if has_group() else 1


def is_first() -> bool:
    """Whether this is the rank that speaks and writes for all."""
    return group_rank() == 0


def say(text: str, *commands: str) -> None:
    """Print a line to standard output, and commands to copy below it, on the first rank only."""
    if is_first():
        terminal.say(f"relama: {terminal.printable(text)}", sys.stdout)
        for command in commands:
            terminal.say(f"  {terminal.printable(command)}", sys.stdout)


def waiting(doing: str | Doing) -> AbstractContextManager[None]:
    """Report `doing` on the first rank while the block runs, if it takes seconds."""
    return report_waiting(doing) if is_first() else nullcontext()


def counted(activity: str, items: Sequence[T]) -> Iterator[T]:
    """The items; the first rank reports `activity` and how many of them are done, if it takes seconds."""
    return report_counted(activity, items) if is_first() else iter(items)
