"""The main file of a paper, and the files that it inputs, in order."""

import itertools
import json
import re
import time

import pytest

from data.sources.arxiv import files
from data.sources.arxiv.files import Paper
from tests.support.papers import CLEANED, PAPER, WHOLE, cleaned, folder, one, texts

OTHER = WHOLE.replace("BODY", "The second of two papers has words of its own.")

DRAWN = WHOLE.replace("BODY", "\\pagestyle{empty} % alone\n\\begin{tikzpicture}\nBODY\n\\end{tikzpicture}\n")


@pytest.mark.parametrize(
    ("files", "mains"),
    [
        ({"a.tex": WHOLE, "b.tex": "\\section{B}"}, ["a.tex"]),
        ({"x/y/z/a.TEX": WHOLE, "b.tex": "x"}, ["x/y/z/a.TEX"]),
        ({"a.tex": WHOLE, "ms.tex": WHOLE, "main.tex": WHOLE}, ["ms.tex"]),
        ({"a.tex": WHOLE, "main.tex": WHOLE}, ["main.tex"]),
        ({"a.tex": WHOLE, "0704.0001.tex": WHOLE}, ["0704.0001.tex"]),
        ({"a.tex": WHOLE.replace("BODY", "\\input{b}"), "b.tex": WHOLE}, ["a.tex"]),
        ({"b.tex": WHOLE, "a.tex": WHOLE.replace("BODY", "\\import{}{b}")}, ["a.tex"]),
        ({"b.tex": WHOLE, "a.tex": OTHER}, ["a.tex", "b.tex"]),  # two roots, two papers
        ({"p/main.tex": WHOLE, "q/main.tex": OTHER}, ["p/main.tex", "q/main.tex"]),
        ({"a.tex": WHOLE, "sub/b.tex": WHOLE}, ["a.tex"]),
        ({"a.tex": WHOLE, "b.tex": WHOLE, "00README.XXX": "b.tex toplevelfile\na.tex ignore\n"}, ["b.tex"]),
        ({"a.tex": WHOLE, "b.tex": WHOLE, "00README.XXX": "nohypertex\na.tex ignore\n"}, ["b.tex"]),
        (
            {
                "a.tex": WHOLE,
                "b.tex": WHOLE,
                "00README.json": json.dumps(
                    {"sources": [{"filename": "b.tex", "usage": "toplevel"}, {"filename": "a.tex"}]}
                ),
            },
            ["b.tex"],
        ),
        (
            {
                "a.tex": WHOLE,
                "b.tex": WHOLE,
                "00README.yaml": "sources:\n- filename: b.tex\n  usage: toplevel\n",
            },
            ["b.tex"],
        ),
        (
            {
                "a.tex": WHOLE,
                "my b.tex": WHOLE,
                "00README.yaml": "sources:\n  - usage: toplevel\n    filename: 'my b.tex'\n"
                "  - {filename: a.tex, usage: include}\n",
            },
            ["my b.tex"],
        ),
        (
            {"a.tex": WHOLE, **dict.fromkeys(("a.tex~", "b.tex.bak", "#c.tex#", "d.tex.r12"), OTHER)},
            ["a.tex"],
        ),
        ({"a.tex.old": WHOLE}, ["a.tex.old"]),
        ({"a.tex": WHOLE, "b.tex": DRAWN.replace("BODY", "{\\bf a}")}, ["a.tex"]),
        ({"a.tex": WHOLE, "b.tex": DRAWN.replace("\\end{document}", "And words.")}, ["a.tex", "b.tex"]),
        (
            {"a.tex": WHOLE, "b.tex": OTHER.replace("\\begin", "\\usepackage[tightpage]{preview}\\begin")},
            ["a.tex"],
        ),
        ({"a.tex": DRAWN}, ["a.tex"]),
        *(
            ({"a.tex": WHOLE, "b.tex": WHOLE.replace("BODY", says)}, mains)
            for says, mains in (
                ("This simple document serves as a\ntemplate for your own letters.", ["a.tex"]),
                ("This document describes how to use the {\\tt mine} class with LaTeX.", ["a.tex"]),
                (
                    "% This file is a template.\nThis document provides proofs about a class of groups.",
                    ["a.tex", "b.tex"],
                ),
                ("This paper describes templates for proteins.", ["a.tex", "b.tex"]),
            )
        ),
        ({"b.tex": WHOLE.replace("BODY", "This document is a template.")}, ["b.tex"]),
        ({"a.tex": "%auto-ignore\n" + WHOLE, "b.tex": WHOLE}, ["b.tex"]),
        ({"a.tex": "% " + WHOLE.replace("\n", "\n% "), "b.tex": WHOLE}, ["b.tex"]),
        ({"fig.tex": WHOLE.replace("{article}", "{standalone}"), "z.tex": WHOLE}, ["z.tex"]),
        ({"a.tex": "\\documentclass{x}\n\\input{b}", "b.tex": "\\begin{document}\\end{document}"}, ["a.tex"]),
        ({"a.tex": "\\documentstyle[12pt]{article}\\begin{document}", "b.tex": "x"}, ["a.tex"]),
        ({"a.tex": "\\input harvmac\ntext\\bye", "b.tex": "macros"}, ["a.tex"]),
        ({"a.tex": "text \\input b", "b.tex": "text"}, ["a.tex"]),
        ({"paper": WHOLE}, ["paper"]),
        (
            {"a.tex": WHOLE.replace("BODY", "\\input{b}"), "b.tex": WHOLE.replace("BODY", "\\input{a}")},
            ["a.tex"],  # each inputs the other
        ),
        ({"my.sty": WHOLE, "readme.txt": "x", "data": "y"}, []),
        (
            {"a.tex": WHOLE, "README.md": f"Begin like this:\n{OTHER}", "my.dtx": OTHER, "a.Rnw": OTHER},
            ["a.tex"],
        ),
        ({"readme": f"Begin like this:\n{OTHER}", "read_me.txt": "\\LaTeX"}, []),
        ({"readme.tex": WHOLE}, ["readme.tex"]),
        ({}, []),
    ],
)
def test_the_main_file_is_found(files, mains):
    for order in itertools.islice(itertools.permutations(files.items()), 6):
        found = Paper({name: text.encode() for name, text in order}, "0704.0001").mains().read
        assert found == mains


def test_several_roots_are_several_papers(tmp_path):
    a, b = PAPER, PAPER.replace("Let $x\\in\\R$.", "The second has another text, longer by some words.")
    folder(tmp_path / "0704.0001", {"a/a.tex": a, "b/b.tex": b, "style.tex": "\\def\\x{y}"})
    found = cleaned(tmp_path)
    assert [item.text for item in found] == [
        CLEANED,
        "\\section{Introduction}\nThe second has another text, longer by some words.\n",
    ]
    assert len({item.id for item in found}) == 2


def test_files_go_in_input_order():
    files = {
        "main.tex": "\\documentclass{a}\\begin{document}\n\\include{z}\n\\input{sub/y.tex}\n"
        "\\input x\n\\subfile{w}\nend\n",
        "z.tex": "Z \\input{sub/deep}",
        "sub/y.tex": "Y % a comment at the end",
        "sub/deep.tex": "DEEP",
        "x.tex": "X",
        "w.tex": "\\documentclass[main]{subfiles}\n\\begin{document}\nW\n\\end{document}\nafter",
        "a.tex": "not input",
    }
    text = one(files)
    assert re.findall(r"[A-Z]+", text.partition("{document}")[2]) == ["Z", "DEEP", "Y", "X", "W"]
    assert text.endswith("end\n")
    assert "comment" not in text


def test_import_reads_relative_to_its_folder():
    files = {
        "main.tex": "\\documentclass{a}\\begin{document}\\import{one/}{a}\\subimport{two}{b.tex}",
        "one/a.tex": "A\\subimport{in/}{c}",
        "one/in/c.tex": "C",
        "two/b.tex": "B",
    }
    assert re.findall("[A-Z]", one(files).partition("{document}")[2]) == ["A", "C", "B"]


@pytest.mark.parametrize(
    "command",
    [
        "\\input{../outside}",
        "\\input{sub/../../outside}",
        "\\input{/etc/passwd}",
        "\\input{missing}",
        "\\import{../}{outside}",
        "\\import{/etc/}{passwd}",
        "\\input{main}",
        "\\verb|\\input{z}|",
        "\\newinput{z}",
    ],
)
def test_inputs_outside_the_paper_are_not_followed(command):
    text = f"\\documentclass{{a}}\n\\begin{{document}}\n{command}\n"
    assert one({"main.tex": text, "z.tex": "Z"}) == text


def test_a_commented_input_and_text_after_endinput_are_not_read():
    files = {
        "main.tex": "\\documentclass{a}\\begin{document}\n% \\input{z}\n\\input{y}",
        "z.tex": "Z",
        "y.tex": "Y\\endinput\n Z",
    }
    assert one(files).endswith("\nY\n")


def test_definitions_of_the_papers_own_packages_are_read(tmp_path):
    files = {
        "main.tex": "\\documentclass[12pt]{mine}\n\\usepackage{amsmath,sub/macros}\n"
        "\\begin{filecontents}{more.tex}\n"
        "\\def\\three{3}\n\\end{filecontents}\n\\input{more}\n\\begin{document}\n\\section{A}\n\\one\\two\\three\\four",
        "mine.cls": "\\LoadClass{article}\n\\def\\one{1}\\def\\@x{y}\\endinput\n\\def\\one{0}",
        "sub/macros.sty": "\\RequirePackage{other}\n\\newcommand\\two{2}",
        "other.sty": "\\newcommand\\four{4}",
    }
    folder(tmp_path / "p", files)
    assert texts(tmp_path / "p") == ["\\section{A}\n1234\n"]


def test_inputs_that_explode_are_dropped(tmp_path):
    levels = {f"f{i}.tex": f"\\input{{f{i + 1}}}" * 12 + "x" * 1000 for i in range(12)}
    main = "\\documentclass{a}\\begin{document}\\input{f0}"
    folder(tmp_path / "p", {"main.tex": main, **levels})
    begin = time.process_time()
    (dropped,) = cleaned(tmp_path / "p")
    assert (dropped.reason, dropped.malformed) == ("too large", True)
    assert time.process_time() - begin < 10


def test_one_file_input_too_often_is_too_large(tmp_path):
    often = "\\input{a}" * (files.MAX_INPUTS + 1)
    folder(tmp_path / "p", {"main.tex": WHOLE.replace("BODY", often), "a.tex": "a"})
    assert texts(tmp_path / "p") == ["dropped: too large"]


def test_a_long_chain_of_inputs_ends(tmp_path):
    chain = {f"f{i}.tex": f"\\input{{f{i + 1}}}" for i in range(1000)}
    folder(tmp_path / "p", {"main.tex": WHOLE.replace("BODY", "\\input{f0}"), **chain})
    assert texts(tmp_path / "p") == [f"\\input{{f{files.MAX_DEPTH - 1}}}\n"]


def test_of_numbered_versions_the_last_is_read(tmp_path):
    words = " ".join(f"word{number}" for number in range(60))
    files = {f"paper_v{number}.tex": WHOLE.replace("BODY", f"{words} V{number}.") for number in (1, 2, 10)}
    kept, *others = cleaned(folder(tmp_path / "2001.00001", files))
    assert kept.text.endswith("V10.\n")
    assert [other.reason for other in others] == ["another version of the paper"] * 2
