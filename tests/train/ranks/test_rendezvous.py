"""The ranks of a start find each other, whatever earlier starts left in the store."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch.distributed as dist

from train.config import RunError
from train.ranks.rendezvous import name_of_this_start, tell_the_idle, wait_for_the_end

TCPStore = dist.TCPStore  # pyright: ignore[reportPrivateImportUsage]  # torch documents it here
PATIENCE = timedelta(minutes=2)


def test_each_start_gets_its_own_name_on_a_store_with_keys_of_others(capfd):
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
    assert capfd.readouterr().err == ""  # torch warns of each wait that times out


def test_an_idle_rank_waits_silently_until_rank_0_tells_it(monkeypatch, capfd):
    server = TCPStore("localhost", 0, is_master=True, timeout=PATIENCE)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(server.port))
    with ThreadPoolExecutor(1) as pool:
        idle = pool.submit(wait_for_the_end, 2, PATIENCE)
        time.sleep(0.5)
        assert not idle.done()
        tell_the_idle(range(2, 3))
        assert idle.result() == 0
    assert capfd.readouterr().err == ""


def test_an_idle_rank_that_loses_the_others_says_so(monkeypatch):
    server = TCPStore("localhost", 0, is_master=True, timeout=PATIENCE)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(server.port))
    with ThreadPoolExecutor(1) as pool:
        idle = pool.submit(wait_for_the_end, 2, PATIENCE)
        time.sleep(0.5)
        del server
        with pytest.raises(RunError, match=r"^rank 2, which is idle, lost the ranks that train \("):
            idle.result()


def test_waiting_for_a_missing_rank_ends():
    store = TCPStore("localhost", 0, is_master=True, timeout=PATIENCE)
    store.set_timeout(timedelta(seconds=1))
    with pytest.raises(dist.DistStoreError):
        name_of_this_start(store, 0, 2)
    with pytest.raises(dist.DistStoreError):
        name_of_this_start(store, 1, 2)
