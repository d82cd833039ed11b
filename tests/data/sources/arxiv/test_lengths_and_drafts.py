r"""Branches chosen by lengths (`\ifdim`), by the package ifdraft, by TeX's engine, and by tests in macros."""

import pytest

from data.sources.arxiv.recipe import clean_latex

IFDRAFT = "\\usepackage{ifdraft}"
CASES = [
    ("", "\\ifdim 1cm<2in yes\\else no\\fi"),
    ("", "\\ifdim 72.27pt=1in yes\\else no\\fi"),
    ("", "\\ifdim-.5pt<0pt yes\\else no\\fi"),
    ("\\newdimen\\w \\w=3pt", "\\ifdim\\w>2pt yes\\else no\\fi"),
    ("\\newlength{\\w}\\setlength{\\w}{5mm}", "\\ifdim\\w<1cm yes\\else no\\fi"),
    ("\\newlength\\w\\addtolength{\\w}{5mm}\\addtolength\\w{7mm}", "\\ifdim\\w<1cm no\\else yes\\fi"),
    ("\\newskip\\w \\w 3pt plus 1fil\\relax", "\\ifdim 0.5\\w=1.5pt yes\\else no\\fi"),
    ("\\newdimen\\w \\w=1pc \\advance\\w by -2pt", "\\ifdim\\w=10pt yes\\else no\\fi"),
    ("\\def\\w{4bp}", "\\ifdim\\w>4pt yes\\else no\\fi"),
    ("\\def\\w{4}", "\\ifdim\\w pt=4pt yes\\else no\\fi"),
    ("", "\\ifdimcomp{1cm}{<}{1in}{\\ifdimgreater{1mm}{2mm}{no}{yes}}{no}"),
    ("", "\\ifthenelse{\\lengthtest{1pt > 2pt}}{no}{yes}"),
    (IFDRAFT, "\\ifdraft{no}{yes}"),
    (IFDRAFT, "\\ifoptionfinal{no}{\\ifoptiondraft{no}{yes}}"),
    ("\\usepackage[draft]{ifdraft}", "\\ifdraft{yes}{no}"),
    ("\\usepackage[final]{ifdraft}", "\\ifoptionfinal{yes}{no}"),
    ("\\newif\\ifdraft", "\\ifdraft no\\else yes\\fi"),
    (IFDRAFT + "\\newcommand{\\x}{\\ifdraft{no}{yes}}", "\\x"),
    ("\\newcommand{\\x}[1]{\\ifdraft{no}{#1}}" + IFDRAFT, "\\x{yes}"),
    ("\\usepackage[draft]{ifdraft}\\def\\x#1#2{\\ifdraft {#1}{#2}}", "\\x{yes}{no}"),
    (IFDRAFT + "\\newcommand{\\x}{\\ifoptionfinal{no}{\\ifthenelse{1<2}{\\ifdraft{no}{yes}}{no}}}", "\\x"),
    ("\\newif\\ifdraft\\newcommand{\\x}{\\ifdraft no\\else yes\\fi}", "\\x"),
    ("\\newif\\ifdraft\\newcommand{\\x}{\\ifdraft{no}\\else yes\\fi}", "\\x"),
    ("\\usepackage{iftex}", "\\ifXeTeX no\\else\\ifPDFTeX yes\\else no\\fi\\fi"),
    ("\\usepackage{ifluatex}", "\\ifluatex no\\else yes\\fi"),
    ("\\newcommand{\\x}{}", "\\ifthenelse{\\isempty{\\x}}{yes}{no}"),
    ("\\newcommand{\\x}[1][]{\\ifthenelse{\\equal{#1}{}}{yes}{no}}", "\\x"),
    ("\\newcommand{\\x}[1][]{\\ifthenelse{\\equal{#1}{}}{no}{#1}}", "\\x[yes]"),
    ("\\newcommand{\\x}[2]{\\ifstrequal{#1}{a}{#2}{\\ifblank{#1}{no}{yes}}}", "\\x{b}{no}"),
    ("\\def\\x#1\\endx{}", "\\x no\n\nno \\endxes \\endx yes"),
    ("\\def\\x#1\\y#2\\endx{#2}", "\\x no\\y yes\\endx"),
]


def body(preamble: str, text: str, options: str = "") -> str:
    start = f"\\documentclass{options}{{article}}\n{preamble}\n\\begin{{document}}\n\\section{{A}}\n"
    return clean_latex(f"{start}{text}\n\\end{{document}}\n").partition("\n")[2].strip()


@pytest.mark.parametrize(("preamble", "text"), CASES)
def test_the_branch_that_is_true_is_read(preamble, text):
    assert body(preamble, text + ".") == "yes."


def test_a_class_option_is_an_option_of_ifdraft():
    assert body(IFDRAFT, "\\ifdraft{yes}{no}.", "[11pt,draft]") == "yes."


@pytest.mark.parametrize(
    ("preamble", "text"),
    [
        ("", "\\ifdim\\textwidth>5cm a\\else b\\fi"),
        ("", "\\ifdim 1em<1cm a\\else b\\fi"),
        ("\\newlength{\\w}\\settowidth{\\w}{text}", "\\ifdim\\w>1pt a\\else b\\fi"),
        ("\\newlength{\\w}\\newcommand{\\wide}{\\setlength{\\w}{9cm}}", "\\ifdim\\w>1pt a\\else b\\fi"),
        ("", "\\ifdraft{a}{b}"),
        ("\\newcommand{\\x}{\\ifdraft{a}{b}}", "\\x{}"),
    ],
)
def test_what_a_paper_does_not_tell_is_left(preamble, text):
    assert body(preamble, text + ".") == text + "."


def test_a_macro_with_an_undecided_test_is_left():
    text = "\\x{a}"
    assert body("\\newcommand{\\x}[1]{\\ifthenelse{\\equal{#1}{\\unknown}}{b}{c}}", text) == text


RAISED = "\\IEEEraisesectionheading{\\section{A}}"


@pytest.mark.parametrize(
    ("options", "heading", "text"),
    [
        ("[compsoc]", RAISED, "compsoc "),
        ("[11pt, draftcls , onecolumn]", "\\section{A}", "draftcls onecolumn "),
        ("[journal,draft,peerreviewca]", "\\section{A}", "draftcls peerreview "),
        ("[final,draft,twocolumn,onecolumn]", "\\section{A}", ""),  # LaTeX takes options in the class's order
        ("[peerreview,transmag,compsoc]", "\\section{A}", "peerreview "),
        ("", "\\section{A}", ""),
    ],
)
def test_the_flags_of_ieeetran_tell_its_options(options, heading, text):
    names = ("compsoc", "draftcls", "onecolumn", "peerreview")
    tests = "".join(f"\\ifCLASSOPTION{name} {name} \\fi" for name in names)
    start = f"\\documentclass{options}{{IEEEtran}}\n\\begin{{document}}\n"
    start += f"\\ifCLASSOPTIONcompsoc\n{RAISED}\n\\else\n\\section{{A}}\n\\fi\n"
    assert clean_latex(f"{start}{tests}\n").split() == ["\\section{A}", *text.split()]
