"""Which files `prepare` reads, each once, and that other limits or a truncated file are never silent."""

import errno
import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import remote
from data.cache.config import CacheConfig
from data.errors import DataError
from data.main import main
from data.mixture import DataConfig
from data.prepare.config import PrepareConfig
from data.prepare.inputs import find_inputs
from data.sources import c4, text

COMMAND = ["recipe=text", "source=mine", "input=in", "engine.workers=1"]
LIMITS = ("record_seconds", "record_bytes", "max_expansion")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, *texts: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    rows = ({"text": one, "url": f"http://a.org/{one[:9]}"} for one in texts)
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def counted() -> dict:
    return json.loads(Path("corpora/mine/report.json").read_text())


@pytest.mark.parametrize("limit", ["record_bytes=1048576", "max_expansion=900", "record_seconds=90"])
def test_text_made_with_other_limits_is_refused(limit, capsys):
    write("in/a.jsonl", "short", "long " * 30_000)
    command = [*COMMAND, "record_bytes=65536"]
    assert main(command) == 0 and counted()["kept"] == 1
    assert main([*command, limit]) == 1
    assert f"made with a different {limit.partition('=')[0]}" in capsys.readouterr().err
    report = counted()
    for key in LIMITS:  # as an earlier version wrote it
        del report["settings"][key]
    Path("corpora/mine/report.json").write_text(json.dumps(report))
    assert main([*command, limit]) == 0
    assert "already exists with these settings; skipping" in capsys.readouterr().err


def test_unfinished_text_is_not_continued_with_other_limits(capsys):
    write("in/a.jsonl", "short")
    Path("in/b.jsonl.gz").write_bytes(gzip.compress(Path("in/a.jsonl").read_bytes())[:-9])
    assert main(COMMAND) == 1
    refusal = capsys.readouterr().err
    assert "1 of 2 inputs" in refusal
    assert "get them again and run the same command, which then reads only them, or" in refusal
    assert main([*COMMAND, "max_expansion=900", "max_broken=1"]) == 1
    assert "unfinished preparation used a different max_expansion" in capsys.readouterr().err
    known = Path("corpora/mine/text.work/settings.json")
    settings = json.loads(known.read_text())
    known.write_text(
        json.dumps({key: settings[key] for key in settings.keys() - {*LIMITS}})
    )  # an earlier one
    assert main([*COMMAND, "max_expansion=900", "max_broken=1"]) == 0


def test_c4s_validation_rows_are_left_out_of_a_saved_dataset():
    for part in ("train", "validation", "partial-validation"):
        write(f"c4/en/{part}/0000.jsonl", part)
    assert c4.inputs(Path("c4")) == [Path("c4/en/train/0000.jsonl")]


def test_a_file_under_two_names_is_read_once(tmp_path):
    write("in/a.jsonl", "a page")
    Path("same.jsonl").symlink_to("in/a.jsonl")
    given = ["in/a.jsonl", "same.jsonl", str(tmp_path / "in"), "in/a.jsonl"]
    config = PrepareConfig(DataConfig("mix", {"c4": 1}), recipe="c4", input=given)
    assert find_inputs(config) == [Path("in/a.jsonl")]


def test_a_link_to_a_folder_elsewhere_is_named(capsys):
    write("in/a.jsonl", "near")
    write("elsewhere/b.jsonl", "far")
    Path("in/far").symlink_to("../elsewhere")
    Path("in/itself").symlink_to(".")
    assert main(COMMAND) == 0
    noted = [line for line in capsys.readouterr().err.splitlines() if "not followed" in line]
    assert len(noted) == 1 and "in/far: not read" in noted[0] and counted()["kept"] == 1
    assert main([*COMMAND, "input=in,elsewhere", "source=both"]) == 0
    assert "not followed" not in capsys.readouterr().err
    Path("in/a.jsonl").unlink()
    assert main([*COMMAND, "source=none"]) == 1
    assert "links to folders are not followed (far)" in capsys.readouterr().err


def test_markdown_may_be_compressed():
    Path("in").mkdir()
    Path("in/a.md.gz").write_bytes(gzip.compress(b"# Title\n"))
    (path,) = text.inputs(Path("in"))
    (record,) = text.read(path)
    assert getattr(record, "text", None) == "# Title\n"


def test_wet_files_may_be_zstd():
    commoncrawl = pytest.importorskip("data.sources.commoncrawl", reason="needs the extra `data`")
    names = [f"a.{kind}{pack}" for kind in ("warc", "warc.wet", "wet") for pack in ("", ".gz", ".zst")]
    for name in [*names, "a.warc.wat.gz"]:
        write(f"in/{name}", name)
    assert {path.name for path in commoncrawl.inputs(Path("in"))} == {*names}


@pytest.mark.parametrize("end", ["}", '}, {"text": "tw', '}, {"text": {"a": ['])
def test_a_json_array_that_ends_within_an_element_is_broken(end, capsys):
    Path("in").mkdir()
    rows = [{"text": f"text {n}"} for n in range(50)]
    Path("in/a.json").write_text(json.dumps(rows).removesuffix("}]") + end)
    assert main([*COMMAND, "max_broken=0"]) == 1
    (line,) = (one for one in capsys.readouterr().err.splitlines() if "1 of 1 inputs cannot be read" in one)
    assert "a.json: the file cannot be read from here on: EOFError: " in line
    assert main([*COMMAND, "max_broken=1"]) == 0 and counted()["kept"] == 50


def test_a_whole_json_array_with_a_bad_last_element_is_not_broken():
    Path("in").mkdir()
    Path("in/a.json").write_text('[{"text": "one"}, {"text": "two]')
    assert main([*COMMAND, "max_broken=0"]) == 0 and counted()["kept"] == 1


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (["ccnet.skip=perplexity"], "ccnet.cited: expected a Wikipedia dump"),
        (["ccnet.skip=perplexity", "ccnet.cited=nowhere"], "ccnet.cited=nowhere: no such file"),
        (["ccnet.models=nowhere"], "nowhere/en.sp.model: no such model"),
        (["ccnet.skip=perplexity", "ccnet.cited=in/a.jsonl", "ccnet.cutoffs=340,520"], "another model's"),
        (["ccnet.skip=perplexity", "ccnet.cited=in/a.jsonl"], "have the same content"),
        (["ccnet.skip=perplexity,references"], "have the same content"),
    ],
)
def test_all_sources_are_refused_before_any_is_read(keys, problem, capsys):
    for package in ("resiliparse", "kenlm", "fasttext", "floret"):
        pytest.importorskip(package, reason=f"{package} is not installed (pip install -e '.[data]')")
    write("in/a.jsonl", "a page")
    write("in/wikipedia.parquet", "never read")  # Wikipedia as rows, which ccnet.cited cannot be
    write("cc/a.warc.wet", "a page")
    write("cc/b.warc.wet", "a page" if "same" in problem else "another")
    Path("dumps.yaml").write_text("wikipedia: in\ncommoncrawl: cc\n")
    assert main(["recipe=all", "input=dumps.yaml", "stage=text", "engine.workers=1", *keys]) == 1
    assert problem in capsys.readouterr().err
    assert not Path("corpora/wikipedia").exists()


def test_a_name_may_begin_with_a_tilde(capsys):
    write("~notes.jsonl", "a")
    assert main([*COMMAND[:2], "input=~notes.jsonl", "engine.workers=1"]) == 0
    assert main([*COMMAND[:2], "input=~no.such.user/a.jsonl"]) == 1
    assert "input=~no.such.user/a.jsonl: no such file or folder" in capsys.readouterr().err
    assert CacheConfig(path="~no.such.user/cache").folder == Path("~no.such.user/cache")


@pytest.mark.parametrize("typed", ["in", "in/", ""])
def test_a_folder_that_a_web_server_lists_is_read_with_its_folders(tmp_path, typed):
    (tmp_path / "in" / "below").mkdir(parents=True)
    (tmp_path / "in" / "below" / "a.jsonl").write_text('{"text": "below"}')
    with _served(tmp_path) as url:
        (found,) = text.inputs(remote.place(f"{url}/{typed}"))
    assert str(found) == f"{url}/in/below/a.jsonl"


def test_a_remote_folder_of_texts_is_looked_into_like_one_here(tmp_path):
    for name, content in (("a.txt", "a text"), ("package.json", '{"name": "x"}'), ("b.csv", "name,n\nx,1\n")):
        (tmp_path / name).write_text(content)
    with _served(tmp_path) as url:
        folder = remote.place(url)
        assert [str(file) for file in text.inputs(folder)] == [f"{url}/a.txt"]
        assert "not read: 1 .csv, 1 .json; the rows" in (text.left_out(folder) or "")


@pytest.mark.parametrize(("recipe", "beside"), [("text", "a.txt"), ("github", "README.md")])
def test_a_server_that_sends_only_whole_files_is_read_too(recipe, beside, tmp_path):
    code = "def add_numbers(first_number, second_number):\n    return first_number + second_number\n"
    row = {"content": code, "path": "a.py", "repo_name": "o/r", "license": "mit"}
    (tmp_path / "web" / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "web" / "data" / "train.parquet")
    (tmp_path / "web" / beside).write_text("# About the rows")
    with _served(tmp_path / "web") as url:
        assert main([f"recipe={recipe}", "source=mine", f"input={url}", "engine.workers=1"]) == 0
    assert counted()["kept"] == 1


def test_a_bucket_whose_readers_pay_is_named_as_a_cause_of_a_refusal(monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("s3fs")

    def denied(*_args: object) -> None:
        raise PermissionError(errno.EACCES, "Access Denied")

    monkeypatch.setattr(remote, "place", lambda path: Path(path))
    monkeypatch.setattr(text, "inputs", denied)
    for url, hint in (("s3://arxiv/src", True), ("gs://bucket/src", False)):
        with pytest.raises(DataError, match="access denied") as refused:
            find_inputs(PrepareConfig(DataConfig("mix", {"w": 1}), "text", source="w", input=[url]))
        assert ("FSSPEC_S3_REQUESTER_PAYS=true" in str(refused.value)) == hint
    monkeypatch.setenv("FSSPEC_S3_REQUESTER_PAYS", "true")
    fsspec.config.set_conf_env(conf := {})
    assert fsspec.filesystem("s3", skip_instance_cache=True, **conf["s3"]).req_kw


def test_a_query_that_hides_the_kind_of_file_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "hidden"}')
    hint = r"a query \(\?…\) hides the kind of file: curl -Lo FILE 'http://.*/a.jsonl\?v=2' gets it"
    with _served(tmp_path) as url, pytest.raises(DataError, match=hint):
        text.inputs(remote.place(f"{url}/a.jsonl?v=2"))


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    pytest.importorskip("upath", reason="universal-pathlib is not installed (pip install -e '.[data]')")
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (pip install -e '.[data]')")
    handler = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
