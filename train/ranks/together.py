"""What ranks do together: one does the work for all, all fail if one fails, and each learns what all say.

A process without a group does its work alone, and need not import torch.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from configs.errors import explained
from data.errors import DataError
from train.config import Refused, RunError
from train.ranks import identity

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

T = TypeVar("T")


def first_rank_does(work: Callable[[], T]) -> T:
    """Rank 0 does `work`; all ranks get its result, or a RunError with the line of its error."""
    if not identity.has_group():
        return work()
    import torch.distributed as dist

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
    import torch.distributed as dist

    values: list = [None] * identity.group_size()
    dist.all_gather_object(values, value)
    return values


def gloo_group(ranks: list[int] | None = None) -> "ProcessGroup":
    """A further group of these ranks (None: of all), for the CPU; its ranks wait as long as the default's.

    All ranks call it.
    """
    import torch
    import torch.distributed as dist

    default: Any = dist.group.WORLD
    timeout = default._get_backend(torch.device("cpu")).options._timeout
    return cast("ProcessGroup", dist.new_group(ranks, timeout=timeout, backend="gloo"))
