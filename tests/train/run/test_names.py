"""`run=` names one folder, whatever its form."""

import os
from pathlib import Path

import pytest

from configs.load import load
from data.folders import run_path
from tests.support.runs import SMALL
from train.config import RunError, TrainConfig
from train.ranks.watchdog import Watchdog
from train.run.folder import HANGS, claimed


def test_a_name_is_under_runs_and_a_path_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("demo", "a/b", "size/7b/first"):
        assert run_path(name) == Path("runs") / name
    for path in ("/tmp/run", "./a/b", "../run", "runs/demo", "runs/a/b", ".", ".."):
        assert run_path(path) == Path(path)


def test_a_run_made_when_any_slash_meant_a_path_is_still_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old" / "run").mkdir(parents=True)
    (tmp_path / "old" / "run" / "config.yaml").touch()
    assert run_path("old/run") == Path("old/run")
    assert run_path("old/other") == Path("runs/old/other")


def test_a_start_that_is_refused_late_leaves_no_folder(tmp_path):
    """The watchdog has made its files by then; only what it has seen is kept."""
    for seen in ("", "a stack"):
        config = load("train", TrainConfig, [*SMALL, f"run={tmp_path / 'new'}"])
        with pytest.raises(RunError, match="refused"), claimed(config, []) as folder:
            (folder.path / HANGS).mkdir()
            (folder.path / HANGS / "rank0-locked.txt").write_text(seen)
            raise RunError("refused")
        assert (tmp_path / "new").exists() == bool(seen)


@pytest.mark.parametrize("turn", range(1, 12))
def test_a_watchdog_that_begins_its_report_at_any_moment_leaves_no_folder_either(turn, tmp_path, monkeypatch):
    """It has seen the lock, and writes before operation number `turn` of those that remove the folder."""
    config = load("train", TrainConfig, [*SMALL, f"run={tmp_path / 'new'}"])
    watchdog = Watchdog(tmp_path / "new" / HANGS, 0, 0.0)
    monkeypatch.setattr(watchdog, "_is_run_folder", lambda: True)
    calls = []

    def interrupted(real):
        def call(*arguments, **keys):
            calls.append(real.__name__)
            if len(calls) == turn:
                watchdog._arm(1000)
            return real(*arguments, **keys)

        return call

    with pytest.raises(RunError, match="refused"), claimed(config, []):
        for name in ("stat", "listdir", "scandir", "open", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, interrupted(getattr(os, name)))
        raise RunError("refused")
    monkeypatch.undo()
    watchdog.close()
    assert {"unlink", "rmdir"} <= {*calls} and not (tmp_path / "new").exists()
