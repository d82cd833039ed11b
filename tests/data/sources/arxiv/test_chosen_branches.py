r"""Branches chosen by what a paper defines, and files that commands name in other ways than \input."""

import pytest

from data.sources.arxiv.recipe import clean_latex
from tests.support.papers import folder, texts


def body(preamble: str, text: str) -> str:
    start = f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n\\section{{A}}\n"
    return clean_latex(f"{start}{text}\n\\end{{document}}\n").removeprefix("\\section{A}\n").strip()


@pytest.mark.parametrize(
    ("preamble", "text", "left"),
    [
        ("\\def\\long{1}", "\\ifdefined\\long yes\\else no\\fi.", "yes."),
        ("", "\\ifdefined\\long yes\\else no\\fi.", "no."),
        ("%\\def\\long{1}", "\\ifx\\long\\undefined no\\else yes\\fi.", "no."),
        ("\\newcommand{\\long}{}", "\\ifx\\undefined\\long no\\else yes\\fi.", "yes."),
        ("\\newcommand{\\long}{}", "\\ifcsname long\\endcsname yes\\else no\\fi.", "yes."),
        ("\\def\\long{}", "\\expandafter\\ifx\\csname long\\endcsname\\relax no\\else yes\\fi.", "yes."),
        ("", "\\expandafter \\ifx \\csname long\\endcsname \\relax no\\else yes\\fi.", "no."),
        ("\\def\\a{x}\\def\\b{x}", "\\ifx\\a\\b same\\else other\\fi.", "same."),
        ("\\def\\a{x}\\def\\b{y}", "\\ifx\\a\\b same\\else other\\fi.", "other."),
        ("\\def\\a{}", "\\ifx\\a\\empty none\\else some\\fi.", "none."),
        ("", "\\ifthenelse{\\equal{a}{b}}{same}{other}.", "other."),
        ("", "\\ifthenelse{\\not\\equal{a}{b}}{other}{same}.", "other."),
        ("\\def\\long{}", "\\ifdef{\\long}{yes}{no}, \\ifundef{\\short}{no}{yes}.", "yes, no."),
        ("\\def\\long{}", "\\ifcsdef{long}{yes}{no}, \\ifcsundef{short}{no}{yes}.", "yes, no."),
        ("", "\\ifstrequal{a}{b}{same}{other}, \\ifblank{ }{none}{some}, \\ifstrempty{x}{none}{some}.",
         "other, none, some."),
        ("\\newcommand{\\see}[1]{\\ifx&#1&none\\else see #1\\fi}", "\\see{}, \\see{x}.", "none, see x."),
        ("\\newcommand{\\see}[1]{\\ifdefined\\full#1\\fi}", "a\\see{x}.", "a."),
        ("\\def\\shown{0}\\newcommand{\\note}[2]{\\ifnum\\shown=1 #1: #2\\fi}", "a\\note{B}{x}.", "a."),
        ("\\def\\shown{1}\\newcommand{\\note}[2]{\\ifnum\\shown=1 #1: #2\\fi}", "\\note{B}{x}.", "B: x."),
        ("\\def\\full{2}\\newcommand{\\only}[2]{\\if\\full1#1\\else #2\\fi}", "\\only{a}{b}.", "b."),
        ("\\newcommandx{\\see}[2][1=a]{#1 and #2}", "\\see{b}, \\see[c]{d}.", "a and b, c and d."),
    ],
)  # fmt: skip
def test_a_branch_is_chosen_by_what_the_paper_defines(preamble, text, left):
    assert body(preamble, text) == left


@pytest.mark.parametrize(
    "text",
    [
        "\\ifdefined\\pdfoutput yes\\else no\\fi.",  # the engine may have it
        "\\ifdefined\\chapter yes\\else no\\fi. \\chapter*{B}",  # the class has it
        "\\ifx\\chapter\\undefined no\\else yes\\fi. \\chapter*{B}",
        "\\expandafter\\ifx\\csname chapter\\endcsname\\relax no\\else yes\\fi. \\chapter*{B}",
        "\\ifx\\csname long\\endcsname\\relax no\\else yes\\fi.",  # compares \csname with l
        "\\ifx\\alpha\\beta same\\else other\\fi.",
        "\\ifdef{\\chapter}{yes}{no}. \\chapter*{B}",
        "\\ifthenelse{\\value{page}=1}{yes}{no}.",
    ],
)
def test_what_a_package_may_define_is_undecided(text):
    assert body("", text) == text


FILES = {"one.tex": "First part.\n", "Parts/two.tex": "Second part.\n", "Parts/three.tex": "Third part.\n"}
FILES |= {f"part{number}.tex": f"P{number} " for number in (1, 2, 3)} | {"main-one.tex": "Of the job.\n"}


@pytest.mark.parametrize(
    ("preamble", "text", "left"),
    [
        ("", "\\IfFileExists{one.tex}{\\input{one}}{nothing}", "First part."),
        ("", "\\IfFileExists{none.tex}{yes}{\\input{one}}", "First part."),
        ("", "\\IfFileExists{a.pdf}{a}{b}", "\\IfFileExists{a.pdf}{a}{b}"),
        ("", "\\InputIfFileExists{one}{}{nothing}", "First part."),
        ("", "\\subimport*{Parts/}{two} \\import*{Parts/}{three}", "Second part.\n Third part."),
        ("", "\\foreach \\n in {two, three}{\\input{Parts/\\n}}", "Second part.\nThird part."),
        ("\\makeatletter", "\\@for\\n:=two,three\\do{\\input{Parts/\\n}}", "Second part.\nThird part."),
        ("", "\\foreach \\n in {1,...,3}{\\input{part\\n}}", "P1 P2 P3"),
        ("\\def\\all{1, 3}", "\\foreach \\n in \\all {\\input{part\\n}}", "P1 P3"),
        ("\\makeatletter\\newcommand\\all{2,3}", "\\@for\\n:=\\all\\do{\\input{part\\n}}", "P2 P3"),
        ("\\makeatletter", "\\@input{one}\\@@input one \\@iinput{one}", "First part.\n" * 3),
        ("\\def\\which{one}", "\\input\\which", "First part."),
        ("", "\\input{\\jobname-one}", "Of the job."),
        ("\\newif\\iflong\\longtrue", "\\iflong\\input{one}\\else\\input{Parts/two}\\fi", "First part."),
        ("", "\\ifunknown\\input{one}\\else\\input{Parts/two}\\fi",
         "\\ifunknown First part.\n\\else Second part.\n\\fi"),
        ("", "\\input{ONE}\\input{parts/Two}", "First part.\nSecond part."),
        ("\\includeonly{one, Parts/three}", "\\include{one}\\include{Parts/two}\\include{Parts/three}",
         "First part.\nThird part."),
        ("%\\includeonly{one}", "\\include{one}\\include{Parts/two}", "First part.\nSecond part."),
    ],
)  # fmt: skip
def test_files_are_found_as_tex_finds_them(tmp_path, preamble, text, left):
    head = f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n\\section{{A}}\n"
    folder(tmp_path / "p", {"main.tex": f"{head}{text}\n\\end{{document}}\n", **FILES})
    (found,) = texts(tmp_path / "p")
    assert found.removeprefix("\\section{A}\n").split() == left.split()


def test_the_line_of_endinput_is_still_read(tmp_path):
    main = "\\documentclass{article}\n\\begin{document}\n\\section{A}\n\\input{one}after\n\\end{document}\n"
    folder(tmp_path / "p", {"main.tex": main, "one.tex": "Read \\endinput this % note\nHIDDEN\n"})
    (found,) = texts(tmp_path / "p")
    assert found.split() == ["\\section{A}", "Read", "this", "after"]


@pytest.mark.parametrize("name", ["Sinput", "Soutput", "Scode", "CodeInput", "CodeOutput"])
def test_code_of_sweave_and_its_kin_is_verbatim(name):
    code = f"\\begin{{{name}}}\nR> x %in% y\n\\end{{{name}}}"
    assert body("", code) == code
