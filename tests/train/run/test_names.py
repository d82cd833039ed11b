"""`run=` names one folder, whatever its form."""

from pathlib import Path

from data.folders import run_path


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
