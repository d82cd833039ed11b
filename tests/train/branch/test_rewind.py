"""A branch that goes back further than its own checkpoints goes back to the one that it was made from."""

import math

import pytest

from tests.support.fork_server import python
from tests.support.runs import metrics, not_a_number, succeed
from train.branch.main import main
from train.decisions import read_log
from train.report.life import heading
from train.run.lineage import ancestors, shared
from train.run.record import RunRecord


@pytest.mark.distributed
def test_a_spike_before_the_first_checkpoint_of_a_branch_returns_to_its_parents(corpora, tmp_path):
    parent, child = tmp_path / "a", tmp_path / "b"
    succeed(f"corpora={corpora}", f"run={parent}", "steps=6", "stop_at=2", "optim.schedule=constant")
    assert main([f"run={parent}", "at=2", f"to={child}", "recovery=rewind", "recovery.back=3"]) == 0
    second = not_a_number(1, 2)  # of the branch's steps, which is computed twice before it is believed
    ran = python("-c", second, f"config={child / 'config.yaml'}", "threads=1")
    assert ran.returncode == 0, ran.stderr
    (decision,) = read_log(child)
    batch = 8  # sequences
    assert (decision["action"], decision["step"], decision["to_step"]) == ("rewind", 4, 2)
    assert decision["samples"] == [2 * batch, 4 * batch]
    losses = {line["step"]: line["loss"] for line in metrics(child)}
    assert [*losses] == [3, 4, 5, 6] and all(map(math.isfinite, losses.values()))


@pytest.mark.distributed
def test_a_branch_does_not_show_steps_that_its_parent_has_trained_anew(corpora, tmp_path):
    parent, child, keys = tmp_path / "a", tmp_path / "b", (f"corpora={corpora}", "optim.schedule=constant")
    succeed(*keys, f"run={parent}", "steps=6", "checkpoint.every=2", "checkpoint.keep=9")
    assert main([f"run={parent}", "at=4", f"to={child}"]) == 0
    succeed(f"config={child / 'config.yaml'}")
    past = metrics(parent)[:4]
    assert RunRecord.read(child).past == past and shared(child) == [(parent, 4)]
    again = not_a_number(0, 1)  # step 7, which is computed twice before it is believed
    ran = python(
        "-c",
        again,
        f"config={parent / 'config.yaml'}",
        "steps=8",
        "recovery=rewind",
        "recovery.back=4",
        "threads=1",
    )
    assert ran.returncode == 0, ran.stderr
    assert [(each["step"], each["to_step"]) for each in read_log(parent)] == [(7, 2)]
    record = RunRecord.read(child)
    assert [line["step"] for line in record.joined] == [1, 2, 5, 6] and record.past == past[:2]
    assert any("its steps 3 to 4 are not shown" in line for line in heading(record))
    assert shared(child) == [(parent, 2)] and ancestors(child) == [(parent, 4)]
    # A branch of what the parent has trained since shares it.
    assert main([f"run={parent}", "at=4", f"to={tmp_path / 'c'}"]) == 0
    assert shared(tmp_path / "c") == [(parent, 4)]
    for folder in (parent / "checkpoints").glob("branched-*"):  # replaced by another run of the same name
        folder.rename(tmp_path / "away")
    assert shared(child) == [(parent, 0)]
