"""Damaged files of an unfinished preparation: the same text is made, or one line says what to delete."""

import shutil
from pathlib import Path

import pytest

from configs.load import load
from data import folders
from data.errors import DataError
from data.main import main
from data.prepare.ccnet_models import _sampled_pages
from data.prepare.config import PrepareConfig
from tests.data.prepare.test_prepare_faults import INPUTS, model_file

__all__ = ["model_file"]  # a fixture

SETTINGS = ["source=mine", "stage=text", "engine.workers=1"]


class Killed(BaseException):
    """Ends a preparation as a kill does: nothing handles it."""


def interrupted(folder: Path, arguments: list[str], monkeypatch) -> None:
    """A preparation killed at its very end, with all of its work in place."""

    def kill(temporary: Path, goal: Path) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(folders, "commit", kill)
        with pytest.raises(Killed):
            main([*arguments, f"corpora={folder}"])


def texts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "mine" / "text").iterdir()}


@pytest.mark.parametrize("recipe, keep", [("text", 0.0), ("books", 0.5), ("commoncrawl", 0.5)])
def test_damaged_files_of_unfinished_work_are_made_again_or_named(
    tmp_path, monkeypatch, capsys, recipe, keep
):
    (tmp_path / "in").mkdir()
    arguments = [*INPUTS[recipe](tmp_path / "in"), f"input={tmp_path / 'in'}", *SETTINGS]
    assert main([*arguments, f"corpora={tmp_path / 'whole'}"]) == 0
    interrupted(tmp_path / "killed", arguments, monkeypatch)
    outcomes = []
    for path in sorted(path for path in (tmp_path / "killed").rglob("*") if path.is_file()):
        work = tmp_path / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(tmp_path / "killed", work)
        damaged = work / path.relative_to(tmp_path / "killed")
        damaged.write_bytes(damaged.read_bytes()[: int(keep * path.stat().st_size)])
        capsys.readouterr()
        outcomes.append(main([*arguments, f"corpora={work}"]))
        if outcomes[-1]:
            error = capsys.readouterr().err.splitlines()[-1]
            assert f"{damaged}: damaged; delete {work / 'mine' / 'text.work'} and run" in error
            shutil.rmtree(work / "mine" / "text.work")
            assert main([*arguments, f"corpora={work}"]) == 0
        assert texts(work) == texts(tmp_path / "whole"), damaged
    assert {*outcomes} == {0, 1}


def test_a_damaged_report_costs_no_tokens(tmp_path, model_file, capsys):
    (tmp_path / "in").mkdir()
    arguments = [*INPUTS["text"](tmp_path / "in"), f"input={tmp_path / 'in'}", f"corpora={tmp_path}"]
    assert main([*arguments, "stage=text"]) == 0
    (tmp_path / "mine" / "report.json").write_text('{"read": 1}')
    assert main([*arguments, "stage=tokens", f"tokenizer={model_file}"]) == 0
    assert f"{tmp_path / 'mine' / 'report.json'}: damaged; report.html is not" in capsys.readouterr().err
    assert (tmp_path / "mine" / "tokens" / "manifest.json").is_file()


@pytest.mark.parametrize("manifest", ["{", "[]", '{"splits": {"train": 1}}'])
def test_a_page_of_a_source_with_a_damaged_manifest_shows_no_tokens(tmp_path, capsys, manifest):
    (tmp_path / "in").mkdir()
    arguments = [*INPUTS["text"](tmp_path / "in"), f"input={tmp_path / 'in'}", f"corpora={tmp_path}"]
    assert main([*arguments, "stage=text"]) == 0
    page = (tmp_path / "mine" / "report.html").read_text()
    (tmp_path / "mine" / "report.html").unlink()
    (tmp_path / "mine" / "tokens").mkdir()
    (tmp_path / "mine" / "tokens" / "manifest.json").write_text(manifest)
    assert main([*arguments, "stage=text"]) == 0
    assert (tmp_path / "mine" / "report.html").read_text() == page
    assert "damaged" not in capsys.readouterr().err


@pytest.mark.parametrize("report", [None, "", "[]", "{}", '{"settings": []}'])
def test_pages_drawn_for_models_with_a_damaged_report_are_refused(tmp_path, report):
    made = tmp_path / "pages"
    (made / "text").mkdir(parents=True)
    if report is not None:
        (made / "report.json").write_text(report)
    with pytest.raises(DataError, match=f"{made / 'report.json'}: missing or damaged; delete {made} "):
        _sampled_pages(load("prepare", PrepareConfig, ["recipe=ccnet-models", "input=wet"]), tmp_path, [])
