"""A process that hangs ends itself and prints where it was."""

import subprocess
import sys
import time

import pytest

from tests.support.runs import REPOSITORY
from train.ranks.watchdog import EXIT_CODE

HANGS = """
import sys, time
from pathlib import Path
from train.ranks.watchdog import Watchdog

def wait_for_ever():
    time.sleep(600)

folder = Path(sys.argv[1])
watchdog = Watchdog(folder / "hangs", 3, timeout=0.5)
for _ in range(10):  # alive for longer than the time allowed
    watchdog.beat("training after step 7")
    time.sleep(0.1)
print("lively", flush=True)
wait_for_ever()
"""

ENDS = HANGS.replace("wait_for_ever()\n\nfolder", "pass\n\nfolder").replace(
    "\nwait_for_ever()\n", "\nwatchdog.close()\ntime.sleep(2)\n"
)


def start(script: str, folder) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_hang_ends_the_process_and_leaves_the_stacks(tmp_path):
    (tmp_path / ".lock").touch()
    begin = time.monotonic()
    ended = start(HANGS, tmp_path)
    assert (ended.returncode, ended.stdout) == (EXIT_CODE, "lively\n")
    assert time.monotonic() - begin < 60
    (stacks,) = (tmp_path / "hangs").glob("*-rank3.txt")
    text = stacks.read_text()
    assert text.startswith("rank 3: no progress for") and "training after step 7" in text
    assert "in wait_for_ever" in text
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("relama: ")]
    assert str(stacks) in line


def test_a_folder_that_is_not_yet_a_run_is_left_alone(tmp_path):
    ended = start(HANGS, tmp_path)
    assert ended.returncode == EXIT_CODE
    assert "in wait_for_ever" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_closed_watchdog_ends_nothing(tmp_path):
    (tmp_path / ".lock").touch()
    assert start(ENDS, tmp_path).returncode == 0
    assert not list(tmp_path.glob("hangs/*-rank3.txt"))


@pytest.mark.parametrize("rank", [0, 5])
def test_a_slow_rank_is_named(rank):
    from train.metrics.stragglers import compare

    found = [(f"host{n}", 0.001 if n != rank else 0.003, 0.1) for n in range(6)]
    assert compare(found)["slow"] == {f"rank {rank} (host{rank})": 3.0}
