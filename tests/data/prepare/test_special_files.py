"""Pipes, sockets, devices and broken links among the inputs are left out at once, and the rest is read."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from data.main import main
from tests.data.prepare.test_prepare_faults import INPUTS

KEPT = {"text": 310, "c4": 200, "github": 24, "books": 6, "stackexchange": 59,
        "wikipedia": 59, "arxiv": 11}  # fmt: skip


def a_socket(path: Path) -> None:
    """Bound by a short name: a socket's path has at most 108 bytes."""
    before = os.getcwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)
    os.chdir(before)


KINDS: dict[str, Callable[[Path], None]] = {
    "pipe": lambda path: os.mkfifo(path),
    "socket": a_socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "link to nothing": lambda path: path.symlink_to("no-such-folder/file"),
    "link to itself": lambda path: path.symlink_to(path.name),
}


def replaced(folder: Path, kind: str) -> None:
    """The last file of each suffix in the folder is of another kind."""
    last = {path.suffix or path.name: path for path in sorted(folder.rglob("*")) if path.is_file()}
    for path in last.values():
        path.unlink()
        KINDS[kind](path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recipe", [name for name in INPUTS if name != "commoncrawl"])
def test_what_is_no_file_costs_nothing(recipe, kind, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    arguments = [one for one in INPUTS[recipe](folder) if not one.startswith("heldout")]
    replaced(folder, kind)
    signal.alarm(300)  # a pipe is waited for without an end
    try:
        code = main([*arguments, f"input={folder}", f"corpora={tmp_path / 'c'}", "engine.workers=1"])
    finally:
        signal.alarm(0)
    said = capsys.readouterr().err
    assert code == 0, said
    assert f" {KEPT[recipe]} kept" in said
