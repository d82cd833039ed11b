"""What new users get wrong, over all commands: one line that says what to do, and nothing left behind.

Each mistake is typed into `relama` in this process, in a folder with a small run, a text and files that are
not what they should be. Values of single keys, which other tests pin, are here by one example of a kind.
"""

import contextlib
import gzip
import html
import io
import json
import os
import shlex
import shutil
from pathlib import Path

import pytest

from configs.load import load
from data.prepare.config import PrepareConfig
from data.tokens.train_tokenizer import train_tokenizer
from launch.cli import main
from tests.launch.mistakes import MISTAKES
from tests.support.runs import SMALL
from train.config import TrainConfig

TEXT = "A model reads this text, and another one writes it; both count to a hundred, one slowly.\n"
# What a clone of a model without Git LFS holds.
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
LLAMA = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
LLAMA |= {"vocab_size": 300, "intermediate_size": 128, "rms_norm_eps": 1e-5, "max_position_embeddings": 128}
# Keys of a small run on the folder's text; `TRAIN` in a command.
TRAIN = [word for word in SMALL if word != "data=sample"]
TRAIN += ["data=text", "input=my.txt", "data.vocab_size=300", "corpora=corpora", "steps=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A working folder with a finished run, its text, and files of the wrong kind."""
    folder = tmp_path_factory.mktemp("first-day")
    (folder / "my.txt").write_text("".join(f"{n} {TEXT}" for n in range(800)))
    (folder / "other.txt").write_text(TEXT)
    (folder / "empty.txt").touch()
    (folder / "tab.yaml").write_text("\tbooks: my.txt\n")
    (folder / "typo.yaml").write_text("wikipdia: my.txt\n")
    (folder / "photos").mkdir()
    (folder / "photos" / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    train_tokenizer(iter([TEXT * 50]), folder / "other.model", vocab_size=310)
    (folder / "my notes").mkdir()
    (folder / "lfs").mkdir()
    (folder / "lfs" / "config.json").write_text(json.dumps(LLAMA))
    (folder / "lfs" / "model.safetensors").write_text(POINTER)
    (folder / "pointer.model").write_text(POINTER)
    (folder / "torn.model").write_bytes((folder / "other.model").read_bytes()[:1000])
    with contextlib.chdir(folder):  # in this process, which the refusals below need warm anyway
        code, _, err = typed("train TRAIN run=first")
    assert code == 0, err
    return folder


def typed(command: str) -> tuple[int, str, str]:
    """The exit code, output and errors of `relama COMMAND`."""
    out, err = io.StringIO(), io.StringIO()
    arguments = [word for typed in shlex.split(command) for word in (TRAIN if typed == "TRAIN" else [typed])]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


def files(folder: Path) -> dict[str, int]:
    """Every file with its size and every folder, but for locks and reports of what was skipped."""
    kept = (path for path in folder.rglob("*") if not path.name.endswith((".lock", "report.html")))
    return {str(path): path.stat().st_size if path.is_file() else -1 for path in kept}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = files(folder)
    code, _, err = typed(command)
    lines = [line for line in err.splitlines() if "error" in line]
    assert code in (1, 2), err
    assert len(lines) == 1 and lines[0].startswith("relama: error: "), err
    assert MISTAKES[command] in lines[0]
    assert "***" not in lines[0] and "Errno" not in lines[0].replace("cannot be written ([Errno", "")
    assert files(folder) == before


def test_spellings_of_new_users_that_are_right_work(folder, monkeypatch):
    """Spellings that look like mistakes, each of which has one meaning."""
    monkeypatch.chdir(folder)
    Path("prompts.txt").write_text("a\u2028b\n")  # not the end of a line
    code, out, err = typed("generate weights=first prompts=prompts.txt max_tokens=2 temperature=0")
    assert code == 0 and out.startswith("a\u2028b"), err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    code, out, err = typed("generate run=runs/first prompts=- max_tokens=1 temperature=0 +seed=3")
    assert code == 0 and out.count("-" * 40) == 1, err
    code, out, err = typed("generate weights=runs/first/checkpoints prompt=a max_tokens=1")  # its newest
    assert code == 0, err
    code, out, err = typed("explain run=first step=99 limit=1  # pasted into zsh")
    assert code == 0 and out.startswith("step 99: not reached yet (run at step 2): samples "), err
    for one in (
        "weights=first",
        "run=runs/first/checkpoints",
        "run=first/checkpoints",
        "run=./runs/first/config.yaml",
    ):
        code, out, err = typed(f"explain {one} step=1 limit=1")
        assert code == 0 and out.startswith("step 1: samples "), err
    code, out, err = typed("tokenizer data.weights.my=1 data.sources=my vocab_size=300 output='a b.model'")
    assert code == 0 and out.endswith("tokenizer='a b.model'\n"), err  # to be pasted
    monkeypatch.setenv("HOME", "/home/me")  # shells leave a ~ after an equals sign
    assert load("train", TrainConfig, [*TRAIN, "run=~/r"]).run == "/home/me/r"
    assert load("train", TrainConfig, [*TRAIN, "run=~"]).run == "/home/me"
    assert load("prepare", PrepareConfig, ["recipe=text", "source=a", "input=~/a,~/b"]).input == [
        "/home/me/a",
        "/home/me/b",
    ]
    for arguments in ("init=first", "init=first/", "init=./first"):
        assert load("train", TrainConfig, [*TRAIN, arguments]).init == "first"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty (0 bytes)"),
        (gzip.compress(b"some text" * 1000)[:40], "cannot be read to their end"),
    ],
    ids=["empty", "torn"],
)
def test_a_text_that_cannot_be_used_leaves_no_text(content, expected, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.txt.gz" if content else "t.txt").write_bytes(content)
    code, _, err = typed(f"train data=text input={next(Path().glob('t.*'))}")
    assert code == 1 and expected in err and "Traceback" not in err
    assert not Path("corpora/t/text").exists() and not Path("runs").exists()


@pytest.mark.parametrize(
    ("lost", "command", "expected"),
    [
        (
            "*.distcp",
            "generate weights=first prompt=a",
            "runs/first: all of its checkpoints are damaged; restore",
        ),
        (
            "state.json",
            "export weights=first format=hf output=new",
            "runs/first: all of its checkpoints are dam",
        ),
        ("order.json", "explain run=first step=1", "runs/first/order.json: missing; run the command that"),
        (
            "tokenizer.model",
            "audit run=first",
            "runs/first/tokenizer.model: missing; run the command that tr",
        ),
        (
            "metrics.jsonl",
            "report run=first",
            "runs/first/metrics.jsonl: no metrics yet; train this run first",
        ),
    ],
)
def test_what_a_run_lost_is_named_with_the_way_out(lost, command, expected, folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    for path in Path("runs").rglob(lost):
        path.unlink()
    before = files(tmp_path)
    code, _, err = typed(command)
    assert code == 1 and err.startswith(f"relama: error: {expected}"), err
    assert files(tmp_path) == before


@pytest.mark.parametrize("damaged", [None, "steps: [1,\n"], ids=["missing", "damaged"])
def test_a_run_without_its_config_is_reported_from_its_checkpoint(damaged, folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    config = Path("runs/first/config.yaml")
    text = config.read_text()
    config.unlink() if damaged is None else config.write_text(damaged)
    code, _, err = typed("report run=first samples=never output=page.html")
    assert code == 0 and text in html.unescape(Path("page.html").read_text()), err


@pytest.mark.skipif(not os.access("/sys", os.F_OK), reason="needs /sys, which nobody can write to")
@pytest.mark.parametrize(
    "command",
    [
        "train TRAIN run=/sys/new",
        "prepare recipe=text source=new input=my.txt output=/sys/new",
        "export weights=first format=hf output=/sys/new",
        "report run=first output=/sys/new",
        "tokenizer data.weights.my=1 data.sources=my vocab_size=300 output=/sys/new/tokenizer.model",
    ],
)
def test_a_folder_without_rights_is_named(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    code, _, err = typed(command)
    lines = [line for line in err.splitlines() if "error" in line]
    assert code == 1 and len(lines) == 1 and "/sys/new" in lines[0], err
