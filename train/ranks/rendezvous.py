"""Ranks of one start find each other on a store that may still hold the keys of starts that died.

torchrun gives restarted workers the store of those before them, and its restart counts need not agree
between machines (a change of members counts on none, a dead worker only on its own), so no number in
the environment names a start. Here rank 0 names it, and speaks to each rank by a name as new.
"""

import os
import uuid
from datetime import timedelta

import torch.distributed as dist

LONGEST_WAIT = 5.0  # seconds until a rank looks again whether rank 0 has come
FINISHED = "relama/finished"  # a key of the store


def name_of_this_start(store: dist.Store, rank: int, world_size: int) -> str:
    """A name that these ranks share and no earlier start had; all of them call it.

    Raises torch's DistError if a rank does not come within the store's timeout.
    """
    mine = uuid.uuid4().hex
    if rank == 0:
        store.set("start", mine)
        for other in range(1, world_size):
            came = store.get(f"{mine}/{other}").decode()
            store.set(f"{mine}/welcome/{came}", "")
        return mine
    waited, wait = 0.0, 0.25
    while True:
        start = store.get("start").decode()  # rank 0's of now, or of a start that died
        store.set(f"{start}/{rank}", mine)
        try:
            store.wait([f"{start}/welcome/{mine}"], timedelta(seconds=wait))
            return start
        except dist.DistStoreError:
            waited += wait
            if waited > store.timeout.total_seconds():
                raise
            wait = min(LONGEST_WAIT, 2 * wait)


def wait_for_the_end(rank: int, patience: timedelta) -> int:
    """A rank that has no work stays until the run has finished; returns its exit code.

    Were all ranks of a machine to end before, its torchrun would end too, and close the rendezvous for all
    others: none could start again. torchrun ends the waiting ranks with the others.
    """
    try:
        store = _store(patience)
        while not _is_set(store, FINISHED, timedelta(minutes=1)):
            pass
        store.set(f"{FINISHED}/{rank}", "")
        return 0
    except dist.DistError:  # rank 0 has gone, and the others with it
        return 1


def tell_the_idle(ranks: range) -> None:
    """Rank 0: the run has finished, and `ranks`, which wait for that, may go; returns when they know."""
    if ranks:
        store = _store(timedelta(minutes=1))
        store.set(FINISHED, "")
        for rank in ranks:
            _is_set(store, f"{FINISHED}/{rank}", timedelta(seconds=30))


def _store(patience: timedelta) -> dist.TCPStore:
    """The one that the ranks meet at: torchrun's, or rank 0's own."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.TCPStore(host, port, is_master=False, wait_for_workers=False, timeout=patience)


def _is_set(store: dist.Store, key: str, patience: timedelta) -> bool:
    try:
        store.wait([key], patience)
        return True
    except dist.DistStoreError:
        return False
