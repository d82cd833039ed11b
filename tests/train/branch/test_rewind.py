"""A branch that goes back further than its own checkpoints goes back to the one that it was made from."""

import math

import pytest

from tests.support.fork_server import python
from tests.support.runs import metrics, not_a_number, succeed
from train.branch.main import main
from train.decisions import read_log


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
