r"""Text for other readers is left out: tags, audiences, versions, beamer's modes, hidden environments."""

import pytest

from data.sources.arxiv.recipe import clean_latex
from tests.support.papers import section

BOXES = "\\newsavebox{\\x}"
FLAG = "\\newif\\iflong\\longtrue"


@pytest.mark.parametrize(
    ("preamble", "text", "left"),
    [
        ("\\usepackage{tagging}\\usetag{a}", "\\tagged{a,b}{one}\\tagged{b}{x}\\untagged{a}{y}.", "one."),
        ("\\usepackage[a]{tagging}\\droptag{a}", "\\iftagged{a}{x}{one}\\tagged{a}{y}.", "one."),
        ("\\usepackage[a]{tagging}", "\\begin{taggedblock}{b}x\\end{taggedblock}one.", "one."),
        ("\\usepackage[a]{tagging}", "\\begin{untaggedblock}{a}x\\end{untaggedblock}one.", "one."),
        ("\\usepackage{multiaudience}\\DefCurrentAudience{a}",
         "\\showto{a}{one}\\showto{b}{x}\\showto{-,a}{y}\\begin{shownto}{b}z\\end{shownto}.", "one."),
        ("\\usepackage{versions}\\excludeversion{v}", "\\processifversion{v}{x}\\begin{v}y\\end{v}one.",
         "one."),
        # Which of two declarations holds is the flag's decision.
        (FLAG + "\\iflong\\excludecomment{v}\\else\\includecomment{v}\\fi", "\\begin{v}\nx\n\\end{v}\none.",
         "one."),
        (FLAG + "\\iflong\\else\\excludecomment{v}\\fi", "\\begin{v}one\\end{v}.", "\\begin{v}one\\end{v}."),
        (FLAG + "\\iflong\\newenvironment{v}{}{}\\else\\NewEnviron{v}{}\\fi", "\\begin{v}one\\end{v}.",
         "\\begin{v}one\\end{v}."),
        (FLAG + "\\iflong\\NewEnviron{v}{}\\else\\newenvironment{v}{}{}\\fi", "\\begin{v}x\\end{v}one.",
         "one."),
        ("\\NewDocumentEnvironment{v}{+b}{}{}", "\\begin{v}x\\end{v}one.", "one."),
        ("\\NewDocumentEnvironment{v}{+b}{#1}{}", "\\begin{v}one\\end{v}.", "\\begin{v}one\\end{v}."),
        (BOXES + "\\newenvironment{v}{\\begin{lrbox}{\\x}}{\\end{lrbox}}", "\\begin{v}y\\end{v}one.", "one."),
        (BOXES + "\\newenvironment{v}{\\begin{lrbox}{\\x}}{\\end{lrbox}\\usebox{\\x}}",
         "\\begin{v}one\\end{v}.",
         "\\begin{v}one\\end{v}."),
        ("\\newenvironment{v}{\\setbox0=\\vbox\\bgroup}{\\egroup}", "\\begin{v}x\\end{v}one.", "one."),
        ("\\excludecomment{v}", "\\begin{v}\\begin{v}x\\end{v}y\\end{v}one \\begin{v} open.",
         "one \\begin{v} open."),
    ],
)  # fmt: skip
def test_one_kind_of_reader_is_written_for(preamble, text, left):
    assert section(preamble, text) == left


@pytest.mark.parametrize(
    ("text", "article", "slides"),
    [
        ("\\mode<presentation>{a}\\mode<article>{b}.", "b.", "a."),
        ("\\mode<presentation>\na\n\\mode<article>\nb\n\\mode<all>\n.", "b .", "a ."),
        ("\\only<presentation>{a}\\section<article>{b}.", "\\section<article>{b}.",
         "\\only<presentation>{a}."),
        ("\\only<article:0>{a}.", ".", "\\only<article:0>{a}."),
        ("\\alt<article>{b}{a}.", "\\alt<article>{b}{a}.", "a."),
        ("\\begin{frame}<presentation>[t]\na\n\\end{frame}.", ".",
         "\\begin{frame}<presentation>[t] a \\end{frame}."),
        ("\\only<2->{a}, $x<presentation$.", "\\only<2->{a}, $x<presentation$.",
         "\\only<2->{a}, $x<presentation$."),
    ],
)  # fmt: skip
def test_beamer_shows_what_is_for_its_mode(text, article, slides):
    assert " ".join(section("\\usepackage{beamerarticle}", text).split()) == article
    as_slides = f"\\documentclass{{beamer}}\n\\begin{{document}}\n\\section{{A}}\n{text}\n\\end{{document}}\n"
    assert " ".join(clean_latex(as_slides).partition("\n")[2].split()) == slides
    assert section("", text) == text.strip()


def test_notes_on_slides_are_not_part_of_an_article():
    assert section("\\usepackage{beamerarticle}", "one\\note{speak slowly}\\note[item]{x}.") == "one."
