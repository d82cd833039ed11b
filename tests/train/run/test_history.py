"""Samples and scores of steps that a run trains again: kept, but no longer shown."""

import json
import shutil

from tests.support.runs import succeed
from train.run.history import read_samples, scored, set_aside_after


def _found(run, steps):
    lines = ({"step": step, "prompt": "a", "text": "b"} for step in steps)
    (run / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in steps:
        (run / "evaluation" / f"step-{step:06d}").mkdir(parents=True)
        (run / "evaluation" / f"step-{step:06d}" / "table.md").write_text("scores")


def test_what_was_made_of_undone_steps_is_kept_under_other_names(tmp_path, capsys):
    _found(tmp_path, (10, 20, 30, 1_000_000))
    set_aside_after(tmp_path, 20)
    assert [line["step"] for line in read_samples(tmp_path)] == [10, 20]
    assert [step for step, _ in scored(tmp_path)] == [10, 20]
    kept = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*-1*")}
    assert {"samples-1.jsonl", "evaluation/step-000030-1", "evaluation/step-1000000-1"} <= kept
    assert len((tmp_path / "samples-1.jsonl").read_text().splitlines()) == 4
    capsys.readouterr()
    set_aside_after(tmp_path, 20)
    assert not capsys.readouterr().out


def test_a_run_that_continues_from_an_earlier_checkpoint_sets_aside_what_is_later(corpora, tmp_path):
    words = (f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=4", "checkpoint.every=2")
    succeed(*words)
    _found(tmp_path / "run", (2, 4))
    succeed(*words)
    assert [line["step"] for line in read_samples(tmp_path / "run")] == [2, 4]
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-000004")
    succeed(*words)
    assert [line["step"] for line in read_samples(tmp_path / "run")] == [2]
    assert [step for step, _ in scored(tmp_path / "run")] == [2]
