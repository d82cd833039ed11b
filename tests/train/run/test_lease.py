"""One owner of a run's folder: between machines whose locks do not reach each other, and when it moves."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support import runs
from tests.support.fork_server import fork, python
from tests.support.runs import end, learned, steps_done, succeed, wait_for_step
from train.config import RunError
from train.run import lease, lock

PACE = {"BEAT": 0.1, "PATIENCE": 1.0}
# A machine of another name, whose locks do not reach others, with another patience.
HOST = """
import fcntl, sys
fcntl.flock = lambda *_: None
from train.run import lease
lease.BEAT, lease.PATIENCE, lease.this_machine = 0.2, float(sys.argv[2]), lambda: sys.argv[1]
from train.main import main
sys.exit(main(sys.argv[3:]))
"""
STEPS = ("steps=100000", "seq_len=32", "global_batch=128", "checkpoint.every=10", "model.dim=16")


class Ended(Exception):
    """In place of the end of the process."""


@pytest.fixture
def paced(monkeypatch):
    for name, seconds in PACE.items():
        monkeypatch.setattr(lease, name, seconds)
    monkeypatch.setattr(lease.os, "_exit", lambda code: (_ for _ in ()).throw(Ended(code)))


@pytest.fixture
def two_hosts(paced, monkeypatch):
    """Locks reach nobody, and each `host(name)` is another machine from then on."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    host = lambda name: monkeypatch.setattr(lease, "this_machine", lambda: name)  # noqa: E731
    host("a")
    return host


def silent(path: Path, monkeypatch) -> lease.Lease:
    """One whose thread never signs, however late it starts."""
    with monkeypatch.context() as patch:
        patch.setattr(lease.Lease, "_renew", lambda held: None)
        return lock.hold(path)


def test_a_second_host_is_refused_while_the_first_lives_and_takes_over_once_it_is_dead(
    two_hosts, tmp_path, monkeypatch, capsys
):
    path = tmp_path / lock.NAME
    first = lock.hold(path)
    two_hosts("b")
    monkeypatch.setattr(lease, "PATIENCE", 90.0)
    with pytest.raises(RunError, match=r"being trained by another process \(pid \d+ on .*stop that one"):
        lock.hold(path)
    assert "waiting 90 s for a sign of life from there" in capsys.readouterr().out
    first._released.set()  # it dies without releasing the lease
    first._thread.join()  # which may have been about to sign
    monkeypatch.setattr(lease, "PATIENCE", PACE["PATIENCE"])
    second = lock.hold(path)
    assert second.problem() is None
    with pytest.raises(Ended, match=str(lease.EXIT_CODE)):
        first.problem()  # it was only suspended
    assert "taken over by another process" in capsys.readouterr().err
    second.release()


def test_an_owner_that_was_suspended_with_the_machine_that_waits_for_it_lives(
    two_hosts, tmp_path, monkeypatch
):
    """An hour passes for both, in which neither could do anything; then the owner signs again."""
    owner = silent(tmp_path / lock.NAME, monkeypatch)  # it signs when the test says
    two_hosts("b")
    now, naps = 0.0, 0

    def sleep(seconds: float) -> None:
        nonlocal now, naps
        naps += 1
        now += 3600 if naps == 1 else seconds
        if naps == 2:
            owner._sign()

    monkeypatch.setattr(lock, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: now))
    with pytest.raises(RunError, match="being trained by another process"):
        lock.hold(tmp_path / lock.NAME)
    assert owner.problem() is None
    owner.release()


def test_only_one_of_two_hosts_that_start_a_new_run_at_once_keeps_it(two_hosts, tmp_path, monkeypatch):
    first = silent(tmp_path / lock.NAME, monkeypatch)  # or it would sign again at once
    (tmp_path / lock.NAME).write_text("")  # the second looked before the first had signed
    second = lock.hold(tmp_path / lock.NAME)
    with pytest.raises(Ended):
        first.problem()
    first._released.set()
    time.sleep(3 * PACE["BEAT"])
    assert second.problem() is None
    second.release()


def test_a_released_or_copied_or_forgotten_folder_is_free_at_once(two_hosts, tmp_path, monkeypatch, capsys):
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / lock.NAME
    first = lock.hold(path)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    two_hosts("b")
    lock.hold(tmp_path / "copy" / lock.NAME).release()
    first._released.set()
    monkeypatch.setattr(lease, "FORGOTTEN", -1.0)
    lock.hold(path).release()
    lock.hold(path).release()
    assert "waiting" not in capsys.readouterr().out


def test_a_machine_knows_whether_its_folder_is_that_of_the_first_rank(paced, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "SEEN", 0.2)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = lock.hold(tmp_path / "a" / lock.NAME)
    assert lock.is_shared(tmp_path / "a" / lock.NAME, first.id)
    other = tmp_path / "b" / lock.NAME
    assert not lock.is_shared(other, first.id)
    second = lock.hold(other)
    assert not lock.is_shared(other, first.id)
    monkeypatch.setattr(lock, "SEEN", 60.0)
    monkeypatch.setattr(lock, "LOCAL", ())
    shown = threading.Timer(0.2, lambda: os.link(first._path, tmp_path / "late"))
    shown.start()  # a network file system may show a new file later
    assert lock.is_shared(tmp_path / "late", first.id)
    for held in (first, second):
        held.release()


@pytest.mark.skipif(not shutil.which("findmnt"), reason="findmnt (util-linux) is not installed")
def test_whether_a_file_system_is_of_this_machine_alone_is_what_findmnt_says(tmp_path):
    for path in tmp_path, Path("/proc/self"), Path("/"):
        found = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", path], capture_output=True, text=True)
        kind = found.stdout.split()[-1]  # one mount may hide another
        assert lock._is_on_a_local_disk(path / "not" / "there" / lock.NAME) == (kind in lock.LOCAL)


def test_a_lease_of_an_older_version_or_with_garbage_is_free(paced, tmp_path):
    path = tmp_path / lock.NAME
    for text in ("pid 1 on here\n", "", "\0" * 500, "pid 1 on here\nid x\n"):
        path.write_text(text)
        lock.hold(path).release()


def test_a_removed_lock_is_made_again_unless_another_process_was_sooner(paced, monkeypatch, tmp_path):
    path = tmp_path / lock.NAME
    held = lock.hold(path)
    path.unlink()
    assert held.problem() is None
    found = lease.read_at(path)
    assert found and found.id == held.id
    with pytest.raises(RunError, match="being trained by another process"):
        lock.hold(path, patience=0.3)
    path.write_text("garbage")
    assert held.problem() is None
    path.unlink()
    path.write_text("an editor's new file")
    assert held.problem() is None
    monkeypatch.setattr(lease, "opened", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    assert held.problem() is None  # a transient error
    monkeypatch.undo()
    monkeypatch.setattr(lease.os, "_exit", lambda code: (_ for _ in ()).throw(Ended(code)))
    # Made elsewhere and moved here: between two steps the lease's own thread would be sooner.
    with lease.opened(tmp_path / "other") as unsigned:
        fcntl.flock(unsigned, fcntl.LOCK_EX)
        os.replace(tmp_path / "other", path)
        with pytest.raises(Ended):
            held.problem()
        held._released.set()
    other = lock.hold(tmp_path / "another")
    os.replace(tmp_path / "another", path)
    with pytest.raises(Ended):
        held.problem()
    other.release()


def test_a_lease_that_is_taken_again_is_never_free_meanwhile(paced, tmp_path, monkeypatch):
    """Two threads may find its file removed; the later one signs what the other has signed already."""
    path, found, truncate = tmp_path / lock.NAME, [], os.truncate
    held = silent(path, monkeypatch)

    def read_then_truncate(file: int, size: int) -> None:
        truncate(file, size)
        found.append(lease.read_at(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "truncate", read_then_truncate)
        assert held._signed_again()
        path.write_text("garbage " * 100)
        assert held.problem() is None
    assert [owner and owner.id for owner in found] == [held.id] * 2
    assert path.read_text().endswith(" beat 000000000000\n")
    held.release()


def test_two_threads_that_find_the_lock_removed_both_go_on(paced, tmp_path):
    """The trainer asks before it saves, while the lease's own thread takes the file again."""
    path = tmp_path / lock.NAME
    held = lock.hold(path)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        path.unlink(missing_ok=True)
        assert held.problem() is None
    held.release()


def test_a_moved_folder_is_reported_with_its_place_until_it_is_back(paced, tmp_path, capsys):
    run, away = tmp_path / "run", tmp_path / "away"
    run.mkdir()
    held = lock.hold(run / lock.NAME)
    run.rename(away)
    assert held.problem() == f"{run}: moved to {away} while this run trains; move it back"
    run.mkdir()
    lock.hold(run / lock.NAME).release()  # another run, under the old name
    assert "moved to" in str(held.problem())
    shutil.rmtree(run)
    said = said_until("moved to", capsys)
    time.sleep(5 * PACE["BEAT"])
    away.rename(run)
    said += said_until(f"{run} is back", capsys)
    assert held.problem() is None
    assert said.count("moved to") == 1
    run.rename(away)
    shutil.rmtree(away)  # in its place, the lease's thread would make its file again meanwhile
    assert "removed while this run trains" in str(held.problem())
    held.release()


def said_until(words: str, capsys) -> str:
    """What is printed until the lease's thread has printed `words`."""
    said, deadline = "", time.monotonic() + 120
    while words not in said:
        assert time.monotonic() < deadline, said
        time.sleep(0.01)
        said += capsys.readouterr().err
    return said


@pytest.mark.slow
def test_one_of_two_lockless_hosts_trains_and_the_other_resumes_after_its_death(corpora, tmp_path):
    folder, alone = tmp_path / "run", tmp_path / "alone"

    def host(name: str, *more: str, patience: float = 10.0) -> list[str]:
        arguments = [*runs.SMALL, *STEPS, f"corpora={corpora}", f"run={folder}", *more]
        return ["-c", HOST, name, str(patience), *arguments]

    first = fork(*host("a"), new_session=True)
    try:
        wait_for_step(folder, 15, first)
        refused = python(*host("b", patience=300.0))  # the first may be paused for a while
        assert refused.returncode == 1, refused.stdout + refused.stderr
        assert "being trained by another process" in refused.stderr
        assert first.poll() is None
    finally:
        end(first)
    last = f"stop_at={steps_done(folder) + 10}"
    taken = python(*host("b", last))
    assert taken.returncode == 0, taken.stdout + taken.stderr
    succeed(*STEPS, f"corpora={corpora}", f"run={alone}", last)
    assert learned(folder) == learned(alone)


def test_a_run_whose_folder_moves_away_keeps_training_and_saves_once_it_is_back(corpora, tmp_path):
    folder, away = tmp_path / "run", tmp_path / "away"
    process = runs.start(*STEPS, f"corpora={corpora}", f"run={folder}")
    try:
        wait_for_step(folder, 15, process)
        folder.rename(away)
        wait_for_step(away, steps_done(away) + 20, process)
        assert not folder.exists()
        away.rename(folder)
        before = newest(folder)
        deadline = time.monotonic() + 120
        while newest(folder) == before:
            assert time.monotonic() < deadline, process.tail()
            time.sleep(0.05)
        assert newest(folder) > before
    finally:
        end(process)
    assert f"warning: {folder}: moved to {away} while this run trains" in process.tail(1 << 20)


def newest(folder) -> str:
    with contextlib.suppress(OSError):
        return (folder / "checkpoints" / "latest").read_text()
    return ""
