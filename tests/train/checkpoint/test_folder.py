"""Which checkpoints are used, kept and removed: only on proof, whatever else is in the folder."""

import errno
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from configs import regular_file
from configs.load import load
from tests.support.states import trained
from train.checkpoint import folder as folders
from train.checkpoint.folder import (
    Unreadable,
    complete_steps,
    had_checkpoints,
    mark_verified,
    newest_complete,
    retain,
    step_folder,
)
from train.checkpoint.tensors import refuse_other_shape, save
from train.config import RunError, TrainConfig

TOKENS = "tokens made with its tokenizer (relama prepare … stage=tokens tokenizer=PATH"


@pytest.mark.parametrize(
    "shape",
    [
        ["model.dim=32", "model.n_heads=4", "model.n_kv_heads=1", "model.multiple_of=101"],
        ["model.n_heads=3", "model.head_size=8", "model.rope_scaling=8", "model.norm_eps=0.001"],
        ["model.ffn_dim_multiplier=1.3", "model.rope_theta=500000", "model.n_layers=1"],
    ],
)
def test_what_the_refusal_of_another_shape_says_to_type_gives_that_shape(shape):
    keys = ["model=tiny", "data=sample", "model.vocab_size=300"]
    state = {"model": asdict(load("train", TrainConfig, [*keys, *shape]).model)}
    with pytest.raises(RunError) as refused:
        refuse_other_shape(Path("there"), state, load("train", TrainConfig, keys).model)
    typed = str(refused.value).rpartition("; give ")[2].split()
    refuse_other_shape(Path("there"), state, load("train", TrainConfig, [*keys, *typed]).model)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (["model.vocab_size=250"], f"{TOKENS})"),
        (["model.vocab_size=308"], f"{TOKENS}, after relama import if it has rows without a piece)"),
        (
            ["model.vocab_size=250", "model.n_layers=1"],
            f"config=there/model.yaml or model.n_layers=1, and {TOKENS})",
        ),
    ],
)
def test_the_refusal_of_another_vocabulary_asks_for_other_tokens(shape, expected):
    keys = ["model=tiny", "data=sample", "model.vocab_size=300"]
    state = {"model": asdict(load("train", TrainConfig, [*keys, *shape]).model)}
    with pytest.raises(RunError) as refused:
        refuse_other_shape(
            Path("there"), state, load("train", TrainConfig, keys).model, give="config=there/model.yaml"
        )
    assert str(refused.value).rpartition("; give ")[2] == expected


@pytest.fixture
def checkpoints(tmp_path, monkeypatch) -> Path:
    """Checkpoints of steps 1, 2 and 3."""
    monkeypatch.setattr(folders, "PAUSE", 0.0)
    model, optimizer = trained()
    for step in (1, 2, 3):
        save(tmp_path, model, optimizer, {"step": step}, keep=10)
    return tmp_path


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_damaged_copies_and_later_numbers_never_push_out_a_complete_checkpoint(checkpoints, keep):
    for number in (4, 5, 6):
        shutil.copytree(step_folder(checkpoints, 3), step_folder(checkpoints, number))
        truncate(step_folder(checkpoints, number) / "__0_0.distcp")
    shutil.copytree(step_folder(checkpoints, 1), checkpoints / "step-999999")
    retain(checkpoints, keep, newest=3)
    assert complete_steps(checkpoints) == [1, 2, 3][-keep:]
    found = newest_complete(checkpoints)
    assert found and found[1]["step"] == 3
    assert all(step_folder(checkpoints, number).exists() for number in (4, 5, 6, 999999))


def test_a_damaged_checkpoint_does_not_count_among_those_that_are_kept(checkpoints):
    truncate(step_folder(checkpoints, 2) / "__0_0.distcp")
    retain(checkpoints, 2, newest=3)
    assert complete_steps(checkpoints) == [1, 3]


def test_a_failed_cleanup_is_a_warning_and_the_save_is_committed(checkpoints, monkeypatch, capsys):
    def refuse(_folder: Path) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(folders, "remove", refuse)
    save(checkpoints, *trained(), {"step": 4}, keep=1)
    assert "older checkpoints could not be removed" in capsys.readouterr().out
    found = newest_complete(checkpoints)
    assert found and found[1]["step"] == 4


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("what", ["state.json", "__0_0.distcp", "the folder"])
@pytest.mark.parametrize("passes", [True, False])
def test_a_read_error_is_retried_and_never_counted_as_damage(checkpoints, monkeypatch, code, what, passes):
    listdir = os.listdir
    failures = iter([True] * (folders.TRIES - 1 if passes else 10**6))

    def failing(real):
        def call(path, *args, **kwargs):
            is_it = what == ("the folder" if real is listdir else Path(path).name)
            if is_it and next(failures, False):
                raise OSError(code, os.strerror(code), str(path))
            return real(path, *args, **kwargs)

        return call

    monkeypatch.setattr(regular_file, "content", failing(regular_file.content))
    monkeypatch.setattr(folders, "checksum", failing(folders.checksum))
    monkeypatch.setattr(folders.os, "listdir", failing(listdir))
    if passes:
        found = newest_complete(checkpoints)
        assert found and found[1]["step"] == 3
    else:
        with pytest.raises(Unreadable, match="may be intact"):
            newest_complete(checkpoints)
    monkeypatch.undo()
    assert len(list(checkpoints.glob("step-*"))) == 3


@pytest.mark.parametrize("name", ["step-²", "step-", "step-1x", "step-4", "step-000004.old", "latest"])
def test_other_names_than_a_checkpoints_are_ignored(checkpoints, name):
    if name == "latest":
        (checkpoints / name).unlink()
    (checkpoints / name).mkdir()
    found = newest_complete(checkpoints)
    assert found and found[1]["step"] == 3
    assert complete_steps(checkpoints) == [1, 2, 3]


def test_a_folder_that_lost_its_checkpoints_is_not_a_new_one(tmp_path, checkpoints):
    assert not had_checkpoints(tmp_path / "elsewhere")
    for step in (1, 2, 3):
        shutil.rmtree(step_folder(checkpoints, step))
    assert newest_complete(checkpoints) is None and had_checkpoints(checkpoints)


@pytest.mark.parametrize("name", ["state.json", "__0_0.distcp", ".metadata"])
def test_a_folder_in_place_of_a_file_is_damage_not_a_transient_error(checkpoints, name):
    (step_folder(checkpoints, 3) / name).unlink()
    (step_folder(checkpoints, 3) / name).mkdir()
    found = newest_complete(checkpoints)
    assert found and found[1]["step"] == 2


def test_a_mark_that_cannot_be_read_does_not_cost_the_verified_checkpoint(checkpoints, monkeypatch, capsys):
    mark_verified(step_folder(checkpoints, 1), {2: 1.0})
    real = regular_file.content

    def failing(path: Path) -> bytes:
        if path.name == "verified.json":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return real(path)

    monkeypatch.setattr(regular_file, "content", failing)
    save(checkpoints, *trained(), {"step": 4}, keep=1)
    assert complete_steps(checkpoints) == [1, 2, 3, 4]
    assert "older checkpoints could not be removed" in capsys.readouterr().out


def test_latest_never_names_a_checkpoint_that_was_removed(checkpoints):
    folders.remove_steps(checkpoints, [3])
    assert (checkpoints / "latest").read_text().strip() == "step-000002"
    folders.remove_steps(checkpoints, [1, 2])
    assert not had_checkpoints(checkpoints)  # a rewind to the start is no loss


def branched(runs: Path, checkpoint: Path, name: str) -> Path:
    """A branch of the run `a` from this checkpoint."""
    folders.pin(checkpoint, runs / name)
    (runs / name).mkdir()
    (runs / name / "lineage.json").write_text("{}")
    return runs / name


def test_a_branch_keeps_its_checkpoint_when_all_runs_are_moved(checkpoints):
    runs = checkpoints / "runs"
    step = runs / "a/checkpoints/step-000001"
    shutil.copytree(checkpoints / step.name, step)
    branched(runs, step, "b")
    moved = runs.rename(checkpoints / "elsewhere") / "a/checkpoints/step-000001"
    assert folders.is_needed(moved)
    shutil.rmtree(checkpoints / "elsewhere/b")
    assert not folders.is_needed(moved)


def test_a_step_that_two_branches_need_is_removed_twice_and_kept_once(checkpoints):
    """It is trained again after a rewind, with the same result."""
    runs = checkpoints / "runs"
    step = runs / "a/checkpoints/step-000001"
    for name in ("b", "c"):
        shutil.copytree(checkpoints / step.name, step)
        branched(runs, step, name)
        folders.remove(step)
        shutil.rmtree(runs / "b", ignore_errors=True)
    kept = [path for path in step.parent.iterdir() if folders.is_needed(path)]
    assert len(kept) == 1 and kept[0].name.startswith("branched-step-000001-")
    assert not step.exists()


def test_cleaning_up_reads_no_checkpoint_that_is_kept_for_good(checkpoints, monkeypatch):
    read, real = [], folders.read_state
    monkeypatch.setattr(folders, "read_state", lambda folder: read.append(folder.name) or real(folder))
    retain(checkpoints, 1, newest=3, keep_every=2)
    assert "step-000002" not in read and complete_steps(checkpoints) == [2, 3]
    read.clear()
    retain(checkpoints, 3, newest=3)
    assert not read  # none is too many


@pytest.mark.parametrize("is_there", [True, False])
def test_links_to_checkpoints_on_another_disk_are_removed_and_what_they_name_is_kept(
    checkpoints, tmp_path_factory, is_there
):
    elsewhere = tmp_path_factory.mktemp("other disk")
    for step in (1, 2, 3):
        target = elsewhere / str(step)
        step_folder(checkpoints, step).rename(target)
        step_folder(checkpoints, step).symlink_to(target if is_there else elsewhere / "not mounted")
    model, optimizer = trained()
    for step in (3, 4):  # step 3 was trained again
        save(checkpoints, model, optimizer, {"step": step}, keep=2)
    assert complete_steps(checkpoints) == [3, 4] and not step_folder(checkpoints, 3).is_symlink()
    folders.remove_leftovers(checkpoints)
    assert not list(checkpoints.glob("*.tmp"))
    assert sorted(path.name for path in elsewhere.iterdir()) == ["1", "2", "3"]
    assert all((path / "state.json").exists() for path in elsewhere.iterdir())
