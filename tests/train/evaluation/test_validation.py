"""A due save comes before validation, and what validation owes is paid at the next start."""

import json
import signal
import subprocess

import pytest

from tests.support.fork_server import python
from tests.support.runs import SMALL, learned, metrics, same_tensors, succeed
from train.run.folder import RunFolder

STEPS = 20
SETTINGS = (f"steps={STEPS}", "checkpoint.every=5", "validate.every=5")
LAST = f"checkpoints/step-{STEPS:06d}"

# The first argument: at which step's validation to end, and by which signal.
STRUCK = """
import os, signal, sys
import train.evaluation.validation, train.state
from train.main import main

step, number = (int(word) for word in sys.argv[1].split(","))
real, states = train.evaluation.validation._of_source, []
real_init = train.state.State.__init__

def init(state, *arguments):
    states.append(state)
    real_init(state, *arguments)

def of_source(*arguments):
    if states[0].step == step:
        if number == signal.SIGKILL:
            states[0].saving.saver.wait()  # the save that began before
        os.kill(os.getpid(), number)
    return real(*arguments)

train.state.State.__init__, train.evaluation.validation._of_source = init, of_source
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def undisturbed(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    succeed(f"corpora={corpora}", f"run={folder}", *SETTINGS)
    return folder


def strike(step: int, number: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python("-c", STRUCK, f"{step},{int(number)}", *SMALL, *arguments)


@pytest.mark.parametrize(
    ("step", "number", "changes"),
    [
        (10, signal.SIGKILL, ()),
        (15, signal.SIGTERM, ("checkpoint.every=100",)),  # no save is due: the stop makes one
        (STEPS, signal.SIGTERM, ()),
    ],
)
def test_a_run_that_ends_within_validation_loses_nothing(
    step, number, changes, corpora, undisturbed, tmp_path
):
    arguments = (f"corpora={corpora}", f"run={tmp_path}", *SETTINGS, *changes)
    struck = strike(step, number, *arguments)
    assert struck.returncode == (-9 if number == signal.SIGKILL else 143 if step < STEPS else 0), (
        struck.stderr
    )
    assert (tmp_path / "checkpoints" / "latest").read_text() == f"step-{step:06d}\n"
    logged = {line["step"]: line for line in metrics(tmp_path)}
    if number == signal.SIGKILL:
        assert step not in logged  # its line waits for the held-out losses, in the checkpoint
    else:
        assert "validation" not in logged[step]
    finished = succeed(*arguments)
    if step < STEPS:
        assert f"resuming {tmp_path} after step {step}" in finished.stdout
    assert learned(tmp_path) == learned(undisturbed)
    assert all(line["validation"] for line in metrics(tmp_path) if line["step"] % 5 == 0)
    same_tensors(tmp_path / LAST, undisturbed / LAST)


def test_what_is_owed_is_measured_with_the_positions_of_its_phase(corpora, tmp_path):
    phases = ("phases.first.until_step=2", "phases.long.rope_theta=50", "optim.lr=0.05")
    arguments = (f"corpora={corpora}", "steps=6", "checkpoint.every=4", "validate.every=4", *phases)
    succeed(f"run={tmp_path / 'whole'}", *arguments)
    strike(4, signal.SIGKILL, f"run={tmp_path / 'struck'}", *arguments)
    succeed(f"run={tmp_path / 'struck'}", *arguments)
    found, expected = (metrics(tmp_path / name)[3]["validation"] for name in ("struck", "whole"))
    assert found == expected


def test_metrics_are_cut_before_a_line_that_lacks_its_held_out_losses(tmp_path):
    folder = RunFolder(tmp_path, [])
    lines = [{"step": step, "loss": 1.0} for step in range(1, 8)]
    owed = lines[4]
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert folder.cut_metrics(5, owed) == owed and metrics(tmp_path) == lines[:4]
    assert folder.cut_metrics(5, owed) == owed and metrics(tmp_path) == lines[:4]  # it was not there
    complete = {**owed, "validation": {"a": {}}}
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in [*lines[:4], complete, lines[5]]))
    assert folder.cut_metrics(5, owed) is None and metrics(tmp_path) == [*lines[:4], complete]
    assert folder.cut_metrics(4) is None and metrics(tmp_path) == lines[:4]
    folder.metrics.unlink()
    assert folder.cut_metrics(5, owed) == owed
