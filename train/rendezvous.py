"""Ranks of one start find each other on a store that may still hold the keys of starts that died.

torchrun gives restarted workers the store of those before them, and its restart counts need not agree
between machines (a change of members counts on none, a dead worker only on its own), so no number in
the environment names a start. Here rank 0 names it, and speaks to each rank by a name as new.
"""

import uuid
from datetime import timedelta

import torch.distributed as dist

LONGEST_WAIT = 5.0  # seconds until a rank looks again whether rank 0 has come


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
