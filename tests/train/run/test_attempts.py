"""The account of a run's time is correct for runs whose every second is known."""

import json
import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.support.narrow import present
from train.ranks.setup import default_threads
from train.run.attempts import account
from train.run.starts import ended, other_device, read_events, started


def line(step: int, total: float, **stalls: float) -> str:
    return json.dumps({"step": step, "loss": 1.0, "seconds": {"total": total, **stalls}}) + "\n"


def event(name: str, time: float, **what: object) -> str:
    return json.dumps({"event": name, "time": time, **what}) + "\n"


def test_a_life_of_two_starts_is_accounted_for(tmp_path):
    """Steps 1 to 5 logged, killed at 60; from 2 on again at 80; 3 to 6 done at 120."""
    (tmp_path / "attempts.jsonl").write_text(
        event("start", 0, step=0, reached=0, last_seen=None, ranks=2)
        + event("start", 80, step=2, reached=5, last_seen=60, ranks=2)
        + '{"torn'
    )
    steps = [line(step, 10, data=1, checkpoint=2) for step in range(1, 7)]
    (tmp_path / "metrics.jsonl").write_text("".join(steps))
    os.utime(tmp_path / "metrics.jsonl", (120, 120))
    life = present(account(tmp_path))
    assert life["seconds"] == 120 and life["starts"] == 2
    assert life["steps_repeated"] == 3
    assert life["seconds_down"] == 20
    assert life["goodput"] == pytest.approx(6 * 7 / 120)


def test_a_finished_run_that_is_copied_lives_no_longer(tmp_path):
    first = event("start", 0, step=0, reached=0, last_seen=None, ranks=1)
    (tmp_path / "attempts.jsonl").write_text(first + event("end", 20, step=2, how="finished"))
    (tmp_path / "metrics.jsonl").write_text(line(1, 10) + line(2, 10))
    os.utime(tmp_path / "metrics.jsonl", (9000, 9000))
    life = present(account(tmp_path))
    assert (life["seconds"], life["goodput"]) == (20, 1.0)


def test_a_start_records_how_far_the_previous_one_got(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(line(1, 1) + line(2, 1) + '{"step": 3')
    ranks: Any = SimpleNamespace(world_size=2)
    started(tmp_path, None, 1, ranks)
    ended(tmp_path, 4, "SIGTERM")
    start, end = read_events(tmp_path)
    assert (start["step"], start["reached"], start["ranks"]) == (1, 2, 2)
    assert (end["step"], end["how"]) == (4, "SIGTERM")


def test_a_life_without_recorded_starts_is_unknown(tmp_path):
    assert account(tmp_path) is None
    (tmp_path / "starts.jsonl").write_text('{"event": "sta\n' + event("end", 5, step=1, how="finished"))
    assert account(tmp_path) is None  # its start was torn


def test_a_start_with_another_number_of_threads_says_so(tmp_path, monkeypatch):
    ranks: Any = SimpleNamespace(world_size=1, device=torch.device("cpu"))
    monkeypatch.setattr("train.run.starts.cpu_name", lambda: "a processor")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert other_device(tmp_path, ranks.device) is None  # the first start
    started(tmp_path, ["steps=3"], 0, ranks)
    assert other_device(tmp_path, ranks.device) is None
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert other_device(tmp_path, ranks.device) == (
        "the last start computed on 2 threads of a processor, this one on 1 thread of a processor; "
        "threads=2 for the same number"
    )


@pytest.mark.parametrize(
    ("given", "under_torchrun", "expected"),
    [("3", False, 3), ("3", True, 3), ("1", False, 1), ("1", True, 4), ("", False, 4), ("no", False, 4)],
)
def test_threads_are_omp_num_threads_but_for_torchrun_s_own_default(
    given, under_torchrun, expected, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr("train.ranks.setup.identity.under_torchrun", lambda: under_torchrun)
    assert default_threads(2) == expected
