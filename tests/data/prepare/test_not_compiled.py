"""Our C code that is missing or older than the code around it: it is said, and an install compiles it."""

import subprocess
from pathlib import Path

import pytest

from data.ccnet import fasttext_file
from data.main import main
from data.sources.commoncrawl import scan
from tests.support.runs import REPOSITORY

WET = (
    b"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://a.example/\r\nContent-Length: %d\r\n\r\n"
    b"%s\r\n\r\n"
)


@pytest.mark.parametrize("missing", ["data/sources/commoncrawl/c", "data/ccnet/c", None])
def test_a_preparation_says_that_code_is_not_compiled(missing, tmp_path, monkeypatch, capsys):
    for folder, module in (("data/sources/commoncrawl/c", scan), ("data/ccnet/c", fasttext_file)):
        monkeypatch.setattr(module, "native", None if folder == missing else object())
    page = b"A title\n" + b"".join(b"Mill %c is on the river of that name.\n" % n for n in b"abcdefghijkl")
    (tmp_path / "a.warc.wet").write_bytes(WET % (len(page), page))
    words = ["recipe=commoncrawl", f"input={tmp_path}", f"corpora={tmp_path}/corpora", "stage=text"]
    skip = "ccnet.skip=language,perplexity,references"
    assert main([*words, skip, "engine.workers=1"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "not compiled" in line]
    assert [line.split(": ")[1] for line in said] == [missing] * (missing is not None)


def test_make_install_compiles_changed_sources(tmp_path):
    for name in (".core", ".installed"):
        (tmp_path / name).touch()

    def planned(*changed: str) -> str:
        flags = [word for file in changed for word in ("-W", file)]
        words = ["make", "-n", "install", f"VENV={tmp_path}", *flags]
        return subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout

    assert "pip" not in planned()
    sources = [path.relative_to(REPOSITORY) for path in Path(REPOSITORY, "data").rglob("c/*.[ch]")]
    assert sources
    for source in sources:
        assert "pip install" in planned(str(source)), source
