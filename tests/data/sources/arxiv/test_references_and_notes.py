"""Reference lists in more forms, and notes to co-authors by more packages, are left out; the text stays."""

import pytest

from data.sources.arxiv.recipe import clean_latex

ENTRY = "[1] A. Author, A title, 2001."


def body(preamble: str, text: str) -> str:
    start = f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n\\section{{A}}\n"
    return clean_latex(f"{start}{text}\n\\end{{document}}\n").removeprefix("\\section{A}\n")


@pytest.mark.parametrize(
    "references",
    [
        f"\\begin{{CSLReferences}}{{1}}{{0}}\n{ENTRY}\n\\end{{CSLReferences}}",
        f"\\noindent{{\\bf References}}\n\n{ENTRY}",
        f"\\noindent\\textbf{{\\large REFERENCES:}}\n\n  {ENTRY}",
        f"\\section*{{\\refname}}\n\\begin{{itemize}}\\item {ENTRY}\\end{{itemize}}",
        f"\\section*{{\\large\\bibname}}\n{ENTRY}",
        "\\input paper.bbl",
        "\\bibliography{refs}{}\n\\bibliographystyle{aasjournal}",
        "\\printbibliography[heading=none, title={Cited [1]}]",
        "\\begin{mcitethebibliography}{9}\\bibitem{a} A.\\end{mcitethebibliography}",
        "\\begin{thebibliography*}{9}\\bibitem{a} A.\\end{thebibliography*}",
        f"\\section*{{References \\& Notes}}\n{ENTRY}",
        "\\section*{Reference}\n\\begin{thebibliography}{9}\\bibitem{a} A.\\end{thebibliography}",
        f"\\begin{{center}}\n{{\\large\\bf References}}\n\\end{{center}}\n{ENTRY}",
        *(
            f"\\section*{{{name}}}\n{ENTRY}"
            for name in ("参考文献", "Referenties", "Kaynak\\c{c}a", "Список літератури")
        ),
        f"\\section{{\\heiti 參考文獻}}\n{ENTRY}",
        f"\\begin{{flushleft}}{{\\bf References}}\\end{{flushleft}}\n{ENTRY}",
        f"\\noindent REFERENCES\n\n\\noindent {ENTRY}",
        f"\\references\n\\refis{{a}} {ENTRY}\n\\endreferences",
        *(
            f"\\section*{{{name}}}\n{ENTRY}"
            for name in (
                "Supplementary References",
                "References for the Methods section",
                "References (Appendix)",
            )
        ),
        "\\bibliographystyleother{plain}\n\\bibliographyother{refs,more}",
        "\\InputIfFileExists{paper.bbl}{}{\\typeout{none}}",
        "\\begin{mythebibliography}{9}\\bibitem{a} A.\\end{mythebibliography}",
        "\\begin{bibsection}\n\\bib{a}{article}{title={A title}}\n\\end{bibsection}",
    ],
)
def test_reference_lists_are_left_out(references):
    assert body("", f"Before.\n\n{references}\n\n\\section{{B}}\nAfter.").split() == [
        "Before.",
        "\\section{B}",
        "After.",
    ]


def test_entries_of_phyzzx_leave_their_citations():
    text = "As \\Ref\\one{A. Author, 1983.} found. \\REF\\two{B., 1984.}\\REFS\\three{C. Author.}See \\two."
    assert body("", text + "\n\\refout") == "As \\one found. See \\two.\n\\refout\n"
    text = "As \\references in \\noindent references are."
    assert body("", text) == text + "\n"


@pytest.mark.parametrize(
    ("references", "frame"),
    [
        (f"\\begin{{small}}\\section*{{References}}\n{ENTRY}\n\\end{{small}}", "\\begin{small}\\end{small}"),
        (f"{{\\small\n\\section*{{References}}\n{ENTRY}\n}}", "{\\small }"),
        (
            f"\\begin{{multicols}}{{2}}\n{{\\bf References}}\n\n{ENTRY}\n\\end{{multicols}}",
            "\\begin{multicols}{2} \\end{multicols}",
        ),
        (
            f"\\section*{{References}}\n{ENTRY}\n\\begin{{acknowledgments}}We thank.\\end{{acknowledgments}}",
            "\\begin{acknowledgments}We thank.\\end{acknowledgments}",
        ),
        ("\\begin{sources}{9}\n\\bibitem{a} A.\n\\begin{x}B\\end{x}\n\\bibitem{b} C.\n\\end{sources}", ""),
    ],
)
def test_references_end_with_the_environment_around_them(references, frame):
    assert body("", f"Before.\n\n{references}\n\nAfter.").split() == ["Before.", *frame.split(), "After."]


@pytest.mark.parametrize("references", ["\\input{main.bbl}", "\\printbibliography", "\\bibliography{a}"])
def test_a_group_after_the_bibliography_is_kept(references):
    assert body("", f"Before.\n\n{references}\n\n{{\\small After.}}") == "Before.\n\n{\\small After.}\n"


@pytest.mark.parametrize("name", ["Literature", "Literatura", "Литература"])
def test_a_last_section_on_literature_is_text_without_entries(name):
    text = f"Before.\n\\section{{{name}}}\nWe review what others wrote."
    assert body("", text) == text + "\n"
    assert body("", f"Before.\n\\section{{{name}}}\n{ENTRY}") == "Before.\n"


@pytest.mark.parametrize(
    ("package", "text", "left"),
    [
        ("luatodonotes", "One.\\todo[inline]{x}", "One."),
        ("easy-todo", "One.\\todo{x}\\listoftodos", "One."),
        ("todo", "One.\\todo[x]{y} Two.\\todo{z}", "One. Two."),
        ("fixme", "One\\fxnote{x}\\fxwarning[author=B]{y} and \\fxnote*{x}{two}.", "One and {two}."),
        ("fixme", "One.\\begin{anfxnote}{x}long\\end{anfxnote}", "One."),
        ("changes", "One.\\comment[id=B]{x}", "One."),
        ("changes", "\\chadded{One}\\chdeleted[id=B]{x} \\chreplaced{two}{y}\\chcomment{z}.", "One two."),
        ("easyReview", "\\add{One}\\remove{x} \\replace{y}{two} \\comment{three}{z}.", "One two three."),
        ("pdfcomment", "\\pdftooltip{One}{x}\\pdfmarkupcomment[color=red]{ two}{y}.", "One two."),
    ],
)
@pytest.mark.parametrize("loads", ["usepackage", "RequirePackage"])
def test_notes_to_co_authors_are_left_out(package, text, left, loads):
    assert body(f"\\{loads}[draft]{{{package}}}", text) == left + "\n"


def test_the_new_text_of_a_change_is_kept_with_the_class_aastex():
    text = "\\added{One}\\deleted{x} \\replaced{y}{two}\\explain{why} \\edit1{three}."
    start = "\\begin{document}\n\\section{A}\n"
    for version in ("61", "631", "701"):
        paper = f"\\documentclass[trackchanges]{{aastex{version}}}\n{start}{text}\n\\end{{document}}\n"
        assert clean_latex(paper) == "\\section{A}\nOne two three.\n"


def test_the_new_text_of_what_latexdiff_marks_is_kept():
    shown = "".join(
        f"\\providecommand{{\\DIF{name}}}{value} %DIF PREAMBLE\n"
        for name, value in {
            "add": "[1]{{\\protect\\color{blue}\\uwave{#1}}}",
            "del": "[1]{{\\protect\\color{red}\\sout{#1}}}",
            "addbegin": "{}",
            "delbegin": "{}",
        }.items()
    )
    deleted = "\\DIFdelbegin \\DIFdel{row}%DIFDELCMD < {\\it %%%\n\\DIFdelend"
    text = f"We {deleted}\\DIFaddbegin \\DIFadd{{sail}}\\DIFaddend."
    assert " ".join(body(shown, text).split()) == "We sail."


def test_a_section_on_another_kind_of_references_stays():
    text = "\\subsection{References}\nA cell holds a value that the program reads and writes by name."
    assert body("", f"{text}\n\\subsection{{B}}\nAfter.") == f"{text}\n\\subsection{{B}}\nAfter.\n"


@pytest.mark.parametrize(
    "caption", ["\\textbf{Figure 1: Growth", "{\\bf Fig. 1. Growth", "{\\bfseries Table 1"]
)
def test_captions_after_a_list_of_references_stay(caption):
    text = f"Before.\n\n\\textbf{{References}}\n\n1. A. Author, A title (2012).\n\n{caption}}} by size.\n"
    assert body("", text) == f"Before.\n\n{caption}}} by size.\n"


@pytest.mark.parametrize(
    ("preamble", "text", "shown"),
    [
        (
            "\\usepackage[suppress]{color-edits}\n\\addauthor{as}{red}",
            "One\\ascomment{x} \\asedit{two}.",
            "One two.",
        ),
        (
            "\\usepackage{color-edits}\\addauthor[Jo]{jo}{blue}",
            "One\\jodelete{x}\\jomargincomment{y}.",
            "One.",
        ),
        (
            "\\usepackage{fixme}\\FXRegisterAuthor{jd}{ajd}{JD}",
            "One\\jdnote{x}\\jdfatal*[inline]{y}{ two}.",
            "One{ two}.",
        ),
        ("\\usepackage{fixmetodonotes}", "One\\TODO{x}\\FIXME{y}.", "One."),
        ("\\newcommand{\\ascomment}[1]{#1}", "One \\ascomment{two}.", "One two."),
    ],
)
def test_commands_named_after_an_author_are_notes_or_changes(preamble, text, shown):
    assert body(preamble, text) == f"{shown}\n"
