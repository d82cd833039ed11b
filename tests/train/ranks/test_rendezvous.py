"""The ranks of a start find each other, whatever earlier starts left in the store."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch.distributed as dist

from train.config import RunError
from train.ranks.rendezvous import name_of_this_start, tell_the_idle, wait_for_the_end

TCPStore = dist.TCPStore  # pyright: ignore[reportPrivateImportUsage]  # torch documents it here
PATIENCE = timedelta(minutes=2)


def test_each_start_gets_its_own_name_on_a_store_with_keys_of_others(capfd):
    """Ranks arrive in any order; a rank that arrives before rank 0 first finds the previous start's name.

    Its wait for an answer times out then, without a warning of torch's.
    """
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
    assert capfd.readouterr().err == ""


@pytest.fixture
def idle(monkeypatch) -> Iterator[tuple[list, Future[None]]]:
    """The ranks' store, in a list so that a test can end it, and the wait of an idle rank that has joined."""
    stores = [TCPStore("localhost", 0, is_master=True, timeout=PATIENCE)]
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(stores[0].port))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_for_the_end, 2, PATIENCE)
        time.sleep(0.5)
        assert not waiting.done()
        yield stores, waiting


def test_an_idle_rank_waits_until_rank_0_tells_it(idle):
    tell_the_idle(range(2, 3))
    assert idle[1].result(timeout=60) is None


def test_an_idle_rank_that_loses_the_others_says_so(idle):
    stores, waiting = idle
    stores.clear()
    with pytest.raises(RunError, match=r"^rank 2, which is idle, lost the ranks that train \("):
        waiting.result()


def test_waiting_for_a_missing_rank_ends():
    store = TCPStore("localhost", 0, is_master=True, timeout=PATIENCE)
    store.set_timeout(timedelta(seconds=1))
    with pytest.raises(dist.DistStoreError):
        name_of_this_start(store, 0, 2)
    with pytest.raises(dist.DistStoreError):
        name_of_this_start(store, 1, 2)
