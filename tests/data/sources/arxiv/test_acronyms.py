"""Acronyms that a preamble defines are written out where the text uses them."""

import pytest

from tests.support.papers import folder, section, texts

DEFINED = (
    r"\newacronym{ml}{ML}{machine learning}\newacronym[longplural={means of care}]{mc}{MC}{mean of care}"
)


@pytest.mark.parametrize(
    ("definitions", "source", "left"),
    [
        (DEFINED, r"\gls{ml}, \gls{ml} and \Gls{mc}.", "machine learning (ML), ML and Mean of care (MC)."),
        (DEFINED, r"\glspl{mc} \acrshort{ml} \Acrlong{ml} \acrfullpl{mc}.",
         "means of care (MCs) ML Machine learning means of care (MCs)."),
        (DEFINED, r"\gls[hyper=false]{ml} \glsreset{ml}\gls*{ml} \glsunset{mc}\gls{mc}.",
         "machine learning (ML) machine learning (ML) MC."),
        (DEFINED + r"\newcommand{\ml}{\gls{ml}\xspace}", r"\ml is \ml.", "machine learning (ML) is ML."),
        (DEFINED, r"\gls{other} \ac{none}.", r"\gls{other} \ac{none}."),
        (r"\newabbreviation{ml}{ML}{machine learning}", r"\glsxtrlong{ml}, \glsxtrshort{ml}.",
         "machine learning, ML."),
        (r"\newglossaryentry{axis}{name={axis}, plural=axes, description={A line, as (0,1)}}",
         r"\Gls{axis}, \glspl{axis}.", "Axis, axes."),
        (r"\newglossaryentry{ml}{type=\acronymtype, name={ML}, first={machine learning (ML)}}",
         r"\gls{ml} and \gls{ml}.", "machine learning (ML) and ML."),
        (r"\acrodef{nn}[NN]{neural net}\newacro{dag}{directed graph}\acrodefplural{nn}[NNs]{nets}",
         r"\acp{nn} \ac{nn} \acl{dag} \acs{dag}.", "nets (NNs) NN directed graph dag."),
        (r"\DeclareAcronym{ph}{short = PH, long = ph value, tag=x, long-plural-form = {values of ph}}",
         "\\acp{ph} \\ac{ph}.", "values of ph (PHs) PH."),
        (r"\acrodef{na}[$N$]{number\acroextra{ ({\it of} atoms)} in all}", r"\acl{na}.", "number in all."),
        (r"\newacro{nn}[NN]{neural net}", r"\acf{nn}, \ac{nn}, \acfi{nn}.",
         "neural net (NN), NN, neural net (NN)."),
        (r"\newacro{nn}[NN]{neural net}", r"\acf*{nn}, \ac*{nn}, \ac{nn}, \ac{nn}.",
         "neural net (NN), neural net (NN), neural net (NN), NN."),
        (DEFINED, r"\gls*{ml}, \gls{ml}.", "machine learning (ML), ML."),
        (r"\newacro{nn}[NN]{net}\newacro{ml}[ML]{learning}", r"\aclu{nn}/\acsu{ml}: \ac{nn}/\ac{ml}.",
         "net/ML: NN/ML."),
        (r"\newacro{nn}[NN]{net}\newacroindefinite{nn}{an}{a}\newacro{ml}[ML]{game}",
         r"\Iac{nn}, \iac{nn}, \iac{ml}.", "A net (NN), an NN, a game (ML)."),
        (r"\DeclareAcronym{sf}{short=SF, long=story, short-indefinite=an}", r"\iacs{sf}, \Iac{sf}.",
         "an SF, A story (SF)."),
    ],
)  # fmt: skip
def test_an_acronym_is_shown_in_full_at_first(definitions, source, left):
    assert section(definitions, source) == left


def test_acronyms_in_a_file_of_their_own_and_in_the_papers_list_are_known(tmp_path):
    listed = "\\begin{acronym}\n\\acro{ph}[PH]{ph value}\n\\end{acronym}"
    main = "\\documentclass{article}\n\\loadglsentries[main]{terms}\n\\begin{document}\n\\section{A}\n"
    main += f"\\gls{{ml}} \\ac{{ph}}\n{listed}\n\\end{{document}}"
    folder(tmp_path / "p", {"main.tex": main, "terms.tex": DEFINED})
    assert texts(tmp_path / "p") == [f"\\section{{A}}\nmachine learning (ML) ph value (PH)\n{listed}\n"]
