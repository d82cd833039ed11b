"""`make_text`: what it refuses before it reads anything."""

import re

from data.main import main
from tests.support.narrow import present


def test_a_python_whose_regular_expressions_match_too_much_cleans_nothing(tmp_path, monkeypatch, capsys):
    assert present(re.match("(?:ab?c)*+", "aca"))[0] == "ac"  # "aca" before Python 3.11.5
    (tmp_path / "a.txt").write_text("A text of my own.\n")
    made = tmp_path / "corpora" / "mine"
    typed = [f"{key}={value}" for key, value in (("source", "mine"), ("input", tmp_path / "a.txt"))]
    typed += ["recipe=text", f"corpora={made.parent}"]
    monkeypatch.setattr("data.prepare.recipe.PYTHON", (3, 11, 4))
    assert main(typed) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "Python 3.11.4: some of its regular expressions match too much" in line and "3.11.5" in line
    assert not (made / "text").exists()
    monkeypatch.undo()
    assert main(typed) == 0 and (made / "text").is_dir()
