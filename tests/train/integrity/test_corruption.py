"""A run whose memory is corrupted names where, repairs itself, and ends as the undisturbed one, bitwise."""

import subprocess

import pytest

from tests.support.fork_server import python
from tests.support.runs import SMALL, learned, metrics, run, same_tensors, succeed
from train.checkpoint.folder import complete_steps
from train.decisions import read_log

STEPS = 20
SETTINGS = (f"steps={STEPS}", "checkpoint.every=4", "validate.every=6", "watchdog.integrity=1")
WEIGHT = "layers.1.feed_forward.w2.weight"
LAST = f"checkpoints/step-{STEPS:06d}"

# Run train.main with faults in memory. argv: their kinds, then the keys.
FAULTY = """
import os, sys, torch
import train.trainer
from train.main import main
from train.checkpoint.staging import Staging
from train.integrity.sentinel import Sentinel
from train.checkpoint.checksums import local

kind = sys.argv[1]
left = {"weight": 99 if "always" in kind else 1, "staging": 1, "replica": 1, "moment": 1}
real = {"step": train.trainer.Trainer.step, "record": Sentinel.record, "copy": Staging.copy}
RANK = int(os.environ.get("RANK", 0))
here = [None, 0]

def strike(what, tensor, bit=27):
    if what in kind and left[what] > 0:
        left[what] -= 1
        local(tensor).view(torch.int32)[3] ^= 1 << bit

def weight():
    return dict(here[0].state.model.named_parameters())["layers.1.feed_forward.w2.weight"]

def train_step(trainer, step, batches, clock):
    here[:] = trainer, step
    if step == 11:
        strike("weight", weight())
    return real["step"](trainer, step, batches, clock)

def record(sentinel, optimizer, step, *rest, **options):
    if step == 11 and RANK == 1:
        strike("replica", weight(), bit=3)
    if kind == "moment" and step == 12 and left["moment"]:
        left["moment"] = 0  # a value that a moment may have, but no update that has these second moments
        optimizer.state[weight()]["exp_avg"].view(-1)[3] = 0.5
    return real["record"](sentinel, optimizer, step, *rest, **options)

def copy(staging, tensors):
    real["copy"](staging, tensors)
    if here[1] >= 8:
        strike("staging", staging.buffers["model.norm.weight"])

train.trainer.Trainer.step = train_step
Sentinel.record, Staging.copy = record, copy
sys.exit(main(sys.argv[2:]))
"""


def faulty(kind: str, *arguments: str, ranks: int = 0) -> subprocess.CompletedProcess[str]:
    return python("-c", FAULTY, kind, *SMALL, *arguments, ranks=ranks)


@pytest.fixture(scope="module")
def undisturbed(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    succeed(f"corpora={corpora}", f"run={folder}", *SETTINGS)
    assert read_log(folder) == []
    return folder


def same(folder, undisturbed) -> None:
    assert learned(folder) == learned(undisturbed)
    same_tensors(folder / LAST, undisturbed / LAST)


def test_a_flip_in_the_state_sends_the_run_back_and_one_in_a_save_costs_that_save(
    corpora, undisturbed, tmp_path
):
    ran = faulty("weight and staging", f"corpora={corpora}", f"run={tmp_path}", *SETTINGS)
    assert ran.returncode == 0, ran.stderr
    assert "model.norm.weight changed in memory before it was written, on rank 0" in ran.stdout
    (decision,) = read_log(tmp_path)
    assert (decision["action"], decision["step"], decision["to_step"]) == ("reload", 11, 4)
    assert f"model.{WEIGHT} changed between two updates" in decision["why"]
    assert "step 11: memory corruption on rank 0 (" in ran.stdout
    same(tmp_path, undisturbed)


def test_a_run_that_bad_memory_ended_resumes_on_another_machine_as_its_message_says(
    corpora, undisturbed, tmp_path
):
    arguments = (f"corpora={corpora}", f"run={tmp_path}", *SETTINGS)
    ran = faulty("weight always", *arguments)
    assert ran.returncode == 1
    assert f"model.{WEIGHT} changed between two updates" in ran.stderr.splitlines()[-1]
    assert "test that machine's memory, and run the same command on others to resume" in ran.stderr
    succeed(*arguments)
    same(tmp_path, undisturbed)


def test_a_run_whose_checkpoints_hold_the_damage_resumes_from_one_before_as_its_message_says(
    corpora, undisturbed, tmp_path
):
    arguments = (f"corpora={corpora}", f"run={tmp_path / 'run'}", *SETTINGS)
    checkpoints = tmp_path / "run" / "checkpoints"
    for ran in (faulty("moment", *arguments), run(*arguments)):  # the second on a healthy machine
        assert ran.returncode == 1
        assert f"model.{WEIGHT} is beyond what AdamW can do" in ran.stderr.splitlines()[-1]
        assert "if it stops there too, its checkpoints hold the damage: move the newest away" in ran.stderr
        assert complete_steps(checkpoints)[-1] == 12
    (checkpoints / "step-000012").rename(tmp_path / "away")
    succeed(*arguments)
    same(tmp_path / "run", undisturbed)


@pytest.mark.distributed
def test_replicas_that_differ_are_found(corpora, tmp_path):
    """A flip during the update itself changes what the checksum is taken of; the other replica has none."""
    arguments = (*SETTINGS, "parallel.dp_replicate=2", "watchdog.compare_every=3")
    clean = tmp_path / "clean"
    succeed(f"corpora={corpora}", f"run={clean}", *arguments, ranks=2)
    assert read_log(clean) == []
    struck = tmp_path / "struck"
    ran = faulty("replica", f"corpora={corpora}", f"run={struck}", *arguments, ranks=2)
    assert ran.returncode == 0, ran.stderr
    (decision,) = read_log(struck)
    assert (decision["action"], decision["step"]) == ("reload", 12)
    assert "rank 0 (" in decision["why"] and "rank 1 (" in decision["why"]
    assert "model.layers.1.feed_forward.w2.weight differs between replicas" in decision["why"]
    same(struck, clean)
    assert [line.get("validation") for line in metrics(struck)] == [
        line.get("validation") for line in metrics(clean)
    ]
