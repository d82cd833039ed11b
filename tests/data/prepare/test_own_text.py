"""`relama train data=text input=FILES`: what the separate commands make, made once."""

import shutil
from pathlib import Path

import pytest

from configs.load import ConfigError, load
from data.errors import DataError
from data.main import main as prepare
from data.mixture import source_name
from data.prepare.own_text import HELDOUT, prepare_text
from data.tokens.store import TokenStore
from data.tokens.train_tokenizer import main as tokenizer
from train.config import TrainConfig

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def notes(tmp_path_factory) -> Path:
    """Three files of English, with a space in the name of their folder."""
    folder = tmp_path_factory.mktemp("own") / "my notes"
    folder.mkdir()
    for page in ("data", "training", "faults"):
        (folder / f"{page}.txt").write_text((DOCS / f"{page}.md").read_text())
    return folder


@pytest.fixture(scope="module")
def corpora(notes) -> Path:
    made = notes.parent / "corpora"
    prepare_text(made, "my_notes", [str(notes)], vocab_size=600)
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_it_is_what_the_three_verbs_make(notes, corpora, tmp_path):
    there = ["source=my_notes", f"corpora={tmp_path}"]
    model = f"{tmp_path}/my_notes/tokenizer.model"
    assert prepare(["recipe=text", f"input={notes}", "stage=text", *there]) == 0
    mixture = ["data.weights.my_notes=1", "data.sources=my_notes"]
    assert tokenizer([*mixture, "vocab_size=600", f"output={model}", f"corpora={tmp_path}"]) == 0
    assert prepare(["recipe=text", "stage=tokens", f"tokenizer={model}", f"heldout={HELDOUT}", *there]) == 0
    ours, theirs = files(corpora / "my_notes" / "tokens"), files(tmp_path / "my_notes" / "tokens")
    assert ours == theirs
    assert TokenStore.open(corpora / "my_notes" / "tokens", "heldout").n_tokens > 0


def test_the_same_request_makes_nothing_again(notes, corpora, capsys):
    before = {path: path.stat().st_mtime_ns for path in corpora.rglob("*")}
    prepare_text(corpora, "my_notes", [str(notes)], vocab_size=600)
    assert {path: path.stat().st_mtime_ns for path in corpora.rglob("*")} == before
    assert capsys.readouterr() == ("", "")


def test_what_was_made_just_now_is_not_said_to_exist_already(tmp_path, notes, capsys):
    prepare_text(tmp_path / "corpora", "notes", [str(notes)], vocab_size=600)
    said = capsys.readouterr().err
    assert "600 pieces" in said and "tokens held out" in said
    assert "already exists" not in said


@pytest.mark.parametrize("lost", ["tokens", "tokenizer.model", "own_text.json"])
def test_what_a_kill_left_undone_is_made_and_the_rest_is_reused(notes, corpora, lost, tmp_path):
    again = shutil.copytree(corpora, tmp_path / "corpora")
    (again / "my_notes" / "own_text.json").unlink()
    if lost == "tokens":
        shutil.rmtree(again / "my_notes" / "tokens")
    else:
        (again / "my_notes" / lost).unlink(missing_ok=True)
    prepare_text(again, "my_notes", [str(notes)], vocab_size=600)
    assert files(again) == files(corpora)


def test_a_changed_input_is_refused_with_what_to_do(notes, corpora, tmp_path):
    (tmp_path / "other.txt").write_text("Another text.\n" * 100)
    with pytest.raises(DataError, match=r"different input.*source=NAME"):
        prepare_text(corpora, "my_notes", [str(tmp_path / "other.txt")], vocab_size=600)


def test_another_vocabulary_is_refused_in_the_keys_of_train(notes, corpora):
    before = files(corpora)
    with pytest.raises(DataError) as refusal:
        prepare_text(corpora, "my_notes", [str(notes)], vocab_size=500)
    expected = "a different data.vocab_size (600), and token stores may need it; give the original settings"
    assert expected in str(refusal.value) and "source=NAME" in str(refusal.value)
    assert not any(key in str(refusal.value) for key in ("output=", "replace="))
    assert files(corpora) == before


def test_too_little_text_names_the_key_of_the_vocabulary(tmp_path):
    (tmp_path / "short.txt").write_text("A short text, that is all.\n" * 30)
    with pytest.raises(DataError, match=r"^data\.vocab_size=4096: too little text.* data\.vocab_size=\d"):
        prepare_text(tmp_path / "corpora", "short", [str(tmp_path / "short.txt")], vocab_size=4096)


def test_a_folder_named_like_the_key_is_named_as_it_is(notes, corpora, tmp_path):
    there = shutil.copytree(corpora, tmp_path / "vocab_size=600")
    with pytest.raises(DataError) as refusal:
        prepare_text(there, "my_notes", [str(notes)], vocab_size=500)
    assert str(refusal.value).startswith(f"{there}/my_notes/tokenizer.model already exists")
    assert "a different data.vocab_size (600)" in str(refusal.value)


@pytest.mark.parametrize(
    ("path", "name"),
    [("my.txt", "my"), ("/a/b c.json.gz", "b_c"), ("books/", "books"), ("日本.txt", "日本"), ("…", "text")],
)
def test_the_source_is_named_after_the_first_file(path, name):
    assert source_name(path) == name


def test_the_run_reads_the_source_that_its_input_names():
    config = load("train", TrainConfig, ["data=text", "input=a.txt,b.txt"])
    assert (config.source, config.data.weights, config.input) == ("a", {"a": 1.0}, ["a.txt", "b.txt"])


@pytest.mark.parametrize("arguments", [["data=text"], ["input=a.txt"], ["data=mix", "source=a"]])
def test_input_and_source_belong_to_data_text(arguments):
    with pytest.raises(ConfigError, match="data=text"):
        load("train", TrainConfig, arguments)


def test_empty_files_are_refused_and_leave_nothing(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).touch()
    inputs = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    with pytest.raises(DataError, match=r"a\.txt: empty \(0 bytes\), like 1 other input.*give files"):
        prepare_text(tmp_path / "corpora", "mine", inputs, 300)
    assert not (tmp_path / "corpora").exists()
