"""Machines that send a checkpoint's files together, and a checkpoint that is withdrawn meanwhile."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from train.checkpoint import shared
from train.checkpoint.transfer import Sender

NAMES = [".metadata", "__0_0.distcp", "__1_0.distcp", "tokenizer.model"]


class Notes(Sender):
    """Notes what it was asked to send."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def put(self, path: Path, name: str, entry: dict | None) -> None:
        path.read_bytes()
        self.sent.append(name)


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "step-000001"
    folder.mkdir()
    for name in (*NAMES, "state.json"):
        (folder / name).write_text(name)
    return folder


def test_a_machine_that_looks_while_the_files_are_withdrawn_sends_nothing(source, monkeypatch):
    first, late, looks = Notes(), Notes(), []

    def look() -> None:
        for folder in source.parent.glob("*.tmp"):  # a network file system may still know the old name
            looks.append(folder)
            with suppress(OSError):
                shared.Files(folder, files.names).help(late, "one", {})

    with shared.linked(source) as files:
        files.offer("s3://runs/one")
        files.send_all(first, "one", {})
        unlink = os.unlink

        def slowly(*args, **kwargs) -> None:
            with monkeypatch.context() as inside:
                inside.setattr(os, "unlink", unlink)
                look()
                unlink(*args, **kwargs)
                look()

        monkeypatch.setattr(os, "unlink", slowly)
    assert sorted(first.sent) == sorted(f"one/{name}" for name in NAMES)
    assert len(looks) > 2 * len(NAMES) and late.sent == []


@pytest.mark.parametrize("call, sent", [("listdir", 0), *(("open", sent) for sent in range(len(NAMES)))])
def test_a_machine_whose_files_are_withdrawn_sends_no_more(source, monkeypatch, call, sent):
    late = Notes()
    with shared.linked(source) as files:
        files.offer("s3://runs/one")
        plain = getattr(os, call)

        def withdrawing(*args, **kwargs):
            result = plain(*args, **kwargs)
            if len(late.sent) == sent:
                monkeypatch.setattr(os, call, plain)
                shared._withdraw(files.copy)
            return result

        monkeypatch.setattr(os, call, withdrawing)
        with pytest.raises(FileNotFoundError):
            files.help(late, "one", {})
    assert late.sent == [f"one/{name}" for name in files.names[:sent]]
    assert [path.name for path in source.parent.iterdir()] == ["step-000001"]


def test_a_file_server_with_another_time_hurries_nobody(source, monkeypatch):
    """Its clock is years behind, so every mark looks old."""
    now = 1000.0
    monkeypatch.setattr(shared.time, "monotonic", lambda: now)
    with shared.linked(source) as files:
        mark = files.copy / (NAMES[1] + shared.TAKEN)
        mark.touch()
        os.utime(mark, (0, 0))
        files._give_up_on(files.unsent())
        assert mark.exists()
        now += shared.PATIENCE + 1  # whoever took it is gone
        files._give_up_on(files.unsent())
        assert not mark.exists()
