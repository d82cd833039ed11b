r"""Files that macros input, documents inside documents, supplements, versions and drawings."""

import gzip

import pytest

from data.sources.arxiv.files import Paper
from tests.support.papers import PAPER, WHOLE, folder, packed, texts

BODY = "\\section{A}\nBody.\n\\end{document}"
DOCUMENT = "\\documentclass{article}\n\\begin{document}\n\\section{A}\n"


@pytest.mark.parametrize(
    ("definition", "use"),
    [
        ("\\newcommand{\\chap}[1]{\\input{text/#1}}", "\\chap{one}"),
        ("\\newcommand{\\where}{text}", "\\input{\\where/one}"),
        ("\\def\\where{text/}", "\\input{\\where one.tex}"),
        ("\\newcommand{\\inp}{\\input}", "\\inp{text/one}"),
        ("\\let\\inp\\input", "\\inp{text/one}"),
        (
            "\\newcommand{\\inner}[1]{\\input{text/#1}}\\newcommand{\\chap}[1]{\\section{B}\\inner{#1}}",
            "\\chap{one}",
        ),
        ("\\makeatletter\\def\\input@path{{text/}}\\makeatother", "\\input{one}"),
    ],
)
def test_a_file_that_a_macro_inputs_is_read(tmp_path, definition, use):
    main = DOCUMENT.replace("\\begin", definition + "\n\\begin", 1) + use + "\n\\end{document}"
    folder(tmp_path / "p", {"main.tex": main, "text/one.tex": "The first \\emph{part}, by \\mine.\n"})
    (text,) = texts(tmp_path / "p")
    assert "The first \\emph{part}, by \\mine." in text


@pytest.mark.parametrize(
    "use",
    [
        "\\input{%\none}",
        "\\input{one % the {first}\n}",
        "\\input% the first\n  {one}",
        "\\include{%\n  one%\n}",
        "\\import{./}{one % the first\n}",
        "\\subfile%\n{one}",
    ],
)
def test_a_file_is_read_whose_name_has_a_comment_beside_it(tmp_path, use):
    folder(tmp_path / "p", {"main.tex": DOCUMENT + use + "\n\\end{document}", "one.tex": WHOLE})
    assert texts(tmp_path / "p") == ["\\section{A}\n\nBODY\n"]


@pytest.mark.parametrize(
    "use",
    [
        "\\usepackage{amsmath, % for {align}\n  mine, % our own\n  color}",
        "\\usepackage%\n  {mine}",
        "\\usepackage[final, % see [1]\n  two]{mine}",
        "\\usepackage[text={5in,8in},head={[x]}]{mine}",
        "\\RequirePackage{mine%\n}",
    ],
)
def test_the_papers_own_package_is_read_from_a_list_with_comments(tmp_path, use):
    main = DOCUMENT.replace("\\begin", use + "\n\\begin", 1) + "\\me.\n\\end{document}"
    folder(tmp_path / "p", {"main.tex": main, "mine.sty": "\\newcommand{\\me}{Ann}"})
    assert texts(tmp_path / "p") == ["\\section{A}\nAnn.\n"]


def test_definitions_in_a_file_input_by_a_macro_hold_after_it(tmp_path):
    main = DOCUMENT + "\\newcommand{\\load}[1]{\\input{#1}}\\load{defs}\\me is here.\n\\end{document}"
    folder(tmp_path / "p", {"main.tex": main, "defs.tex": "\\newcommand{\\me}{Ann}"})
    assert texts(tmp_path / "p") == ["\\section{A}\nAnn is here.\n"]


@pytest.mark.parametrize(
    "files",
    [
        {
            "m.tex": "\\input{head}\n" + BODY,
            "head.tex": DOCUMENT.rpartition("\\sec")[0],
        },
        {
            "z.tex": "\\input cls \n\\begin{document}\n" + BODY,
            "cls.tex": "\\documentclass{a}",
        },
        {
            "m.tex": "\\input{a/head}\n" + BODY,
            "a/head.tex": "\\input{a/cls}\n\\begin{document}",
            "a/cls.tex": "\\documentclass{a}\n",
        },
        {
            "m.tex": "\\input{head.sty}\n\\begin{document}\n" + BODY,
            "head.sty": "\\documentclass{a}",
        },
    ],
)
def test_the_main_file_inputs_the_one_with_the_class(tmp_path, files):
    folder(tmp_path / "p", files)
    assert texts(tmp_path / "p") == ["\\section{A}\nBody.\n"]


def test_a_file_of_document_options_is_not_the_main_file():
    files = {"a.tex": "\\def\\draft{1}\n\\input{paper}", "paper.tex": WHOLE}
    assert Paper({name: text.encode() for name, text in files.items()}).mains().read == ["paper.tex"]


def test_a_supplement_is_a_document_and_a_deeper_one_is_counted(tmp_path):
    supplement = WHOLE.replace("BODY", "\\section{S}\nWe derive the second equation at length.")
    folder(tmp_path / "p", {"ms.tex": PAPER, "sm.tex": supplement, "old/x.tex": supplement})
    assert texts(tmp_path / "p") == [
        "\\section{Introduction}\nLet $x\\in\\mathbb{R}$.\n",
        "\\section{S}\nWe derive the second equation at length.\n",
        "dropped: not a main file",
    ]


@pytest.mark.parametrize(("bibliography", "kept"), [("draft.bbl", "draft.tex"), ("x.bbl", "main.tex")])
def test_the_compiled_version_of_a_paper_is_read_and_the_other_counted(tmp_path, bibliography, kept):
    words = " ".join(f"word{number}" for number in range(60))
    files = {"main.tex": WHOLE.replace("BODY", words), "draft.tex": WHOLE.replace("BODY", words + " more")}
    content = gzip.compress(packed(files | {bibliography: "\\bibitem{a}"}))
    (tmp_path / "0704.0001.gz").write_bytes(content)
    end = "more" if kept == "draft.tex" else "word59"
    document, dropped = texts(tmp_path)
    assert document.strip().endswith(end) and dropped == "dropped: another version of the paper"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("plot.pgf", "\\pgfpathlineto{\\pgfqpoint{%d.142857in}{0.25in}}%%\n"),
        ("plot.tikz", "\\draw (%d.5,2.25) -- (3.125,4.5);\n"),
        ("plot.tex", "\\put(%d.0,22.5){\\line(1,0){4.5}}\n"),
    ],
)
def test_the_coordinates_of_a_figure_are_left_out(tmp_path, name, line):
    drawing = "\\begin{tikzpicture}\n" + "".join(line % i for i in range(500)) + "\\end{tikzpicture}\n"
    main = DOCUMENT + f"Before.\n\\input{{{name}}}\nAfter.\n\\end{{document}}"
    folder(tmp_path / "p", {"main.tex": main, name: drawing})
    assert texts(tmp_path / "p") == [f"\\section{{A}}\nBefore.\n\\input{{{name}}}\nAfter.\n"]


MADE = {  # in the form that the programs write
    "plot.tex": "% GNUPLOT: LaTeX picture with Postscript\n\\begingroup\n\\makeatletter\n"
    "\\GenericError{(gnuplot)}{Package color is not loaded}{See the documentation of gnuplot.}{}\n"
    "\\begin{picture}(7200.00,5040.00)%\n"
    "{}\\put(352,3719){\\makebox(0,0){\\strut{}Time in seconds}}%\n\\end{picture}\n\\endgroup\n",
    "fig.pdf_tex": "%% Creator: Inkscape 1.0, www.inkscape.org\n%% Accompanies the image file fig.pdf\n"
    "\\errmessage{(Inkscape) Color is used for the text, but the package is not loaded}%\n"
    "\\begin{picture}(1,0.5)%\n{}\\end{picture}%\n\\endgroup%\n",
    "net.tikz": "% This file was created by matlab2tikz.\n%\n\\begin{tikzpicture}\n{}\\end{tikzpicture}\n",
    "g.pgf": "%% Creator: Matplotlib, PGF backend\n\\begin{pgfpicture}%\n{}\\end{pgfpicture}%\n",
}
LINES = {
    "plot.tex": "\\gplgaddtomacro\\gplbacktext{%\n\\csname LTb\\endcsname%\n"
    "\\put(352,704){\\makebox(0,0)[r]{\\strut{}$x$}}%\n}%\n",
    "fig.pdf_tex": "\\put(0,0){\\includegraphics[width=\\unitlength,page=1]{fig.pdf}}%\n"
    "\\put(0.3,0.2){\\color[rgb]{0,0,0}\\makebox(0,0)[lt]{\\smash{\\begin{tabular}[t]{l}$x$\\end{tabular}}}}%\n",
    "net.tikz": "\\draw[->, thick, color=mycolor] (a) -- (b);\n",
    "g.pgf": "\\pgfsys@useobject{currentmarker}{}%\n\\pgfsetrectcap%\n\\pgfusepath{stroke}%\n",
}


@pytest.mark.parametrize("name", MADE)
def test_a_figure_that_a_program_made_is_left_out(tmp_path, name):
    drawing = MADE[name].replace("{}", LINES[name] * 20, 1)
    main = DOCUMENT + f"Before.\n\\input{{{name}}}\nAfter.\n\\end{{document}}"
    folder(tmp_path / "p", {"main.tex": main, name: drawing})
    assert texts(tmp_path / "p") == [f"\\section{{A}}\nBefore.\n\\input{{{name}}}\nAfter.\n"]


def test_a_table_that_a_program_made_is_read(tmp_path):
    table = "% Created by tablemaker\n\\begin{tabular}{cc}\n0.53 & 0.41 \\put(0,0) \\\\\n\\end{tabular}\n"
    folder(tmp_path / "p", {"main.tex": DOCUMENT + "\\input{t}\n\\end{document}", "t.tex": table})
    assert "0.53" in texts(tmp_path / "p")[0]


def test_a_table_of_numbers_and_a_diagram_with_words_are_read(tmp_path):
    table = "\\begin{tabular}{cc}\n" + "0.53 & 0.41 \\\\\n" * 50 + "\\end{tabular}\n"
    diagram = "\\begin{tikzpicture}\n\\node (a) {the encoder}; \\draw (a) -- (1,2);\n\\end{tikzpicture}\n"
    main = DOCUMENT + "\\input{t}\\input{d.tikz}\n\\end{document}"
    folder(tmp_path / "p", {"main.tex": main, "t.tex": table, "d.tikz": diagram})
    (text,) = texts(tmp_path / "p")
    assert text.count("0.53") == 50 and "the encoder" in text


def test_a_diagram_of_many_words_at_exact_places_is_read(tmp_path):
    words = [first + second for first in ("abel", "bose", "cauchy") for second in "abcdefghijklmnop"]
    nodes = "".join(f"\\node at (1.2345,22.3456) {{{word}}};\n" for word in words)
    main = DOCUMENT + "\\input{d.tikz}\n\\end{document}"
    folder(
        tmp_path / "p", {"main.tex": main, "d.tikz": f"\\begin{{tikzpicture}}\n{nodes}\\end{{tikzpicture}}\n"}
    )
    assert words[-1] in texts(tmp_path / "p")[0]


def test_a_tar_inside_a_tar_is_opened_where_nothing_else_is_tex(tmp_path):
    inner = packed({"main.tex": PAPER})
    (tmp_path / "0704.0001.gz").write_bytes(gzip.compress(packed({"source.tar": inner})))
    (tmp_path / "0704.0002.gz").write_bytes(gzip.compress(packed({"s.tar.gz": gzip.compress(inner)})))
    (tmp_path / "0704.0003.gz").write_bytes(gzip.compress(packed({"old.tar": inner, "x.tex": WHOLE})))
    first, second, third = texts(tmp_path)
    assert first == second and "Let" in first and third == "BODY\n"


def test_what_is_packed_twice_and_a_packed_file_in_a_tar_are_unpacked(tmp_path):
    (tmp_path / "0704.0001.gz").write_bytes(gzip.compress(gzip.compress(WHOLE.encode())))
    main = gzip.compress(DOCUMENT.encode() + b"\\me.\\input{one}\n\\end{document}")
    files = {"ms.tex.gz": main, "a.sty": "\\newcommand{\\me}{Ann}", "one.tex": "One.", "one.tex.gz": main}
    files["broken.tex.gz"] = main[:-9]
    (tmp_path / "0704.0002.gz").write_bytes(gzip.compress(packed(files)))
    first, second = texts(tmp_path)
    assert first == "BODY\n" and second == "\\section{A}\n\\me.One.\n"
