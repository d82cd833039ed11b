"""A command runs the same in the fork server as in its own Python."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.fork_server import fork, python
from tests.support.runs import workers_of

SCRIPT = """
import os, sys, threading, time
print(sys.argv[1:], os.getcwd(), os.environ.get("MARK"), __name__, sys.path[0], "torch" in sys.modules)
print("to stderr", file=sys.stderr)
threading.Timer(0.2, lambda: print("the thread has ended")).start()
if "sleep" in sys.argv:
    time.sleep(60)
if "raise" in sys.argv:
    raise ValueError("no")
sys.exit(3 if "three" in sys.argv else None)
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MARK", "set")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["a b", "three"], 3), (["raise"], 1)])
@pytest.mark.parametrize("way", ["script", "module", "code"])
def test_output_folder_environment_and_exit_code_are_the_same(script, way, arguments, code):
    command = {"script": [str(script)], "module": ["-m", "script"], "code": ["-c", SCRIPT]}[way]
    ours = python(*command, *arguments)
    plain = subprocess.run([sys.executable, *command, *arguments], capture_output=True, text=True)
    assert ours.returncode == plain.returncode == code
    assert ours.stdout == plain.stdout.replace("False", "True")  # torch is there already
    assert ours.stdout.endswith("the thread has ended\n")
    assert ours.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]


def test_a_command_that_hangs_is_killed_and_the_next_one_runs(script):
    with pytest.raises(subprocess.TimeoutExpired):
        python(script, "sleep", timeout=1)
    assert python(script).returncode == 0


def test_a_command_that_is_signaled_reports_it_as_popen_does(script):
    running = fork(script, "sleep", new_session=True)
    assert running.poll() is None and os.getsid(running.pid) == running.pid
    os.killpg(running.pid, signal.SIGTERM)
    assert running.wait(timeout=240) == running.poll() == -signal.SIGTERM


RANKS = """
import os, sys, time, torch, torch.distributed as dist
from train.ranks.setup import join_process_group
from datetime import timedelta
rank = join_process_group("gloo", 2, timedelta(minutes=1))
mine = torch.tensor([rank + 1])
dist.all_reduce(mine)
sys.stdout.write(f"rank {rank} of {os.environ['WORLD_SIZE']}: {mine.item()}\\n")
if "fail" in sys.argv:
    sys.exit(3) if rank else time.sleep(600)
"""


def test_ranks_are_joined_and_one_that_fails_ends_the_others():
    done = python("-c", RANKS, ranks=2)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == ["rank 0 of 2: 3", "rank 1 of 2: 3"]
    failed = python("-c", RANKS, "fail", ranks=2, timeout=240)
    assert failed.returncode == 1 and "rank 1 failed first, with exit code 3: " in failed.stderr


def test_the_error_of_a_rank_that_prints_none_is_shown():
    code = "import os, sys; from configs.errors import report; rank = int(os.environ['RANK']); "
    code += "rank and report(ValueError('torn')); import time; time.sleep(0 if rank else 600); sys.exit(rank)"
    failed = python("-c", code, ranks=2, timeout=240)
    assert "rank 1 failed first, with exit code 1: relama: error: torn" in failed.stderr


PARENT = """
import os, signal, subprocess, sys
shows = "import os, sys; print(sys.argv[1:], os.getppid(), os.getsid(0) == os.getpid(), os.environ['MARK'])"
command = [sys.executable, "-u", "-c", f"{shows}; sys.exit(5)", "a b"]
own = os.environ | {"MARK": "its own"}
done = subprocess.run(command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=own)
print(done.returncode, done.stdout.replace(str(os.getpid()), "parent"))
sleeping = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
sleeping.terminate()
print(sleeping.wait(), subprocess.run(["false"]).returncode, flush=True)
after = "import os, signal, sys; print(os.getpid() == int(sys.argv[1]), signal.getsignal(15) == 0)"
signal.signal(signal.SIGTERM, lambda *_: None)
os.execvpe(sys.executable, [sys.executable, "-c", after, str(os.getpid())], own)
"""


def test_the_pythons_that_a_command_starts_and_becomes_are_as_without_the_server():
    plain = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True)
    ours = python("-c", PARENT, children=True)
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, plain.stdout, plain.stderr)
    assert plain.stdout == "5 ['a b'] parent True its own\n\n-15 1\nTrue True\n"


def test_ranks_of_a_torchrun_are_its_children_and_die_with_it(tmp_path):
    script = tmp_path / "rank.py"
    script.write_text(
        "import os, sys, time, torch\nfrom pathlib import Path\n"
        "from train.ranks.setup import die_with_parent\ndie_with_parent()\n"
        "Path(sys.argv[1], str(os.getpid())).touch()\ntime.sleep(600)\n"
    )
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    (tmp_path / "pids").mkdir()
    agent = fork(*torchrun, script, tmp_path / "pids", new_session=True)
    deadline = time.monotonic() + 240
    while len(ranks := sorted(int(path.name) for path in (tmp_path / "pids").iterdir())) < 2:
        assert agent.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    assert workers_of(agent) == ranks
    os.kill(agent.pid, signal.SIGKILL)
    assert agent.wait(timeout=240) == -signal.SIGKILL
    while any(map(is_alive, ranks)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """False also for a process that has ended, and whose new parent has not asked for its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
