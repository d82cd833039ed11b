"""A document is found in a run and left out of a branch, which then never shows it."""

import json
import os

import pytest

from data.documents import read_row
from data.explain import explain
from data.tokens.store import TokenStore
from tests.support.buckets import serving, upload
from tests.support.runs import succeed
from train.branch import find, main


@pytest.mark.distributed
def test_a_document_is_found_and_left_out_of_a_branch(corpora, tmp_path, capsys):
    folder, child = tmp_path / "a", tmp_path / "b"
    settings = (f"corpora={corpora}", "steps=900", "stop_at=4", "checkpoint.every=1", "checkpoint.keep=9")
    succeed(f"run={folder}", *settings)
    page = "\n".join(explain(folder, 3, limit=1))
    name = page.split("document ")[1].split(",")[0]
    assert find.main([f"run={folder}", f"document={name}", "json=true"]) == 0
    found = json.loads(capsys.readouterr().out)
    shown = [step for step in range(1, 5) if f"document {name}," in "\n".join(explain(folder, step))]
    assert found["trained"] == shown and found["checkpoint"] == f"{folder}@{shown[0] - 1}"
    assert found["tokens_trained"] > 0 and found["coming"]
    (tmp_path / "moved").symlink_to(corpora)
    assert find.main([f"run={folder}", f"document={name}", "json=true", f"corpora={tmp_path / 'moved'}"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert find.main([f"run={folder}", f"document={name}", f"corpora={tmp_path / 'no'}"]) == 1
    assert "give the folder that has all of the run's sources as corpora=FOLDER" in capsys.readouterr().err

    assert find.main([f"run={folder}", f"document={name}"]) == 0
    text = capsys.readouterr().out
    assert f"trained on in {len(shown)} step" in text and f"at={shown[0] - 1} to=NEW without=FILE" in text
    (tmp_path / "out.txt").write_text(f"{name}\n")
    arguments = [f"run={folder}", f"at={shown[0] - 1}", f"to={child}", f"without={tmp_path / 'out.txt'}"]
    assert main.main(arguments) == 0
    assert "tokens of other text" in capsys.readouterr().out
    assert find.main([f"run={child}", f"document={name}", "json=true"]) == 0
    after = json.loads(capsys.readouterr().out)
    assert after["trained"] == after["coming"] == []
    step = found["coming"][0]
    assert f"document {name}," in "\n".join(explain(folder, step))
    assert f"document {name}," not in "\n".join(explain(child, step))
    assert main.main([*arguments[:2], f"to={tmp_path / 'c'}", f"without={tmp_path / 'no.txt'}"]) == 1
    assert "no such file" in capsys.readouterr().err and not (tmp_path / "c").exists()
    assert find.main([f"run={folder}", "document=https://example.org/x"]) == 1
    assert capsys.readouterr().err.count("\n") == 1

    heldout = TokenStore.open(corpora / "python_docs" / "tokens", "heldout")
    span = next(iter(heldout.documents(0, heldout.n_tokens)))
    (tmp_path / "held.txt").write_text(read_row(span.text_file, span.row).id)
    assert find.main([f"run={folder}", f"document={tmp_path / 'held.txt'}"]) == 0
    assert capsys.readouterr().out.startswith("known to the run's corpora, but held out")
    assert main.main([*arguments[:2], f"to={tmp_path / 'd'}", f"without={tmp_path / 'held.txt'}"]) == 0
    assert "so nothing is left out" in capsys.readouterr().out


@pytest.mark.distributed
def test_a_document_is_found_and_left_out_where_the_tokens_are_in_a_bucket(
    corpora, tmp_path, capsys, monkeypatch
):
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[data]')")
    pytest.importorskip("moto", reason="moto is not installed (pip install -e '.[dev]')")
    with serving("found"):
        for source in ("python_code", "python_docs"):
            upload(corpora / source, "found", f"mix/{source}")
        local, remote = tmp_path / "local", tmp_path / "remote"
        cache = f"cache.path={tmp_path / 'cache'}"
        keys = (
            "data=mix",
            "data.weights.python_code=60",
            "data.weights.python_docs=40",
            "data.sources=[python_code,python_docs]",
            "steps=900",
            "stop_at=4",
            "checkpoint.every=1",
        )
        succeed(f"run={local}", f"corpora={corpora}", *keys)
        succeed(f"run={remote}", "corpora=s3://found/mix", cache, *keys, env=dict(os.environ))
        page = "\n".join(explain(local, 3, limit=1))
        name = page.split("document ")[1].split(",")[0]
        answers = []
        for folder in (local, remote):
            assert find.main([f"run={folder}", f"document={name}", "json=true", cache]) == 0
            answers.append(json.loads(capsys.readouterr().out) | {"checkpoint": None})
        assert answers[0] == answers[1] and answers[0]["trained"]
        assert not list((tmp_path / "cache").rglob("*.parquet"))  # read by ranges
        (tmp_path / "out.txt").write_text(f"{name}\n")
        at, child = answers[0]["trained"][0] - 1, tmp_path / "child"
        assert main.main([f"run={remote}", f"at={at}", f"to={child}", f"without={tmp_path / 'out.txt'}"]) == 0
        assert find.main([f"run={child}", f"document={name}", "json=true", cache]) == 0
        after = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert after["trained"] == after["coming"] == []
