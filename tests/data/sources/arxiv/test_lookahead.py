r"""Macros that look at what follows a call: \@ifstar, \@ifnextchar and \@testopt."""

import pytest

from tests.support.papers import section

STAR = r"\newcommand{\n}{\@ifstar{\n@star}{\n@plain}}\def\n@star#1{\left|#1\right|}\def\n@plain#1{|#1|}"


@pytest.mark.parametrize(
    ("definitions", "source", "left"),
    [
        (STAR, r"$\n{x}\n*{x}\n x\n *y$.", r"$|x|\left|x\right||x|\left|y\right|$."),
        (STAR.replace(r"{\n@star}{\n@plain}", r"\n@star\n@plain"), r"$\n{x}\n*{x}$.",
         r"$|x|\left|x\right|$."),
        (STAR + r"\newcommand{\m}{a \n}\newcommand{\k}{\n*{k}}", r"$\m{x}\m*{x}\k$.",
         r"$a |x|a \left|x\right|\left|k\right|$."),
        (r"\def\o{\@ifnextchar[{\@o}{\@o[none]}}\def\@o[#1]#2{#2 (#1)}", r"\o{x}, \o[y]{x}, \o [z]x.",
         "x (none), x (y), x (z)."),
        (r"\def\o{\@ifnextchar[\o@one\o@two}\def\o@one[#1]{<#1>}\def\o@two{<>}", r"\o[a] \o.", "<a> <>."),
        (r"\def\p#1{\@ifnextchar({\p@p{#1}}{\p@n{#1}}}\def\p@p#1(#2){#1 at #2}\def\p@n#1{#1!}",
         r"\p{x}(0), \p{x}.", "x at 0, x!."),
        (r"\def\t{\@testopt\t@i{1}}\def\t@i[#1]#2{#2_{#1}}", r"$\t x\t[2]{x}$.", "$x_{1}x_{2}$."),
        (r"\newcommand{\b}{\@ifstar{\@ifnextchar[{\b@o}{\b@s}}{\b@n}}\def\b@o[#1]#2{s#1#2}\def\b@s#1{s#1}"
         r"\def\b@n#1{n#1}", r"\b*[q]{r}\b*{r}\b{r}.", "sqrsrnr."),
        (r"\newcommand{\u}[1]{\emph{#1}\kernel@ifnextchar,{}{ }}", r"\u{a}, \u{b} c.",
         r"\emph{a}, \emph{b}  c."),
        # A delimiter that is sized unless a star follows, and a name with a star from the package suffix.
        (r"\DeclarePairedDelimiter\abs{|}{|}\let\fixed\abs\def\abs{\@ifstar{\fixed}{\fixed*}}",
         r"$\abs{x}+\abs*{y}$.", r"$\left|x\right|+|y|$."),
        (r"\newcommand*\of[2]{#1/#2}\WithSuffix\newcommand\of*[1]{*#1}\WithSuffix\long\def\emph*#1{<#1>}",
         r"\of ab \of*a \of *{b}, \emph*{c} \emph{d}.", r"a/b *a *b, <c> \emph{d}."),
        (r"\newcommand\of{x}\WithSuffix\def\of!{y}", r"\verb|\WithSuffix\def\of*|.",
         r"\verb|\WithSuffix\def\of*|."),
        # A meaning that is kept by a name with @.
        (r"\let\old@hat\hat\newcommand\thin{\old@hat}\renewcommand{\hat}{\widehat}\let\@x=\alpha\def\y{\@x\@x}",
         r"$\thin a\hat b\y$.", r"$\hat a\widehat b\alpha\alpha$."),
        # Flags choose first.
        (r"\newif\iffinal\finaltrue\newcommand{\w}{\iffinal\@ifstar{S}{N}\else O\fi}",
         r"\w* \w{} \finalfalse\w*.", "S N{} O*."),
        (r"\newif\iffinal\finaltrue\newcommand{\w}[1]{\iffinal\@ifstar{S#1}{N#1}\else O#1\fi}",
         r"\w1* \w{1}, \finalfalse\w1*.", "S1 N1, O1*."),
        # Its helper programs, so the call stays.
        (r"\def\o{\@ifnextchar[{\o@a}{\o@b}}\def\o@a[#1]{\setbox0=\hbox{}}\def\o@b{B}", r"\o[a] {\o}.",
         r"\o[a] {B}."),
    ],
)  # fmt: skip
def test_the_branch_that_tex_takes_is_shown(definitions, source, left):
    assert section(rf"\makeatletter{definitions}\makeatother", source) == left


@pytest.mark.parametrize(
    ("definitions", "source", "left"),
    [
        (r"\newcommand{\v@x}[1]{(#1)}\newcommand{\v}[1]{\v@x{#1}}", r"\v{a}.", "(a)."),
        (r"\def\@pair#1#2{\@bold{#1}_#2}\newcommand*{\@bold}[1]{\mathbf{#1}}\def\p{\@pair x}", r"$\p 1$.",
         r"$\mathbf{x}_1$."),
        (r"\newcommand{\v@x}[2][n]{#2#1}\newcommand{\v}{\v@x{a}\v@x[m]{b}}", r"\v.", "anbm."),
        # Defined twice, or by other means: what it is depends on more than this reads.
        (r"\def\v@x{a}\def\v{\v@x}\def\w{\def\v@x{b}}", r"\v \w.", r"\v \w."),
        (r"\newcommand{\to}[1]{\gdef\@to{#1}}\def\all{\@to}", r"\to{Ann} \all.", r"\to{Ann} \all."),
        (r"\def\v@x{a\@unknown}\def\v{\v@x}", r"\v{}.", r"\v{}."),
        (r"\def\v@x{\hbox\bgroup a\egroup}\def\v{\v@x}", r"\v{}.", r"\v{}."),
        # The period of \onedot is read elsewhere, also beside what looks for other characters.
        (r"\def\o{\@ifnextchar[\o@a\o@b}\def\o@a[#1]{#1}\def\o@b{o}\def\onedot{\futurelet\@let@token\@onedot}"
         r"\def\@onedot{\ifx\@let@token.\else.\null\fi\xspace}\def\eg{\emph{e.g}\onedot}", r"\eg, \o, \eg.",
         r"\emph{e.g}., o, \emph{e.g}."),
    ],
)  # fmt: skip
def test_a_name_with_an_at_sign_that_is_short_for_text_is_expanded(definitions, source, left):
    assert section(rf"\makeatletter{definitions}\makeatother", source) == left


def test_names_with_at_signs_stay_in_the_text():
    source = "\\begin{verbatim}\n\\def\\n@star#1{}\n\\end{verbatim}"
    assert section(rf"\makeatletter{STAR}\makeatother", source) == source
