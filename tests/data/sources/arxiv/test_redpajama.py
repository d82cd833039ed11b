"""RedPajama's mistakes (docs/recipe.md §2) are not repeated."""

import gzip
import json

import pytest

from tests.support.papers import WHOLE, folder, packed, texts


@pytest.mark.parametrize(
    ("mistake", "body", "kept"),
    [
        ("\\paragraph never matches", "\\paragraph{A} text", "\\paragraph{A} text"),
        ("\\subparagraph never matches", "x \\subparagraph{A} text", "\\subparagraph{A} text"),
        ("the character before % goes", "\\section{A} last%comment\n", "\\section{A} last"),
        ("a non-ASCII value loses the paper", "\\def\\G{Gödel}\\section{A} \\G", "\\section{A} Gödel"),
        (
            "arguments are not expanded",
            "\\newcommand{\\v}[1]{\\bf #1}\\section{A} \\v{x}",
            "\\section{A} \\bf x",
        ),
        ("no section, no text", "We show.", "We show."),
        (
            "a backslash in a value is a regex escape",
            "\\def\\a{\\1\\g}\\section{A} \\a",
            "\\section{A} \\1\\g",
        ),
    ],
)
def test_redpajamas_mistakes_are_not_repeated(tmp_path, mistake, body, kept):
    folder(tmp_path / "p", {"main.tex": WHOLE.replace("BODY", body)})
    assert texts(tmp_path / "p") == [kept + "\n"], mistake


def test_redpajamas_lost_encodings_and_tar_order_are_not_repeated(tmp_path):
    files = {
        "a_last.tex": "\\section{Last}",
        "main.tex": WHOLE.replace("BODY", "\\section{Fürst}\n\\input{z_next}\\input{a_last}").encode(
            "latin-1"
        ),
        "z_next.tex": "\\section{Next}\n",
    }
    (tmp_path / "0704.0001.gz").write_bytes(gzip.compress(packed(files)))
    assert texts(tmp_path) == ["\\section{Fürst}\n\\section{Next}\n\\section{Last}\n"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_paper_in_a_row_has_any_line_ends(tmp_path, end):
    latex = WHOLE.replace("BODY", "% a comment\n\\section{A}\nText % of it\nand\0 more").replace("\n", end)
    (tmp_path / "papers.jsonl").write_text(json.dumps({"text": latex}) + "\n")
    assert texts(tmp_path / "papers.jsonl") == ["\\section{A}\nText\nand more\n"]
