"""A process that hangs ends itself and prints where it was."""

import importlib
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from tests.support.runs import REPOSITORY
from train.ranks import watchdog
from train.ranks.watchdog import EXIT_CODE

# Until it hangs, its time is that of its beats, however long a busy machine stops one of its threads.
HANGS = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from train.ranks import watchdog as module

beats, begun = 0, None

def now():
    return beats * 0.1 + (0 if begun is None else time.monotonic() - begun)

def wait_for_ever():
    global begun
    begun = time.monotonic()
    time.sleep(600)

folder = Path(sys.argv[1])
module.time = SimpleNamespace(
    monotonic=now, sleep=time.sleep, strftime=time.strftime, gmtime=time.gmtime
)
watchdog = module.Watchdog(folder / "hangs", 3, timeout=3)
for _ in range(int(sys.argv[2])):
    beats += 1
    watchdog.beat("training after step 7")
    time.sleep(0.1)
print("lively", flush=True)
wait_for_ever()
"""

ENDS = HANGS.replace("time.sleep(600)", "time.sleep(5)").replace(
    "\nwait_for_ever()\n", "\nwatchdog.close()\nwait_for_ever()\n"
)

# Like a dump that waits for the GPU that hangs, in C and with the interpreter's lock.
DUMPS_FOR_EVER = HANGS.replace(
    "\nfolder =",
    """
import ctypes

module.DUMP = 2
module._dump_flight_recorder = lambda path: ctypes.PyDLL(None).sleep(100)

folder =""",
)


def start(script: str, folder, beats: int = 1) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", script, str(folder), str(beats)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=400,
    )


def test_a_hang_ends_the_process_and_leaves_the_stacks(tmp_path):
    (tmp_path / ".lock").touch()
    ended = start(HANGS, tmp_path, beats=40)  # alive for longer than the time allowed
    assert (ended.returncode, ended.stdout) == (EXIT_CODE, "lively\n"), ended.stderr
    (stacks,) = (tmp_path / "hangs").glob("*-rank3.txt")
    text = stacks.read_text()
    assert text.startswith("rank 3: no progress for") and "training after step 7" in text
    assert "in wait_for_ever" in text
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("relama: ")]
    assert str(stacks) in line


def test_a_dump_that_hangs_ends_the_process_all_the_same(tmp_path):
    (tmp_path / ".lock").touch()
    begun = time.monotonic()
    ended = start(DUMPS_FOR_EVER, tmp_path)
    assert ended.returncode == 1 and time.monotonic() - begun < 90, ended.stderr
    assert "in wait_for_ever" in ended.stderr


def test_what_nccl_was_doing_is_taken_from_its_own_recorder(tmp_path, monkeypatch):
    """torch keeps gloo's collectives apart, in the recorder that all of its builds can dump."""
    c10d = importlib.import_module("torch._C._distributed_c10d")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: True)
    monkeypatch.setattr(c10d, "_dump_nccl_trace", lambda: b"nccl", raising=False)
    watchdog._dump_flight_recorder(tmp_path / "nccl.pickle")
    assert (tmp_path / "nccl.pickle").read_bytes() == b"nccl"


def test_a_folder_that_is_not_yet_a_run_is_left_alone(tmp_path):
    ended = start(HANGS, tmp_path)
    assert ended.returncode == EXIT_CODE, ended.stderr
    assert "in wait_for_ever" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_closed_watchdog_ends_nothing(tmp_path):
    (tmp_path / ".lock").touch()
    ended = start(ENDS, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert not list(tmp_path.glob("hangs/*-rank3.txt"))


def test_progress_reported_while_a_stopped_process_is_excused_counts(tmp_path, monkeypatch):
    """The process wakes up after 100 s; its save begins while the watchdog looks, and takes 20 s."""
    moments, ended = iter([100.0, *range(101, 121)]), []
    now = 0.0
    watched = watchdog.Watchdog(tmp_path, 0, timeout=0)  # which starts no thread

    class Looked(tuple):
        """What was reported last; the next report comes right after it is read."""

        def __iter__(self):
            watched.beat("saving", watchdog.LONG)
            return super().__iter__()

    def wait(_poll: float) -> bool:
        nonlocal now
        now = next(moments, 0.0)
        return not now

    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(watched, "_timeout", 4.0)
    monkeypatch.setattr(watched, "_end", lambda doing, seconds: ended.append(doing))
    monkeypatch.setattr(watched, "_arm", lambda seconds: None)
    monkeypatch.setattr(watched._closed, "wait", wait)
    watched.beat("training")
    watched._last = cast(Any, Looked(watched._last))
    watched._watch()
    assert ended == []


@pytest.mark.parametrize(("rank", "ranks"), [(0, 6), (5, 6), (0, 2), (1, 2)])
def test_a_slow_rank_is_named(rank, ranks):
    from train.metrics.stragglers import compare

    found = [(f"host{n}", 0.001 if n != rank else 0.002, 0.1) for n in range(ranks)]
    assert compare(found)["slow"] == {f"rank {rank} (host{rank})": 2.0}
    waiting = [(f"host{n}", 0.001, 0.1 if n != rank else 2.0) for n in range(ranks)]
    assert compare(waiting, passed=10.0)["starved"] == {f"rank {rank} (host{rank})": 2.0}
    assert compare(waiting, passed=1000.0)["starved"] == {}  # two seconds of a thousand: not worth a line
    assert compare(found[:1])["slow"] == {}


def test_a_throttled_process_is_slow_in_the_mean_of_its_products(monkeypatch):
    """Every 20th product takes 40 times as long, as under a quota: the best one would not show it."""
    import torch

    from train.metrics import stragglers

    now, calls = [0.0], [0]

    def product(_):
        calls[0] += 1
        now[0] += 0.04 if calls[0] % 20 == 0 else 0.001

    monkeypatch.setattr(stragglers.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(stragglers.Stragglers, "_product", product)
    probe = stragglers.Stragglers(1, torch.device("cpu"))
    now[0] = 1000.0
    comparison = probe.after_step(1, 0.0)
    assert comparison is not None and comparison["probe"]["worst"] == pytest.approx(0.00295, rel=0.3)
