"""Inputs that are added, replaced or taken away before a preparation is finished: only new ones are read."""

import gzip
import json
import random
import shutil
from pathlib import Path

import pytest

import data.dedup.stages
import data.prepare.plan
from data.main import main
from data.prepare import tasks

TASK_BYTES = 20_000


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data.prepare.plan, "TASK_BYTES", TASK_BYTES)


def prepare(corpora: str, *arguments: str) -> int:
    command = ["recipe=text", "source=mine", "stage=text", f"corpora={corpora}", "engine.workers=1"]
    return main([*command, *(arguments or ["input=in"])])


def write(name: str, draw: random.Random) -> None:
    """A file of texts, some of which other files have too; some files fill a task, most share one."""
    rows = [{"text": f"text {draw.randrange(300)} " * 30} for _ in range(draw.choice([5, 20, 100]))]
    Path("in", name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def made(corpora: str) -> dict[str, bytes]:
    folder = Path(corpora, "mine")
    report = json.loads((folder / "report.json").read_text())
    del report["seconds"]
    text = {path.name: path.read_bytes() for path in (folder / "text").iterdir()}
    return {**text, "report": json.dumps(report).encode()}


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The names of the files that tasks read, in order."""
    names: list[str] = []
    real = tasks._read_slice

    def noted(recipe, one):
        names.append(one.input.name)
        return real(recipe, one)

    monkeypatch.setattr(tasks, "_read_slice", noted)
    return names


def stopped(monkeypatch, *arguments: str) -> None:
    """A preparation that fails once everything is read."""
    with monkeypatch.context() as patch:
        patch.setattr(data.dedup.stages, "find", lambda *args: (_ for _ in ()).throw(OSError("stopped")))
        assert prepare("corpora", *arguments) == 1


@pytest.mark.parametrize("seed", range(6))
def test_any_change_gives_the_text_that_the_new_inputs_would_give_alone(seed, monkeypatch, capsys):
    draw = random.Random(seed)
    Path("in").mkdir()
    for name in "bcdefgh":
        write(f"{name}.jsonl", draw)
    for _ in range(3):
        stopped(monkeypatch)
        for path in draw.sample(sorted(Path("in").iterdir()), 2):
            path.unlink() if draw.random() < 0.5 else write(path.name, draw)
        write(f"{draw.choice('abcdefghi')}{draw.randrange(10)}.jsonl", draw)
    assert prepare("corpora") == 0
    assert "the inputs have changed since this preparation began" in capsys.readouterr().err
    assert prepare("fresh") == 0
    assert made("corpora") == made("fresh")
    assert not Path("corpora/mine/text.work").exists()


def test_only_new_content_is_read_wherever_it_is_in_the_order(monkeypatch, read):
    Path("in").mkdir()
    draw = random.Random(0)
    for name in "bcd":
        write(f"{name}.jsonl", draw)
        Path(f"in/{name}.jsonl").write_text(Path(f"in/{name}.jsonl").read_text() * 20)  # a task each
    stopped(monkeypatch)
    assert read == ["b.jsonl", "c.jsonl", "d.jsonl"]
    shutil.copy("in/b.jsonl", "in/a.jsonl")
    Path("in/c.jsonl").write_text('{"text": "another"}\n' * 2000)
    read.clear()
    stopped(monkeypatch)
    assert read == ["a.jsonl", "c.jsonl"]
    shutil.move("in/d.jsonl", "d.jsonl")
    read.clear()
    stopped(monkeypatch)
    assert read == []
    shutil.move("d.jsonl", "in/d.jsonl")  # what was taken away and comes back was read before
    assert prepare("corpora") == 0
    assert read == []


def test_a_broken_download_is_replaced_and_nothing_else_is_read_again(monkeypatch, read, capsys):
    Path("in").mkdir()
    for name in "abc":
        text = "".join(json.dumps({"text": f"{name} {n} " * 100}) + "\n" for n in range(1000))
        Path(f"in/{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.setattr(data.prepare.plan, "TASK_BYTES", 1)
    whole = Path("in/b.jsonl.gz").read_bytes()
    Path("in/b.jsonl.gz").write_bytes(whole[:-100])
    assert prepare("corpora") == 1
    refusal = capsys.readouterr().err.splitlines()[-1]
    assert "1 of 3 inputs" in refusal and "run the same command, which then reads only them" in refusal
    Path("in/b.jsonl.gz").write_bytes(whole)
    read.clear()
    assert prepare("corpora") == 0
    assert read == ["b.jsonl.gz"]
    assert json.loads(Path("corpora/mine/report.json").read_text())["kept"] == 3000


def test_other_inputs_altogether_are_refused(monkeypatch, capsys):
    Path("in").mkdir()
    write("a.jsonl", random.Random(0))
    stopped(monkeypatch)
    Path("other.jsonl").write_text('{"text": "another"}\n')
    assert prepare("corpora", "input=other.jsonl") == 1
    assert "unfinished preparation used a different input" in capsys.readouterr().err.splitlines()[-1]
    assert prepare("corpora") == 0


@pytest.mark.parametrize("at", range(1, 7))
def test_work_is_taken_over_whole_or_read_again_whenever_it_is_interrupted(at, monkeypatch):
    Path("in").mkdir()
    draw = random.Random(1)
    for name in "bcdefgh":
        write(f"{name}.jsonl", draw)
    stopped(monkeypatch)
    write("a.jsonl", draw)
    renamed, rename = [], Path.rename

    def interrupted(path: Path, goal: Path) -> Path:
        renamed.append(path)
        if len(renamed) == at:
            raise KeyboardInterrupt
        return rename(path, goal)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        assert prepare("corpora") == 130 and len(renamed) == at
    assert prepare("corpora") == 0
    assert prepare("fresh") == 0
    assert made("corpora") == made("fresh")
