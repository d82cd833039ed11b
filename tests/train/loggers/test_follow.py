"""A logger gets every line once and in order, and whatever it does, the run continues."""

import json
import sys
import threading
import time
from pathlib import Path

import pytest

from train.config_groups import LoggerConfig
from train.loggers import chosen, follow
from train.loggers.follow import Follower, Position, values
from train.loggers.journal import Journal


class Memory:
    """A logger that keeps what it gets, and raises at the calls that `broken` names, `times` times each."""

    def __init__(self, broken: str = "", times: int = 0, held: int = 0) -> None:
        self.broken, self.times, self.held = broken, times, held
        self.steps: list[int] = []
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.broken and self.times:
            self.times -= 1
            raise RuntimeError("the server\nsaid no")

    def open(self, at: Position) -> int:
        self._call("open")
        return max(self.steps, default=self.held)

    def log(self, lines) -> None:
        self._call("log")
        self.steps += [step for step, _ in lines]

    def close(self, failed: bool) -> None:
        self._call("close")


def write(metrics: Path, *steps: int) -> None:
    with metrics.open("a") as file:
        file.writelines(json.dumps({"step": step, "loss": 1.0, "tokens": step}) + "\n" for step in steps)


def finish(follower: Follower) -> None:
    follower.closing(failed=False)
    follower.wait(120)


@pytest.mark.parametrize("broken", ["open", "log", "close"])
@pytest.mark.parametrize("times", [1, 10**6])
def test_a_failing_logger_is_one_warning_and_loses_no_line(broken, times, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(follow, "PAUSE", 0.001)
    metrics, logger = tmp_path / "metrics.jsonl", Memory(broken, times)
    write(metrics, 1, 2)
    follower = Follower("memory", logger, metrics, Position(0, 0))
    deadline = time.monotonic() + 120
    while times == 1 and broken != "close" and logger.steps != [1, 2]:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    write(metrics, 3)
    follower.wrote()
    finish(follower)
    output = capsys.readouterr().out
    assert output.count("warning: memory: the server said no; ") == 1, output
    if times == 1:
        assert logger.steps == [1, 2, 3]


def test_a_broken_logger_is_not_tried_at_every_step(tmp_path):
    metrics, logger = tmp_path / "metrics.jsonl", Memory("open", 10**6)
    write(metrics, 1)
    follower = Follower("memory", logger, metrics, Position(0, 0))
    deadline = time.monotonic() + 120
    while not logger.calls:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    for step in range(2, 20):
        write(metrics, step)
        follower.wrote()
        time.sleep(0.002)
    assert logger.calls == ["open"]
    finish(follower)
    assert logger.calls == ["open", "open"]  # once more at the end


def test_a_logger_that_hangs_delays_neither_training_nor_its_end(tmp_path, monkeypatch, capsys):
    hangs = threading.Event()
    monkeypatch.setattr(chosen, "PATIENCE", 0.2)
    logger = Memory()
    monkeypatch.setattr(logger, "open", lambda at: int(hangs.wait()))
    monkeypatch.setattr(chosen, "chosen", lambda *_: {"slow": logger})
    begin = time.monotonic()
    journal = Journal(tmp_path / "metrics.jsonl", 3, LoggerConfig(), {}, Position(0, 0))
    for step in (1, 2, 3):
        journal.write(
            {"step": step, "loss": 1.0, "tokens_per_second": 1.0, "mfu": None, "lr": 0.1, "epochs": {}}
        )
    journal.close()
    assert time.monotonic() - begin < 60  # without PATIENCE it would never end
    assert "warning: slow: not everything was sent in time" in capsys.readouterr().out
    hangs.set()


def test_a_logger_chosen_in_the_middle_of_a_run_gets_the_complete_history(tmp_path):
    metrics, logger = tmp_path / "metrics.jsonl", Memory()
    write(metrics, *range(1, 251))
    finish(Follower("memory", logger, metrics, Position(250, 0)))
    assert logger.steps == [*range(1, 251)]


def test_a_logger_is_not_sent_again_what_it_holds(tmp_path):
    metrics, logger = tmp_path / "metrics.jsonl", Memory(held=3)
    write(metrics, 1, 2)
    follower = Follower("memory", logger, metrics, Position(2, 0))
    write(metrics, 3, 4)
    with metrics.open("a") as file:
        file.write('damaged\n{"step": 5, "loss"')
    follower.wrote()
    finish(follower)
    assert logger.steps == [4]


def test_a_missing_package_is_a_warning_that_names_it_and_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    config = LoggerConfig(wandb="offline", mlflow=str(tmp_path / "store"))
    write(tmp_path / "metrics.jsonl", 1)
    chosen.Loggers(config, tmp_path / "metrics.jsonl", {}, Position(0, 0)).close(failed=False)
    output = capsys.readouterr().out
    for name in ("wandb", "mlflow"):
        assert output.count(f"warning: {name}: import of {name} halted") == 1, output
    assert output.count("sys.modules (pip install -e '.[loggers]'); ") == 2


def test_metrics_have_flat_names_that_every_logger_takes():
    line = {
        "step": 3,
        "loss": None,
        "mfu": None,
        "decision": "skip",
        "validation": {"my source é": {"loss": 2.5, "sequences": 4}},
        "ranks": {"slow": {"rank 3 (host)": 1.5}},
    }
    found = values(line)
    assert found.pop("loss") != 0 and "mfu" not in found
    assert found == {
        "decision/skip": 1.0,
        "validation/my_source_/loss": 2.5,
        "validation/my_source_/sequences": 4.0,
        "ranks/slow/rank_3_host_": 1.5,
    }


@pytest.mark.parametrize("how", ["replaced", "cut short"])
def test_a_logger_follows_a_file_that_somebody_else_changed(how, tmp_path):
    metrics, logger = tmp_path / "metrics.jsonl", Memory()
    write(metrics, 1, 2, 3)
    follower = Follower("memory", logger, metrics, Position(0, 0))
    deadline = time.monotonic() + 120
    while logger.steps != [1, 2, 3]:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    if how == "replaced":
        copy = metrics.with_suffix(".swp")
        copy.write_bytes(metrics.read_bytes())
        copy.replace(metrics)
    else:
        metrics.write_text("")
    write(metrics, 4)
    follower.wrote()
    finish(follower)
    assert logger.steps == [1, 2, 3, 4]
