"""torch.compile changes no loss, on 1 and 2 ranks."""

import shutil

import pytest

from tests.support import runs

COMPILER = any(map(shutil.which, ("g++", "clang++", "c++")))


@pytest.mark.skipif(not COMPILER, reason="Inductor compiles with a C++ compiler, and none is here")
@pytest.mark.distributed
def test_compiled_blocks_give_the_same_losses_on_one_and_two_ranks(corpora, tmp_path):
    arguments = [f"corpora={corpora}", "steps=3", "checkpoint.keep=1"]
    losses = {}
    for name, ranks, compiled in (("eager", 0, "false"), ("one", 0, "true"), ("two", 2, "true")):
        done = runs.succeed(
            *arguments, f"run={tmp_path / name}", f"parallel.compile={compiled}", ranks=ranks, timeout=900
        )
        assert "attention kernel: flash (CPU, float32)" in done.stdout
        losses[name] = [line["loss"] for line in runs.metrics(tmp_path / name)]
    assert len(losses["eager"]) == 3
    assert losses["one"] == pytest.approx(losses["eager"], rel=1e-5)
    assert losses["two"] == pytest.approx(losses["eager"], rel=1e-5)
