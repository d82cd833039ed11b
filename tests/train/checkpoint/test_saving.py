"""Saving while training continues: the same checkpoint, whatever happens meanwhile; and retention."""

import os
import random
import signal
import sys
import threading
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner

from model.config import LlamaConfig
from model.llama import Llama
from model.parallelize import mesh as meshes
from model.parallelize.apply import parallelize
from model.parallelize.mesh import Layout
from tests.support.narrow import present
from tests.support.ranks import run_ranks
from tests.support.runs import same_tensors
from tests.support.states import CONFIG, step, trained
from train.checkpoint import staging, tensors
from train.checkpoint.folder import is_verified, mark_verified, newest_complete, remove_leftovers
from train.checkpoint.saver import Saver
from train.checkpoint.staging import local_parts
from train.checkpoint.tensors import load, save, step_folder, tensors_of
from train.config import RunError
from train.config_groups import OptimConfig
from train.optimizer import build_optimizer

LARGE = LlamaConfig(dim=128, n_layers=2, n_heads=4, vocab_size=1024, multiple_of=16, max_seq_len=16)


def test_a_save_holds_the_state_of_its_step_while_training_continues(tmp_path, monkeypatch):
    model, optimizer = trained()
    save(tmp_path / "plain", model, optimizer, {"step": 1}, keep=3)
    release = threading.Event()
    write = tensors.dcp_save

    def slow_write(*args, **options):
        assert release.wait(120)
        return write(*args, **options)

    monkeypatch.setattr(tensors, "dcp_save", slow_write)
    saver = Saver(tmp_path / "behind", keep=3)
    saver.save(model, optimizer, {"step": 1})
    saver.before_update()
    for number in (2, 3, 4):  # train before anything is written
        step(model, optimizer, number)
    assert not step_folder(tmp_path / "behind", 1).exists()
    release.set()
    assert saver.wait()
    left, right = (step_folder(tmp_path / name, 1) for name in ("plain", "behind"))
    assert sorted(os.listdir(left)) == sorted(os.listdir(right))
    for name in os.listdir(left):
        assert (left / name).read_bytes() == (right / name).read_bytes(), name


def test_a_save_of_tensors_on_the_cpu_touches_no_gpu(tmp_path, monkeypatch):
    """A machine's GPU may be another's: full, or in exclusive mode."""

    def touched(*_):
        raise RuntimeError("CUDA error: out of memory")

    model, optimizer = trained()  # before: an optimizer of torch for GPUs asks for the current stream
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("current_device", "current_stream", "Stream"):
        monkeypatch.setattr(torch.cuda, name, touched)
    saver = Saver(tmp_path, keep=1)
    saver.save(model, optimizer, {"step": 1}, wait=True)
    assert saver.newest


def test_without_pinned_memory_the_copy_is_in_other_memory(monkeypatch):
    empty = torch.empty

    def refuse(*shape, pin_memory=False, **options):
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory")
        return empty(*shape, **options)

    monkeypatch.setattr(torch, "empty", refuse)
    assert staging._room(torch.Size((2, 3)), torch.bfloat16, pinned=True).shape == (2, 3)


def test_the_memory_of_the_first_save_serves_all(tmp_path):
    model, optimizer = trained()
    saver = Saver(tmp_path, keep=1)
    places = []
    for number in (1, 2, 3):
        saver.save(model, optimizer, {"step": number}, wait=True)
        places.append({name: buffer.data_ptr() for name, buffer in saver.staging._buffers.items()})
    assert places[0] == places[1] == places[2]
    held = sum(buffer.nbytes for buffer in saver.staging._buffers.values())
    assert held == sum(p.nbytes for p in model.parameters()) * 3 + 4 * len(list(model.parameters()))


def test_the_weights_wait_for_the_copy(tmp_path, monkeypatch):
    model, optimizer = trained()
    saver = Saver(tmp_path, keep=1)
    begun, release, copy = threading.Event(), threading.Event(), saver.staging.copy

    def slow_copy(tensors):
        begun.set()
        assert release.wait(120)
        copy(tensors)

    monkeypatch.setattr(saver.staging, "copy", slow_copy)
    saver.save(model, optimizer, {"step": 1})
    assert begun.wait(120)
    threading.Timer(0.2, release.set).start()
    saver.before_update()
    assert release.is_set()
    saver.close()


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_failed_write_costs_only_that_checkpoint(asynchronous, tmp_path, monkeypatch, capsys):
    model, optimizer = trained()
    saver = Saver(tmp_path, keep=3, asynchronous=asynchronous)
    saver.save(model, optimizer, {"step": 1})
    assert saver.wait()

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(tensors, "dcp_save", full)
        saver.save(model, optimizer, {"step": 2})
        assert not saver.wait()
        output = capsys.readouterr().out
        assert "step-000002: could not be saved" in output and "No space left" in output
        assert output.count("\n") == 1 and "the next save tries again" in output
        with pytest.raises(RunError, match=r"step-000003: could not be saved .*No space left"):
            saver.save(model, optimizer, {"step": 3}, wait=True)
    assert [path.name for path in sorted(tmp_path.glob("step*"))] == ["step-000001"]
    saver.save(model, optimizer, {"step": 4}, wait=True)
    assert present(newest_complete(tmp_path))[1]["step"] == 4


def _kill_at(operation: int, checkpoints: Path) -> None:
    """Kill this process at its `operation`-th access to a file or folder of the checkpoints."""
    left = operation

    def touched(path: object) -> None:
        nonlocal left
        if isinstance(path, str | os.PathLike) and str(path).startswith(str(checkpoints)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    events = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir"}
    sys.addaudithook(lambda event, args: touched(args[0]) if event in events else None)
    sync = os.fsync
    os.fsync = lambda handle: (touched(checkpoints), sync(handle))


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_run_folder_that_moves_away_is_not_made_again_by_a_save(when, tmp_path):
    run, away = tmp_path / "run", tmp_path / "away"
    (run / "checkpoints").mkdir(parents=True)

    class Moves(DefaultSavePlanner):
        def create_local_plan(self):
            run.rename(away)
            return super().create_local_plan()

    planner, first = (Moves(), None) if when == "during" else (None, lambda: run.rename(away))
    with pytest.raises(RunError, match=r"step-000001: could not be saved .*No such file"):
        tensors.write(
            run / "checkpoints",
            {"model": {"w": torch.ones(3)}},
            {"step": 1},
            keep=1,
            planner=planner,
            first=first,
        )
    assert not run.exists() and away.exists()


def test_a_kill_at_any_file_operation_leaves_a_complete_checkpoint_and_the_verified_one(tmp_path):
    """Step 2 was damaged and is saved again; step 1 is verified and older than `keep` allows."""
    torch.set_num_threads(1)
    model, optimizer = trained()
    seen, operation = set(), 0
    for operation in range(1, 1000):
        folder = tmp_path / str(operation)
        save(folder, model, optimizer, {"step": 1}, keep=1)
        mark_verified(step_folder(folder, 1), {2: 0.5})
        save(folder, model, optimizer, {"step": 2}, keep=1)
        (step_folder(folder, 2) / ".metadata").write_bytes(b"damaged")
        child = os.fork()
        if child == 0:
            try:
                _kill_at(operation, folder)
                Saver(folder, keep=1).save(model, optimizer, {"step": 2}, wait=True)
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitpid(child, 0)[1]
        remove_leftovers(folder)
        found, state = present(newest_complete(folder))
        seen.add(state["step"])
        assert is_verified(step_folder(folder, 1))
        same_tensors(found, step_folder(folder, 1))
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0 and state["step"] == 2
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    assert operation > 25 and seen == {1, 2}


def test_all_of_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, rename, sync = set(), Path.rename, os.fsync

    def note(handle):
        synced.add(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))
        sync(handle)

    def check(path, target):
        if path.name == "step-000001.tmp":
            names = {name.replace("state.json", "state.json.tmp") for name in os.listdir(path)}
            assert names - {".metadata"} <= synced and ".metadata.tmp" in synced and path.name in synced
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "rename", check)
    save(tmp_path, *trained(), {"step": 1}, keep=1)
    assert tmp_path.name in synced  # the new name itself


def test_the_newest_few_and_the_last_verified_are_kept(tmp_path):
    """Random histories of saved and verified checkpoints."""
    model, optimizer = trained()
    chance = random.Random(0)
    for life in range(4):
        folder, keep = tmp_path / str(life), chance.randint(1, 3)
        saved, verified = [], None
        for number in range(1, 9):
            save(folder, model, optimizer, {"step": number}, keep=keep)
            saved.append(number)
            if chance.random() < 0.3:
                there = [n for n in saved if step_folder(folder, n).exists()]
                verified = max(verified or 0, chance.choice(there))
                mark_verified(step_folder(folder, verified), {})
            kept = {int(path.name[5:]) for path in folder.glob("step-*")}
            assert set(saved[-keep:]) <= kept
            assert verified is None or verified in kept
            assert len(kept) <= keep + 2  # the next save removes the previously verified one
        save(folder, model, optimizer, {"step": 9}, keep=keep)
        kept = {int(path.name[5:]) for path in folder.glob("step-*")}
        assert kept == {*range(10 - keep, 10)} | ({verified} if verified else set())


def test_a_mark_of_another_state_is_ignored(tmp_path):
    model, optimizer = trained()
    one = save(tmp_path / "a", model, optimizer, {"step": 1, "seed": 1}, keep=1)
    other = save(tmp_path / "b", model, optimizer, {"step": 1, "seed": 2}, keep=1)
    mark_verified(one, {2: 0.5})
    (other / "verified.json").write_bytes((one / "verified.json").read_bytes())
    assert is_verified(one) and not is_verified(other)
    (one / "verified.json").write_text("{")
    assert not is_verified(one)


def _sharded(layout: Layout, config: LlamaConfig = CONFIG):
    mesh = meshes.build(layout, "cpu")
    with torch.device("meta"):
        model = Llama(config)
    model = parallelize(model, mesh)
    model.to_empty(device="cpu")
    return model, build_optimizer(model, OptimConfig(warmup_steps=0))


def on_two_ranks(whole: Path, large: Path, folder: Path) -> tuple:
    """Train with a save at every step alongside training's collectives; then one rank alone fails."""
    model, optimizer = _sharded(Layout(dp_shard=2))
    load(whole, model, optimizer)
    behind, at_once = Saver(folder / "behind", keep=9), Saver(folder / "plain", keep=9, asynchronous=False)
    for number in range(2, 8):
        at_once.save(model, optimizer, {"step": number})
        behind.save(model, optimizer, {"step": number})
        for _ in range(20):
            dist.all_reduce(torch.ones(1))
        behind.before_update()
        step(model, optimizer, number)
    committed = behind.wait()

    def no_room(_tensors):
        raise MemoryError("no room")

    if dist.get_rank() == 1:
        mock.patch.object(behind.staging, "copy", no_room).start()
    behind.save(model, optimizer, {"step": 8})
    failed_alike = not behind.wait()
    return (
        committed,
        failed_alike,
        [_bytes_to_load(large, Layout(dp_shard=2)), _bytes_to_load(large, Layout(tp=2))],
    )


def _bytes_to_load(folder: Path, layout: Layout) -> tuple[int, int]:
    """The bytes that this rank read to load (the kernel's count), and those of its part of the tensors."""
    model, optimizer = _sharded(layout, LARGE)
    load(folder, model, optimizer)  # the first time sets up what is set up once
    before = _read_so_far()
    load(folder, model, optimizer)
    read = _read_so_far() - before
    return read, sum(part.nbytes for _, part in local_parts(tensors_of(model, optimizer)))


def _read_so_far() -> int:
    return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])


@pytest.mark.distributed
def test_ranks_save_and_fail_together_and_read_only_their_own_shards(tmp_path):
    """The checkpoint was saved by one process, so every rank needs a piece of every chunk."""
    whole = save(tmp_path / "whole", *trained(), {"step": 1}, keep=1)
    large = save(tmp_path / "large", *trained(config=LARGE), {"step": 1}, keep=1)
    results = run_ranks(on_two_ranks, 2, whole, large, tmp_path)
    for committed, failed_alike, reads in results:
        assert committed and failed_alike
        for read, needed in reads:
            assert needed > 2 * 2**20
            assert needed <= read < 1.05 * needed  # the rest: names, sizes, places
    for number in range(2, 8):
        left, right = (step_folder(tmp_path / name, number) for name in ("behind", "plain"))
        same_tensors(left, right)
    assert not list((tmp_path / "behind").glob("*8*"))
