"""Where a paper's text begins and ends, and which part of it is bibliography."""

import re

import pytest

from data.sources.arxiv.recipe import clean_latex
from tests.support.narrow import present
from tests.support.papers import body

SECTIONS = [
    "\\section{A}",
    "\\section*{A}",
    "\\section[a]{A}",
    "\\chapter{A}",
    "\\part{A}",
    "\\section {A}",
    "\\section\n{A}",
    "\\subsection{A}",
    "\\paragraph{A}",
    "\\subparagraph{A}",
]


@pytest.mark.parametrize("section", SECTIONS)
def test_everything_before_the_first_section_is_removed(section):
    text = (
        "\\title{T}\\maketitle\n\\begin{abstract}\n\\paragraph{Aim.} We.\n\\end{abstract}\n\n"
        + section
        + "\ntext"
    )
    assert body(text) == section + "\ntext\n"


def test_sections_before_the_document_and_in_definitions_and_verbatim_do_not_count():
    text = (
        "\\def\\at{\\section{macro}}\n\\renewcommand{\\section}[1]{\\section{#1}}\n\\begin{document}\nfront"
    )
    assert clean_latex(text + "\\verb|\\section{v}| \\section{A} text") == "\\section{A} text\n"


def test_a_heading_in_the_preamble_does_not_count():
    text = "\\AtEndDocument{\\section{End}\\bibliography{x}}\\begin{document}\nfront\n\\section{A}\ntext\n"
    assert clean_latex(text) == "\\section{A}\ntext\n"


def test_a_section_made_by_a_macro_counts():
    assert body("\\newcommand{\\sect}[1]{\\section{#1}}front\n\\sect{A}\ntext") == "\\section{A}\ntext\n"


def test_a_paper_without_sections_keeps_its_body():
    assert body("\\title{T}\n\\maketitle\nWe show.\n\nEnd.") == "We show.\n\nEnd.\n"
    assert body("We show.") == "We show.\n"
    letter = "We show.\n\n\\section*{Acknowledgments}\nThanks.\n"
    assert body("\\maketitle\n" + letter) == letter


BIBLIOGRAPHIES = [
    "\\begin{thebibliography}{9}\n\\bibitem{a} A.\n\\end{thebibliography}\n",
    "\\bibliographystyle{plain}\n\\bibliography{refs}\n",
    "\\printbibliography[heading=none]\n",
    "\\input{main.bbl}\n",
    "\\section*{References}\n\\begin{thebibliography}{9}\n\\bibitem{a} A.\n\\end{thebibliography}\n",
    "\\section*{\\bf References}\n\\noindent [1] A. Author, Title.\n\n[2] B.\n",
    "\\hypertarget{references}{\\section*{References}\\label{r}}\n\nA. Author, Title.\n",
]


def test_a_heading_keeps_the_group_that_pandoc_opens_before_it():
    text = "\\hypertarget{one}{\\section{One}\\label{one}}\n\nText.\n"
    assert body("Front matter.\n\n" + text) == text


@pytest.mark.parametrize("bibliography", BIBLIOGRAPHIES)
def test_the_bibliography_is_removed_and_the_appendix_after_it_kept(bibliography):
    text = f"\\section{{A}}\ntext\n\n{bibliography}\n\\appendix\n\\section{{B}}\nmore"
    assert body(text) == "\\section{A}\ntext\n\n\\appendix\n\\section{B}\nmore\n"


@pytest.mark.parametrize(
    "title",
    [
        "Jellium model",
        "PACSystems at work",
        "MSCs in culture",
        "Competing orders",
        "Funding liquidity",
        "Supplementing data with priors",
        "Appending to a list",
        "Keyword spotting",
        "Conflicts of norms",
        "Literature",
    ],
)
def test_a_first_section_is_not_read_as_front_matter(title):
    text = f"\\section{{{title}}}\nWe review it.\n\\section{{B}}\nmore"
    assert body("front\n" + text) == text + "\n"


@pytest.mark.parametrize(
    "title",
    [
        "Acknowledgements",
        "Funding",
        "Funding information",
        "Competing Financial Interests",
        "Conflict of interest",
        "Supplementary material",
        "Appendix",
        "Keywords:",
        "JEL codes",
    ],
)
def test_a_letter_with_such_a_heading_alone_keeps_its_body(title):
    text = f"We show.\n\n\\section*{{{title}}}\nThanks.\n"
    assert body("\\maketitle\n" + text) == text


@pytest.mark.parametrize(
    "after",
    [
        "\\section*{Methods}\nWe did.\n\\subsection{Cells}\nThey grew.",
        "\\section*{\\large Online Methods.}\nWe did.",
        "\\begin{methods}\n\\subsection{Cells}\nThey grew.\n\\end{methods}",
        "\\section*{Supplemental Material}\n\\section{Details}\nMore.",
        "\\title{Supplemental Material}\\appendix\\maketitle\n\\section{Details}\nMore.",
        "\\appendix\n\\section{Details}\nMore.",
    ],
)
def test_a_letter_stands_before_the_sections_that_follow_it(after):
    text = f"{'We show. ' * 300}\n\n{after}\n"
    assert body("Name\n\\maketitle\n" + text) == text
    first = after[present(re.search(r"\\section\{|\\section\*\{(?!Supp)|\\subsection", after)).start() :]
    assert body("Name\n\\maketitle\nA note.\n" + after) == first + "\n"


def test_a_letter_stands_before_its_references():
    text = f"{'We show. ' * 300}\n"
    references = "\\begin{thebibliography}{9}\n\\bibitem{a} A.\n\\end{thebibliography}\n"
    after = "\\maketitle\n\\section{Details}\nMore.\n"
    assert body(f"Name\n\\maketitle\n{text}{references}{after}") == f"{text}\n{after}"
    assert (
        body(f"Name\n\\maketitle\n{text}{references}\\maketitle\nMore.\n") == f"{text}\n\\maketitle\nMore.\n"
    )


def test_an_early_bibliography_is_no_end_of_a_letter():
    text = f"{'We show. ' * 300}\n\\bibliography{{a}}\n"
    assert body(f"\\nobibliography*\nName\n\\maketitle\n{text}").strip() == text.partition("\n")[0].strip()


def test_chapters_and_later_methods_follow_no_letter():
    front = f"{'Front. ' * 500}\n"
    for text in (
        "\\section{A}\ntext\n\\section{Methods}\nWe did.\n",
        "\\chapter{A}\ntext\n\\appendix\n\\chapter{B}\n",
    ):
        assert body(front + text) == text
    assert body(f"\\bibliographystyle{{plain}}\n{front}\\section{{A}}\ntext") == "\\section{A}\ntext\n"


@pytest.mark.parametrize(
    "listed",
    [
        "[1] A. Author, Title.",
        "\\begin{thebibliography}{9}\\bibitem{a} A.\\end{thebibliography}",
        "\\bibitem{a} A.\n\\appendix",
    ],
)
def test_a_literature_section_that_is_a_bibliography_is_removed(listed):
    text = f"\\section{{A}}\ntext\n\\section*{{Literature}}\n{listed}\n"
    assert body(text).replace("\\appendix", "").strip() == "\\section{A}\ntext"


def test_text_after_the_end_of_the_document_is_removed():
    assert body("\\section{A}\ntext\n\\end{document}\n\\section{B}") == "\\section{A}\ntext\n"
    assert body("\\def\\ed{\\end{document}}\\section{A}\ntext\n\\ed\nB") == "\\section{A}\ntext\n"


def test_a_document_that_the_paper_shows_does_not_end_it():
    shown = "\\begin{code}\n\\documentclass{article}\n\\begin{document}\nHi\n\\end{document}\n\\end{code}"
    text = f"\\section{{A}}\n{shown}\n\\section{{B}}\ntext\n"
    assert body(f"front\n{text}\\end{{document}}\nafter") == text
    twice = "\\begin{document}\\begin{document}\n\\section{A}\ntext\n\\end{document}\nafter"
    assert clean_latex(twice) == "\\section{A}\ntext\n"


@pytest.mark.parametrize("heading", ["\\section*{\\refname}", "\\section{References}"])
def test_a_heading_of_references_in_the_preamble_hides_nothing(heading):
    preamble = f"\\documentclass{{revtex4}}\n\\patchcmd{{\\thebibliography}}{{{heading}}}{{}}{{}}{{}}\n"
    letter = "\\begin{document}\n\\maketitle\nWe show.\n\\bibliography{x}\n\\end{document}\n"
    assert clean_latex(preamble + letter) == "We show.\n"


def test_plain_tex_and_latex_209_are_read():
    plain = "\\magnification=1200\n\\def\\a{1}\n\\beginsection Title\n\ntext \\a\n\\bye\nafter"
    assert clean_latex(plain) == "\\beginsection Title\n\ntext 1\n"
    old = "\\documentstyle[12pt]{article}\n\\def\\be{\\begin{equation}}\n\\begin{document}\nx"
    old += "\\section{A}\n\\be\n\\end{document}"
    assert clean_latex(old) == "\\section{A}\n\\begin{equation}\n"
    amstex = "\\documentstyle{amsppt}\n\\document\nfront\n\\head 1. A\\endhead\ntext\n"
    amstex += "\\Refs\n\\ref\\endRefs\n\\enddocument"
    assert clean_latex(amstex) == "\\head 1. A\\endhead\ntext\n"
    harvmac = "\\input harvmac\n\\Title{A}{B}\nAbstract.\n\\Date{6/97}\n\\lref\\wit{E. Witten, 1995.}\n"
    harvmac += "\\newsec{Introduction}\nAs in \\wit.\n\\subsec{More}\ntext\n\\listrefs\n\\bye"
    left = "\\newsec{Introduction}\nAs in \\wit.\n\\subsec{More}\ntext\n\\listrefs\n"
    assert clean_latex(harvmac) == left


def test_harvmac_s_references_within_the_text_leave_their_names():
    text = "\\newsec{A}\nAs \\ref\\wit{E. {\\it Witten}, 1995.} and \\refs{\\wit,\\ref\\hoo{G., 1974}} say."
    text += "\\lref\\gro{D. Gross}\\nref\\pol{A. Polyakov}\nSee \\gro.\\listrefs\n\\bye"
    left = "\\newsec{A}\nAs \\wit and \\refs{\\wit,\\hoo} say.\nSee \\gro.\\listrefs\n"
    assert clean_latex(text) == left
    latex = "\\section{A}\nAs in \\ref{x} and \\ref\\emph{y}.\n"
    assert clean_latex(latex) == latex


@pytest.mark.parametrize(
    ("plot", "shown"),
    [
        ("\\addplot coordinates {(0,1.5) (1,-2e-3)\n(2,4)};", "\\addplot coordinates {};"),
        ("\\addplot3+[red] coordinates{(0,1,2)+-(0.1,0.2)[3]};", "\\addplot3+[red] coordinates{};"),
        ("\\draw plot coordinates {(0,1) (1,2)} -- (3,4);", "\\draw plot coordinates {} -- (3,4);"),
        ("\\addplot table [x index=0] {\n0 1.5\n1 2.5\n};", "\\addplot table [x index=0] {};"),
        ("\\addplot table[row sep=crcr] {%\n0\t1.5\\\\\n1\tnan\\\\\n};", "\\addplot table[row sep=crcr] {};"),
        ("\\addplot table {\nx y_1\n0 1.5\n};", "\\addplot table {};"),
        ("\\newcommand{\\p}{\\draw plot coordinates {(0,1)};}\\p", "\\draw plot coordinates {};"),
    ],
)
def test_the_points_of_a_plot_are_left_out(plot, shown):
    figure = "\\begin{{tikzpicture}}{}\\legend{{ours}}\\end{{tikzpicture}}"
    before, after = "\\section{A}\nSeen below.\n\n", "\n\nIt rises.\n"
    assert body(before + figure.format(plot) + after) == before + figure.format(shown) + after


DRAWN = {  # lines as programs and authors write them
    "gnuplot": ("picture", "\\put(22%d,11.5){\\usebox{\\plotpoint}}\\put(1,82){\\makebox(0,0)[r]{%d}}\n"),
    "eepic": ("picture", "\\thicklines\\path(%d,250)(1200,13)(25,%d)\n"),
    "tpic": ("picture", "\\special{pa 18%d 220}\\special{pa %d 40}\\special{fp}\n"),
    "dots": ("picture", "\\put(%d.5,22){\\makebox(0,0){$\\Diamond$}}\\put(12,%d){\\makebox(0,0){$\\Box$}}\n"),
    "pgf": (
        "pgfpicture",
        "\\definecolor{now}{rgb}{0,0,1}\\pgfpathlineto{\\pgfqpoint{1.428%din}{0.2%din}}\n",
    ),
    "TikZ": ("tikzpicture", "\\draw [line width=1pt,color=red] (%d.25,3.75)-- (12.5,%d.25);\n"),
    "axis": ("tikzpicture", "\\begin{axis}[xlabel={Time in hours}]\\draw(%d.25,3)--(12.5,%d);\\end{axis}\n"),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_a_long_drawing_leaves_its_frame(kind):
    name, line = DRAWN[kind]
    begin, end = f"\\begin{{{name}}}", f"\\end{{{name}}}"
    drawn = "".join(line % (i, i) for i in range(90)) + "\\put(10,10){The energy}"
    before, after = "\\section{A}\nSeen below.\n\n", "\n\nIt rises.\n"
    short = begin + line % (1, 2) + end
    text = before + short + begin + "(90,90)\n" + drawn + end + after
    assert body(text) == before + short + begin + end + after
    plain = text.replace(begin, f"\\{name}").replace(end, f"\\end{name}")
    assert body(plain) == f"{before}\\{name}{line % (1, 2)}\\end{name}\\{name}\\end{name}{after}"


@pytest.mark.parametrize(
    "line",
    [
        "\\put(10,20.5){$A_{%d}$}\\put(20,25.5){\\vector(1,0){30}}\n",  # a diagram of formulas
        "\\node (%s) at (10.25,20.5) {%s};\n",
        "\\put(10,20.5){第%s章}\\put(10,25.5){図%s}\n",
        "\\draw (a) -- (b) node[above] {The words are long enough to read} -- (1,2);\n",
    ],
)
def test_a_picture_with_many_labels_stays(line):
    words = [first + second for first in ("ab", "cd", "日本", "学校") for second in "efghijklmnopqrstuvwxyz"]
    lines = [line % ((i,) if "%d" in line else (word,) * line.count("%")) for i, word in enumerate(words)]
    text = "\\section{A}\n\\begin{picture}(9,9)\n" + "".join(lines) + "\\end{picture}\n"
    assert len(text) > 2000 and body(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "\\addplot coordinates {(Mon,1) (Tue,2)};",  # names
        "\\addplot table {data.csv};",
        "\\addplot table {\nday hours\nMon 5\n};",
        "\\begin{table}{5}\\end{table} and \\timetable{12}, \\coordinates{1}, {\\it coordinates} {}",
        "\\begin{verbatim}\ncoordinates {(0,1)}\n\\end{verbatim}",
        "\\begin{verbatim}\n\\begin{picture}\n"
        + "\\path(1,2)(3,4)\n" * 200
        + "\\end{picture}\n\\end{verbatim}",
        "\\begin{picture}(1,2)\n" + "\\path(1,2)(3,4)" * 200,  # without an end
        "coordinates {(0,1) (2,3)",
    ],
)
def test_what_is_no_list_of_points_stays(text):
    assert body(f"\\section{{A}}\n{text}") == f"\\section{{A}}\n{text}\n"
