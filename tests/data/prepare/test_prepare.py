"""`relama prepare`: every record is accounted for, and every output is complete."""

import errno
import gzip
import json
import os
import random
import shlex
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from configs.load import load
from data import folders
from data.documents import Document, read_documents, text_files, write_documents
from data.main import main
from data.prepare.config import PrepareConfig
from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer
from data.tokens.train_tokenizer import train_tokenizer
from tests.support import killed
from train.config import TrainConfig

ROOT = Path(__file__).resolve().parents[3]
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software ...
The above copyright notice and this permission notice shall be included in all copies."""
EVERY_RECIPE = (
    "commoncrawl, c4, github, wikipedia, books, arxiv, stackexchange, text, ccnet-models, sample, all"
)
CODE = "def add(first, second):\n    return first + second\n"


def prepare(tmp_path: Path, *arguments: str) -> int:
    return main([*arguments, f"corpora={tmp_path / 'corpora'}"])


def documents(folder: Path) -> list[Document]:
    return [document for path in text_files(folder / "text") for document in read_documents(path)]


def lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def report(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())


def test_real_repositories_become_documents_and_every_file_is_accounted_for(tmp_path, shared_data):
    assert prepare(tmp_path, "recipe=github", f"input={shared_data / 'code'}") == 0
    folder = tmp_path / "corpora" / "github"
    found, counted = documents(folder), report(folder)
    assert len(found) == counted["kept"] > 400
    assert counted["read"] == counted["kept"] + sum(reason["count"] for reason in counted["dropped"].values())
    assert (
        len({document.id for document in found}) == len({document.text for document in found}) == len(found)
    )
    assert {document.licence for document in found} == {"mit", "apache-2.0", "bsd-3-clause"}
    for reason in counted["dropped"].values():
        assert len(reason["examples"]) == min(3, reason["count"])
        assert all(Path(example["file"]).exists() for example in reason["examples"])


def test_files_that_differ_only_in_their_license_header_are_one_document(tmp_path):
    for name, header in {"one": "", "two": "# Copyright 2020 A\n# MIT licence\n\n"}.items():
        (tmp_path / "code" / name).mkdir(parents=True)
        (tmp_path / "code" / name / "LICENSE").write_text(MIT)
        (tmp_path / "code" / name / "a.py").write_text(header + CODE)
    assert prepare(tmp_path, "recipe=github", f"input={tmp_path / 'code'}") == 0
    (document,) = documents(tmp_path / "corpora" / "github")
    assert document.text == CODE and json.loads(document.meta)["repository"] == "one"
    assert report(tmp_path / "corpora" / "github")["dropped"]["duplicate"]["count"] == 1


def test_other_licenses_are_accepted_when_named(tmp_path):
    row = {"content": CODE, "path": "a.py", "repo_name": "o/r", "license": "gpl-3.0"}
    exported = lines(tmp_path / "x.jsonl", [row])
    assert prepare(tmp_path, "recipe=github", f"input={exported}") == 1
    assert prepare(tmp_path, "recipe=github", f"input={exported}", "licences=MIT,GPL-3.0") == 0


def test_without_a_tokenizer_the_text_is_written_and_the_next_command_printed(tmp_path, capsys):
    source = lines(tmp_path / "x.jsonl", [{"text": "one"}])
    assert prepare(tmp_path, "recipe=text", "source=mine", f"input={source}") == 0
    output = capsys.readouterr().out
    assert "recipe=text source=mine stage=tokens tokenizer=" in output
    assert sorted(path.name for path in (tmp_path / "corpora" / "mine").glob("[!.]*")) == [
        "report.html",
        "report.json",
        "text",
    ]


def test_several_inputs_with_any_characters_in_their_names(tmp_path):
    names = ["a+b (1).jsonl", "it's=1.jsonl"]
    paths = [str(lines(tmp_path / name, [{"text": name}])) for name in names]
    assert prepare(tmp_path, "recipe=text", "source=mine", f"input={','.join(paths)}") == 0
    assert [document.text for document in documents(tmp_path / "corpora" / "mine")] == names
    assert [document.file for document in documents(tmp_path / "corpora" / "mine")] == paths


def test_output_is_written_to_the_requested_place(tmp_path):
    source = lines(tmp_path / "x.jsonl", [{"text": "one"}])
    assert (
        prepare(tmp_path, "recipe=text", "source=mine", f"input={source}", f"output={tmp_path / 'there'}")
        == 0
    )
    assert [document.source for document in documents(tmp_path / "there")] == ["mine"]


def test_a_comma_in_an_existing_input_does_not_split_it(tmp_path):
    source = lines(tmp_path / "x,y.jsonl", [{"text": "one"}])
    assert prepare(tmp_path, "recipe=text", "source=mine", f"input={source}") == 0
    assert [document.file for document in documents(tmp_path / "corpora" / "mine")] == [str(source)]


def test_the_printed_next_command_works_with_output_given(tmp_path, tokenizer, capsys):
    source, there = lines(tmp_path / "x.jsonl", [{"text": "one"}] * 1), tmp_path / "é, (it's)" / "mine"
    assert main(["recipe=text", "source=mine", f"input={source}", f"output={there}"]) == 0
    command = capsys.readouterr().out.partition("relama prepare ")[2].partition(" (`relama")[0]
    assert main(shlex.split(command.replace("tokenizer=PATH", f"tokenizer={tokenizer}"))) == 0
    command = shlex.split(capsys.readouterr().out.partition("relama train ")[2])
    config = load("train", TrainConfig, command)
    assert config.data.chosen() == {"mine": 1.0} and config.corpora == str(there.parent)


def test_malformed_records_and_files_are_quarantined_with_their_location_and_the_rest_is_kept(
    tmp_path, capsys
):
    folder = tmp_path / "in"
    folder.mkdir()
    good = [{"text": f"document {i} " * 30} for i in range(9000)]
    packed = gzip.compress("".join(json.dumps(row) + "\n" for row in good).encode())
    (folder / "a.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (folder / "b.parquet").write_bytes(b"not parquet")
    (folder / "c.jsonl").write_text('{"text": "fine"}\n{"text": \n{"txt": 1}\n{"text": "fine too"}\n')
    arguments = ["recipe=text", "source=mine", f"input={folder}"]
    assert prepare(tmp_path, *arguments) == 1  # two inputs of three: more than a tenth
    error = capsys.readouterr().err.splitlines()[-1]
    assert all(part in error for part in ("2 of 3 inputs", "max_broken=1", "a.jsonl.gz", "quarantine.jsonl"))
    made = tmp_path / "corpora" / "mine"
    read = {path: path.stat().st_mtime_ns for path in made.rglob("*.parquet")}
    assert prepare(tmp_path, *arguments, "max_broken=1") == 0
    assert {path.stat().st_mtime_ns for path in text_files(made / "text")} == set(read.values()), "not redone"
    texts = [document.text for document in documents(made)]
    assert texts[-2:] == ["fine", "fine too"] and texts[:-2] == [
        row["text"] for row in good[: len(texts) - 2]
    ]
    aside = [json.loads(line) for line in (made / "quarantine.jsonl").read_text().splitlines()]
    places = [(Path(fault["file"]).name, fault["record"], fault["reason"]) for fault in aside]
    assert places == [
        ("a.jsonl.gz", len(texts) - 2, "malformed file"),
        ("b.parquet", 0, "malformed file"),
        ("c.jsonl", 1, "malformed record"),
        ("c.jsonl", 2, "malformed record"),
    ]
    assert report(made)["dropped"]["malformed record"]["count"] == 2


def test_if_nothing_can_be_read_the_run_ends_and_leaves_no_text(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text("not json\n")
    assert prepare(tmp_path, "recipe=text", "source=mine", f"input={tmp_path / 'a.jsonl'}") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "no document is left" in error and "malformed record (1), such as a.jsonl#" in error
    assert not list((tmp_path / "corpora" / "mine").glob("text*"))


def test_a_reason_that_has_no_more_to_say_ends_with_the_place(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("  \n")
    assert prepare(tmp_path, "recipe=text", "source=mine", f"input={tmp_path / 'a.txt'}") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "; dropped: empty (1), such as a.txt#0 (see " in error


def test_the_same_command_again_changes_nothing_and_another_is_refused(tmp_path, capsys):
    source = lines(tmp_path / "x.jsonl", [{"text": "one"}])
    arguments = ["recipe=text", "source=mine", f"input={source}"]
    assert prepare(tmp_path, *arguments) == 0
    (made,) = text_files(tmp_path / "corpora" / "mine" / "text")
    before = made.stat()
    assert prepare(tmp_path, *arguments) == 0
    assert made.stat().st_ino == before.st_ino and made.stat().st_mtime_ns == before.st_mtime_ns
    lines(source, [{"text": "one"}, {"text": "two"}])
    assert prepare(tmp_path, *arguments) == 1
    assert "made with a different input" in capsys.readouterr().err
    assert [document.text for document in documents(tmp_path / "corpora" / "mine")] == ["one"]


def test_text_of_unknown_origin_is_never_overwritten(tmp_path):
    theirs = [Document("mine:1", "mine", "precious", "f", 0)]
    write_documents(theirs, tmp_path / "corpora" / "mine" / "text")
    source = lines(tmp_path / "x.jsonl", [{"text": "one"}])
    assert prepare(tmp_path, "recipe=text", "source=mine", f"input={source}") == 1
    assert documents(tmp_path / "corpora" / "mine") == theirs


def test_a_killed_run_leaves_nothing_that_looks_finished_and_the_next_one_completes(tmp_path):
    source = tmp_path / "x.jsonl"
    arguments = ["recipe=text", "source=mine", f"input={source}", f"corpora={tmp_path / 'corpora'}"]
    lines(source, [{"text": f"document {i} " * 50} for i in range(20_000)])
    made = tmp_path / "corpora" / "mine"
    ended = killed.prepare(arguments, made, "text.work/*/read/*/*.parquet")
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not (made / "text").exists() and not (made / "report.json").exists()
    assert main(arguments) == 0
    assert len(documents(made)) == 20_000
    assert not list(made.glob("*.tmp"))


def test_what_a_file_server_will_not_delete_yet_is_deleted_by_the_next_run(tmp_path, monkeypatch):
    source = lines(tmp_path / "x.jsonl", [{"text": "one two"}])
    arguments = ["recipe=text", "source=mine", f"input={source}"]
    made, unlink = tmp_path / "corpora" / "mine", os.unlink

    def busy(path, **options):
        if Path(path).name == "settings.json":
            raise OSError(errno.EBUSY, "Device or resource busy", path)
        unlink(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", busy)
        assert prepare(tmp_path, *arguments) == 0
    assert len(documents(made)) == 1 and (made / "text.work").exists()
    assert prepare(tmp_path, *arguments) == 0
    assert len(documents(made)) == 1 and not (made / "text.work").exists()


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory) -> Path:
    """A small tokenizer, trained on this repository's sources."""
    model = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    texts = [path.read_text() for path in sorted((ROOT / "data").glob("*.py"))]
    return train_tokenizer(texts, model, vocab_size=500)


def tokens(folder: Path, split: str = "train") -> TokenStore:
    return TokenStore.open(folder / "tokens", split)


def test_with_a_tokenizer_the_tokens_follow_in_the_same_command(tmp_path, tokenizer, capsys):
    source = lines(tmp_path / "x.jsonl", [{"text": f"document {i}"} for i in range(2000)])
    arguments = ["recipe=text", "source=mine", f"input={source}", f"tokenizer={tokenizer}", "heldout=0.1"]
    assert prepare(tmp_path, *arguments) == 0
    assert "data.weights.mine=1 data.sources=mine" in capsys.readouterr().out
    made = tmp_path / "corpora" / "mine"
    train, heldout = tokens(made), tokens(made, "heldout")
    train.verify()
    assert train.n_documents + heldout.n_documents == 2000 and 100 < heldout.n_documents < 300
    spans = [*train.documents(0, train.n_tokens), *heldout.documents(0, heldout.n_tokens)]
    assert sorted(span.row for span in spans) == list(range(2000))


def test_a_store_is_kept_rebuilt_by_stage_tokens_and_replaced_only_on_request(tmp_path, tokenizer, capsys):
    source = lines(tmp_path / "x.jsonl", [{"text": f"document {i}"} for i in range(50)])
    arguments = ["recipe=text", "source=mine", f"input={source}", f"tokenizer={tokenizer}"]
    made = tmp_path / "corpora" / "mine" / "tokens" / "manifest.json"
    assert prepare(tmp_path, *arguments) == 0
    first = made.stat().st_ino, made.read_bytes()
    assert prepare(tmp_path, *arguments) == 0
    assert (made.stat().st_ino, made.read_bytes()) == first
    assert prepare(tmp_path, *arguments, "stage=tokens") == 0
    assert made.stat().st_ino != first[0] and made.read_bytes() == first[1]
    for other, named in {"seed=1": "seed (0)", "heldout=0.5": "heldout (0.001)"}.items():
        for stage in ("all", "tokens"):
            assert prepare(tmp_path, *arguments, other, f"stage={stage}") == 1
            error = capsys.readouterr().err.splitlines()[-1]
            assert f"made with a different {named}, and runs may need it" in error
            assert "replace=true" in error and made.read_bytes() == first[1]
    assert prepare(tmp_path, *arguments, "seed=1", "replace=true") == 0
    assert json.loads(made.read_text())["seed"] == 1


def test_some_text_of_a_few_long_documents_is_held_out_and_reported(tmp_path, tokenizer, capsys):
    """Of 24 novels, the share selects none, so the end of one is held out and never trained on."""
    draw = random.Random(0)
    books = [" ".join(draw.choices(["sea", "ship", "whale", "old", "man"], k=9000)) for _ in range(24)]
    source = lines(tmp_path / "x.jsonl", [{"text": text} for text in books])
    arguments = ["recipe=text", "source=mine", f"input={source}", f"tokenizer={tokenizer}", "heldout=0.0001"]
    assert prepare(tmp_path, *arguments, "engine.workers=1") == 0
    assert "held out: about the last" in capsys.readouterr().err
    made = tmp_path / "corpora" / "mine"
    train, heldout = tokens(made), tokens(made, "heldout")
    (span,) = heldout.documents(0, heldout.n_tokens)
    encoder = Tokenizer(tokenizer)
    end = encoder.decode(heldout.read(span.start + 1, span.stop - 1))
    (head,) = [one for one in train.documents(0, train.n_tokens) if one.row == span.row]
    begin = encoder.decode(train.read(head.start + 1, head.stop - 1))
    assert begin + end == books[span.row] and 8000 < len(end) < 9000
    assert train.n_bytes + heldout.n_bytes == sum(map(len, books)) and train.n_documents == 24
    first = (made / "tokens" / "manifest.json").read_bytes()
    assert prepare(tmp_path, *arguments, "stage=tokens", "engine.workers=2") == 0
    assert (made / "tokens" / "manifest.json").read_bytes() == first


def test_one_document_is_held_out_where_it_is_about_the_share_asked_for(tmp_path, tokenizer, capsys):
    rows = [{"text": f"document {i} " + "word " * 400} for i in range(40)]
    source = lines(tmp_path / "x.jsonl", rows)
    arguments = ["recipe=text", "source=mine", f"input={source}", f"tokenizer={tokenizer}", "heldout=0.001"]
    assert prepare(tmp_path, *arguments) == 0
    assert "held out: mine:" in capsys.readouterr().err
    made = tmp_path / "corpora" / "mine"
    assert tokens(made).n_documents == 39 and tokens(made, "heldout").n_documents == 1
    larger = [*arguments[:-1], "heldout=0.1", f"output={tmp_path / 'larger'}"]
    assert prepare(tmp_path, *larger) == 0  # a larger share also holds out what a smaller one does
    of = tokens(tmp_path / "larger", "heldout")
    (one,) = [span.row for span in tokens(made, "heldout").documents(0, 1)]
    assert one in [span.row for span in of.documents(0, of.n_tokens)]


def test_a_second_run_on_the_same_folder_is_refused_while_the_first_works(tmp_path, capsys):
    source = lines(tmp_path / "x.jsonl", [{"text": "one"}])
    with folders.locked(tmp_path / "corpora" / "mine" / ".lock"):
        assert prepare(tmp_path, "recipe=text", "source=mine", f"input={source}") == 1
    assert "another process" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", [["recipe=sample"], ["recipe=text", "source=mine"]])
def test_a_disk_that_fills_is_one_line_and_nothing_looks_finished(tmp_path, recipe):
    rows = [{"text": f"{i} {'x' * i}"} for i in range(3000)]
    arguments = [*recipe, f"corpora={tmp_path / 'corpora'}"]
    arguments += [f"input={lines(tmp_path / 'x.jsonl', rows)}"] if "source=mine" in recipe else []
    code = (
        "import resource, sys; from data.main import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); sys.exit(main(sys.argv[1:]))"
    )
    command = [
        sys.executable,
        "-B",
        "-c",
        code,
        *arguments,
    ]  # -B: Python would leave half of a module's bytecode
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "relama: error: " in ran.stderr.splitlines()[-1] and "cannot be written" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not list((tmp_path / "corpora").glob("*/text"))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["recipe", EVERY_RECIPE]),
        (
            ["recipe=gihtub"],
            ["recipe=gihtub", "did you mean github?", EVERY_RECIPE],
        ),
        (["recipe=commoncrawl", "input=x", "ccnet.skip=language"], ["ccnet.skip=language,perplexity"]),
        (["recipe=commoncrawl", "input=x", "ccnet.skip=dedup"], ["ccnet.skip=dedup", "paragraphs, language"]),
        (["recipe=commoncrawl", "input=x", "ccnet.languages=English"], ["ccnet.languages=English", "ISO"]),
        (["recipe=commoncrawl", "input=x", "ccnet.group=0"], ["ccnet.group=0"]),
        (["recipe=commoncrawl", "input=x", "ccnet.cutoffs=520,340"], ["cutoffs", "340,520"]),
        (["recipe=commoncrawl", "input=x", "ccnet.min_reference=25"], ["ccnet.min_reference=25"]),
        (["recipe=commoncrawl", "input=x", "languages=en"], ["languages=en: now ccnet.languages=en"]),
        (["recipe=all", "input=x", "stand_in=true"], ["stand_in=true: now ccnet.stand_in=true"]),
        pytest.param(
            ["recipe=ccnet-models", "input=x", "ccnet.skip=perplexity"],
            ["input=x", "WET or WARC"],
            marks=pytest.mark.skipif(not find_spec("floret"), reason="floret is not installed"),
        ),
        (["recipe=text", "input=README.md"], ["source"]),
        (["recipe=c4"], ["input"]),
        (["recipe=c4", "input=x", "stage=txt"], ["stage=txt", "text, tokens, all"]),
        (["recipe=c4", "stage=tokens"], ["tokenizer", "relama tokenizer"]),
        (["recipe=c4", "input=x", "licences=mit"], ["licences", "recipe=github"]),
        (["recipe=text", "source=../x", "input=x"], ["source=../x"]),
        (["recipe=c4", "input=x", "heldout=1.5"], ["heldout=1.5"]),
        (["recipe=c4", "input=x", "engine.workers=0"], ["engine.workers=0"]),
        (["recipe=c4", "input=x", "inptu=y"], ["inptu", "input"]),
        (["recipe=c4", "input=x", "seed=one"], ["seed"]),
        (["recipe=c4", "input=/no/such/place"], ["input=/no/such/place", "c4-train"]),
        (["recipe=text", "source=x", "input=README.md", "tokenizer=/no/such.model"], ["/no/such.model"]),
        (["recipe=c4", "stage=tokens", "tokenizer=x"], ["corpora/c4/text", "no cleaned text"]),
        (["recipe=sample", "input=x"], ["recipe=sample", "corpora="]),
    ],
)
def test_bad_requests_end_in_one_line_with_the_expected_value(tmp_path, capsys, arguments, parts):
    assert prepare(tmp_path, *arguments) == 1
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and error[0].startswith("relama: error: ")
    assert all(part in error[0] for part in parts)
    assert not (tmp_path / "corpora").exists()


def test_the_configuration_file_and_the_dataclass_agree_and_the_script_runs(tmp_path):
    defaults = yaml.safe_load((ROOT / "configs" / "prepare.yaml").read_text())
    assert set(defaults) - {"defaults"} | {"engine", "data"} == set(PrepareConfig.__dataclass_fields__)
    source = lines(tmp_path / "x.jsonl", [{"text": "one"}])
    arguments = ["recipe=text", "source=mine", f"input={source}", f"corpora={tmp_path}"]
    ran = subprocess.run(
        [sys.executable, "data/main.py", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0 and "is ready" in ran.stdout
