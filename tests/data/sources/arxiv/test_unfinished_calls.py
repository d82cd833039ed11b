r"""A macro's value may end in a call whose last arguments follow: \newcommand{\tr}{\note{TR}}, \tr{text}."""

import pytest

from tests.support.papers import section

NOTE = "\\newcommand{\\note}[2]{[#1: #2]}\\newcommand{\\tr}{\\note{TR}}"


@pytest.mark.parametrize(
    ("preamble", "source", "left"),
    [
        (NOTE, r"\tr{one}\tr{two}, \tr x.", "[TR: one][TR: two], [TR: x]."),
        (NOTE, "\\tr\n{a \\tr{b}}.", "[TR: a [TR: b]]."),
        (NOTE + r"\newcommand{\by}[1]{\note{#1}}", r"\by{A}{one}.", "[A: one]."),
        (NOTE + r"\newcommand{\by}[1]{By \emph{A}: \note{#1}}", r"\by{A}{one}.", r"By \emph{A}: [A: one]."),
        (r"\newcommand{\c}[3]{(#1#2#3)}\newcommand{\b}{\c{1}}\newcommand{\a}{\b{2}}", r"\a{3}\a4.",
         "(123)(124)."),
        (r"\newcommand{\c}[2][red]{<#1|#2>}\newcommand{\g}{\c[green]}", r"\g{leaf}\c{x}.",
         "<green|leaf><red|x>."),
        (r"\def\sub#1#2{#1_{#2}}\def\x{\sub x}", r"$\x2+\x{ab}$.", "$x_{2}+x_{ab}$."),
        (r"\def\d#1;#2.{<#1|#2>}\newcommand{\a}{\d a}", r"\a{b};c. d.", "<a{b}|c> d."),
        (r"\NewDocumentCommand{\c}{m o m}{#1\IfValueT{#2}{[#2]}#3}\newcommand{\a}{\c{1}}", r"\a{2}\a[o]{2}.",
         "121[o]2."),
        (NOTE + r"\newcommand{\long}{\tr}", rf"\long{{{'x' * 9000}}}.", f"[TR: {'x' * 9000}]."),
        # Without the arguments, the call stays.
        (NOTE, "{\\tr}{x} \\tr\n\n\\footnote{\\tr}.",
         "{\\note{TR}}{x} \\note{TR}\n\n\\footnote{\\note{TR}}."),
        (NOTE + r"\newcommand{\b}{\emph{\note{B}}}", r"\b{x}.", r"\emph{\note{B}}{x}."),
    ],
)  # fmt: skip
def test_its_arguments_are_read_from_what_follows(preamble, source, left):
    assert section(preamble, source) == left


def test_many_calls_that_never_get_their_arguments_take_linear_time():
    text = section(NOTE, "{\\tr}\n\n" * 20_000 + "\\tr{" + "x" * 1000)
    assert text.count("\\note{TR}") == 20_001
