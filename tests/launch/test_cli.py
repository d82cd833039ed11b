"""`relama` lists its verbs, and each of them is there."""

import importlib

import pytest

from launch.cli import VERBS, main


def test_relama_alone_lists_the_verbs_with_a_line_each(capsys):
    assert main([]) == 0
    page = capsys.readouterr().out
    assert all(f"  {verb}" in page and meaning in page for verb, (_, meaning) in VERBS.items())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_lists_its_keys(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(VERBS[verb][0]).main(["--help"])
    assert ended.value.code == 0
    assert "keys of configs/" in capsys.readouterr().out


def test_an_unknown_verb_is_answered_with_the_nearest(capsys):
    assert main(["trian"]) == 2
    assert "did you mean train?" in capsys.readouterr().err
