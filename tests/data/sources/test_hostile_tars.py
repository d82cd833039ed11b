"""Tars whose headers are made to exhaust memory or time: each costs itself, and what is good is kept."""

import gzip
import io
import random
import tarfile
import time
import zlib
from pathlib import Path

import pytest

from data.documents import Drop, Record
from data.sources import arxiv
from data.sources.github import files
from data.sources.github.files import read as read_github
from tests.support.cpu_time import takes_over
from tests.support.github import CODE, MIT


def packed(path: Path, *members: tuple[str, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def with_global_headers(path: Path, count: int, per_member: int = 1, size: int = 1) -> Path:
    """Members, each after global PAX headers of `size` other keys, which hold for all later members."""
    blocks = []
    for number in range(count):
        for header in range(per_member):
            keys = {f"k{number}.{header}.{key}": "v" for key in range(size)}
            blocks.append(tarfile.TarInfo.create_pax_global_header(keys))
        blocks.append(tarfile.TarInfo(f"repo/{number}.bin").tobuf(tarfile.USTAR_FORMAT))
    path.write_bytes(b"".join(blocks) + b"\0" * 1024)
    return path


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize(
    "name",
    ["a/" * 150_000 + "x.py", "../" * 100_000 + "x.py", "a/" * 150_000 + "LICENSE"],
    ids=["down", "up", "license"],
)
def test_a_path_that_no_file_can_have_is_set_aside_at_once(name, format, tmp_path):
    path = packed(
        tmp_path / "repo.tar",
        ("repo/LICENSE", MIT.encode()),
        (f"repo/{name}", b"x = 1\n"),
        ("repo/good.py", CODE.encode()),
        format=format,
    )
    begin = time.process_time()
    found = list(read_github(path))
    assert time.process_time() - begin < 2
    (good,) = [item for item in found if isinstance(item, Record)]
    assert good.meta["path"] == "good.py" and good.licence == "mit"
    (long,) = [item for item in found if isinstance(item, Drop) and item.malformed]
    assert long.reason == "path too long" and len(long.detail) < 1000


def test_such_a_path_in_a_paper_is_not_followed(tmp_path):
    tex = b"\\documentclass{article}\\begin{document}A paper of one line.\\end{document}"
    path = packed(tmp_path / "1001.0001.tar", ("a/" * 150_000 + "b.tex", b"x"), ("main.tex", tex))
    begin = time.process_time()
    (found,) = arxiv.read(path)
    assert time.process_time() - begin < 2
    assert isinstance(found, Record) and found.meta["main"] == "main.tex"


def test_headers_for_all_later_members_take_linear_time(tmp_path):
    small, large = (with_global_headers(tmp_path / f"{count}.tar", count) for count in (500, 2500))
    assert (len(list(read_github(small))), len(list(read_github(large)))) == (500, 2500)
    assert not takes_over(10, lambda: list(read_github(large)), lambda: list(read_github(small)))


def test_headers_of_one_member_that_add_up_end_that_tar(tmp_path):
    path = with_global_headers(tmp_path / "repo.tar", count=1, per_member=50, size=2000)
    with pytest.raises(tarfile.ReadError, match="headers of more than"):
        list(read_github(path))


def test_license_files_are_kept_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MAX_LICENSE_TEXT", 2 * len(MIT))
    contents = {"LICENSE": MIT.encode(), "a.py": CODE.encode()}
    members = [(f"repo/{n}/{name}", content) for n in range(4) for name, content in contents.items()]
    path = packed(tmp_path / "repo.tar", *members)
    found = [item for item in read_github(path) if isinstance(item, Record)]
    assert [item.licence for item in found] == ["mit", "mit", "unknown", "unknown"]


def kept_of(path: Path) -> list[tuple[str, str]]:
    return [(str(item.meta["path"]), item.text) for item in read_github(path) if isinstance(item, Record)]


@pytest.fixture
def snapshot(tmp_path) -> Path:
    return packed(
        tmp_path / "repo.tar",
        ("repo/LICENSE", MIT.encode()),
        ("repo/one.py", CODE.encode()),
        ("repo/two.py", CODE.encode() * 2),
        ("repo/three.py", CODE.encode() * 3),
        format=tarfile.USTAR_FORMAT,
    )


def test_a_damaged_header_is_not_taken_for_the_end_of_a_snapshot(snapshot):
    whole = snapshot.read_bytes()
    assert len(kept_of(snapshot)) == 3
    with tarfile.open(snapshot) as archive:
        headers = [member.offset for member in archive.getmembers()]
    for header in headers:
        for at in range(0, tarfile.BLOCKSIZE, 7):
            place = header + at
            snapshot.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(tarfile.ReadError):
                kept_of(snapshot)


def test_a_truncated_snapshot_is_refused_wherever_it_ends(snapshot):
    whole = snapshot.read_bytes()
    known = kept_of(snapshot)
    end = len(whole.rstrip(b"\0")) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE + tarfile.BLOCKSIZE
    for size in range(tarfile.BLOCKSIZE, len(whole), tarfile.BLOCKSIZE):
        snapshot.write_bytes(whole[:size])
        if size > end:  # with a part of the end mark
            assert kept_of(snapshot) == known
        else:
            with pytest.raises(tarfile.ReadError):
                kept_of(snapshot)


def test_a_damaged_gzip_of_a_snapshot_gives_no_other_text(snapshot):
    known, whole = kept_of(snapshot), gzip.compress(snapshot.read_bytes(), mtime=0)
    path = snapshot.with_suffix(".tar.gz")
    rng = random.Random(0)
    for _ in range(300):
        place = rng.randrange(10, len(whole))
        damaged = whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :]
        path.write_bytes(rng.choice((damaged, whole[:place])))
        with pytest.raises((tarfile.ReadError, zlib.error, OSError, EOFError)):
            kept_of(path)
    path.write_bytes(whole)
    assert kept_of(path) == known
