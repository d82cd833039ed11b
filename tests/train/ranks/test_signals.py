"""Which signal ends a run, on all ranks, and what is answered while a step is still going on."""

import os
import signal

import pytest
import torch

from tests.support.fork_server import python
from train.ranks.signals import Signals

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
    assert (done.returncode, "stopping after this step" in done.stderr) == (0, agreed == signal.SIGINT)
    assert done.stdout.splitlines() == [f"False {bool(agreed)} {agreed}"] * 2


@pytest.fixture
def handlers():
    """Put back what Signals replaces."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_ctrl_c_is_answered_at_once_and_a_second_one_stops_now(handlers, capfd, monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    signals = Signals(torch.device("cpu"))
    os.kill(os.getpid(), signal.SIGINT)
    assert signals.has_one()
    assert capfd.readouterr() == ("", "relama: stopping after this step; again stops now\n")
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("rank", "said"), [("0", "relama: stopping after this step\n"), ("1", "")])
def test_under_torchrun_one_rank_answers_once(rank, said, handlers, capfd, monkeypatch):
    """torchrun passes the terminal's Ctrl-C on, so each rank gets it twice."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("RANK", rank)
    signals = Signals(torch.device("cpu"))
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    assert signals.received == signal.SIGINT
    assert capfd.readouterr() == ("", said)
