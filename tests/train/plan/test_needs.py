"""What a run needs is said before it starts, and what cannot fit is refused."""

import re
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


def test_each_thing_that_a_run_without_memory_is_told_to_change_is_enough(machine, tmp_path):
    def advice(words: list[str]) -> str:
        with pytest.raises(RunError) as refused:
            needs.refuse_what_cannot_fit(config(*words), ONE, tmp_path)
        return str(refused.value).rpartition(": ")[2]

    wide = ["global_batch=65536", "micro_batch=256"]
    (mend,) = re.findall("(micro_batch=128) fits", advice(wide))
    needs.refuse_what_cannot_fit(config(wide[0], mend), ONE, tmp_path)
    long = ["model.max_seq_len=131072", "global_batch=131072", "micro_batch=1"]
    mends = advice(long).removeprefix("use ").split()
    assert len(mends) == 2
    needs.refuse_what_cannot_fit(config(*long[:2], *mends), ONE, tmp_path)
    longer = ["model.max_seq_len=1048576", "global_batch=1048576", "micro_batch=1"]
    assert "a shorter seq_len or a smaller model" in advice(longer)
    needs.refuse_what_cannot_fit(config(*longer, "seq_len=4096"), ONE, tmp_path)


def sized(name: str) -> TrainConfig:
    return load("train", TrainConfig, [f"model={name}", "data=mix"])


def test_a_model_that_does_not_fit_fits_on_more_machines_or_made_smaller(machine):
    (line,) = needs.weights_problem(sized("7b"), ONE)
    assert "use more ranks (relama launch nodes=N processes=N) or a smaller model=tiny|small|7b|…" in line
    assert needs.weights_problem(sized("7b"), Layout(dp_shard=32)) == []  # one of them on this machine
    assert needs.weights_problem(sized("small"), ONE) == []


def test_a_run_without_room_for_a_checkpoint_gets_another_disk(machine, monkeypatch, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "empty").mkdir()
    free = {tmp_path / "full": 20_000_000, tmp_path / "empty": 30_000_000}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free[folder]))
    with pytest.raises(RunError, match="make room, or choose run=PATH on another disk"):
        needs.refuse_what_cannot_fit(config(), ONE, tmp_path / "full" / "run")
    needs.refuse_what_cannot_fit(config(), ONE, tmp_path / "empty" / "run")


@pytest.mark.parametrize(("free", "proposed"), [(120, ["3"]), (100, ["2"]), (60, ["1"]), (40, [])])
def test_a_disk_that_will_be_full_gets_as_many_checkpoints_as_fit(
    free, proposed, machine, monkeypatch, tmp_path
):
    """Each takes 25.2 MB, and one more is written before the oldest goes."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free * 1_000_000))
    words = ["steps=90", "checkpoint.every=10"]
    *_, warning = needs.sentences(config(*words, "checkpoint.keep=4"), ONE, tmp_path / "run")
    assert "warning: " in warning and "make room" in warning
    assert re.findall(r"checkpoint\.keep=(\d+)", warning) == proposed
    for keep in proposed:
        said = list(needs.sentences(config(*words, f"checkpoint.keep={keep}"), ONE, tmp_path / "run"))
        assert "warning" not in said[-1]


def test_a_new_run_without_room_for_a_checkpoint_is_refused_and_an_old_one_warned(
    machine, monkeypatch, tmp_path
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=20_000_000))
    with pytest.raises(RunError, match=r"a checkpoint needs 25\.2 MB, but its disk has 20 MB free"):
        needs.refuse_what_cannot_fit(config(), ONE, tmp_path / "run")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    needs.refuse_what_cannot_fit(config(), ONE, tmp_path / "run")
    assert "will be full before the run ends" in list(needs.sentences(config(), ONE, tmp_path / "run"))[-1]


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
