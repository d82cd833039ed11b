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
