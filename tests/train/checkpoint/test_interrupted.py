"""Ctrl-C while torch reads or writes a checkpoint, which wraps it in an exception of its own."""

import signal
import traceback

import pytest
from torch.distributed.checkpoint.api import CheckpointException

from configs.load import entry
from train.checkpoint.tensors import _cause

INTERRUPTED = CheckpointException("read", {0: (KeyboardInterrupt(), traceback.StackSummary())})


def test_it_is_one_line_of_any_verb(capsys, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # a second Ctrl-C would kill the tests

    def verb(_arguments: list[str]) -> None:
        raise INTERRUPTED

    assert entry(verb, []) == 130
    assert capsys.readouterr().err == "\nrelama: interrupted\n"


def test_it_is_not_an_unreadable_checkpoint():
    with pytest.raises(KeyboardInterrupt):
        _cause(INTERRUPTED)


def test_other_failures_stay_what_they_are():
    failed = CheckpointException("read", {0: (OSError("no such disk"), traceback.StackSummary())})
    with pytest.raises(CheckpointException):
        entry(lambda _arguments: (_ for _ in ()).throw(failed), [])
    assert _cause(failed) == "no such disk"
