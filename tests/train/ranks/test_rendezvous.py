"""The ranks of a start find each other, whatever earlier starts left in the store."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch.distributed as dist

from train.ranks.rendezvous import name_of_this_start

TCPStore = dist.TCPStore  # pyright: ignore[reportPrivateImportUsage]  # torch documents it here
PATIENCE = timedelta(minutes=2)


def test_each_start_gets_its_own_name_on_a_store_with_keys_of_others():
    """Ranks arrive in any order; a rank that arrives before rank 0 first finds the previous start's name."""
    server = TCPStore("localhost", 0, is_master=True, timeout=PATIENCE)

    def rank(number: int, delay: float) -> str:
        time.sleep(delay)
        client = TCPStore("localhost", server.port, is_master=False, timeout=PATIENCE)
        return name_of_this_start(client, number, 3)

    names = []
    with ThreadPoolExecutor(3) as pool:
        for _ in range(4):
            delays = [random.choice([0, 0.6]) for _ in range(3)]
            found = set(pool.map(rank, range(3), delays))
            assert len(found) == 1
            names += found
    assert len(set(names)) == 4


def test_waiting_for_a_missing_rank_ends():
    store = TCPStore("localhost", 0, is_master=True, timeout=PATIENCE)
    store.set_timeout(timedelta(seconds=1))
    with pytest.raises(dist.DistStoreError):
        name_of_this_start(store, 0, 2)
    with pytest.raises(dist.DistStoreError):
        name_of_this_start(store, 1, 2)
