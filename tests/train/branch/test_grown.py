"""What a branch leaves out, on any number of ranks."""

import pytest

from data.explain import explain
from tests.support.runs import learned, same_tensors, succeed
from train.branch import main

SOURCES = ("data=mix", "data.weights.python_code=60", "data.weights.python_docs=40")


@pytest.mark.distributed
def test_what_is_left_out_stays_out_on_any_number_of_ranks_and_replays_are_certified(corpora, tmp_path):
    folder, clean, two = tmp_path / "a", tmp_path / "c", tmp_path / "two"
    keys = (f"corpora={corpora}", "steps=6", "checkpoint.every=2", "checkpoint.keep=9")
    succeed(f"run={folder}", *keys)
    (tmp_path / "out.txt").write_text("re:asyncio\n")
    for child, ranks in ((clean, 1), (two, 2)):
        arguments = [f"run={folder}", "at=2", f"to={child}", f"without={tmp_path / 'out.txt'}"]
        assert main.main([*arguments, "checkpoint.verify=1"]) == 0
        out = succeed(f"config={child / 'config.yaml'}", ranks=ranks).stdout
        assert "step-000004 is verified" in out
    for step in range(3, 7):
        assert list(explain(clean, step)) == list(explain(two, step))
    for one, other in zip(learned(clean), learned(two), strict=True):
        assert other[1] == pytest.approx(one[1], rel=2e-5)
    with pytest.raises(AssertionError):
        same_tensors(clean / "checkpoints/step-000006", folder / "checkpoints/step-000006")
