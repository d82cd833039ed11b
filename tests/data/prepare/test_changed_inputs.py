"""An input in a storage that changes, at equal size, is noticed by what that storage says of its objects."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import xxhash
from fsspec.implementations.memory import MemoryFileSystem

from data import remote
from data.main import main as prepare
from data.prepare import own_text, recipe, tasks
from tests.support.buckets import serving

upath = pytest.importorskip("upath", reason="universal-pathlib is not installed (pip install -e '.[data]')")

AZURE = ("etag", "last_modified", "content_settings")
KINDS: dict[str, tuple[str, ...]] = {  # the keys of fsspec's info() that tell one content from another
    "Azure": AZURE,
    "Azure, an older client": ("last_modified", "content_settings"),
    "Google": ("etag", "md5Hash", "updated", "generation", "mtime"),
    "the Hub": ("blob_id", "lfs", "xet_hash"),
    "a web server": ("Last-Modified", "url"),
    "WebHDFS": ("modificationTime",),
}


class Storage:
    """fsspec's memory, which says of an object what `keys` are; these change with its content."""

    def __init__(self) -> None:
        self.keys: tuple[str, ...] = ()
        self._plain = MemoryFileSystem.info

    def info(self, memory: MemoryFileSystem, path: str, **more: object) -> dict[str, Any]:
        found = self._plain(memory, path, **more)
        found.pop("created", None)
        if found["type"] == "file":
            found |= {key: f"{key} of {xxhash.xxh3_64_hexdigest(memory.cat_file(path))}" for key in self.keys}
        return found

    def put(self, name: str, content: bytes) -> None:
        MemoryFileSystem().pipe_file(f"/box/{name}", content)


ONE, OTHER = (f"The {word} stands by the river. ".encode() * 40 for word in ("mill", "well"))


@pytest.fixture
def storage(monkeypatch, tmp_path) -> Iterator[Storage]:
    monkeypatch.chdir(tmp_path)
    there = Storage()
    monkeypatch.setattr(MemoryFileSystem, "info", lambda self, path, **more: there.info(self, path, **more))
    there.put("a.txt", ONE)
    there.put("b.txt", ONE + OTHER)
    yield there
    for name in [name for name in MemoryFileSystem.store if name.startswith("/box/")]:
        del MemoryFileSystem.store[name]


def made(*words: str) -> int:
    return prepare(["recipe=text", "source=mine", "stage=text", "input=memory://box", *words])


@pytest.mark.parametrize("keys", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("given", ["memory://box", "memory://box/a.txt"])
def test_a_change_at_equal_size_changes_the_stamp_in_every_storage(keys, given, storage, monkeypatch):
    storage.keys = keys
    before = remote.stamp(remote.place(given))
    assert remote.stamp(remote.place(given)) == before
    storage.put("a.txt", OTHER)
    after = remote.stamp(remote.place(given))
    assert after != before and after[0] == before[0]
    storage.put("a.txt", ONE)
    assert remote.stamp(remote.place(given)) == before


def test_the_quotes_that_only_some_answers_have_are_no_change(storage, monkeypatch):
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_: {"type": "file", "size": 3, "etag": '"0x8D"'})
    quoted = remote.stamp(remote.place("memory://box/a.txt"))
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_: {"type": "file", "size": 3, "etag": "0x8D"})
    assert remote.stamp(remote.place("memory://box/a.txt")) == quoted


def test_an_input_that_changed_at_equal_size_is_not_taken_for_the_prepared_one(storage, monkeypatch, capsys):
    storage.keys = AZURE
    assert made() == 0 and made() == 0
    assert "already exists with these settings" in capsys.readouterr().err
    storage.put("a.txt", OTHER)
    assert made() == 1
    assert "corpora/mine/text already exists, made with a different input" in capsys.readouterr().err


def test_text_of_a_version_that_knew_no_marks_is_accepted(storage, monkeypatch, capsys):
    assert made() == 0
    storage.keys = AZURE
    capsys.readouterr()
    assert made() == 0
    assert "already exists with these settings" in capsys.readouterr().err
    storage.put("b.txt", ONE)  # shorter
    assert made() == 1
    assert "made with a different input" in capsys.readouterr().err


def test_work_that_such_a_version_left_half_done_is_completed(storage, monkeypatch, capsys):
    real = recipe.write_task

    def dies(*_args: object) -> None:
        raise OSError("the power failed")

    monkeypatch.setattr(recipe, "write_task", dies)
    assert made() == 1
    read: list[object] = []
    monkeypatch.setattr(recipe, "read_task", lambda *args: read.append(args))
    monkeypatch.setattr(recipe, "write_task", real)
    storage.keys = AZURE
    assert made() == 0, capsys.readouterr().err
    assert not read and list(Path("corpora/mine/text").glob("*.parquet"))
    storage.put("a.txt", OTHER)  # the text made now knows what it was made from
    assert made() == 1
    assert "made with a different input" in capsys.readouterr().err


def test_ones_own_text_that_such_a_version_made_is_not_made_again(storage, monkeypatch, tmp_path):
    made: list[object] = []
    monkeypatch.setattr(own_text, "_make", lambda *args: made.append(args))

    def times() -> int:
        (tmp_path / "corpora/mine").mkdir(parents=True, exist_ok=True)
        own_text.prepare_text(tmp_path / "corpora", "mine", ["memory://box"], 256)
        return len(made)

    assert times() == 1
    storage.keys = AZURE
    assert times() == 1
    storage.put("b.txt", ONE)
    assert times() == 2
    storage.put("b.txt", OTHER)  # as long
    assert times() == 3


def test_what_a_client_remembers_of_a_folder_hides_no_change(monkeypatch, tmp_path, capsys):
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[s3]')")
    pytest.importorskip("moto", reason="moto is not installed (pip install -e '.[dev]')")
    monkeypatch.chdir(tmp_path)
    real = tasks._read_slice
    with serving("box"):
        box = fsspec.filesystem("s3", skip_instance_cache=True)
        box.pipe_file("box/in/a.txt", ONE)

        def changes(*args: Any) -> Iterator:
            yield from real(*args)
            box.pipe_file("box/in/a.txt", OTHER)

        monkeypatch.setattr(tasks, "_read_slice", changes)
        assert prepare(["recipe=text", "source=mine", "stage=text", "input=s3://box/in"]) == 1
    assert "box/in/a.txt: changed since this preparation began" in capsys.readouterr().err
