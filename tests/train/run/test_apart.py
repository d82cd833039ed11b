"""Machines that share no run folder: the checkpoints of the first are those that one folder would have."""

import os
import re
import shutil
import signal
import time
from pathlib import Path
from subprocess import Popen
from types import SimpleNamespace
from typing import IO, Any, cast

import pytest

from launch.torchrun import TRAIN
from tests.support.buckets import objects, serving, settle, wait_for
from tests.support.fork_server import Forked
from tests.support.machines import codes, machines
from tests.support.ranks import run_ranks
from tests.support.runs import SMALL, end, is_running, learned, same_tensors, succeed, workers_of
from train.checkpoint import apart
from train.checkpoint.folder import commit, complete_steps, describe, step_folder
from train.config import RunError
from train.ranks import identity, placement
from train.ranks.together import all_ranks_do, gather_objects
from train.resume import _refuse_newer_elsewhere
from train.run.markers import FINISHED

pytestmark = pytest.mark.distributed

RUN = Path("runs") / "r"
WORDS = [*SMALL, "steps=100000", "checkpoint.every=2", "checkpoint.keep=3", "parallel.dp_shard=2", "run=r"]
REMOTE = "checkpoint.remote=s3://apart/r"


class Machines:
    """Two machines with a disk each, the folders a and b; which of them is the first is torchrun's choice."""

    def __init__(self, place: Path, corpora: Path) -> None:
        self.disks, self.log, self._corpora = [place / "a", place / "b"], place / "log", corpora
        for disk in self.disks:
            disk.mkdir()

    def start(self, *words: str) -> list[Popen | Forked]:
        with self.log.open("a") as out:
            outputs: list[IO] = [out, out]
            program = [str(TRAIN), *WORDS, f"corpora={self._corpora}", *words]
            return machines(*program, outputs=outputs, log=self.log, folders=self.disks)

    def train(self, *words: str) -> tuple[list[int], str]:
        """Their exit codes, and what they printed."""
        self.log.write_text("")
        return codes(self.start(*words), self.log), self.log.read_text()

    def kill_once(self, step: int, place: tuple[str, int]) -> None:
        """Train until the URL, at this server, has a checkpoint of `step` or later, and kill both."""
        started = self.start(REMOTE)
        try:
            while max(uploaded(), default=0) < step:
                assert all(process.poll() is None for process in started), self.log.read_text()[-3000:]
                time.sleep(0.1)
        finally:
            ranks = [rank for process in started for rank in workers_of(process)]
            for process in started:
                os.killpg(process.pid, signal.SIGKILL)
                end(process)
        assert len(ranks) == 2
        wait_for(lambda: not any(map(is_running, ranks)))  # they die with torchrun
        settle(place)  # it may be storing what they had sent

    @property
    def first(self) -> Path:
        """The run folder of the machine that was the first."""
        found = [disk / RUN for disk in self.disks if (disk / RUN / "config.yaml").is_file()]
        return max(found, key=lambda run: (run / "config.yaml").stat().st_mtime)

    @property
    def second(self) -> Path:
        return next(disk / RUN for disk in self.disks if disk / RUN != self.first)


def uploaded() -> list[int]:
    return [int(name.split("/")[2][5:]) for name in objects("apart") if name.endswith("state.json")]


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[data]')")
    pytest.importorskip("moto", reason="moto is not installed (pip install -e '.[dev]')")
    with serving("apart") as place:
        yield place


def test_a_run_ends_bitwise_alike_whatever_disks_are_lost(bucket, corpora, tmp_path):
    pair = Machines(tmp_path, corpora)
    pair.kill_once(4, bucket)
    for disk in pair.disks:
        shutil.rmtree(disk / RUN)
    last = max(uploaded()) + 4
    found, printed = pair.train(REMOTE, "checkpoint.verify=1", f"stop_at={last}")
    assert found == [0, 0], printed
    assert "do not share runs/r: checkpoints are kept on" in printed
    assert "downloading s3://apart/r/checkpoints/step-" in printed
    assert "is verified" in printed and "NOT verified" not in printed
    words = [word for word in WORDS[len(SMALL) :] if word != "run=r"]
    succeed(*words, f"corpora={corpora}", f"run={tmp_path / 'whole'}", f"stop_at={last}", ranks=2)
    newest = step_folder(Path("checkpoints"), last)
    same_tensors(pair.first / newest, tmp_path / "whole" / newest)
    whole = learned(tmp_path / "whole")
    assert learned(pair.first) == whole
    assert complete_steps(pair.second / "checkpoints") == []
    assert [path.name for path in (pair.second / "checkpoints").iterdir()] == ["latest"]
    assert (pair.first / FINISHED).is_file() and (pair.second / FINISHED).is_file()
    assert complete_steps(pair.first / "checkpoints") == [last - 4, last - 2, last]
    # Of these, only the save between may have come faster than uploads (docs/buckets.md).
    assert {last - 4, last} <= {*uploaded()} and uploaded()[-1] == last and len(uploaded()) <= 3


def test_without_a_bucket_the_machines_are_refused_by_name(corpora, tmp_path):
    pair = Machines(tmp_path, corpora)
    found, printed = pair.train()
    assert found == [1, 1]
    assert "this is not the folder that the first rank has on" in printed
    assert "on a file system that all machines share, or set checkpoint.remote=URL" in printed
    assert not any((disk / RUN).exists() for disk in pair.disks)


def copied(folder: Path) -> tuple[str | None, bool]:
    """What this rank raises, and whether it has a copy; rank 1's machine has no folder for one."""
    rank = identity.group_rank()
    os.environ["LOCAL_RANK"] = "0"
    placement.compare(rank == 0)
    if identity.is_first():
        (folder / "step-000001").mkdir()
        (folder / "step-000001" / "state.json").write_text("{}")
    all_ranks_do(lambda: None)
    try:
        with apart.at_hand(folder / "step-000001", folder / f"checkpoints-{rank}"):
            return None, True
    except RunError as error:
        return str(error), (folder / f"checkpoints-{rank}").exists()


def test_a_machine_that_cannot_keep_a_copy_ends_the_command_on_all(tmp_path):
    (first, has_copy), (second, _) = run_ranks(copied, 2, tmp_path)
    assert first == second and "rank 1: " in str(first) and "checkpoints-1" in str(first)
    assert not has_copy


def newest(folder: Path, restart: bool) -> str | None:
    """Rank 0 resumes after step 2; rank 1, of a machine with another folder, has step 4 there."""
    rank = identity.group_rank()
    os.environ |= {"LOCAL_RANK": "0", "RELAMA_NODE": f"node-{rank}"}
    placement.compare(rank == 0)
    mine = folder / f"{rank}"
    if rank == 1:
        aside = mine / "checkpoints" / "step-000004.tmp"
        aside.mkdir(parents=True)
        (aside / ".metadata").write_bytes(b"meta")
        commit(aside, step_folder(mine / "checkpoints", 4), {"step": 4}, {}, keep=1)
    config = SimpleNamespace(restart=restart, checkpoint=SimpleNamespace(remote="s3://b/run"))
    run, run_folder = SimpleNamespace(config=config), SimpleNamespace(checkpoints=mine / "checkpoints")
    try:
        _refuse_newer_elsewhere(cast(Any, run), cast(Any, run_folder), 2)
    except RunError as error:
        return str(error)
    return None


def test_a_newer_checkpoint_on_another_machine_is_not_lost(tmp_path):
    for refused in run_ranks(newest, 2, tmp_path / "a", False):
        assert re.search(
            r"step-000004 on node-1: newer than step 2, .* and at s3://b/run; copy it", str(refused)
        )
    assert run_ranks(newest, 2, tmp_path / "b", True) == [None, None]


def sent(folder: Path, failing: int | None) -> tuple[str | None, list[str]]:
    """What this rank raises, or gets. 0 and 1 share a folder, 2 and 3 another; `failing` has a bad disk."""
    rank = identity.group_rank()
    os.environ["LOCAL_RANK"] = str(rank % 2)
    apart.PIECE = 1000
    mine = folder / ("a" if rank < 2 else "b") / "step-000001"
    placement.compare(rank < 2)
    name = f"__{rank}_0.distcp"
    if rank % 2 == 0:
        mine.mkdir(parents=True)
    all_ranks_do(lambda: None)
    (mine / name).write_bytes(bytes([rank]) * (apart.PIECE + 17 + rank))
    files = gather_objects(describe([mine / name]))
    if failing == rank and rank == 0:
        (mine / "__2_0.distcp").mkdir()  # it cannot be written
    elif failing == rank:
        (mine / name).unlink()
    try:
        all_ranks_do(lambda: apart.collect(mine, files, None))
        all_ranks_do(lambda: identity.is_first() and apart.refuse_changed(mine, files))
        if identity.is_first():
            (mine / ".metadata").write_bytes(b"meta")
            entries = {name: entry for each in files for name, entry in each.items()}
            commit(mine, folder / "a" / "c" / "step-000002", {"step": 2}, entries, keep=1)
    except RunError as error:
        return str(error), []
    all_ranks_do(lambda: None)
    (folder / "b" / "c").mkdir(exist_ok=True)
    with apart.at_hand(step_folder(folder / "a" / "c", 2), folder / "b" / "c") as here:
        found = sorted(path.name for path in here.iterdir())
        all_ranks_do(lambda: None)
    return None, found


@pytest.mark.parametrize("failing", [None, 0, 2, 3])
def test_all_ranks_learn_what_one_could_not_send_or_write(tmp_path, failing):
    (tmp_path / "a" / "c").mkdir(parents=True)
    found = run_ranks(sent, 4, tmp_path, failing)
    if failing is None:
        names = sorted([*(f"__{rank}_0.distcp" for rank in range(4)), ".metadata", "state.json"])
        assert found == [(None, names)] * 4
    else:
        assert {names for _, names in [(error, tuple(names)) for error, names in found]} == {()}
        assert len({error for error, _ in found}) == 1 and f"rank {failing}: " in str(found[0][0])
    assert not (tmp_path / "b" / "c" / apart.COPY).exists()
