"""Which signal ends a run, on all ranks."""

import pytest

from tests.support.fork_server import python

RANKS = """
import os, signal, sys, torch
from datetime import timedelta
from train.ranks.setup import join_process_group
from train.ranks.signals import Signals
rank = join_process_group("gloo", 2, timedelta(minutes=1))
signals = Signals(torch.device("cpu"))
before = signals.must_stop()
for number in map(int, sys.argv[1 + rank].split(",")):
    if number:
        os.kill(os.getpid(), number)
sys.stdout.write(f"{before} {signals.must_stop()} {int(signals.agreed or 0)}\\n")
"""


@pytest.mark.parametrize(
    ("first", "second", "agreed"),
    [("0", "10", 10), ("2", "0", 2), ("0", "10,15", 10), ("0", "0", 0)],
    ids=["USR1 on one rank", "Ctrl-C on one rank", "SIGTERM after USR1", "none"],
)
def test_all_ranks_agree_on_the_signal_that_came_first(first, second, agreed):
    done = python("-c", RANKS, first, second, ranks=2)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"False {bool(agreed)} {agreed}"] * 2
