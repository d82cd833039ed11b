"""`relama runs`: each run's row is correct, whatever the state of its folder."""

import fcntl
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from configs.load import load, save
from train.config import TrainConfig
from train.report.runs import main
from train.run import lease, lock


def make_run(path: Path, steps: int = 200, lines: tuple[str, ...] = ()) -> Path:
    path.mkdir(parents=True)
    config = load("train", TrainConfig, ["model=7b", "data=mix", "data.sources=[c4,books]", f"steps={steps}"])
    save(config, path / "config.yaml")
    (path / "metrics.jsonl").write_text("".join(lines))
    return path


def line(step: int, **more: object) -> str:
    values = {"step": step, "loss": 2.0, "tokens": step * 4_000_000, "tokens_per_second": 1234.0} | more
    return json.dumps(values) + "\n"


def listed(folder: Path, capsys) -> dict[str, dict]:
    assert main([f"folder={folder}", "json=true"]) == 0
    found = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    return {row["run"]: row for row in found}


def test_each_run_has_its_state_step_tokens_held_out_figure_speed_and_age(tmp_path, capsys):
    measured = {"c4": {"bits_per_byte": 1.0}, "books": {"bits_per_byte": 2.0}}
    done = make_run(tmp_path / "done", lines=(line(50, validation=measured), line(200), '{"step": 201, "lo'))
    (done / "finished.json").write_text("{}")
    stopped = make_run(tmp_path / "group" / "stopped", lines=(line(7),))
    (stopped / "stopped.json").write_text("{}")
    make_run(tmp_path / "new")
    running = make_run(tmp_path / "running", lines=(line(3),))
    (tmp_path / "not-a-run").mkdir()
    (tmp_path / "a-file").write_text("")
    for part in ("text", "tokens.tmp"):  # a source of a corpus has a lock, too
        (tmp_path / "corpora" / part / part).mkdir(parents=True)
        (tmp_path / "corpora" / part / lock.NAME).touch()
    with open(running / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = listed(tmp_path, capsys)
    states = {name: (row["state"], row["step"]) for name, row in found.items()}
    assert states == {
        "done": ("finished", 200),
        "group/stopped": ("stopped", 7),
        "new": ("unfinished", None),
        "running": ("running", 3),
    }
    assert found["done"]["bits_per_byte"] == pytest.approx((15.0 * 1 + 4.5 * 2) / 19.5)
    assert found["done"]["tokens"] == 800_000_000 and found["done"]["tokens_per_second"] == 1234.0
    assert 0 <= found["done"]["age"] < 60
    assert main([f"folder={tmp_path}"]) == 0
    table = [text.split() for text in capsys.readouterr().out.splitlines()]
    assert table[0][:2] == ["run", "state"] and len(table) == 5
    assert table[1] == ["done", "finished", "200", "of", "200", "800M", "1.2308", "1,234", "now"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.yaml", "model: ["),
        ("config.yaml", "[]"),
        ("metrics.jsonl", "nonsense\n"),
        ("metrics.jsonl", "[1]\n"),
        ("metrics.jsonl", '{"loss": 2}\n'),
        ("metrics.jsonl", '{"step": 1, "loss": 2, "validation": {"c4": 3}}\n'),
    ],
)
def test_a_run_that_cannot_be_read_does_not_hide_the_others(name, content, tmp_path, capsys):
    make_run(tmp_path / "good", lines=(line(5),))
    (make_run(tmp_path / "bad", lines=(line(5),)) / name).write_text(content)
    found = listed(tmp_path, capsys)
    assert found["good"]["step"] == 5
    assert found["bad"]["state"] == "unreadable" and found["bad"]["problem"]


def test_a_folder_without_runs_is_reported_in_one_line(tmp_path, capsys):
    assert main([f"folder={tmp_path}"]) == 0
    assert capsys.readouterr().out == "no runs yet; start one: relama train run=NAME\n"
    assert main([f"folder={tmp_path / 'nowhere'}"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_run_of_another_machine_is_running_while_it_gives_signs_of_life(tmp_path, capsys, monkeypatch):
    """Its lock does not reach here; its lease does."""
    monkeypatch.setattr(lease, "this_machine", lambda: "other:boot")
    held = lock.hold(make_run(tmp_path / "far", lines=(line(3),)) / lock.NAME)
    held._released.set()  # no further sign
    fcntl.flock(held._handle, fcntl.LOCK_UN)
    shutil.copytree(tmp_path / "far", tmp_path / "copy")
    monkeypatch.setattr(lease, "this_machine", lambda: "here:boot")
    states = {name: row["state"] for name, row in listed(tmp_path, capsys).items()}
    assert states == {"far": "running", "copy": "unfinished"}
    long_ago = time.time() - 2 * lease.PATIENCE
    os.utime(tmp_path / "far" / lock.NAME, (long_ago, long_ago))
    assert listed(tmp_path, capsys)["far"]["state"] == "unfinished"
    held.release()


def test_no_name_in_a_folder_of_runs_reaches_the_terminal_as_more_than_text(tmp_path, capsys):
    evil = "a\x1b]0;owned\x07\n\u202egpj"
    make_run(tmp_path / evil, lines=(line(3),))
    (make_run(tmp_path / f"{evil}2") / "config.yaml").write_text(f"{evil}: [")
    assert main([f"folder={tmp_path}"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert all(text.isprintable() for text in shown) and len(shown) == 4
