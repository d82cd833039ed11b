"""wandb: one run per run folder, whatever its name; a rewind is a new run of its group."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support import logged
from tests.support.runs import REPOSITORY
from tests.train.loggers import test_read_back as read_back
from train.config_groups import LoggerConfig
from train.loggers import chosen, follow, to_wandb

OFFLINE = LoggerConfig(wandb="offline")


class Run(read_back.Run):
    """A run whose starts are seconds apart, as in reality: wandb names its folders by the second."""

    def start(self, kept: int, rewinds: int = 0) -> None:
        if kept:
            time.sleep(1.1)
        super().start(kept, rewinds)


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    for key in [key for key in os.environ if key.startswith("WANDB")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chosen, "PATIENCE", 120.0)  # wandb starts a process, and a busy machine is slow
    monkeypatch.setattr(to_wandb, "TIMEOUT", 120)


def kept(run: Run) -> dict:
    return json.loads((run.folder / "wandb.json").read_text())


def test_a_resumed_run_is_one_run_and_a_rewind_a_new_one_of_its_group(tmp_path, capsys):
    run = Run(tmp_path / "x: ;,#?é" / "exp1", OFFLINE)
    run.start(0)
    run.train(1, 5)
    run.end()
    first = kept(run)
    run.start(3)  # steps 4 and 5 are trained again, to the same values
    run.train(4, 8)
    run.end()
    assert kept(run)["id"] == first["id"]
    assert logged.wandb(run.folder, first["id"], [1, 2, 3, 4, 5, 6, 7, 8]) == [1, 2, 3, 4, 5, 6, 7, 8]
    run.start(8)
    run.rewind(2, 1)
    run.train(3, 6, loss=10.0)
    run.end()
    second = kept(run)
    assert second["id"] != first["id"] and second["group"] == first["group"] == first["id"]
    assert logged.wandb(run.folder, second["id"], [1, 2, 3, 4, 5, 6]) == [1, 2, 3, 4, 5, 6]
    run.start(6, 1)  # another process after the rewind
    run.train(7, 7)
    run.end()
    assert kept(run)["id"] == second["id"]
    assert logged.wandb(run.folder, second["id"], [1, 2, 3, 4, 5, 6, 7]) == [1, 2, 3, 4, 5, 6, 7]
    assert "warning" not in capsys.readouterr().out


def test_folders_with_one_name_and_copies_are_separate_runs(tmp_path):
    one, two = Run(tmp_path / "x" / "exp1", OFFLINE), Run(tmp_path / "y" / "exp1", OFFLINE)
    for run in (one, two):
        run.start(0)
        run.train(1, 2)
        run.end()
    assert kept(one)["id"] != kept(two)["id"]
    shutil.copytree(one.folder, tmp_path / "copy", symlinks=True)  # as cp -r does
    copy = Run(tmp_path / "copy", OFFLINE)
    moved = Run(Path(shutil.move(two.folder, tmp_path / "moved")), OFFLINE)
    identity = kept(moved)["id"]
    for run in (copy, moved):
        run.start(2)
        run.train(3, 3)
        run.end()
    assert kept(copy)["id"] != kept(one)["id"]
    assert logged.wandb(copy.folder, kept(copy)["id"], [1, 2, 3]) == [1, 2, 3]
    assert kept(moved)["id"] == identity
    assert logged.wandb(moved.folder, identity, [1, 2, 3]) == [1, 2, 3]


def test_a_server_that_does_not_answer_delays_neither_start_nor_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(to_wandb, "TIMEOUT", 1)
    monkeypatch.setattr(chosen, "PATIENCE", 30.0)
    trained, connect, was_trained = threading.Event(), to_wandb.Wandb._connect, []

    def connect_later(logger, which):
        was_trained.append(trained.wait(120))
        return connect(logger, which)

    def closing(follower, failed: bool, real=follow.Follower.closing) -> None:
        real(follower, failed)
        trained.set()  # not sooner: the warning says whether training continues

    monkeypatch.setattr(to_wandb.Wandb, "_connect", connect_later)
    monkeypatch.setattr(follow.Follower, "closing", closing)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        run = Run(tmp_path / "run", LoggerConfig(wandb="online"))
        run.start(0)
        run.train(1, 3)
        begin = time.monotonic()
        run.end()
        assert time.monotonic() - begin < 60
    assert was_trained and all(was_trained)
    output, errors = capsys.readouterr()
    assert output.count("warning: wandb: ") == 1 and "; metrics.jsonl has all metrics" in output
    assert "training continues" not in output and "wandb: " not in errors  # its own line on credentials


def test_without_a_login_a_terminal_is_not_asked(tmp_path):
    """The question would come from a thread, in the middle of training."""
    program = (
        "from pathlib import Path\n"
        "from train.config_groups import LoggerConfig\n"
        "from train.loggers.follow import Position\n"
        "from train.loggers.to_wandb import Wandb\n"
        "try:\n"
        "    Wandb(LoggerConfig(wandb='online'), Path('.'), {}).open(Position(0, 0))\n"
        "except Exception as error:\n"
        "    print('refused:', error)\n"
    )
    terminal, end = os.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(REPOSITORY), "HOME": str(tmp_path), "TERM": "xterm"},
        stdin=end,
        stdout=end,
        stderr=end,
    )
    os.close(end)
    try:
        assert process.wait(timeout=400) == 0  # it would wait for an answer
        output = os.read(terminal, 10_000).decode()
    finally:
        process.kill()
        os.close(terminal)
    assert output.startswith("refused: No API key configured") and "choice" not in output
