r"""A macro that defines others does so where it is called: \newcommand{\setx}[1]{\renewcommand{\x}{#1}}."""

import pytest

from tests.support.papers import section

SET = "\\newcommand{\\x}{1}\\newcommand{\\setx}[1]{\\renewcommand{\\x}{#1}}"


@pytest.mark.parametrize(
    ("preamble", "source", "left"),
    [
        (SET, r"\x\setx{2}\x.", "12."),
        (SET, r"\x{\setx{2}\x}\x.", "1{2}1."),
        (SET + r"\newcommand{\two}{[\setx{2}\x]}", r"\two\x.", "[2]2."),
        (r"\newcommand{\two}[1]{[\setx{2}\x/#1]}" + SET, r"\two{a}\x.", "[2/a]2."),
        (r"\newcommand{\mk}[1]{\def\f##1{##1+#1}}", r"\mk{a}\f{x}\mk{b}\f y.", "x+ay+b."),
        (r"\def\fig#1#2{\def\width{#2}\caption{#1, \width\ wide}}", r"\fig{A plot}{3cm}.",
         r"\caption{A plot, 3cm\ wide}."),
        (r"\newcommand{\R}{\mathbb{R}}\newcommand{\q}[1]{{\def\R{Q}$#1$}}", r"\q{\R} and $\R$.",
         r"{$Q$} and $\mathbb{R}$."),
        # It sets what LaTeX itself reads, and its arguments have macros.
        (r"\newcommand{\R}{\mathbb{R}}\newcommand{\notes}[1]{\renewcommand{\thefootnote}{\alph{footnote}}#1}",
         r"\notes{$\R$}.", r"\renewcommand{\thefootnote}{\alph{footnote}}$\mathbb{R}$."),
        (r"\newcommand{\a}[2][]{\def\t{#1}\ifx\t\empty A\else B\fi\def\z{#2}\z}", r"\a{x}\a[y]{z}.", "AxBz."),
        (r"\newcommand\given{}\DeclarePairedDelimiterX{\Set}[1]\{\}{\renewcommand\given{\delimsize\vert}#1}",
         r"$\Set{x\given y}\Set*{x\given y}\Set[\big]{x\given y}$.",
         r"$\{x\vert y\}\left\{x\middle\vert y\right\}\bigl\{x\big\vert y\bigr\}$."),
        (SET + r"\def\note#1#2{\begingroup\def\x{#1}\footnote{\x: #2}\endgroup}", r"\note{*}{A note}\x.",
         r"\begingroup\footnote{*: A note}\endgroup1."),
        (r"\newcommand{\sm}[1]{\begingroup\small #1\endgroup}", r"\sm{a}.", r"\begingroup\small a\endgroup."),
        (SET, r"{\setx}\x", r"{\setx}1"),
    ],
)  # fmt: skip
def test_it_defines_what_follows(preamble, source, left):
    assert section(preamble, source) == left


def test_questions_about_its_arguments_are_answered():
    given = r"\newcommand\given{}\DeclarePairedDelimiterX{\of}[1](){\renewcommand\given{\delimsize\vert}#1}"
    order = r"\NewDocumentCommand{\O}{s o d()}{O\IfValueT{#2}{_{#2}}\IfBooleanT{#1}!\IfValueT{#3}{\of*{#3}}}"
    assert section(given + order, r"$\O$, $\O(n)$, $\O*[p](n\given m)$.") == (
        r"$O$, $O\left(n\right)$, $O_{p}!\left(n\middle\vert m\right)$."
    )
    setting = r"\newcommand{\x}{1}\NewDocumentCommand{\set}{m o}{\renewcommand{\x}{\IfValueTF{#2}{#1#2}{#1}}}"
    assert section(setting, r"\set{a}\x, \set{a}[b]\x.") == "a, ab."


@pytest.mark.parametrize(
    ("preamble", "source", "left"),
    [
        (r"\newcommand{\named}[2]{#2\def\@currentlabel{#2}\label{#1}}", r"\named{a}{A$_{1}$} is.",
         r"A$_{1}$\label{a} is."),
        (r"\newcommand{\case}[1][]{\item[#1]\protected@edef\@currentlabel{{#1}}}", r"\case[(i)] one",
         r"\item[(i)] one"),
        (r"\newcommand{\set}[2]{\protected@write\@auxout{}{\string\newlabel{#1}{{#2}{\thepage}}}\textbf{#2}}",
         r"\set{a}{A}.", r"\textbf{A}."),
        (r"\newcommand{\see}[1]{\def\@currentlabel #1}", r"\see{a}.", r"\see{a}."),
    ],
)  # fmt: skip
def test_what_it_keeps_for_references_is_left_out(preamble, source, left):
    assert section(rf"\makeatletter{preamble}\makeatother", source) == left


def test_one_that_calls_itself_ends():
    assert section(r"\newcommand{\a}{\def\x{1}\a\a}", r"\a\x.") == r"\a\a1."
    doubling = "".join(
        f"\\newcommand{{\\{one}}}{{\\def\\x{{1}}\\{two}\\{two}}}" for one, two in zip("abcdefgh", "bcdefghi")
    )
    assert section(doubling, r"\a\x.") == "\\i" * 256 + "1."
