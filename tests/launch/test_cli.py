"""`relama` lists its verbs, and all of them exist."""

import importlib
import os
import shlex
import subprocess
import sys

import pytest

from configs import describe
from configs.schema import leaves
from launch import keys
from launch.cli import VERBS, main
from tests.support.runs import REPOSITORY


def test_relama_alone_lists_the_verbs_with_a_line_each(capsys):
    assert main([]) == 0
    page = capsys.readouterr().out
    words = " ".join(page.split())
    assert all(f"{verb} {meaning}" in words for verb, (_, _, meaning) in VERBS.items())
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_lists_its_keys_with_defaults_and_meanings(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(VERBS[verb][0]).main(["--help"])
    assert ended.value.code == 0
    page = capsys.readouterr().out
    module, schema, _ = VERBS[verb]
    assert describe.page(verb, module, schema) in page
    assert main([verb, "--help"]) == 0  # without importing the verb
    assert describe.page(verb, module, schema) in capsys.readouterr().out
    assert [key.name for key in describe.keys(verb, module, schema) if not key.meaning] == []
    listed = [key.name for key in describe.keys(verb, module, schema)]
    found = importlib.import_module(module)
    named = {name.partition(".NAME.")[0] for name in listed}  # entries of a mapping, key by key
    assert sorted(named) == sorted(leaves(getattr(found, schema))) and len(set(listed)) == len(listed)
    assert all(f"\n  {name}=" in page for name in listed)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from launch.cli import main; main(['train', '--help']); "
        "sys.exit(' '.join({'torch', 'hydra', 'numpy', 'datatrove'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "optim.lr=0.006" in done.stdout and "the peak" in done.stdout


def test_what_computes_nothing_does_not_wait_for_torch(tmp_path):
    """Its import takes seconds, on a shared disk more."""
    code = (
        "import sys; sys.modules['torch'] = None; from launch.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    named = ("find run=none document=x", "launch status run=none", "report run=none")
    for arguments in ("runs", "plan model=7b", "audit model=7b", *named):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments.split()],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )
        assert "Traceback" not in done.stderr, (arguments, done.stderr)


@pytest.mark.parametrize("columns", [60, 80])
def test_help_fits_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    for arguments in ([], *([verb, "--help"] for verb in VERBS)):
        assert main(arguments) == 0
        assert max(map(len, capsys.readouterr().out.splitlines())) <= columns, arguments


def test_a_locale_without_utf_8_gets_plain_signs():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(REPOSITORY)}
    other = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for arguments, more in (["--help"], {}), (["chat", "--help"], other), (["runs", "folder=ä…"], {}):
        done = subprocess.run(
            [sys.executable, "-m", "launch.cli", *arguments], capture_output=True, env=environment | more
        )
        text = (done.stdout + done.stderr).decode("ascii")
        assert "Traceback" not in text and (
            "key=value ..." in text or "folder=\\xe4...: no such folder" in text
        )


def test_help_of_a_verb_and_the_version_have_their_usual_spellings(capsys):
    assert main(["help", "runs"]) == main(["runs", "--help"]) == main(["runs", "help"]) == 0
    once, again, third = capsys.readouterr().out.split("runs: ")[1:]
    assert once == again == third
    assert main(["--version"]) == 0 and capsys.readouterr().out.startswith("relama 0.")


@pytest.mark.parametrize("arguments", [[], ["train", "--help"]])
def test_help_may_be_cut_by_head(arguments):
    command = subprocess.Popen(
        [sys.executable, "-m", "launch.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert command.stdout and command.stderr
    command.stdout.close()
    assert (command.stderr.read(), command.wait()) == (b"", 0)


def test_required_keys_come_first_and_choices_are_listed():
    found = describe.keys("evaluate", "train.evaluation.main", "EvaluateConfig")
    assert (found[0].name, found[0].default) == ("weights", None)
    assert "7b" in next(group.meaning for group in describe.groups("train") if group.name == "model")


def test_the_page_of_keys_matches_the_code():
    assert keys.PAGE.read_text() == keys.page(), "run python -m launch.keys"


@pytest.mark.parametrize("verb", VERBS)
def test_a_meaning_is_not_cut_where_its_line_ends(verb):
    """Only comments on a field's own lines are read."""
    module, schema, _ = VERBS[verb]
    for key in describe.keys(verb, module, schema):
        assert key.meaning.count("(") == key.meaning.count(")"), key
        assert not key.meaning.endswith((":", ",", ";")), key


def test_an_unknown_verb_is_answered_with_the_nearest(capsys):
    assert main(["trian"]) == 2
    assert "did you mean train?" in capsys.readouterr().err


def test_ctrl_c_while_a_verb_loads_is_one_line(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib, "import_module", interrupted)
    assert main(["train"]) == 130
    assert capsys.readouterr().err.strip() == "relama: interrupted"


def test_every_verb_starts_with_the_core_alone():
    """An extra's packages are imported only where they are used, so that a training node needs no extra."""
    start = """if True:
        import importlib, sys
        from tests.support import core_only
        core_only.block_extras()
        for module in sys.argv[1:]:
            importlib.import_module(module)
    """
    modules = [module for module, _, _ in VERBS.values()]
    done = subprocess.run(
        [sys.executable, "-c", start, *modules], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("{relama} --help > /dev/full", "relama: error: no space left on the disk of "),
        ("{relama} runs folder=. >&-", None),
        ("{relama} runs folder=. >&- 2>&- <&-", None),
        (
            "mkdir d && cd d && rmdir ../d && {relama} runs",
            "relama: error: the current folder was removed; cd",
        ),
    ],
    ids=["full", "closed", "all closed", "no folder"],
)
def test_a_strange_shell_gets_one_line_at_most(shell, expected, tmp_path):
    relama = f"PYTHONPATH={shlex.quote(str(REPOSITORY))} {shlex.quote(sys.executable)} -m launch.cli"
    command = shell.format(relama=relama)
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == (1 if expected else 0)
    if expected:
        assert done.stderr.startswith(expected) and len(done.stderr.splitlines()) == 1
    else:
        assert done.stderr == ""
