"""Whether files exist: errors of a disk are not taken for "no", on any Python."""

import ast
import errno
from pathlib import Path

import pytest

from configs.existence import exists, is_dir, is_file
from tests.support.runs import REPOSITORY

# Where a wrong "no" would lose work.
ROOMS = ("train/checkpoint", "train/run", "data/tokens", "data/cache")


def test_what_is_there_is_told_as_by_path(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    names = ["file", ".", "link", "broken", "loop", "nowhere", "file/below", "null\0byte"]
    for path in [tmp_path / name for name in names] + [Path("/dev/null")]:
        assert exists(path) == path.exists(), path
        assert is_file(path) == path.is_file() and is_dir(path) == path.is_dir(), path


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ETIMEDOUT])
@pytest.mark.parametrize("ask", [exists, is_file, is_dir])
def test_an_error_is_raised(number, ask, tmp_path, monkeypatch):
    def failing(*args, **kwargs):
        raise OSError(number, "failing")

    monkeypatch.setattr(Path, "stat", failing)
    with pytest.raises(OSError, match="failing"):
        ask(tmp_path)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_whose_files_are_work_do_not_ask_paths(room):
    for file in Path(REPOSITORY, room).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
                asked = node.func.attr
                assert asked not in ("exists", "is_file", "is_dir"), f"{file}:{node.lineno}: {asked}"
