"""Whatever wandb raises, the run continues: one warning, and wandb is tried again."""

import sys
from types import SimpleNamespace

import pytest

from train.config import LoggerConfig
from train.metrics import to_wandb
from train.metrics.to_wandb import Wandb

LINES = [{"step": step, "loss": 1.0, "seconds": {"total": 2.0}} for step in (1, 2, 3, 4)]


class Fake:
    """A wandb whose named function raises for the first `times` calls."""

    def __init__(self, broken: str, times: int) -> None:
        self.broken, self.times = broken, times
        self.logged: list[dict] = []
        self.calls: list[str] = []
        self.Settings = SimpleNamespace

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.broken and self.times:
            self.times -= 1
            raise RuntimeError("the server\nsaid no")

    def init(self, **_):
        self._call("init")
        return self

    def log(self, values: dict, step: int) -> None:
        self._call("log")
        self.logged.append(values | {"step": step})

    def finish(self, exit_code: int) -> None:
        self._call("finish")


@pytest.mark.parametrize("broken", ["init", "log", "finish"])
@pytest.mark.parametrize("times", [1, 10**6])
def test_wandb_cannot_end_a_run(broken, times, tmp_path, monkeypatch, capsys):
    fake = Fake(broken, times)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr(to_wandb, "PAUSE", 0.0)
    run = Wandb(LoggerConfig(wandb="online"), tmp_path, {})
    for line in LINES:
        run.log(line)
    run.finish(failed=False)
    output = capsys.readouterr().out
    assert output.count("warning: wandb: the server said no; training continues") == 1, output
    if times == 1:  # the next attempt succeeded
        assert [line["step"] for line in fake.logged] == ([2, 3, 4] if broken == "log" else [1, 2, 3, 4])
        assert fake.logged[-1]["seconds/total"] == 2.0


def test_a_broken_wandb_is_not_asked_at_every_step(tmp_path, monkeypatch):
    """An attempt to reach a server may take a minute and a half."""
    fake = Fake("init", 10**6)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    run = Wandb(LoggerConfig(wandb="online"), tmp_path, {})
    for line in LINES:
        run.log(line)
    run.finish(failed=True)
    assert fake.calls == ["init"]


def test_a_missing_wandb_is_a_warning(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    Wandb(LoggerConfig(wandb="offline"), tmp_path, {}).log(LINES[0])
    assert capsys.readouterr().out.count("warning: wandb") == 1
