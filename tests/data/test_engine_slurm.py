"""The engine waits for its tasks on Slurm, with a `squeue` that the test writes."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from data import engine


@pytest.fixture(autouse=True)
def queue(tmp_path, monkeypatch) -> Path:
    """A `squeue` in the current folder that notes each call; the test appends what it answers."""
    file = tmp_path / "squeue"
    file.write_text("#!/bin/bash\necho >> asked\n")
    file.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(engine, "time", SimpleNamespace(sleep=lambda _: None))
    return file


def test_a_job_whose_tasks_are_done_is_waited_for_until_it_has_ended(tmp_path, queue):
    queue.write_text(queue.read_text() + "case $(wc -l < asked) in 1|2) echo 7;; esac\n")
    engine._wait(SimpleNamespace(job_id=7, get_incomplete_ranks=lambda skip_completed: []), tmp_path)
    assert (tmp_path / "asked").read_text() == 3 * "\n"


def test_a_controller_that_does_not_answer_is_asked_again(tmp_path, queue, capsys):
    answers = "case $(wc -l < asked) in 1|2) echo 'Socket timed out' >&2; exit 1;; 3) echo 7;; esac\n"
    queue.write_text(queue.read_text() + answers)
    job = SimpleNamespace(job_id=7, get_incomplete_ranks=lambda skip_completed: [0])
    engine._wait(job, tmp_path)
    assert (tmp_path / "asked").read_text() == 4 * "\n"
    assert capsys.readouterr().err == "relama: squeue does not answer (Socket timed out); still waiting\n"
