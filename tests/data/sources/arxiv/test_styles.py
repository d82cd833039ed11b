"""Macros whose formula differs by its size, or between formulas and text, are expanded."""

import pytest

from data.sources.arxiv.latex.macros import expand
from tests.support.cpu_time import takes_over
from tests.support.papers import section


@pytest.mark.parametrize(
    ("preamble", "source", "text"),
    [
        (r"\newcommand\at[2]{\mathchoice{\left.#1\right|_{#2}}{#1|_{#2}}{#1|_{#2}}{#1|_{#2}}}",
         r"$\at{f}{U}$", r"$f|_{U}$"),
        ("\\newcommand{\\by}[2]{%\n  \\mathchoice%\n  {\\dfrac{#1}{#2}}%\n  {#1/\\half}{}{}}\\def\\half{2}",
         r"$\by{a}{b}c$", r"$a/2c$"),
        (r"\def\x{a\mathchoice{1}{\mathchoice{2}{3}{4}{5}}{6}{7}b}", r"$\x$", r"$a3b$"),
        # the well-known sign of independence, and REVTeX authors' signs of two lines
        (r"\newcommand\indep{\protect\mathpalette{\protect\indepT}{\perp}}"
         r"\def\indepT#1#2{\mathrel{\rlap{$#1#2$}\mkern2mu{#1#2}}}",
         r"$A\indep B$", r"$A\mathrel{\rlap{$\textstyle\perp$}\mkern2mu{\textstyle\perp}} B$"),
        (r"\def\lsim{\mathrel{\mathpalette\two<}}\def\two#1#2{\vbox{\ialign{$#1##$\cr#2\cr\sim\cr}}}",
         r"$a\lsim b$", r"$a\mathrel{\vbox{\ialign{$\textstyle#$\cr<\cr\sim\cr}}} b$"),
        # helpers with @ in their names
        (r"\makeatletter\newcommand*\dotted{\mathpalette\dotted@{.5}}"
         r"\newcommand*\dotted@[2]{\mathbin{\scalebox{#2}{$\m@th#1\bullet$}}}\makeatother",
         r"$a\dotted b$", r"$a\mathbin{\scalebox{.5}{$\textstyle\bullet$}} b$"),
        (r"\makeatletter\newcommand\wide[1]{\mathpalette{\wide@}{#1}}"
         r"\def\wide@#1#2{\hat{\m@th #1#2}}\makeatother",
         r"$\wide{x}$", r"$\hat{\textstyle x}$"),
        (r"\makeatletter\def\b{\mathpalette\b@{x}}\def\b@#1#2{\setbox\z@\hbox{#2}\box\z@}\makeatother",
         r"$\b$ \verb|\b@|", r"$\b$ \verb|\b@|"),
        (r"\newcommand\y[1]{\mathchoice{#1}{#1}}", r"$\y{a}$", r"$\y{a}$"),  # not all four
        # text in formulas too
        (r"\newcommand\name[1]{\ifmmode\text{#1}\else{#1}\fi}", r"\name{one} and $\name{two}$",
         r"\text{one} and $\text{two}$"),
        (r"\def\ab{\ifmmode\mbox{AB}\else AB\fi}", r"\ab, $\ab$", r"\mbox{AB}, $\mbox{AB}$"),
        (r"\newcommand\name[1]{\ifmmode\text{#1}\else\emph{#1}\fi}", r"\name{one}", r"\name{one}"),
    ],
)  # fmt: skip
def test_one_form_is_shown(preamble, source, text):
    assert section(preamble, source) == text


def test_forms_take_linear_time():
    for unit in (r"\mathchoice{", r"\mathchoice{}{", r"\mathpalette\a{", r"\mathchoice{}{}{}{}"):
        small, large = ("\\newcommand\\a{" + unit * n + "}\\a" for n in (500, 2000))
        assert not takes_over(10, lambda text=large: expand(text), lambda text=small: expand(text)), unit
