"""Which ranks see the run folder of the first rank: all of them, or only those on its machine.

Machines without a shared file system each have a run folder of their own. The first rank's is the run; the
others hold what their ranks need for a moment (train/checkpoint/apart.py).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from train.ranks import identity
from train.ranks.together import gather_objects, gloo_group

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


@dataclass(frozen=True)
class _Placement:
    away: tuple[int, ...] = ()  # the ranks that do not see the folder
    leaders: tuple[int, ...] = ()  # of those, one on each machine
    group: "ProcessGroup | None" = None  # the first rank and the leaders


_found = _Placement()


def compare(sees: bool) -> list[str]:
    """Record whether each rank sees the first rank's folder; returns the machines that do not.

    All ranks call it, once the first has its folder.
    """
    global _found
    told = gather_objects((sees, identity.local_rank(), identity.node()))
    away = tuple(rank for rank, (sees, _, _) in enumerate(told) if not sees)
    leaders = tuple(rank for rank in away if told[rank][1] == 0)
    group: Any = None
    if away:
        group = gloo_group([0, *leaders])
    _found = _Placement(away, leaders, group)
    return sorted({told[rank][2] for rank in away})


def away() -> tuple[int, ...]:
    """The ranks that do not see the first rank's folder."""
    return _found.away


def is_away() -> bool:
    return identity.group_rank() in _found.away


def leads() -> bool:
    """Whether this rank writes the folder of a machine that does not see the first rank's."""
    return identity.group_rank() in _found.leaders


def writes() -> bool:
    """Whether this rank writes a run folder: the first rank, and the leader of each machine with its own."""
    return identity.is_first() or leads()


def leaders_and_first() -> "ProcessGroup | None":
    """Their process group, if any machine is away."""
    return _found.group


def share_of_the_folder() -> tuple[int, int] | None:
    """This rank's number among those that see the folder, and how many they are; None if it does not."""
    if not identity.has_group():
        return 0, 1
    seeing = [rank for rank in range(identity.group_size()) if rank not in _found.away]
    rank = identity.group_rank()
    return (seeing.index(rank), len(seeing)) if rank in seeing else None
