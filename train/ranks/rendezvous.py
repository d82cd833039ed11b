"""The ranks of one start find each other on a store that may still hold keys of starts that died.

torchrun gives restarted workers the store of their predecessors, and its restart counts may differ between
machines (a change of members counts on none, a dead worker only on its own), so nothing in the environment
identifies a start. Instead rank 0 names the start, and answers each rank with that name.
"""

import math
import os
import time
import uuid
from datetime import timedelta

import torch.distributed as dist
from torch._C._distributed_c10d import Store, TCPStore

from train.config import RunError

LONGEST_WAIT = 5.0  # seconds before a rank checks again for rank 0
LONGEST_PAUSE = 1.0  # seconds between two looks for a key
FINISHED = "relama/finished"  # a key in the store


def name_of_this_start(store: TCPStore, rank: int, world_size: int) -> str:
    """A name that these ranks share and no earlier start had; all of them call it.

    Raises torch's DistError if a rank does not arrive within the store's timeout.
    """
    mine = uuid.uuid4().hex
    if rank == 0:
        store.set("start", mine)
        for other in range(1, world_size):
            arrived = store.get(f"{mine}/{other}").decode()
            store.set(f"{mine}/welcome/{arrived}", "")
        return mine
    waited, wait = 0.0, 0.25
    while True:
        start = store.get("start").decode()  # from the current rank 0, or from a start that died
        store.set(f"{start}/{rank}", mine)
        if _appears(store, f"{start}/welcome/{mine}", wait):
            return start
        waited += wait
        limit = store.timeout.total_seconds()  # pyright: ignore[reportAttributeAccessIssue] - untyped
        if waited > limit:
            raise dist.DistStoreError(f"rank 0 did not answer within {limit:.0f} s")
        wait = min(LONGEST_WAIT, 2 * wait)


def wait_for_the_end(rank: int, patience: timedelta) -> None:
    """Keep an idle rank alive until the run has finished.

    If all ranks of a machine exited early, its torchrun would too, and would close the rendezvous, so that
    no other machine could restart. torchrun ends the waiting ranks together with the others. Raises RunError
    if rank 0 is gone.
    """
    try:
        store = _store(patience)
        _appears(store, FINISHED, math.inf)
        store.set(f"{FINISHED}/{rank}", "")
    except dist.DistError as error:
        first_line = str(error).partition("\n")[0]
        raise RunError(
            f"rank {rank}, which is idle, lost the ranks that train ({first_line}); their output says why: "
            "run the same command again"
        ) from None


def tell_the_idle(ranks: range) -> None:
    """Rank 0 tells the idle `ranks` that the run has finished; returns once they know."""
    if ranks:
        store = _store(timedelta(minutes=1))
        store.set(FINISHED, "")
        for rank in ranks:
            _appears(store, f"{FINISHED}/{rank}", 30.0)


def _store(patience: timedelta) -> TCPStore:
    """The store that the ranks share: torchrun's, or rank 0's own."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(host, port, is_master=False, wait_for_workers=False, timeout=patience)


def _appears(store: Store, key: str, seconds: float) -> bool:
    """Whether the key is set by then. Looks again and again: torch warns of each wait that times out."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while not store.check([key]):
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, 2 * pause)
    return True
