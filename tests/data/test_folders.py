"""Files and folders written by several processes at once are complete, whichever came last."""

import errno
import fcntl
import multiprocessing
from pathlib import Path

import pytest

from data import folders
from data.errors import DataError
from model.formats.errors import FormatError
from model.formats.weights import written_whole

TEXTS = [f"{number}" * 200_000 for number in range(4)]


def write(path: Path, text: str) -> None:
    for _ in range(100):
        folders.write_whole(path, text)


def test_writers_of_one_file_take_turns(tmp_path):
    path = tmp_path / "page.html"
    folders.write_whole(path, TEXTS[0])
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write, args=(path, text)) for text in TEXTS]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_text() in TEXTS
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("filling", "error"),
    [(folders.filling, DataError), (written_whole, FormatError)],
    ids=["data", "weights"],
)
def test_a_folder_has_one_writer_and_leaves_nothing_when_it_fails(tmp_path, filling, error):
    goal, aside = tmp_path / "goal", tmp_path / "goal.tmp"
    (aside / "left").mkdir(parents=True)  # by a killed process
    (aside / "left" / "half").write_text("half")
    with pytest.raises(error, match="stop"), filling(goal) as folder:
        assert list(folder.iterdir()) == []
        (folder / "part").write_text("mine")
        with pytest.raises(error, match="another process is writing it"), filling(goal):
            raise AssertionError("two writers")
        assert (folder / "part").read_text() == "mine"
        raise error("stop")
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "No locks")))
    folders.write_whole(tmp_path / "file", "text")  # needs none
    with (
        pytest.raises(DataError, match=r"has no locks \(No locks\); mount it"),
        folders.locked(tmp_path / "lock"),
    ):
        raise AssertionError("held")


def test_weights_never_delete_what_the_next_writer_has_begun(tmp_path, monkeypatch):
    """The writer that was waited for ends between the opening of its folder and the lock."""
    aside, real = tmp_path / "goal.tmp", fcntl.flock

    def lock(handle: int, how: int) -> None:
        aside.rename(tmp_path / "old")
        aside.mkdir()
        (aside / "part").write_text("the next writer's")
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", lock)
    with pytest.raises(FormatError, match="run the same command again"), written_whole(tmp_path / "goal"):
        raise AssertionError("two writers")
    assert (aside / "part").exists()


def test_a_folder_that_another_made_meanwhile_is_not_deleted(tmp_path):
    goal = tmp_path / "goal"
    with folders.filling(goal) as folder:
        folders.commit_once(folder, goal)
        folder.mkdir()  # by the next process
    assert goal.is_dir() and folder.is_dir()
