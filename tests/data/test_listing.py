"""A folder that cannot be listed for the moment is an error: what is in it is never left out in silence."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from data import folders
from data.documents import text_files
from data.errors import DataError, is_passing
from data.remote import stamp, stamp_now
from data.sources.arxiv import papers
from data.sources.files.rows import visible_files
from data.sources.github.files import read_folder

CALLS: dict[str, Callable[[Path], object]] = {
    "walk": lambda folder: list(folders.walk(folder)),
    "files below": folders.files_below,
    "an input's stamp": stamp_now,
    "files of rows": visible_files,
    "a repository": lambda folder: list(read_folder(folder)),
    "a paper": lambda folder: list(papers.read_folder(folder)),
}
OF_THE_DATA = {
    *("EINVAL", "EISDIR", "ENOTDIR", "ENAMETOOLONG", "ELOOP", "EFBIG", "EILSEQ", "ERANGE", "EDOM"),
    *("EOVERFLOW", "ESPIPE", "EEXIST", "EBADF", "E2BIG"),
}


@pytest.fixture(params=["EIO", "ESTALE", "EACCES", "EMFILE", "EUCLEAN", "EKEYEXPIRED"])
def fail(request, monkeypatch) -> Callable[[Path], None]:
    """Listing a folder fails from now on."""
    number = getattr(errno, request.param)

    def fail(folder: Path) -> None:
        def failing(work):
            def call(path=".", *arguments):
                if str(path) == str(folder):
                    raise OSError(number, os.strerror(number), str(path))
                return work(path, *arguments)

            return call

        for name in ("scandir", "listdir"):
            monkeypatch.setattr(os, name, failing(getattr(os, name)))

    return fail


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("below", ["", "inner", "inner/more"])
def test_a_folder_that_cannot_be_listed_is_an_error(call, below, fail, tmp_path):
    (tmp_path / "inner" / "more").mkdir(parents=True)
    for name in ("LICENSE", "main.tex", "inner/a.py", "inner/more/b.jsonl"):
        (tmp_path / name).write_text("x = 1\n")
    CALLS[call](tmp_path)
    fail(tmp_path / below)
    with pytest.raises(OSError) as failed:
        CALLS[call](tmp_path)
    assert is_passing(failed.value)


@pytest.mark.parametrize("call", ["files below", "an input's stamp", "files of rows"])
@pytest.mark.parametrize("below", [".Trash-0", "inner/.index/more"])
def test_a_hidden_folder_that_cannot_be_listed_is_left_out(call, below, fail, tmp_path):
    (tmp_path / below).mkdir(parents=True)
    (tmp_path / "a.jsonl").write_text("{}\n")
    known = CALLS[call](tmp_path)
    fail(tmp_path / below)
    assert CALLS[call](tmp_path) == known


def test_an_input_that_cannot_be_listed_is_named(fail, tmp_path):
    fail(tmp_path)
    with pytest.raises(DataError) as refused:
        stamp(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}: cannot be read (")
    assert str(refused.value).endswith("; fix the cause and run the same command again")


def test_text_that_cannot_be_listed_is_not_called_missing(fail, tmp_path):
    (tmp_path / "part-0.parquet").write_bytes(b"")
    assert [path.name for path in text_files(tmp_path)] == ["part-0.parquet"]
    fail(tmp_path)
    with pytest.raises(OSError):
        text_files(tmp_path)


@pytest.mark.parametrize("name", sorted(set(errno.errorcode.values())))
def test_only_what_a_name_or_content_can_cause_counts_as_the_datas_fault(name):
    number = getattr(errno, name)
    assert is_passing(OSError(number, os.strerror(number))) == (name not in OF_THE_DATA)
    assert not is_passing(OSError("not a gzipped file"))
