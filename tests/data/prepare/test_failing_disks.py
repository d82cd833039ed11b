"""A disk or network drive that fails for a while is named, nothing is lost, and the same command goes on."""

import errno
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from configs import regular_file
from data.documents import read_documents, text_files
from data.errors import DataError
from data.main import main
from data.sources import text

STALE = os.strerror(errno.ESTALE)
GOES_ON = "fix the cause and run the same command again"


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("data.errors.PAUSES", (0.0,))
    (tmp_path / "mine.txt").write_text("The mill stands by the river. " * 40)
    return tmp_path / "corpora" / "mine"


def made(capsys) -> tuple[int, str]:
    """The exit code, and the last line of what was said."""
    code = main(["recipe=text", "source=mine", "stage=text", "input=mine.txt"])
    return code, capsys.readouterr().err.splitlines()[-1]


def stale(path: object, *_args: object, **_more: object) -> None:
    raise OSError(errno.ESTALE, STALE, str(path))


def test_an_input_that_cannot_be_read_now_is_read_later(source, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(text, "read", stale)
        said = (
            f"relama: error: mine.txt: cannot be read ({STALE}); none of its records were counted: {GOES_ON}"
        )
        assert made(capsys) == (1, said)
        assert not (source / "text").exists()
    assert made(capsys)[0] == 0


def test_a_report_that_cannot_be_read_now_is_not_one_of_other_settings(source, monkeypatch, capsys):
    assert made(capsys)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(regular_file, "content", stale)
        said = f"relama: error: corpora/mine/report.json: cannot be read ({STALE}); {GOES_ON}"
        assert made(capsys) == (1, said)
    code, line = made(capsys)
    assert code == 0 and "already exists with these settings" in line


def test_text_that_cannot_be_read_now_is_not_called_damaged(source, monkeypatch, capsys):
    assert made(capsys)[0] == 0
    (part,) = text_files(source / "text")
    with monkeypatch.context() as patch:
        patch.setattr(pq, "ParquetFile", stale)
        with pytest.raises(DataError) as refused:
            list(read_documents(part))
    assert str(refused.value) == f"{part}: cannot be read ({STALE}); {GOES_ON}"
    assert len(list(read_documents(part))) == 1


def test_corpora_on_a_disk_that_is_not_mounted_are_named_with_it(source, tmp_path, capsys):
    (tmp_path / "corpora").symlink_to(tmp_path / "disk" / "corpora")
    where = f"corpora is a link to {tmp_path / 'disk' / 'corpora'}, which is missing"
    assert made(capsys) == (1, f"relama: error: corpora/mine: cannot be written ({where}); {GOES_ON}")
    (tmp_path / "disk" / "corpora").mkdir(parents=True)
    assert made(capsys)[0] == 0


@pytest.mark.parametrize("why", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_a_file_system_without_links_holds_the_same_text(why, source, monkeypatch, capsys):
    """exFAT, many network drives and FUSE file systems; EMLINK: a file that has no more."""
    assert made(capsys)[0] == 0
    expected = [path.read_bytes() for path in text_files(source / "text")]
    shutil.rmtree(source)

    def refused(*_: object) -> None:
        raise OSError(why, os.strerror(why))

    monkeypatch.setattr(os, "link", refused)
    assert made(capsys)[0] == 0
    assert [path.read_bytes() for path in text_files(source / "text")] == expected
    assert not [path for path in source.rglob("*") if path.suffix == ".tmp"]


def test_a_file_system_that_syncs_no_folders_is_good_enough(source, monkeypatch, capsys):
    """EINVAL, as PostgreSQL and others ignore it for folders; of a file it is an error."""
    sync = os.fsync

    def of_files(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(handle)

    monkeypatch.setattr(os, "fsync", of_files)
    assert made(capsys)[0] == 0 and text_files(source / "text")

    def of_none(_handle: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    shutil.rmtree(source)
    monkeypatch.setattr(os, "fsync", of_none)
    assert made(capsys)[0] == 1 and not (source / "text").exists()
