"""Tab completes verbs, keys, choices and runs, in the shells that are installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs.completion import SHELLS, words
from data.prepare.config import MAKERS, RECIPES
from launch.cli import VERBS, main
from tests.support.runs import REPOSITORY


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("relama tra", ["train"]),
        ("relama train prec", ["precision="]),
        ("relama train precision=", ["precision=auto", "precision=fp32", "precision=bf16"]),
        ("relama train model=tiny mod", [f"model.{key}=" for key in ("dim", "n_layers")]),
        ("relama launch cluster=s", ["cluster=slurm"]),
        ("relama launch model=ti", ["model=tiny", "model=tinyllama-1.1b"]),
        ("relama generate weights=fi", ["weights=first"]),
        ("relama prepare recipe=", [f"recipe={recipe}" for recipe in (*RECIPES, *MAKERS)]),
        ("relama runs json=", ["json=true", "json=false"]),
        ("relama train input=my", []),  # a file: the shell's own completion
        ("relama trian mo", []),
    ],
)
def test_what_may_follow(line, expected, tmp_path, monkeypatch):
    (tmp_path / "runs/first").mkdir(parents=True)
    (tmp_path / "runs/first/config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert words(line, VERBS)[: len(expected)] == expected and bool(words(line, VERBS)) == bool(expected)


def test_an_unknown_shell_is_told_what_to_type(capsys):
    assert main(["completion", "fish"]) == 2
    assert 'eval "$(relama completion bash)" in ~/.bashrc' in capsys.readouterr().err
    assert main(["completion", "bash"]) == 0 and capsys.readouterr().out == SHELLS["bash"]


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_gets_what_replaces_the_part_after_its_word_break(tmp_path: Path):
    command = tmp_path / "relama"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m launch.cli "$@"\n')
    command.chmod(0o755)
    code = """eval "$(relama completion bash)"
        COMP_LINE='relama train precision=b' COMP_POINT=24; _relama; echo "<${COMPREPLY[*]}>"
        COMP_LINE='relama train prec' COMP_POINT=17; _relama 2>/dev/null; echo "<${COMPREPLY[*]}>" """
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, env=environment, timeout=240)
    assert done.stdout.split() == ["<bf16>", "<precision=>"], done.stderr


@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
def test_the_script_for_zsh_is_one():
    done = subprocess.run(["zsh", "-n", "-c", SHELLS["zsh"]], capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")
