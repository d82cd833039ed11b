r"""Macros that ask whether an argument is empty or a certain token, in the ways that papers do."""

import re

import pytest

from tests.support.papers import section


@pytest.mark.parametrize(
    ("head", "test"),
    [
        ("[1][]", r"\if\relax\detokenize{#1}\relax"),
        ("[1][]", r"\if\relax\detokenize\expandafter{#1}\relax"),
        ("[1][]", r"\expandafter\ifx\expandafter\relax\detokenize{#1}\relax"),
        ("[1][]", r"\ifx\relax#1\relax"),
        ("[1][]", r"\if\relax#1\relax"),
        ("[1][]", r"\ifx\empty#1\empty"),
        ("[1][]", r"\ifx\@empty#1\@empty"),
        ("[1][]", r"\ifx\\#1\\"),
        ("[1][]", r"\if!#1!"),
        ("[1][]", r"\if$#1$"),
        ("[1][]", r"\ifcat$\detokenize{#1}$"),
        ("[1][\\empty]", r"\ifx#1\empty"),
        ("[1][\\@empty]", r"\ifx#1\@empty"),
        ("[1][\\relax]", r"\ifx\relax#1"),
        ("[1][n]", r"\ifx#1n"),
        ("[1][n]", r"\if n#1"),
        ("[1][]", r"\def\temp{#1}\ifx\temp\empty"),
        ("[1][]", r"\edef\@tempa{#1}\ifx\@empty\@tempa"),
        ("[1][none]", r"\def\@tempa{#1}\def\@tempb{none}\ifx\@tempa\@tempb"),
        ("[1][none]", r"\def\@tempa{#1}\def\@tempb{none}\ifx\@tempb\@tempa"),
    ],
)
def test_an_argument_chooses_its_branch(head, test):
    blank = " " if re.search(r"\\[A-Za-z@]+\Z", test) else ""
    definition = rf"\newcommand{{\a}}{head}{{<{test}{blank}A\else B_{{#1}}\fi>}}"
    assert section(definition, r"$\a \a[x] \a[\alpha x]$.") == r"$<A> <B_{x}> <B_{\alpha x}>$."


@pytest.mark.parametrize(
    ("preamble", "source", "left"),
    [
        (r"\newcommand{\a}[2]{\ifx#1#2same\else other\fi}", r"\a11, \a{1}2.", "same, other."),
        (r"\newcommand{\a}[1]{\if#1b B\else\if#1cC\else D\fi\fi}", r"\a b\a c\a d.", "BCD."),
        (r"\newcommand{\a}[1]{\ifcat\noexpand#1\relax\boldsymbol{#1}\else\mathbf{#1}\fi}", r"$\a x\a\mu$.",
         r"$\mathbf{x}\boldsymbol{\mu}$."),
        # The name is used elsewhere too.
        (r"\newcommand{\a}[1]{\def\t{#1}\ifx\t\empty A\else\t\fi}", r"\a{x}\a{}.", "xA."),
        # Words stay apart from the commands before the branch.
        (r"\newcommand{\a}[1]{\alpha\ifx&#1&x\else y\fi}", r"$\a{}\a1$.", r"$\alpha x\alpha y$."),
        (r"\DeclarePairedDelimiterX\n[1]\lVert\rVert{\ifblank{#1}{\cdot}{#1}}", r"$\n{}\n{x}$.",
         r"$\lVert\cdot\rVert\lVert x\rVert$."),
        (r"\NewDocumentCommand{\a}{s m}{\to\IfBooleanTF{#1}{b}{c}#2}", r"$\a{x}\a*{x}$.", r"$\to cx\to bx$."),
        # What cannot be expanded matters only in a branch that is taken.
        (r"\newif\ifcut\newcommand{\a}[1]{\ifcut\begingroup\setbox0=\hbox{#1}\endgroup\fi}", r"A\a{b}.",
         "A."),
        (r"\newif\ifcut\newcommand{\a}[1]{\ifcut\else\setbox0=\hbox{#1}\fi}", r"A\a{b}.", r"A\a{b}."),
        (r"\newcommand{\a}[1]{\ifthenelse{\equal{#1}{x}}{X}{\setbox0=\hbox{#1}}}", r"\a{x}\a{y}.",
         r"X\a{y}."),
        # The flag is declared after the macro.
        (r"\newcommand{\a}[2]{\ifnotes[#1: #2]\fi}\newcommand{\b}{\a{B}}\newif\ifnotes", r"A\b{x}\a{y}{z}.",
         "A."),
        (r"\newcommand{\a}[1]{\ifnotes[#1]\fi}\iftrue\else\newif\ifnotes\fi", r"\a{x}.", r"\a{x}."),
        # An argument that is shown as it is.
        (r"\newcommand{\a}[1]{\texttt{\detokenize{#1}}}", r"\a{b_c}.", r"\texttt{\detokenize{b_c}}."),
        (r"\newcommand{\a}[1]{\texttt{\detokenize{#1}}}", r"\a{\b}.", r"\a{\b}."),
        # The package xargs.
        (r"\newcommandx\a[3][1,3]{<#1|#2|#3>}", r"\a{x} \a[1]{x}[3].", "<|x|> <1|x|3>."),
        (r"\newcommandx*{\a}[3][1=1, 3={m,n}, addprefix=\global]{#2_{#1}^{#3}}", r"$\a{x}\a[2]{x}[3]$.",
         "$x_{1}^{m,n}x_{2}^{3}$."),
        (r"\newcommandx\a[3][1=p,2=q,usedefault]{(#1#2#3)}", r"\a{x}\a[][z]{x}\a[y]{x}.", "(pqx)(pzx)(yqx)."),
    ],
)  # fmt: skip
def test_what_a_reader_sees(preamble, source, left):
    assert section(preamble, source) == left


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (r"\uppercase\expandafter{\romannumeral #1\relax}", "Type IV, XIX."),
        (r"\textup{\uppercase\expandafter{\romannumeral#1}}", r"Type \textup{IV}, \textup{XIX}."),
        (r"\expandafter\@slowromancap\romannumeral #1@", "Type IV, XIX."),
        (r"\MakeUppercase{\romannumeral #1}", "Type IV, XIX."),
        (r"\@Roman{#1}", "Type IV, XIX."),
        (r"\textsc{\romannumeral #1}", r"Type \textsc{iv}, \textsc{xix}."),
    ],
)
def test_a_roman_numeral_is_written(body, left):
    definition = rf"\makeatletter\newcommand*{{\RN}}[1]{{{body}}}\makeatother"
    assert section(definition, r"Type \RN{4}, \RN{19}.") == left
    assert section(definition, r"Type \RN{\x}, \RN{0}.") == r"Type \RN{\x}, \RN{0}."
