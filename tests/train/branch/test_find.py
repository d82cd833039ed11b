"""A document is found in a run and left out of a branch, which then never shows it."""

import json

import pytest

from data.explain import explain
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
