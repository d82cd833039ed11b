"""Archives and papers larger than a bound are dropped and never held."""

import gzip
import io
import itertools
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from data.documents import Drop
from data.sources.arxiv import archives, papers
from tests.support.cpu_time import takes_over
from tests.support.papers import CLEANED, PAPER, WHOLE, bulk, cleaned, folder, packed, paper, texts


def bomb(size: int, head: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


def peak(path: Path) -> tuple[int, list]:
    tracemalloc.start()
    try:
        found = cleaned(path)
        return tracemalloc.get_traced_memory()[1], found
    finally:
        tracemalloc.stop()


def test_bombs_are_read_within_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(papers, "MAX_TEX", 1 << 20)
    monkeypatch.setattr(archives, "MAX_UNPACKED", 16 << 20)
    figure = tarfile.TarInfo("figure.eps")
    figure.size = 64 << 20
    tex = tarfile.TarInfo("main.tex")
    tex.size = 2 << 20
    long_name = tarfile.TarInfo("x")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 64 << 20
    extended = tarfile.TarInfo("x")
    extended.type, extended.size = tarfile.XHDTYPE, 64 << 20
    members = {
        "0704.0001.gz": bomb(64 << 20, b"\\documentclass"),
        "0704.0002.gz": bomb(64 << 20, figure.tobuf()),
        "0704.0003.gz": bomb(2 << 20, tex.tobuf()),
        "0704.0004.gz": bomb(64 << 20, long_name.tobuf()),
        "0704.0005.gz": bomb(64 << 20, extended.tobuf()),
        "0704.0006.gz": gzip.compress(packed({f"{i}.txt": "" for i in range(300)} | {"main.tex": PAPER})),
        "0704.0007.gz": paper(),
    }
    memory, found = peak(bulk(tmp_path, members))
    assert [item.reason if isinstance(item, Drop) else item.text for item in found] == [
        *["too large"] * 3,
        *["malformed paper"] * 2,
        CLEANED,
        CLEANED,
    ]
    assert all(item.malformed for item in found[:5])
    assert memory < 16 << 20


def test_an_archive_of_too_many_files_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(papers, "MAX_FILES", 100)
    (tmp_path / "a.gz").write_bytes(gzip.compress(packed({f"{i}.eps": "" for i in range(200)})))
    assert [(item.reason, item.malformed) for item in cleaned(tmp_path)] == [("too large", True)]


def test_a_paper_folder_of_too_much_tex_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(papers, "MAX_TEX", 1000)
    folder(tmp_path / "p", {"main.tex": PAPER, "data.tex": "x" * 1000})
    assert texts(tmp_path / "p") == ["dropped: too large"]


def test_macros_that_explode_drop_the_paper(tmp_path):
    names = [f"x{chr(97 + level)}" for level in range(16)]
    chain = "".join(f"\\def\\{a}{{\\{b}\\{b}}}" for a, b in itertools.pairwise(names)) + "\\def\\xp{boom}"
    folder(tmp_path / "p", {"main.tex": WHOLE.replace("BODY", chain + "\\section{A}" + "\\xd" * 2000)})
    assert texts(tmp_path / "p") == ["dropped: macros explode"]


@pytest.mark.parametrize(
    ("name", "head", "unit"),
    [
        ("main.tex", "\\documentclass", " "),
        ("main.tex", "\\documentclass{a}\\begin{document}\\section{A}", "\\input{x} "),
        ("main.tex", "x", "\\begin{document} "),
        ("main.tex", "\\usepackage", "\n"),
        ("00README.XXX", "", "\n"),
        ("00README.yaml", "filename: a", "\n"),
        ("main.tex", "\\begin{filecontents}", " "),
    ],
)
def test_reading_a_paper_takes_time_linear_in_its_files(tmp_path, name, head, unit):
    """Also on one long line, and next to a second main file."""

    small, large = tmp_path / "small", tmp_path / "large"
    for path, length in ((small, 60_000), (large, 240_000)):
        folder(path, {name: head + unit * (length // len(unit)), "other.tex": PAPER})
    assert not takes_over(
        8, lambda: cleaned(large), lambda: cleaned(small)
    )  # a square takes 16 times as long
