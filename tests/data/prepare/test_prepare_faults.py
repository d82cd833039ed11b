"""After a kill or a transient error at any file operation, rerunning the command makes the same bytes."""

import bz2
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from data.main import main
from tests.data.prepare.test_prepare import CODE, MIT, lines, report
from tests.support import wikipedia as dumps
from tests.support.fork_server import python

ROOT = Path(__file__).resolve().parents[3]
NAMES = "the of and sea whale ship captain white harbour night storm oil boat sky rope wind"
WORDS = NAMES.split(" ")


def prose(draw: random.Random, n: int) -> str:
    return " ".join(draw.choices(WORDS, k=n))


def text_input(folder: Path) -> list[str]:
    draw = random.Random(1)
    rows = [{"text": prose(draw, 60), "url": f"https://example.org/{i}"} for i in range(400)]
    for number in range(4):
        own = rows[number * 90 : number * 90 + 130]  # neighbors share forty rows
        lines(folder / f"{number}.jsonl", own)
    return ["recipe=text", "source=mine", "heldout=0.1"]


def github_input(folder: Path) -> list[str]:
    draw = random.Random(2)
    for repository in ("one", "two", "three"):
        (folder / repository).mkdir()
        (folder / repository / "LICENSE").write_text(MIT)
        for number in range(12):
            body = "".join(f"    {'_'.join(draw.choices(WORDS, k=9))} = None\n" for _ in range(30))
            (folder / repository / f"m{number}.py").write_text(f"def f{number}():\n{body}\n" + CODE)
    return ["recipe=github"]


def books_input(folder: Path) -> list[str]:
    draw = random.Random(3)
    whole = "\n\n".join(prose(draw, 100) for _ in range(30))
    for name, text in {"whole": whole, "part": whole[: len(whole) // 3]}.items():
        (folder / f"{name}.txt").write_text(text)
    for number in range(5):
        (folder / f"{number}.txt").write_text("\n\n".join(prose(draw, 90) for _ in range(20)))
    return ["recipe=books"]


def c4_input(folder: Path) -> list[str]:
    draw = random.Random(4)
    rows = [{"text": prose(draw, 60), "url": f"https://example.org/{i}"} for i in range(300)]
    for number in range(3):
        lines(folder / f"c4-train.{number:05d}-of-01024.jsonl", rows[number * 100 : number * 100 + 100])
    return ["recipe=c4", "heldout=0.1"]


def commoncrawl_input(folder: Path) -> list[str]:
    pytest.importorskip("fastwarc", reason="fastwarc is not installed (pip install -e '.[data]')")
    from tests.data.ccnet.test_ccnet import write_dump

    write_dump(folder / "wet")
    return ["recipe=commoncrawl", "ccnet.skip=language,perplexity,references", "max_broken=1"]


def stackexchange_input(folder: Path) -> list[str]:
    draw = random.Random(5)
    for site in ("one.example.com", "two.example.com"):
        (folder / site).mkdir()
        rows = []
        for i in range(1, 60):
            body = escape(f"<p>{prose(draw, 40)}</p>")
            rows.append(f'<row Id="{i}" PostTypeId="1" Title="{prose(draw, 5)}" Body="{body}" Score="1" />')
            rows.append(f'<row Id="{i + 100}" PostTypeId="2" ParentId="{i}" Body="{body}" Score="{i % 7}" />')
        content = "\n".join(rows)
        (folder / site / "Posts.xml").write_text(f"<?xml version='1.0'?>\n<posts>\n{content}\n</posts>\n")
    return ["recipe=stackexchange"]


def wikipedia_input(folder: Path) -> list[str]:
    draw = random.Random(6)
    for language in ("en", "de"):
        pages = "".join(
            f"<page><title>T{i}</title><ns>0</ns><id>{i}</id><revision><id>{i}</id>"
            f"<text>{prose(draw, 80)}.</text></revision></page>\n"
            for i in range(1, 60)
        )
        site = (
            f"<siteinfo><dbname>{language}wiki</dbname><base>https://{language}.wikipedia.org/wiki/M</base>"
        )
        (folder / f"{language}wiki-latest-pages-articles.xml").write_text(
            f'<mediawiki xml:lang="{language}">{site}</siteinfo>\n{pages}</mediawiki>\n'
        )
    return ["recipe=wikipedia"]


def arxiv_input(folder: Path) -> list[str]:
    draw = random.Random(7)
    for number in range(12):
        (folder / f"1801.{number:05d}").mkdir()
        sections = "".join(f"\\section{{{prose(draw, 3)}}}\n{prose(draw, 120)}\n\n" for _ in range(4))
        (folder / f"1801.{number:05d}" / "main.tex").write_text(
            f"\\documentclass{{article}}\n\\begin{{document}}\n{sections}\\end{{document}}\n"
        )
    return ["recipe=arxiv"]


INPUTS = {
    "text": text_input,
    "c4": c4_input,
    "github": github_input,
    "books": books_input,
    "commoncrawl": commoncrawl_input,
    "stackexchange": stackexchange_input,
    "wikipedia": wikipedia_input,
    "arxiv": arxiv_input,
}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> Path:
    from data.tokens.train_tokenizer import train_tokenizer

    draw = random.Random(0)
    texts = [prose(draw, 50) for _ in range(200)] + [CODE * 5]
    return train_tokenizer(texts, tmp_path_factory.mktemp("model") / "tokenizer.model", vocab_size=300)


def campaign(tmp_path: Path, recipe: str, kind: str, trials: int, model: Path) -> list[dict]:
    folder = tmp_path / "in"
    folder.mkdir()
    arguments = [*INPUTS[recipe](folder), f"input={folder}", f"tokenizer={model}"]
    command = ["-m", "tests.support.prepare_faults", str(tmp_path), kind, str(trials), "7"]
    ran = python(*command, *arguments, cwd=ROOT, timeout=900)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


@pytest.mark.parametrize("recipe", INPUTS)
def test_killed_at_any_file_operation_it_ends_with_the_same_bytes(tmp_path, model_file, recipe):
    found = campaign(tmp_path, recipe, "kill", 8, model_file)
    assert len(found) == 8
    for trial in found:
        assert trial["ends"][0][0] == 137, trial
        assert trial["ends"][1:] and trial["ends"][-1][0] == 0 and len(trial["ends"]) == 2, trial
        assert trial["differ"] == [], trial


def test_an_error_at_any_operation_in_the_output_is_one_line_and_loses_nothing(tmp_path, model_file):
    found = campaign(tmp_path, "text", "fail", 6, model_file)
    assert len(found) == 6 and any(trial["ends"][0][0] for trial in found)
    for trial in found:
        assert trial["ends"][-1][0] == 0 and len(trial["ends"]) <= 2 and trial["differ"] == [], trial
        for code, last_line in trial["ends"]:
            assert code == 0 or last_line.startswith("relama: error: "), trial


@pytest.mark.parametrize("recipe", INPUTS)
def test_a_transient_error_loses_no_document(tmp_path, model_file, recipe):
    found = campaign(tmp_path, recipe, "error", 5, model_file)
    assert found
    for trial in found:
        assert trial["ends"][-1][0] == 0 and trial["differ"] == [], trial
        for code, last_line in trial["ends"]:
            assert code == 0 or last_line.startswith("relama: error: "), trial


def test_a_persistent_error_ends_the_run_in_one_line_and_counts_nothing(tmp_path, monkeypatch, capsys):
    from data.sources import text

    (tmp_path / "in").mkdir()
    for number in range(20):
        lines(tmp_path / "in" / f"{number:02d}.jsonl", [{"text": f"document {number}"}])
    read, monkeyed = text.read, []

    def stale(path: Path):
        if path.name == "07.jsonl":
            monkeyed.append(path)
            raise OSError(116, "Stale file handle")
        return read(path)

    monkeypatch.setattr("data.errors.PAUSES", (0.0, 0.0))
    arguments = ["recipe=text", "source=mine", f"input={tmp_path / 'in'}", f"corpora={tmp_path}"]
    arguments += ["engine.workers=1", "max_broken=1"]
    with monkeypatch.context() as patch:
        patch.setattr(text, "read", stale)
        assert main(arguments) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "07.jsonl: cannot be read" in error and "run the same command again" in error
    assert len(monkeyed) == 3 and not (tmp_path / "mine" / "text").exists()
    assert main(arguments) == 0
    assert report(tmp_path / "mine")["kept"] == 20


def test_an_input_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch, capsys):
    from data.sources import text

    (tmp_path / "in").mkdir()
    path = lines(tmp_path / "in" / "a.jsonl", [{"text": f"document {i}"} for i in range(100)])
    read = text.read

    def truncated(path: Path):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        return read(path)

    monkeypatch.setattr(text, "read", truncated)
    arguments = ["recipe=text", "source=mine", f"input={path}", f"corpora={tmp_path}", "engine.workers=1"]
    assert main([*arguments, "max_broken=1"]) == 1
    assert "changed since this preparation began" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "mine" / "text").exists()


def test_a_truncated_dump_counts_as_an_input_however_many_slices_it_has(tmp_path, monkeypatch, capsys):
    from data.sources.wikipedia import recipe

    draw = random.Random(0)
    pages = [dumps.page(number, prose(draw, 200)) for number in range(60)]
    streams = b"".join(bz2.compress(part) for part in (dumps.head(), *pages, b"</mediawiki>"))
    folder = tmp_path / "in"
    folder.mkdir()
    dumps.write(folder, streams[: len(streams) * 3 // 4], dumps.NAME + ".bz2")
    monkeypatch.setattr(recipe, "SLICE_BYTES", len(streams) // 30)
    arguments = ["recipe=wikipedia", f"input={folder}", f"output={tmp_path / 'out'}", "stage=text"]
    assert main([*arguments, "engine.workers=1"]) == 1
    assert "1 of 1 inputs cannot be read to their end" in capsys.readouterr().err.splitlines()[-1]
    assert main([*arguments, "engine.workers=1", "max_broken=1"]) == 0
    assert 40 <= report(tmp_path / "out")["kept"] <= 46
    assert "malformed file (1); see " in capsys.readouterr().err


def test_only_a_records_own_cpu_time_counts(tmp_path, monkeypatch):
    """On a paused or overloaded machine, no record is dropped, because only CPU time counts."""
    from data.sources import text

    clean = text.clean

    def slow(record, *, source):
        time.sleep(1)
        return clean(record, source=source)

    monkeypatch.setattr(text, "clean", slow)
    path = lines(tmp_path / "a.jsonl", [{"text": "one"}, {"text": "two"}])
    arguments = ["recipe=text", "source=mine", f"input={path}", f"corpora={tmp_path}", "engine.workers=1"]
    assert main([*arguments, "record_seconds=0.5"]) == 0
    assert report(tmp_path / "mine")["kept"] == 2


def test_workers_end_with_their_parent(tmp_path):
    code = (
        "import os, pathlib, sys, time\n"
        "from functools import partial\n"
        "from data import engine\n"
        "from tests.data.prepare.test_prepare_faults import note_and_wait\n"
        "if __name__ == '__main__':\n"
        "    work = partial(note_and_wait, sys.argv[1])\n"
        "    config = engine.EngineConfig(workers=2)\n"
        "    engine.run(config, 'x', work, [0, 1], pathlib.Path(sys.argv[1]), lambda: None)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)], cwd=ROOT, env=environment)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("*.pid"))) < 2:
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    deadline = time.monotonic() + 120
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)


def note_and_wait(folder: str, item: int) -> None:
    Path(folder, f"{os.getpid()}.pid").touch()
    time.sleep(600)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
