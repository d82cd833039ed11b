r"""Macros that ask for their star or optional arguments, plain comment environments, standalone figures."""

import pytest

from data.documents import Record
from data.sources.arxiv import recipe
from data.sources.arxiv.papers import Files, records
from data.sources.arxiv.recipe import clean_latex

HEAD = "\\section{S}\n"


def paper(preamble: str, text: str) -> str:
    document = f"{preamble}\n\\begin{{document}}\n{HEAD}{text}\n\\end{{document}}\n"
    return clean_latex("\\documentclass{article}\n" + document).removeprefix(HEAD).strip()


@pytest.mark.parametrize(
    ("preamble", "source", "text"),
    [
        (r"\NewDocumentCommand{\hl}{s m}{\IfBooleanTF{#1}{\textbf{#2}}{\emph{#2}}}",
         r"A \hl{one} and \hl*{two}.", r"A \emph{one} and \textbf{two}."),
        (r"\DeclareDocumentCommand\who{s o m}{\IfBooleanF{#1}{Dr }\IfNoValueTF{#2}{#3}{#3 of #2}}",
         r"\who{Lee}, \who*{Kim}, \who[Bonn]{May}.", "Dr Lee, Kim, Dr May of Bonn."),
        (r"\NewDocumentCommand\nm{m o}{\|#1\|\IfValueT{#2}{_{#2}}}", r"$\nm{x}\nm{y}[2]$",
         r"$\|x\|\|y\|_{2}$"),
        (r"\NewDocumentCommand\a{s o}{\IfBooleanTF{#1}{\IfValueTF{#2}{both #2}{star}}{plain}}",
         r"\a\ and \a*\ and \a*[x].", r"plain\ and star\ and both x."),
        (r"\newcommand{\b}[1]{\IfBooleanTF{#1}{x}{y}}", r"\b{z}.", r"\b{z}."),
        (r"\newcommand{\b}[1]{\IfBlankTF{#1}{none}{<#1>}\IfBlankF{#1}{!}}", r"\b{}, \b{ }, \b{x}.",
         "none, none, <x>!."),
        (r"\def\b#1{\IfBooleanTF{#1}{x}{y}}", r"\b{z}.", r"\b{z}."),
        # Arguments in other signs than brackets, further marks than the star, defaults that show arguments.
        (r"\NewDocumentCommand\at{m D(){0} t+}{#1 at #2\IfBooleanT{#3}{ and later}}",
         r"\at{a}, \at{b}(f(1)), \at{c}({)})+.", "a at 0, b at f(1), c at ) and later."),
        (r"\DeclareExpandableDocumentCommand{\of}{r<> d||}{#1\IfValueT{#2}{ or #2}}",
         r"\of<x>, \of<y<z>>|w|, \of{x}.", r"x, y<z> or w, \of{x}."),
        (r"\NewDocumentCommand{\pair}{m O{#1}}{#1 and #2}", r"\pair{x}; \pair{x}[y].", "x and x; x and y."),
        (r"\NewDocumentCommand{\row}{m O{a\\#1 \#1}}{#2}", r"\row{x}.", r"a\\x \#1."),
        # Tokens in braces or after blanks, and arguments that must follow at once.
        (r"\DeclareDocumentCommand \eq { t{/} o o } {\IfNoValueTF{#3}{\IfBooleanTF{#1}\neq\relax}{#2<#3}}",
         r"$a\eq/ b$, $\eq[a][b]$, $x\eq y$.", r"$a\neq b$, $a<b$, $x y$."),
        (r"\NewDocumentCommand{\at}{s D ( ) {0} r {<} > m}{\IfBooleanT{#1}{S}#2#3#4}",
         r"\at *(1)<2>3, \at<2>3.", "S123, 023."),
        (r"\NewDocumentCommand{\see}{m !o !t+}{#1\IfValueT{#2}{, #2}\IfBooleanT{#3}{!}}",
         r"\see{a}[b] \see{a} [b] \see{a}+ \see{a} +.", "a, b a [b] a! a +."),
        # What changes an argument before it is shown.
        (r"\NewDocumentCommand{\p}{>{\TrimSpaces}m > { \ReverseBoolean } s}{<#1>\IfBooleanT{#2}{.}}",
         r"\p{ x } \p{y}*", "<x>. <y>"),
        (r"\NewDocumentCommand{\set}{>{\SplitArgument{1}{|}}m}{\oneset#1}"
         r"\NewDocumentCommand{\oneset}{m m}{\{#1\IfValueT{#2}{:#2}\}}",
         r"$\set{x | {|x|}|y}\set{a}\set{b|}$.", r"$\{x:{|x|}|y\}\{a\}\{b:\}$."),
        (r"\NewDocumentCommand{\p}{>{\SplitList{;}}m}{<#1>}", r"\p{a;b}.", r"\p{a;b}."),
        # Braces around all of an optional argument or its default are not part of it.
        (r"\newcommand{\who}[1][{}]{all\ifthenelse{\isempty{#1}}{}{ of #1}}",
         r"\who, \who[{}], \who[x], \who[{[a]}].", "all, all, all of x, all of [a]."),
        (r"\newcommand{\key}[1][{[k]}]{#1}\NewDocumentCommand{\in}{o}{#1}", r"\key, \key[a{b}], \in[{x]}].",
         "[k], a{b}, x]."),
        # Optional groups, and arguments after marks in any order.
        (r"\NewDocumentCommand{\E}{m g}{E(#1\IfValueT{#2}{|#2})}\NewDocumentCommand\q{G{all}}{[#1]}",
         r"$\E{x}\E x{y}\q\q{z}$.", r"$E(x)E(x|y)[all][z]$."),
        (r"\NewDocumentCommand{\s}{e{_^} m}{S\IfValueT{#1}{_{#1}}\IfValueT{#2}{^{#2}}(#3)}",
         r"$\s_a^{b}{c}\s^b_a c\s{c}\s_{a}{c}$.", r"$S_{a}^{b}(c)S_{a}^{b}(c)S(c)S_{a}(c)$."),
        (r"\NewDocumentCommand{\s}{E{_^}{{0}n}}{\sum_{#1}^{#2}}", r"$\s\,\s_1\,\s^m$.",
         r"$\sum_{0}^{n}\,\sum_{1}^{n}\,\sum_{0}^{m}$."),
        # The package twoopt.
        (r"\newcommandtwoopt{\seen}[3][see][p.~1]{#1 #3, #2}",
         r"\seen{A}; \seen[cf.]{B}; \seen[cf.][p.~9]{C}.", "see A, p.~1; cf. B, p.~1; cf. C, p.~9."),
        (r"\renewcommandtwoopt*\both[2][a][b]{#1#2}", r"\both, \both[x], \both[x][y].", "ab, xb, xy."),
        # Copies of a meaning, with and without braces; the copy keeps it.
        (r"\newcommand{\em}[1]{<#1>}\NewCommandCopy{\kept}{\em}\LetLtxMacro\too\em\renewcommand{\em}[1]{!#1!}",
         r"\kept{a} \too{b} \em{c}", "<a> <b> !c!"),
        (r"\LetLtxMacro{\oldsqrt}{\sqrt}\renewcommand{\sqrt}[1]{\oldsqrt{#1\,}}", r"$\sqrt{2}$",
         r"$\sqrt{2\,}$"),
        # The package optional.
        (r"\usepackage[long]{optional}", r"A \opt{long,arxiv}{kept }\opt{short}{left out }B.", "A kept B."),
        ("", r"A \opt{long}{text}.", r"A \opt{long}{text}."),
        # The plain form of an environment of the package comment.
        (r"\usepackage{comment}", "A\n\\comment\nhidden $x\n\\endcomment\nB", "A\nB"),
        (r"\usepackage{comment}\excludecomment{draft}", "A\n\\draft\nhidden\n\\enddraft\nB", "A\nB"),
        (r"\newcommand{\comment}[1]{}", "A \\comment{note} B\n\\comment\n{more} C", "A  B\n C"),
        ("", "A\n\\comment\nnever ends", "A\n\\comment\nnever ends"),
        # Environments that the paper declares verbatim in LaTeX3's way, and others in which % is text.
        (r"\NewDocumentEnvironment{code}{O{}}{\VerbatimEnvironment\begin{Verbatim}}{\end{Verbatim}}",
         "\\begin{code}\nx % kept\n\\end{code} % gone", "\\begin{code}\nx % kept\n\\end{code}"),
        (r"\DeclareDocumentEnvironment{hide}{m}{\comment}{\endcomment}", "A \\begin{hide}x\\end{hide}B",
         "A B"),
        ("", "\\begin{sagesilent}\na % b\n\\end{sagesilent} \\piton|c % d|.",
         "\\begin{sagesilent}\na % b\n\\end{sagesilent} \\piton|c % d|."),
    ],
)  # fmt: skip
def test_a_reader_sees(preamble, source, text):
    assert paper(preamble, source) == text


def test_a_standalone_figure_is_part_of_the_paper_and_not_another(tmp_path):
    kept = Files()
    kept.contents = {
        "main.tex": b"\\documentclass{article}\n\\begin{document}\n\\section{S}\nSee\n"
        b"\\includestandalone[width=3cm]{fig/plot}\nhere.\n\\end{document}\n",
        "fig/plot.tex": b"\\documentclass[tikz]{standalone}\n"
        b"\\begin{document}\nA labeled box\n\\end{document}\n",
    }
    (record,) = records(kept, "f", 0, "2101.00001")
    assert isinstance(record, Record)
    assert recipe.clean(record).text.split() == ["\\section{S}", *["See", "A", "labeled", "box", "here."]]
