"""What a run needs is said before it starts, and what cannot fit is refused."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs.load import load
from model.parallelize.mesh import Layout
from train.config import RunError, TrainConfig
from train.plan import needs

ONE = Layout()


def config(*arguments: str) -> TrainConfig:
    return load("train", TrainConfig, ["model=tiny", "model.vocab_size=4096", "precision=fp32", *arguments])


@pytest.fixture
def machine(monkeypatch):
    """A machine with 4 GiB of memory and 10 GB of disk free."""
    monkeypatch.setattr(needs, "available_memory", lambda: 4 * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=10_000_000_000))


def test_the_report_has_size_batch_memory_and_disk(machine, tmp_path):
    small = config(
        "steps=30", "micro_batch=2", "global_batch=4096", "checkpoint.every=10", "checkpoint.keep=2"
    )
    first, second = needs.sentences(small, ONE, tmp_path / "run")
    assert first == (
        "2,098,304 parameters, 122,880 tokens in 30 steps of 4,096 "
        "(16 sequences of 256: 2 × 8 accumulated × 1 rank)"
    )
    assert "of 4 GiB on this machine" in second
    assert "disk: 75.5 MB for 2 checkpoints, 10 GB free" in second  # three while one is replaced


def test_a_micro_batch_that_cannot_fit_is_refused_with_one_that_does(machine, tmp_path):
    needs.refuse_what_cannot_fit(config("micro_batch=64", "global_batch=65536"), ONE, tmp_path)
    with pytest.raises(RunError, match=r"micro_batch=256: .* 4 GiB are available: micro_batch=128 fits"):
        needs.refuse_what_cannot_fit(config("micro_batch=256", "global_batch=65536"), ONE, tmp_path)


def test_long_sequences_are_answered_with_checkpointing_or_more_ranks(machine, tmp_path):
    long = ("micro_batch=1", "model.max_seq_len=131072", "global_batch=131072")
    with pytest.raises(RunError, match=r"use micro_batch=1 parallel\.activation_checkpointing=full"):
        needs.refuse_what_cannot_fit(config(*long), ONE, tmp_path)
    longer = ("micro_batch=1", "model.max_seq_len=1048576", "global_batch=1048576")
    with pytest.raises(RunError, match="use more ranks, a shorter seq_len or a smaller model"):
        needs.refuse_what_cannot_fit(config(*longer), ONE, tmp_path)


def test_a_new_run_without_room_for_a_checkpoint_is_refused_and_an_old_one_warned(
    machine, monkeypatch, tmp_path
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=20_000_000))
    with pytest.raises(RunError, match=r"a checkpoint needs 25\.2 MB, but its disk has 20 MB free"):
        needs.refuse_what_cannot_fit(config(), ONE, tmp_path / "run")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    needs.refuse_what_cannot_fit(config(), ONE, tmp_path / "run")
    assert "checkpoint.keep=1" in list(needs.sentences(config(), ONE, tmp_path / "run"))[-1]


def test_a_containers_limit_counts(monkeypatch, tmp_path):
    for name, text in (("max", "1000"), ("current", "900"), ("stat", "anon 100\ninactive_file 300\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(needs, "CGROUP", tmp_path)
    assert needs.available_memory() == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert (needs.available_memory() or 0) > 2**20
    monkeypatch.setattr(needs, "CGROUP", Path("/nowhere"))
    assert (needs.available_memory() or 0) > 2**20


def test_what_the_estimate_does_not_cover_is_unknown_not_wrong():
    assert needs.memory(config("parallel.tensor=fairscale"), ONE) is None
    assert needs.memory(config("parallel.schedule=gpipe"), Layout(pp=2)) is None
