"""The end of a command on several machines: all of them end, and in the same way."""

import os
import signal
import threading

import pytest

from launch.torchrun import TRAIN
from tests.support.buckets import Chaos, credentials, make_bucket, moto, objects, wait_for
from tests.support.fork_server import python
from tests.support.machines import codes, machines
from tests.support.runs import SMALL, learned, succeed

pytestmark = pytest.mark.distributed

VERB = """
import sys
from configs.load import entry
from train.config import RunError
from train.generation.inference import InferenceParallel, started

def verb(argv):
    with started(InferenceParallel(tp=2), "cpu", copies=False):
        print("a text that is still in the buffer when the verb ends")

sys.exit(entry(verb, [], errors=(RunError,)))
"""

# Prints which threads are left after training, and as the last that the process does.
TRAINED = """
import atexit, contextlib, glob, sys

def names():
    found = set()
    for name in glob.glob("/proc/self/task/*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found.add(open(name).read().strip())
    return sorted(found)

atexit.register(lambda: print("at the end:", *names()))
from train.main import main

code = main(sys.argv[1:])
print("trained:", *names())
sys.exit(code)
"""


# Rank 1 reads memory that it does not have in its second step.
CRASHES = """
import ctypes, os, sys
from train.integrity import computation
from train.main import main

real, steps = computation.forward_backward, iter(range(10))

def forward_backward(*arguments):
    if next(steps) == 1 and os.environ["RANK"] == "1":
        ctypes.string_at(0)
    return real(*arguments)

computation.forward_backward = forward_backward
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def verb(tmp_path) -> str:
    (tmp_path / "verb.py").write_text(VERB)
    return str(tmp_path / "verb.py")


def test_what_one_machine_cannot_print_at_the_end_fails_the_command_on_all(verb, tmp_path):
    log = tmp_path / "log"
    with open("/dev/full", "w") as full:
        found = codes(machines(verb, outputs=[full, full], log=log, forked=False), log)
    assert found == [1, 1], log.read_text()
    assert "no space left on the disk" in log.read_text()
    assert "another rank failed while it ended" in log.read_text()


def test_a_reader_that_leaves_ends_the_command_on_all_without_a_word(verb, tmp_path):
    log = tmp_path / "log"
    end_of_reader, pipe = os.pipe()
    os.close(end_of_reader)
    with open(pipe, "w") as broken:
        found = codes(machines(verb, outputs=[broken, broken], log=log, forked=False), log)
    assert found == [0, 0], log.read_text()
    assert "relama: error" not in log.read_text() and "Traceback" not in log.read_text()


def test_no_thread_of_gloo_is_left_when_the_interpreter_ends(corpora, tmp_path):
    """One that is left may abort the process, after all work is done. torch's caches keep the mesh."""
    script, log = tmp_path / "trained.py", tmp_path / "log"
    script.write_text(TRAINED)
    words = [*SMALL, f"corpora={corpora}", "steps=2", "parallel.tp=2", f"run={tmp_path / 'run'}"]
    outputs = [tmp_path / "first", tmp_path / "second"]
    with outputs[0].open("w") as first, outputs[1].open("w") as second:
        found = codes(machines(str(script), *words, outputs=[first, second], log=log, forked=False), log)
    assert found == [0, 0], log.read_text()
    for output in outputs:
        *_, trained, at_the_end = output.read_text().splitlines()
        assert trained.startswith("trained:") and "gloo" in trained
        assert at_the_end.startswith("at the end:") and "gloo" not in at_the_end


def test_a_rank_that_crashes_in_native_code_prints_where(corpora, tmp_path):
    done = python("-c", CRASHES, *SMALL, f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=4", ranks=2)
    assert (
        done.returncode == 1 and f"rank 1 failed first, with exit code -{signal.SIGSEGV:d}: " in done.stderr
    )
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert " in forward_backward\n" in done.stderr


def test_a_rank_that_is_killed_in_its_last_upload_is_started_again_with_all_others(
    corpora, tmp_path, monkeypatch
):
    """The second machine has nothing to upload; if it ended first, the first would wait for it."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[data]')")
    run, log, last = tmp_path / "run", tmp_path / "log", "run/checkpoints/step-000002/state.json"
    words = [*SMALL, f"corpora={corpora}", "steps=2"]
    is_uploading, is_killed = threading.Event(), threading.Event()

    def fault(method: str, path: str) -> str | None:
        if method != "PUT" or not path.endswith(last) or is_killed.is_set():
            return None
        is_uploading.set()
        return "refuse"

    with moto() as server, Chaos(server, faults=fault) as proxy:
        for key, value in credentials(proxy.place).items():
            monkeypatch.setenv(key, value)
        make_bucket("ends")
        program = [str(TRAIN), *words, f"run={run}", "checkpoint.remote=s3://ends/run"]
        with log.open("a") as out:
            started = machines(*program, restarts=3, outputs=[out, out], log=log)
        try:
            while not is_uploading.wait(0.05):
                assert all(process.poll() is None for process in started), log.read_text()
            os.kill(int((run / ".lock").read_text().split()[1]), signal.SIGKILL)
            is_killed.set()
        finally:
            found = codes(started, log)
        assert found == [0, 0], log.read_text()
        wait_for(lambda: last in objects("ends"))
    succeed(*words[len(SMALL) :], f"run={tmp_path / 'whole'}", ranks=2)
    assert learned(run) == learned(tmp_path / "whole")
