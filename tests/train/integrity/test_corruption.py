"""A run whose memory is corrupted names where, repairs itself, and ends as the undisturbed one, bitwise."""

import subprocess
import sys

import pytest

from tests.support.runs import REPOSITORY, SMALL, learned, metrics, same_tensors, succeed
from train.decisions import read_log

STEPS = 20
SETTINGS = (f"steps={STEPS}", "checkpoint.every=4", "validate.every=6", "watchdog.integrity=1")
LAST = f"checkpoints/step-{STEPS:06d}"

# Run train.main in this process, with one fault in step 11. argv: the kind of fault, then the keys.
FAULTY = """
import os, sys, torch
import train.trainer
from train.integrity import computation
from train.main import main
from train.checkpoint.staging import Staging
from train.integrity.sentinel import Sentinel
from train.integrity.checksums import local

kind, left = sys.argv[1], [1]
real = {"step": train.trainer.Trainer.step, "forward": computation.forward_backward,
        "record": Sentinel.record, "copy": Staging.copy}
RANK = int(os.environ.get("RANK", 0))
here = [None, 0]

def strike(tensor, bit=27):
    if left[0] > 0:
        left[0] -= 1
        local(tensor).view(torch.int32)[3] ^= 1 << bit

def weight(trainer):
    return dict(trainer.model.named_parameters())["layers.1.feed_forward.w2.weight"]

def train_step(trainer, step, batches, clock):
    here[:] = trainer, step
    if step == 11 and kind == "weight":
        strike(weight(trainer))
    if step == 11 and kind == "moment":
        strike(trainer.optimizer.state[weight(trainer)]["exp_avg_sq"])
    if kind == "weight, again and again":
        left[0] = 1
        strike(weight(trainer))
    return real["step"](trainer, step, batches, clock)

def forward(model, batches, count):
    loss = real["forward"](model, batches, count)
    if here[1] == 11 and left[0] and kind == "passing NaN":
        left[0] -= 1
        weight(here[0]).grad.fill_(float("nan"))
    return loss

def record(sentinel, optimizer, step, *rest, **options):
    if step == 11 and kind == "replica" and RANK == 1:
        strike(weight(here[0]), bit=3)
    return real["record"](sentinel, optimizer, step, *rest, **options)

def copy(staging, tensors):
    real["copy"](staging, tensors)
    if here[1] >= 8 and kind == "staging":
        strike(staging.buffers["model.norm.weight"])

train.trainer.Trainer.step, computation.forward_backward = train_step, forward
Sentinel.record, Staging.copy = record, copy
sys.exit(main(sys.argv[2:]))
"""


def faulty(kind: str, *words: str, ranks: int = 0) -> subprocess.CompletedProcess:
    start = [sys.executable, "-c", FAULTY]
    if ranks:
        script = REPOSITORY / "train" / "main.py"  # named in the command only
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"]
        start += ["--no-python", sys.executable, "-c", FAULTY]
        assert script.exists()
    return subprocess.run(
        [*start, kind, *SMALL, *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=180
    )


@pytest.fixture(scope="module")
def undisturbed(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    succeed(f"corpora={corpora}", f"run={folder}", *SETTINGS)
    assert read_log(folder) == []
    return folder


def same(folder, undisturbed) -> None:
    assert learned(folder) == learned(undisturbed)
    same_tensors(folder / LAST, undisturbed / LAST)


@pytest.mark.parametrize(
    ("kind", "tensor"),
    [
        ("weight", "model.layers.1.feed_forward.w2.weight"),
        ("moment", "optimizer.layers.1.feed_forward.w2.weight.exp_avg_sq"),
    ],
)
def test_a_flip_in_the_state_sends_the_run_back_to_its_checkpoint(
    kind, tensor, corpora, undisturbed, tmp_path
):
    ran = faulty(kind, f"corpora={corpora}", f"run={tmp_path}", *SETTINGS)
    assert ran.returncode == 0, ran.stderr
    (decision,) = read_log(tmp_path)
    assert (decision["action"], decision["step"], decision["to_step"]) == ("reload", 11, 8)
    assert f"{tensor} changed between two updates" in decision["why"] and "rank 0 (" in decision["why"]
    assert "step 11: memory corruption on rank 0" in ran.stdout
    same(tmp_path, undisturbed)


def test_a_nan_that_passes_is_computed_again(corpora, undisturbed, tmp_path):
    ran = faulty("passing NaN", f"corpora={corpora}", f"run={tmp_path}", *SETTINGS)
    assert ran.returncode == 0, ran.stderr
    (decision,) = read_log(tmp_path)
    assert (decision["action"], decision["step"]) == ("recompute", 11)
    assert "not finite: layers.1.feed_forward.w2.weight on rank 0" in decision["why"]
    same(tmp_path, undisturbed)


def test_a_flip_in_the_copy_of_a_save_costs_that_save_only(corpora, undisturbed, tmp_path):
    ran = faulty("staging", f"corpora={corpora}", f"run={tmp_path}", *SETTINGS)
    assert ran.returncode == 0, ran.stderr
    assert "model.norm.weight changed in memory before it was written, on rank 0" in ran.stdout
    left = sorted(path.name for path in (tmp_path / "checkpoints").glob("step-*"))
    assert "step-000008" not in left and left[-1] == f"step-{STEPS:06d}"
    same(tmp_path, undisturbed)


def test_a_machine_that_keeps_flipping_ends_the_run_in_one_line(corpora, tmp_path):
    ran = faulty("weight, again and again", f"corpora={corpora}", f"run={tmp_path}", *SETTINGS)
    assert ran.returncode == 1
    assert "after 3 returns to a checkpoint" in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr


@pytest.mark.distributed
def test_replicas_that_differ_are_found(corpora, tmp_path):
    """A flip during the update itself changes what the checksum is taken of; the other replica has none."""
    words = (*SETTINGS, "parallel.dp_replicate=2", "watchdog.compare_every=3")
    clean = tmp_path / "clean"
    succeed(f"corpora={corpora}", f"run={clean}", *words, ranks=2)
    assert read_log(clean) == []
    struck = tmp_path / "struck"
    ran = faulty("replica", f"corpora={corpora}", f"run={struck}", *words, ranks=2)
    assert ran.returncode == 0, ran.stderr
    (decision,) = read_log(struck)
    assert (decision["action"], decision["step"]) == ("reload", 12)
    assert "rank 0 (" in decision["why"] and "rank 1 (" in decision["why"]
    assert "model.layers.1.feed_forward.w2.weight differs between replicas" in decision["why"]
    same(struck, clean)
    assert [line.get("validation") for line in metrics(struck)] == [
        line.get("validation") for line in metrics(clean)
    ]
