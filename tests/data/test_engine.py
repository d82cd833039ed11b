"""The engine gives the same bytes wherever the tasks run, and however often they are killed."""

import errno
import hashlib
import http.server
import json
import operator
import os
import random
import re
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

import data.dedup.stages
import data.prepare.plan
from data import engine
from data.documents import Document, Drop, Record, read_documents, text_files
from data.engine import EngineConfig
from data.errors import DataError
from data.main import main
from data.prepare.recipe import Recipe, make_text
from data.progress import Progress
from tests.support import killed
from tests.support.slurm import cluster, require_slurm

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dump(tmp_path) -> Path:
    """Nine files of JSON lines with faulty lines and duplicates across files, and an unreadable tenth."""
    folder, draw = tmp_path / "dump", random.Random(0)
    folder.mkdir()
    for name in range(9):
        rows = [json.dumps({"text": f"text {draw.randrange(900)} " * 40, "n": i}) for i in range(200)]
        rows[draw.randrange(200)] = "not json"
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "9.jsonl.gz").write_bytes(b"\x1f\x8b not gzip")
    return folder


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(data.prepare.plan, "TASK_BYTES", 130_000)


def prepare(dump: Path | str, corpora: Path, *arguments: str) -> int:
    return main(["recipe=text", "source=mine", f"input={dump}", f"corpora={corpora}", *arguments])


def fingerprint(folder: Path) -> dict[str, str]:
    """A run's output, by content, without durations."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."):
        content = path.read_bytes()
        if path.name == "report.html":
            content = re.sub(rb"<td>seconds</td>.*?</td>", b"", content)
        if path.name == "report.json":
            content = json.dumps({**json.loads(content), "seconds": 0}).encode()
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


@pytest.fixture
def tokenized(model_file) -> list[str]:
    return [f"tokenizer={model_file}", "heldout=0.1"]


@pytest.fixture
def expected(dump, tmp_path, tokenized) -> dict[str, str]:
    assert prepare(dump, tmp_path / "one", "engine.workers=1", *tokenized) == 0
    made = fingerprint(tmp_path / "one" / "mine")
    assert len([name for name in made if name.endswith(".parquet")]) >= 4
    return made


def test_every_record_is_counted_and_the_first_of_equal_texts_is_kept(dump, expected, tmp_path):
    folder = tmp_path / "one" / "mine"
    report = json.loads((folder / "report.json").read_text())
    kept = [document for path in text_files(folder / "text") for document in read_documents(path)]
    dropped = sum(counted["count"] for counted in report["dropped"].values())
    assert report["read"] == 9 * 200 + 1 == report["kept"] + dropped
    assert report["dropped"]["malformed record"]["count"] == 9
    assert report["dropped"]["malformed file"]["count"] == 1
    seen, first = set(), []
    for path in sorted(dump.glob("*.jsonl")):
        for number, line in enumerate(path.read_text().splitlines()):
            text = json.loads(line)["text"] if line != "not json" else None
            if text is not None and text not in seen:
                seen.add(text)
                first.append((str(path), number, text))
    assert [(document.file, document.record, document.text) for document in kept] == first
    assert report["text_bytes"] == sum(len(text) for text in seen)
    assert sum(report["lengths"].values()) == len(first)


@pytest.mark.parametrize("workers", [3])
def test_the_bytes_do_not_depend_on_how_many_processes_made_them(
    dump, expected, tmp_path, tokenized, workers
):
    assert prepare(dump, tmp_path / "more", f"engine.workers={workers}", *tokenized) == 0
    assert fingerprint(tmp_path / "more" / "mine") == expected


def test_slurm_gives_the_same_bytes_and_a_task_that_fails_is_named_with_its_log(
    dump, expected, tmp_path, tokenized, monkeypatch
):
    require_slurm()
    pytest.importorskip("datatrove", reason="datatrove is not installed (pip install -e '.[data]')")
    with cluster(tmp_path / "slurm") as environment:
        for key in ("PATH", "SLURM_CONF"):
            monkeypatch.setenv(key, environment[key])
        arguments = ["engine=slurm", "engine.partition=main", "engine.memory_gb=1", "engine.tasks=3"]
        assert prepare(dump, tmp_path / "cluster", *arguments, *tokenized) == 0
        made = fingerprint(tmp_path / "cluster" / "mine")
        assert {name: hash for name, hash in made.items() if not name.startswith("logs/")} == expected
        config = EngineConfig(name="slurm", partition="main", memory_gb=1)
        with pytest.raises(DataError, match=r"doomed: 1 of 2 tasks failed.*logs") as refused:
            engine.run(
                config, "doomed", partial(operator.truediv, 1), [0, 1], tmp_path / "logs", lambda: None
            )
    assert "\n" not in str(refused.value) and (tmp_path / "logs").is_dir()


def test_ray_gives_the_same_bytes(dump, expected, tmp_path, tokenized):
    pytest.importorskip("ray", reason="ray is not installed (pip install -e '.[ray]')")
    pytest.importorskip("datatrove", reason="datatrove is not installed (pip install -e '.[data]')")
    arguments = ["engine=ray", "engine.tasks=2", "engine.memory_gb=1", *tokenized]
    code = (
        "import sys, data.prepare.plan; data.prepare.plan.TASK_BYTES = 130_000\n"
        "from data.main import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments += ["recipe=text", "source=mine", f"input={dump}", f"corpora={tmp_path / 'ray'}"]
    ran = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    made = fingerprint(tmp_path / "ray" / "mine")
    assert {name: hash for name, hash in made.items() if not name.startswith("logs/")} == expected


def test_a_run_killed_at_any_moment_and_rerun_gives_the_same_result(dump, expected, tmp_path, tokenized):
    made = tmp_path / "killed" / "mine"
    arguments = ["recipe=text", "source=mine", f"input={dump}", f"corpora={tmp_path / 'killed'}"]
    arguments += tokenized
    marks = ["*/read/00001", "*/duplicates/*.npy", "*/written/00002.json", "../text/*"]
    marks += ["../tokens.work/*/encoded/*.json"]
    for mark in marks:
        pattern = f"text.work/{mark}" if not mark.startswith("..") else mark[3:]
        ended = killed.prepare(arguments, made, pattern, task_bytes=130_000)
        assert ended.returncode == -signal.SIGKILL, f"the run was over before {mark}\n{ended.stderr}"
    committed = {path: path.stat().st_ino for path in made.glob("tokens.work/*/encoded/*.json")}
    committed |= {path: path.stat().st_ino for path in made.glob("text/*")}
    ended = killed.prepare(arguments, made, task_bytes=130_000)
    assert ended.returncode == 0, ended.stderr
    assert fingerprint(made) == expected
    assert all(path.stat().st_ino == node for path, node in committed.items() if path.parent.name == "text")


def test_a_book_contained_in_another_is_dropped_and_the_report_says_which(tmp_path, expected_books):
    assert main([*expected_books, f"corpora={tmp_path / 'one'}", "engine.workers=1"]) == 0
    assert main([*expected_books, f"corpora={tmp_path / 'two'}", "engine.workers=2"]) == 0
    assert fingerprint(tmp_path / "one" / "books") == fingerprint(tmp_path / "two" / "books")
    kept = [d for path in text_files(tmp_path / "one/books/text") for d in read_documents(path)]
    assert [Path(document.file).name for document in kept] == ["1.txt", "2.txt", "whole.txt"]
    report = json.loads((tmp_path / "one/books/report.json").read_text())
    dropped = report["dropped"]["contained in another"]
    assert dropped["count"] == 2 and report["kept"] == 3 and report["read"] == 5
    (whole,) = [document.id for document in kept if document.file.endswith("whole.txt")]
    assert {Path(example["file"]).name for example in dropped["examples"]} == {"half.txt", "most.txt"}
    assert all(f"occur in {whole}" in example["detail"] for example in dropped["examples"])


@pytest.fixture
def expected_books(tmp_path) -> list[str]:
    folder, draw = tmp_path / "library", random.Random(1)
    folder.mkdir()
    words = ["".join(draw.choices("abcdefghij", k=5)) for _ in range(3000)]
    long = " ".join(draw.choices(words, k=30_000))
    books = {"1": " ".join(draw.choices(words, k=20_000)), "2": " ".join(draw.choices(words, k=20_000))}
    books |= {"whole": long, "half": long[: len(long) // 2]}
    books["most"] = long[: int(len(long) * 0.6)] + " ".join(draw.choices(words, k=1000))
    for name, text in books.items():
        (folder / f"{name}.txt").write_text(text)
    return ["recipe=books", f"input={folder}"]


def run_recipe(tmp_path: Path, read, clean, **options) -> Path:
    unit = tmp_path / "unit"
    unit.write_text("x")
    make_text(Recipe(read, clean), [unit], tmp_path / "out", {}, progress=Progress("test"), **options)
    return tmp_path / "out"


def _three(path: Path):
    yield from (Record(str(path), place, word) for place, word in enumerate(("slow", "bad", "fine")))


def _hostile(record: Record) -> Document | Drop:
    if record.text == "slow":
        try:
            while True:
                pass
        except Exception:
            return record.drop("the recipe must not see the alarm")
    if record.text == "bad":
        raise ZeroDivisionError("a fault of the recipe")
    return record.document("s", record.text)


def test_a_record_that_hangs_or_breaks_the_recipe_is_dropped_and_the_next_is_read(tmp_path):
    out = run_recipe(tmp_path, _three, _hostile, record_seconds=0.3)
    report = json.loads((out / "report.json").read_text())
    assert {reason: counted["count"] for reason, counted in report["dropped"].items()} == {
        "took too long": 1,
        "cannot be cleaned": 1,
    }
    assert report["dropped"]["took too long"]["examples"][0]["text"] == "slow"
    assert "ZeroDivisionError" in (out / "quarantine.jsonl").read_text()
    assert report["kept"] == 1


linux = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc")


def peak_memory(*arguments: str) -> int:
    """Peak bytes of `relama prepare`, from its /proc status, because ru_maxrss may be its parent's."""
    code = (
        "import pathlib, sys; from data.main import main; main(sys.argv[1:]); "
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    ran = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout.split()[-1]) * 1024


@linux
def test_a_line_of_a_gigabyte_is_skipped_in_bounded_memory(tmp_path):
    dump = tmp_path / "x.jsonl"
    with dump.open("wb") as file:
        file.write(b'{"text": "before"}\n')
        file.seek(1 << 30, os.SEEK_CUR)  # a hole: zeros that take no disk space
        file.write(b'\n{"text": "after"}\n')
    peak = peak_memory("recipe=text", "source=mine", f"input={dump}", f"corpora={tmp_path / 'c'}")
    kept = [d.text for path in text_files(tmp_path / "c/mine/text") for d in read_documents(path)]
    assert kept == ["before", "after"]
    assert peak < 700 << 20
    fault = json.loads((tmp_path / "c/mine/quarantine.jsonl").read_text())
    assert (fault["record"], fault["detail"]) == (1, "a line above 64 MiB")


def test_http_gives_the_same_text_with_its_url(dump, tmp_path):
    pytest.importorskip("upath", reason="universal-pathlib is not installed (pip install -e '.[data]')")
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (pip install -e '.[data]')")
    handler = partial(_Quiet, directory=str(dump))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/3.jsonl"
        assert main(["recipe=text", "source=mine", f"input={url}", f"corpora={tmp_path / 'http'}"]) == 0
        server.shutdown()
    assert (
        main(["recipe=text", "source=mine", f"input={dump / '3.jsonl'}", f"corpora={tmp_path / 'here'}"]) == 0
    )
    remote, local = (
        [d for path in text_files(tmp_path / name / "mine/text") for d in read_documents(path)]
        for name in ("http", "here")
    )
    assert [document.text for document in remote] == [document.text for document in local]
    assert {document.file for document in remote} == {url}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_bucket_can_be_the_input_and_the_output(dump, expected, tmp_path, tokenized, monkeypatch, capsys):
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[data]')")
    server = pytest.importorskip("moto.server", reason="moto is not installed (pip install -e '.[dev]')")
    s3 = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    try:
        for key, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": "http://{}:{}".format(*s3.get_host_and_port()),
        }.items():
            monkeypatch.setenv(key, value)
        import s3fs

        bucket = s3fs.S3FileSystem(skip_instance_cache=True)
        bucket.mkdir("dumps")
        bucket.put(str(dump) + "/", "dumps/mine/", recursive=True)
        arguments = ["output=s3://dumps/made/mine", "engine.workers=1", *tokenized]
        assert prepare("s3://dumps/mine", tmp_path / "c", *arguments) == 0
        assert capsys.readouterr().out.rstrip().endswith(" corpora=s3://dumps/made")
        bucket.invalidate_cache()
        bucket.get("dumps/made/mine/", str(tmp_path / "back") + "/", recursive=True)
    finally:
        s3.stop()
    back = [d for path in text_files(tmp_path / "back/text") for d in read_documents(path)]
    here = [d for path in text_files(tmp_path / "one/mine/text") for d in read_documents(path)]
    assert [d.text for d in back] == [d.text for d in here]
    assert {d.file for d in back} == {f"s3://dumps/mine/{name}.jsonl" for name in range(9)}
    tokens = {name: hash for name, hash in fingerprint(tmp_path / "back").items() if name.endswith(".bin")}
    assert tokens and tokens == {name: hash for name, hash in expected.items() if name.endswith(".bin")}


def test_a_worker_that_is_killed_ends_the_run_in_one_line(tmp_path):
    with pytest.raises(DataError, match=r"a worker process was killed.*engine\.workers"):
        engine.run(EngineConfig(workers=2), "x", _dies, [0, 1], tmp_path, lambda: None)


def test_workers_that_die_as_they_start_end_the_run_in_the_same_line(tmp_path, monkeypatch):
    def submit(*_: object) -> None:  # as where a worker ends before it has read what it should do
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(engine.ProcessPoolExecutor, "submit", submit)
    with pytest.raises(DataError, match=r"a worker process was killed.*engine\.workers"):
        engine.run(EngineConfig(workers=2), "x", _dies, [0, 1], tmp_path, lambda: None)


def test_stages_share_their_workers_and_get_new_ones_after_a_failure(tmp_path):
    on = EngineConfig(workers=2)
    with engine.kept_workers():
        for stage in ("first", "second"):
            engine.run(on, stage, partial(_notes_itself, tmp_path), [0, 1, 2, 3], tmp_path, lambda: None)
        pids = {path.name for path in tmp_path.iterdir()}
        assert len(pids) <= 2
        with pytest.raises(ZeroDivisionError):
            engine.run(on, "fails", partial(operator.truediv, 1), [0, 1], tmp_path, lambda: None)
        engine.run(on, "third", partial(_notes_itself, tmp_path), [0, 1], tmp_path, lambda: None)
        later = {path.name for path in tmp_path.iterdir()} - pids
    assert later and not any(os.path.exists(f"/proc/{pid}") for pid in pids | later)


def _notes_itself(folder: Path, item: int) -> None:
    (folder / str(os.getpid())).touch()


def _dies(item: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["engine=slrum"], ["slrum", "local"]),
        (["engine=slurm"], ["engine.partition"]),
        (["engine.memory_gb=0"], ["engine.memory_gb=0"]),
        (["max_broken=2"], ["max_broken=2"]),
        (["record_seconds=0"], ["record_seconds"]),
        (["engine=slurm", "engine.partition=main"], ["sbatch"]),
    ],
)
def test_an_engine_that_cannot_run_is_refused_in_one_line(
    dump, tmp_path, capsys, monkeypatch, arguments, parts
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert prepare(dump, tmp_path / "c", *arguments) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert all(part in error for part in parts)
    assert not (tmp_path / "c").exists()


@linux
def test_memory_does_not_grow_with_the_input(tmp_path):
    def peak(copies: int) -> int:
        dump = tmp_path / f"{copies}.jsonl"
        line = json.dumps({"text": "some words of text " * 100})
        with dump.open("w") as file:
            for number in range(copies):
                file.write(line.replace("some", str(number), 1) + "\n")
        return peak_memory("recipe=text", "source=mine", f"input={dump}", f"corpora={tmp_path / str(copies)}")

    once, twice = peak(15_000), peak(30_000)
    assert twice < once + (24 << 20), f"{once >> 20} MiB, then {twice >> 20} MiB for twice as much"
