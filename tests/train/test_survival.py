"""Failures of a run's output or its log of decisions cannot end it."""

import re
import subprocess

import pytest

from tests.support.fork_server import python
from tests.support.narrow import present
from tests.support.runs import SMALL, command, learned, metrics, succeed

SETTINGS = ("steps=12", "checkpoint.every=4", "checkpoint.keep=3")

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def undisturbed(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    succeed(f"corpora={corpora}", f"run={folder}", *SETTINGS)
    return folder


@pytest.mark.parametrize("how", ["the readers left", "no room"])
def test_output_that_cannot_be_written_does_not_end_a_run(how, undisturbed, corpora, tmp_path):
    folder = tmp_path / "run"
    arguments = command(f"corpora={corpora}", f"run={folder}", *SETTINGS)
    if how == "no room":
        with open("/dev/full", "w") as full:
            process = subprocess.Popen(arguments, stdout=full, stderr=full)
    else:
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        present(process.stdout).close()
        present(process.stderr).close()
    assert process.wait(timeout=400) == 0
    assert (folder / "finished.json").exists()
    assert learned(folder) == learned(undisturbed)


# The disk has no room for the log of decisions until the save at step 8 is due.
NO_ROOM = """
import errno, os, sys
from train import decisions
from train.run import json_lines
real, attempts = json_lines.append, []
def append(path, *lines):
    if path.name == decisions.LOG:
        attempts.append(path)
        if len(attempts) <= 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    real(path, *lines)
json_lines.append = append
from train.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_warning_that_cannot_be_logged_waits_and_so_do_saves(corpora, tmp_path):
    folder = tmp_path / "run"
    spiky = ("recovery.sigma=0.01", "recovery.window=2")
    arguments = (f"corpora={corpora}", f"run={folder}", "steps=30", "checkpoint.every=4", *spiky)
    finished = python("-c", NO_ROOM, *SMALL, *arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "the decision is logged later" in finished.stdout
    warned = [line["step"] for line in metrics(folder) if line.get("decision")]
    logged = (folder / "decisions.jsonl").read_text().splitlines()
    assert len(warned) > 3 and len(logged) == len(warned)


# From step 6 on, the disk has room for everything but the metrics, of which only half a line is written.
FULL = """
import sys
from train.loggers import journal
real = journal.Journal.write
class Half:
    def __init__(self, file):
        self.file = file
    def write(self, whole):
        return self.file.write(whole[: len(whole) // 2])
    def __getattr__(self, name):
        return getattr(self.file, name)
def write(self, line):
    if line["step"] == 6:
        self._file = Half(self._file)
    real(self, line)
journal.Journal.write = write
from train.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_run_that_a_full_disk_ended_resumes_as_its_message_says(undisturbed, corpora, tmp_path):
    folder = tmp_path / "run"
    arguments = (f"corpora={corpora}", f"run={folder}", *SETTINGS)
    ended = python("-c", FULL, *SMALL, *arguments)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith(
        "metrics.jsonl: no room for the last lines; make room and run the same command to resume from the "
        "checkpoint before: step 12 is not saved"
    )
    assert sorted(path.name for path in (folder / "checkpoints").glob("step-*")) == ["step-000004"]
    assert [line["step"] for line in metrics(folder)] == [1, 2, 3, 4, 5]
    succeed(*arguments)
    assert learned(folder) == learned(undisturbed)


# A person removes all checkpoints before step 7, of a run that saves every four steps, and cuts the metrics.
REMOVED = """
import os, shutil, sys
from train.trainer import Trainer
real = Trainer.step
def step(self, step, *arguments):
    if step == 7:
        self.state.saving.saver.wait()
        shutil.rmtree(self.state.folder.checkpoints)
    if step == 10:
        os.truncate(self.state.folder.metrics, 0)
    return real(self, step, *arguments)
Trainer.step = step
from train.main import main
sys.exit(main(sys.argv[1:]))
"""


# Somebody removes them while the last held-out losses are measured, after the last save.
REMOVED_LAST = """
import shutil, sys
from train.evaluation.after_step import AfterStep
real = AfterStep.complete
def complete(self, line, *arguments):
    real(self, line, *arguments)
    if line["step"] == 12:
        shutil.rmtree(sys.argv[-1].removeprefix("run=") + "/checkpoints")
AfterStep.complete = complete
from train.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_checkpoint_removed_after_the_last_save_is_saved_again_before_the_run_ends(corpora, tmp_path):
    folder = tmp_path / "run"
    ended = python("-c", REMOVED_LAST, *SMALL, f"corpora={corpora}", *SETTINGS, f"run={folder}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "step-000012: removed while this run trains" in ended.stdout + ended.stderr
    assert [path.name for path in (folder / "checkpoints").glob("step-*")] == ["step-000012"]
    assert "has finished" in succeed(f"corpora={corpora}", *SETTINGS, f"run={folder}").stdout


# Step 6 asks for more memory than there is.
NO_MEMORY = """
import sys, torch
from train.main import main
from train.trainer import Trainer
real = Trainer.step
def step(self, step, *arguments):
    if step == 6:
        torch.empty(2**46, dtype=torch.uint8)
    return real(self, step, *arguments)
Trainer.step = step
sys.exit(main(sys.argv[1:]))
"""


def test_a_run_that_lacks_memory_says_so_in_one_line_and_resumes(undisturbed, corpora, tmp_path):
    arguments = (f"corpora={corpora}", *SETTINGS, f"run={tmp_path}")
    ended = python("-c", NO_MEMORY, *SMALL, *arguments)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert re.search(
        r"^relama: error: rank 0 \(.+\): out of memory, when it tried to allocate 70368744177664 bytes; "
        r"lower micro_batch, or use parallel\.activation_checkpointing=full",
        ended.stderr,
        re.MULTILINE,
    )
    succeed(*arguments, "parallel.activation_checkpointing=full")
    assert learned(tmp_path) == learned(undisturbed)


# The old checkpoint's removal, which follows the save of step 8, takes until two more steps were begun.
SLOW_REMOVAL = """
import itertools, sys, threading
from train.checkpoint import folder
from train.main import main
from train.saving import Saving
delete, look, steps = folder.delete, Saving.has_lost_the_newest, itertools.count(1)
begun, asked = threading.Event(), threading.Semaphore(0)
def slow_delete(path):
    if not begun.is_set() and path.is_dir():
        begun.set()
        assert asked.acquire(timeout=300) and asked.acquire(timeout=300)
    delete(path)
def asks(saving):
    if next(steps) == 9:  # a slow disk would be at it only after the last step
        assert begun.wait(300)
    found = look(saving)
    if begun.is_set():
        asked.release()
    return found
folder.delete, Saving.has_lost_the_newest = slow_delete, asks
sys.exit(main(sys.argv[1:]))
"""


def test_a_checkpoint_that_a_save_replaces_is_not_reported_as_removed_by_somebody(corpora, tmp_path):
    arguments = (f"corpora={corpora}", *SETTINGS, "checkpoint.keep=1", f"run={tmp_path}")
    ended = python("-c", SLOW_REMOVAL, *SMALL, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "step 12 of 12 done" in ended.stdout and "removed while" not in ended.stdout
    assert [path.name for path in (tmp_path / "checkpoints").glob("step-*")] == ["step-000012"]


def test_checkpoints_removed_under_a_live_run_are_reported_and_saved_again_at_once(
    undisturbed, corpora, tmp_path
):
    folder = tmp_path / "run"
    arguments = (f"corpora={corpora}", f"run={folder}", *SETTINGS)
    finished = python("-c", REMOVED, *SMALL, *arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    output = finished.stdout + finished.stderr
    assert output.count("step-000004: removed while this run trains; a checkpoint is saved after this") == 1
    assert sorted(path.name for path in (folder / "checkpoints").glob("step-*")) == [
        f"step-{step:06d}" for step in (7, 8, 12)
    ]
    assert output.count("metrics.jsonl: cut short while this run trains") == 1
    assert [line["step"] for line in metrics(folder)] == [10, 11, 12]
    assert learned(folder) == learned(undisturbed)[9:]
