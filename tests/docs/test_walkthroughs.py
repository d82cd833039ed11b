"""Runs the walkthroughs of CONTRIBUTING.md step by step, in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runs import REPOSITORY

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text()
ROOMS = ("configs", "data", "model", "train", "launch")


def blocks(title: str) -> list[tuple[str, str]]:
    """The language and text of each code block below a heading."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def do(copy: Path, language: str, text: str) -> str:
    """Write a file, replace a line, or run commands; returns what the commands printed."""
    if language == "bash":
        return "".join(command(copy, line) for line in text.splitlines())
    first, _, body = text.partition("\n")
    path = copy / first.removeprefix("# file: ")
    if language == "diff":
        lines = body.splitlines()
        (old,) = [line[1:] for line in lines if line.startswith("-")]
        new = "\n".join(line[1:] for line in lines if line.startswith("+"))
        before = path.read_text()
        assert before.count(f"{old}\n") == 1, f"{path}: no single line {old!r}"
        path.write_text(before.replace(f"{old}\n", f"{new}\n"))
    else:
        assert not path.exists(), f"{path} exists already"
        path.write_text(body)
    return ""


def command(copy: Path, line: str) -> str:
    program, *arguments = line.split()
    assert program == "relama"
    env = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "launch.cli", *arguments],
        cwd=copy,
        env=env,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path, corpora) -> Path:
    for room in ROOMS:
        shutil.copytree(REPOSITORY / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "corpora").symlink_to(corpora)
    return tmp_path


def walk(copy: Path, title: str) -> str:
    steps = blocks(title)
    assert steps, f"CONTRIBUTING.md: no steps below {title!r}"
    return "".join(do(copy, language, text) for language, text in steps)


def test_a_recipe_is_added_as_described(copy):
    (copy / "corpora").unlink()
    (copy / "post").mkdir()
    for i in range(3):
        (copy / "post" / f"{i}.letter").write_text(f"Subject {i}\nDear reader {i},\nall is well.\n-- \nMe\n")
    walk(copy, "Add a recipe")
    from data.documents import read_documents, text_files

    files = text_files(copy / "corpora" / "letters" / "text")
    found = [document for file in files for document in read_documents(file)]
    assert sorted(document.text for document in found) == [
        f"Dear reader {i},\nall is well." for i in range(3)
    ]


def test_a_verb_is_added_as_described(copy):
    output = walk(copy, "Add a verb")
    assert re.search(r"^python_code: [\d,]+ tokens$", output, re.MULTILINE)
    assert "corpora=corpora" in output and "the root folder of the prepared sources" in output


def test_a_layout_is_added_as_described(copy):
    assert "dp_replicate" in walk(copy, "Add a layout")


def test_a_step_that_does_not_fit_fails(copy):
    with pytest.raises(AssertionError, match="no single line"):
        do(copy, "diff", "# file: launch/cli.py\n-never there\n+x\n")
