"""`cluster=local`: torchrun in the foreground, queried and stopped from another terminal."""

import subprocess
import sys
from pathlib import Path

import pytest

from launch.main import main
from tests.support.fork_server import python
from tests.support.runs import SMALL, end, wait_for_step

pytestmark = pytest.mark.distributed


def test_a_local_run_reports_its_status_stops_and_resumes(corpora, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [*SMALL, f"corpora={corpora}", "run=r", "steps=100000", "checkpoint.every=100000"]
    run = Path("runs/r")
    command = [sys.executable, "-m", "launch.cli", "launch", "processes=2", *arguments]
    with open("log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for_step(run, 3, process, log=Path("log"))
        assert main(["processes=2", *arguments]) == 1
        assert "is already training it; `relama launch stop run=r` ends that" in capsys.readouterr().err
        assert main(["status", "run=r"]) == 0
        assert f"process {process.pid} is running" in capsys.readouterr().out
        assert main(["stop", "run=r"]) == 0
        process.wait(timeout=400)
    finally:
        end(process)
    assert "stopped by SIGTERM" in Path("log").read_text() and (run / "preempted.json").exists()
    capsys.readouterr()
    assert main(["status", "run=r"]) == 0
    assert "has ended" in (output := capsys.readouterr().out) and "saved on a signal" in output
    arguments[-2] = f"stop_at={int((run / 'checkpoints/latest').read_text()[5:]) + 2}"
    done = python(*command[1:5], *arguments, "steps=100000", children=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (run / "finished.json").exists()


def test_gpus_that_cannot_be_used_are_no_reason_to_train_on_cpus(corpora, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    run = tmp_path / "run"
    words = [*SMALL, "gpus=1", f"corpora={corpora}", f"run={run}", "steps=1"]
    refused = python("-m", "launch.cli", "launch", *words, children=True)
    assert refused.returncode == 1 and not (run / "checkpoints").exists()
    assert refused.stderr.count("device=cuda: no CUDA device is available") == 1
