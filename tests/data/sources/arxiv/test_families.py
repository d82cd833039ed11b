"""Macros with computed names: what a paper defines in a loop is what it would define one by one."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.arxiv.families import written_out
from data.sources.arxiv.recipe import clean_latex
from tests.support.cpu_time import takes_over


def body(preamble: str, text: str) -> str:
    top = f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n\\section{{A}}\n"
    return clean_latex(f"{top}{text}\n\\end{{document}}\n").removeprefix("\\section{A}\n").rstrip("\n")


# How papers define \bA as \mathbf{A} for several letters; ITEMS, LISTED and BRACED stand for these.
MAKES = r"\expandafter\def\csname b#1\endcsname{\mathbf{#1}}"
EACH = r"\def\each#1{\ifx\each#1\else\csdef{b#1}{B}\expandafter\each\fi}"
ATS = r"\makeatletter%s\makeatother"
FORMS = {
    "up to its own name": r"\def\each#1{\ifx\each#1\else\one{#1}\expandafter\each\fi}"
    r"\def\one#1{MAKES}\each ITEMS\each",
    "up to \\relax": r"\def\each#1{\ifx#1\relax\else\one#1\expandafter\each\fi}"
    r"\newcommand\one[1]{MAKES}\each BRACED\relax",
    "with the definition in it": r"\def\each#1{\ifx\stop#1\else MAKES\expandafter\each\fi} \each ITEMS\stop",
    "list of etoolbox": r"\newcommand{\one}[1]{\csdef{b#1}{\mathbf{#1}}} \forcsvlist{\one}{LISTED}",
    "its own macro": r"\renewcommand*{\do}[1]{MAKES}\docsvlist{LISTED}",
    "\\@for": ATS % r"\@for\x:=LISTED\do{\expandafter\edef\csname b\x\endcsname{\noexpand\mathbf{\x}}}",
    "\\@tfor": ATS % r"\@tfor\x:=ITEMS\do{\@namedef{b\x}{\mathbf{\x}}}",
    "\\foreach": r"\foreach \x in {LISTED}{\expandafter\xdef\csname b\x\endcsname{\noexpand\mathbf{\x}}}",
    "\\@for over a macro": r"\def\one#1{MAKES}\def\listed{LISTED}"
    + ATS % r"\@for\x:=\listed\do{\expandafter\one\x}",
    "calls": r"\newcommand{\one}[1]{\expandafter\newcommand\expandafter{\csname b#1\endcsname}{\mathbf{#1}}}"
    r"CALLS",
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15, deadline=None)
@given(letters=st.lists(st.sampled_from("ABCDEFXYZabcxyz"), min_size=1, max_size=8, unique=True))
def test_a_loop_defines_what_its_turns_define(form, letters):
    preamble = FORMS[form].replace("ITEMS", "".join(letters)).replace("LISTED", ", ".join(letters))
    preamble = preamble.replace("BRACED", "".join(f"{{{letter}}}" for letter in letters))
    preamble = preamble.replace("CALLS", "\n".join(rf"\one{{{letter}}}" for letter in letters))
    used = "Let $" + "+".join(rf"\b{letter}_1" for letter in "ABCDEFXYZabcxyz") + "$ be."
    shown = "+".join(
        rf"\mathbf{{{letter}}}_1" if letter in letters else rf"\b{letter}_1" for letter in "ABCDEFXYZabcxyz"
    )
    assert body(preamble.replace("MAKES", MAKES), used) == f"Let ${shown}$ be."


@pytest.mark.parametrize(
    ("preamble", "text", "shown"),
    [
        (r"\expandafter\def\csname bA\endcsname{\mathbf{A}}", r"$\bA$", r"$\mathbf{A}$"),
        (r"\makeatletter\@namedef{nm}{Ann}\makeatother", r"By \nm.", "By Ann."),
        # the same loop again, with another macro: blackboard letters, then names of other macros
        (
            r"\def\each#1{\ifx\each#1\else\one{#1}\expandafter\each\fi}"
            r"\def\one#1{\expandafter\def\csname k#1\endcsname{\mathbb{#1}}}\each RN\each"
            r"\def\one#1{\expandafter\def\csname v#1\endcsname{\bm{\csname #1\endcsname}}}"
            r"\each {mu}{xi}\each",
            r"$\kR \kN \vmu \vxi$",
            r"$\mathbb{R} \mathbb{N} \bm{\mu} \bm{\xi}$",
        ),
        # arguments of its own
        (
            r"\newcommand{\op}[1]{\expandafter\newcommand\csname of#1\endcsname[1]{\mathrm{#1}(##1)}}\op{E}",
            r"$\ofE{x}$",
            r"$\mathrm{E}(x)$",
        ),
        (r"\newcommand{\greek}[1]{\csname #1\endcsname}", r"$\greek{mu}x+\greek{xi}_2$", r"$\mu x+\xi_2$"),
        (r"\foreach \x in {A,...,C}{\expandafter\gdef\csname c\x\endcsname{\x}}", r"\cA\cB\cC", "ABC"),
        # names and values as arguments
        (
            r"\newcommand\op[2]{\newcommand#1{\operatorname{#2}}}\op\tr{tr}\op{\rk}{rk}",
            r"$\tr A, \rk B$",
            r"$\operatorname{tr} A, \operatorname{rk} B$",
        ),
        (r"\def\op#1#2{\expandafter\def\csname s#1\endcsname{#2}}\op{x}{y z}\op ab", r"\sx, \sa", "y z, b"),
        # names that no command can have: a paper's results by keys
        (
            r"\newcommand{\keep}[2]{\expandafter\newcommand\csname r@#1\endcsname{#2}}\keep{top-1 (8)}{71.5}"
            r"\keep{top1}{9}\newcommand{\ra}{R}\newcommand\show[1]{\csname r@#1\endcsname}",
            r"Of \show{top-1 (8)}\,\% and \show{top1}.",
            r"Of 71.5\,\% and 9.",
        ),
        (r"\csdef{k.1}{one}\newcommand\k[1]{\csuse{k.#1}}", r"\k{1}, \k{1} x", r"one, one x"),
        # names that the text itself computes, or a macro without arguments
        (
            r"\newcommand{\x}{one}\csdef{k.1}{two}\newcommand{\y}{\csuse{k.1} \csname x\endcsname}"
            r"\makeatletter\@namedef{k@3}{three}\newcommand{\k}[1]{\@nameuse{k@#1}}\makeatother",
            r"\csname x\endcsname, \csuse{k.1}, \k{3} \y.",
            "one, two, three two one.",
        ),
        (r"\def\x{one}\expandafter\let\expandafter\y\csname x\endcsname\def\x{two}", r"\y, \x.", "one, two."),
        (
            r"\def\x{one}\expandafter\def\expandafter\x\expandafter{\x, two}"
            r"\expandafter\newcommand\expandafter\y\expandafter{\x}\def\x{three}",
            r"\expandafter\textbf\expandafter{\y}, \x.",
            r"\textbf{one, two}, three.",
        ),
        # values by keys, if these are defined
        *(
            (
                r"\makeatletter\newcommand{\set}[2]{\@namedef{v@#1}{#2}}\newcommand{\get}[1]{"
                + test
                + r"}\makeatother\set{n-1}{42}\set{m}{7}",
                r"\get{n-1} of \get{m}, \get{none}.",
                f"42 of 7, {undefined}.",
            )
            for test, undefined in (
                (r"\ifcsname v@#1\endcsname\csname v@#1\endcsname\else\textbf{??}\fi", r"\get{none}"),
                (r"\@ifundefined{v@#1}{??}{\@nameuse{v@#1}}", "??"),
                (r"\ifcsdef{v@#1}{\csuse{v@#1}}{??}", "??"),
                (r"\ifcsundef{v@#1}{??}{\csuse{v@#1}}", "??"),
            )
        ),
        # counters
        (
            r"\newcounter{n}\loop\stepcounter{n}\expandafter\edef\csname b\Alph{n}\endcsname"
            r"{\noexpand\mathbf{\Alph{n}}}\ifnum\value{n}<26\repeat",
            r"$\bA\bZ\ba$",
            r"$\mathbf{A}\mathbf{Z}\ba$",
        ),
        (
            r"\newcount\n\n=2\loop\expandafter\gdef\csname v\@alph\n\endcsname{\vec v_{\number\n}}"
            r"\advance\n by 1 \ifnum\n<5 \repeat",
            r"$\va\vb\vd\ve$",
            r"$\va\vec v_{2}\vec v_{4}\ve$",
        ),
        (
            r"\newcommand\one[1]{\csdef{b#1}{\mathbb{#1}}}\forloop{n}{1}{\value{n} < 4}"
            r"{\edef\letter{\Alph{n}}\expandafter\one\letter}",
            r"$\bA\bC\bD$",
            r"$\mathbb{A}\mathbb{C}\bD$",
        ),
        # by an author's own command for definitions; values that test their arguments
        (
            r"\newcommand{\new}[2]{\newcommand{#1}{\ensuremath{#2}}}"
            r"\newcommand{\logic}[2]{\expandafter\new\csname is#1\endcsname{\mathsf{#2}}"
            r"\expandafter\new\csname mod#1\endcsname{M_\csname is#1\endcsname}}\logic{K}{K4}",
            r"\isK, \modK",
            r"\ensuremath{\mathsf{K4}}, \ensuremath{M_\ensuremath{\mathsf{K4}}}",
        ),
        (
            r"\newcommand{\op}[1]{\expandafter\newcommand\csname of#1\endcsname[1][]"
            r"{#1\ifthenelse{\isempty{##1}}{}{(##1)}}}\op{Dom}",
            r"$\ofDom, \ofDom[x]$",
            r"$Dom, Dom(x)$",
        ),
        # a macro that only calls others
        (
            r"\newcommand\one[1]{\csdef{b#1}{B}}\newcommand\both[1]{\one{#1}\csdef{c#1}{C}}\both{x}",
            r"\bx\cx",
            "BC",
        ),
    ],
)
def test_definitions_by_computed_names_are_expanded(preamble, text, shown):
    assert body(preamble, text) == shown


@pytest.mark.parametrize(
    ("preamble", "text"),
    [
        (r"\def\one#1{\expandafter\def\csname b#1\endcsname{}}", r"See \one{\x} and \verb|\one{A}|."),
        (
            r"\newcommand{\one}[1]{\csdef{b#1}{B}}",
            "See\n\\begin{verbatim}\n\\one{A}\\csdef{x}{}\n\\end{verbatim}",
        ),
        (r"\newcommand{\ask}[1]{\expandafter\ifx\csname k#1\endcsname\relax a\else b\fi}", r"See \ask{x}."),
        (r"\newcommand{\one}[2]{\expandafter\def\csname b#1\endcsname{#2}}", r"See \one{\x}{y} and \bx."),
        (r"\newcommand{\one}[2][x]{\expandafter\def\csname b#1\endcsname{#2}}", r"See \one{y} and \bx."),
        (r"\def\one#1{\expandafter\def\csname b#1\endcsname{}}", r"See \expandafter\one\x y."),
        (r"\def\each#1{\ifx\each#1\else\expandafter\each\fi}", r"See \each AB\each."),
        (EACH, r"See \each " + "A" * 300 + r"\each."),  # no part of a loop is lost
        (EACH, r"See \each AB$\each."),
        (r"\newcommand{\mu}[1]{\csname x#1\endcsname}", r"A line\\mu{x} ends."),
        (r"\renewcommand{\section}[1]{\csname x#1\endcsname}", "See\n\\section{this}\nhere."),
        (r"\def\x{A}", r"See \csname nobody\endcsname and \ifx\csname x\endcsname a\else b\fi."),
    ],
)
def test_what_is_not_known_to_define_stays(preamble, text):
    assert body(preamble, text) == text


def test_time_and_growth_are_bounded():
    itself = r"\def\a#1{" + r"\a{#1}" * 100 + r"\csname x#1\endcsname}" + r"\a{y}" * 100
    assert len(written_out(itself)) < 4 << 20
    starts = r"\def\each#1{\ifx\stop#1\else\csdef{b#1}{}\expandafter\each\fi}"
    for unit in (
        r"\each A",
        r"\csname ",
        r"\begin{verbatim}",
        r"\newcommand\a[1]{\csdef{b#1}{}}",
        r"\one{\one{",
        r"\loop\advance\n by 1 \ifnum\n<200 ",
        r"\newcount\n\loop\csdef{x}{}\advance\n by 1 \ifnum\n<9 \repeat",
        r"\expandafter\each",
    ):
        small, large = (partial(written_out, starts + unit * size) for size in (2_000, 8_000))
        assert not takes_over(8, large, small), unit


def test_commands_of_xparse_define_and_are_defined():
    text = r"\NewDocumentCommand{\mk}{m +m}{\expandafter\NewDocumentCommand\csname is#1\endcsname{s m}"
    text += r"{\IfBooleanTF{##1}{#2*}{#2}(##2)}}\mk{A}{Alpha}\section{A}\isA{x} \isA*{y}."
    assert clean_latex(text) == "\\section{A}Alpha(x) Alpha*(y).\n"
