"""Inputs of any name, of every format: each is read, and reports, pages and terminals stay what they are."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.documents import read_documents, text_files
from data.main import main
from tests.data.prepare.test_prepare_faults import INPUTS

NAMES = [
    b"-rf", b"new\nline", b"\x1b]0;owned\x07", b"not\xff\xfeutf8", b"\xe2\x80\xaegpj", b"a" * 240, b"A", b"a",
    b"q'uote\"", b"a,b", b"${oc.env:HOME}", b"sp ace", b"#", b"%s", b"<script>alert(1)<", b"~", b"*?", b"\\",
]  # fmt: skip


def jsonl(path: Path) -> None:
    path.write_text(json.dumps({"text": f"text of {path.name!r}"}) + "\nbroken\n")


def parquet(path: Path) -> None:
    pq.write_table(pa.table({"text": [f"text of {path.name!r}"]}), path)


def arrow(path: Path) -> None:
    table = pa.table({"text": [f"text of {path.name!r}"]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def zst(path: Path) -> None:
    content = json.dumps({"text": f"text of {path.name!r}"}).encode()
    path.write_bytes(pa.compress(content, "zstd", asbytes=True))


def prepared(capsys, corpora: Path, *arguments: str) -> dict:
    """The report of a preparation that succeeds, and prints only what a terminal shows."""
    code = main([*arguments, f"corpora={corpora}", "engine.workers=1"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert all(c.isprintable() or c == "\n" for c in shown.out + shown.err)
    return json.loads(next(corpora.glob("*/report.json")).read_text())


@pytest.mark.parametrize("make", [jsonl, parquet, arrow, zst])
def test_a_folder_of_files_of_any_name_is_read_completely(make, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in NAMES:
        make(tmp_path / "made")
        suffix = ".jsonl.zst" if make is zst else f".{make.__name__}"
        os.rename(tmp_path / "made", os.fsencode(folder) + b"/" + name + suffix.encode())
    report = prepared(capsys, tmp_path / "c", "recipe=text", "source=mine", f"input={folder}", "max_broken=0")
    texts = list(read for path in text_files(tmp_path / "c/mine/text") for read in read_documents(path))
    assert report["read"] == len(NAMES) * (2 if make is jsonl else 1)
    assert len(texts) == 1 and report["dropped"]["duplicate"]["count"] == len(NAMES) - 1
    inputs = {os.fsencode(name) for name, _, _ in report["settings"]["input"]}
    assert inputs == {os.fsencode(path) for path in folder.iterdir()}


@pytest.mark.parametrize("recipe", INPUTS)
def test_every_recipe_reads_inputs_below_a_folder_that_is_not_utf8(recipe, tmp_path, capsys):
    plain = tmp_path / "plain"
    plain.mkdir()
    arguments = [one for one in INPUTS[recipe](plain) if not one.startswith("heldout")]
    strange = tmp_path / os.fsdecode(b"in\xff\n\x1b[31m")
    shutil.copytree(plain, strange)
    expected = prepared(capsys, tmp_path / "c", *arguments, f"input={plain}")
    found = prepared(capsys, tmp_path / "d", *arguments, f"input={strange}")
    assert found["kept"] == expected["kept"] > 0 and found["read"] == expected["read"]


def test_an_output_whose_name_is_not_utf8_is_refused_in_one_line(tmp_path, capsys):
    jsonl(tmp_path / "a.jsonl")
    corpora = tmp_path / os.fsdecode(b"c\xff")
    assert main(["recipe=text", "source=mine", f"input={tmp_path / 'a.jsonl'}", f"corpora={corpora}"]) == 1
    assert "not UTF-8; choose another name" in capsys.readouterr().err
    assert not corpora.exists()
