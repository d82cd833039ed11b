r"""Code is kept as printed, whichever environment or command the paper declares for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sources.arxiv.latex.comments import strip_comments
from data.sources.arxiv.recipe import clean_latex
from tests.support.papers import body


@pytest.mark.parametrize(
    ("declaration", "code"),
    [
        ("", "\\mintinline{c}{a % b} after"),
        ("", "\\mintinline[breaklines]{c}|a % b| after"),
        ("", "\\lstinline{f(x) { y % z }} after"),
        ("", "\\Verb|a % b| after"),
        ("", "\\begin{tcblisting}{}\nr = 7 % kept\n\\end{tcblisting}"),
        ("\\lstnewenvironment{rust}[1][]{\\lstset{#1}}{}", "\\begin{rust}\nlet x = 5 % 3;\n\\end{rust}"),
        ("\\newminted{ocaml}{}", "\\begin{ocamlcode}\na % b\n\\end{ocamlcode}"),
        ("\\newminted[shell]{bash}{}", "\\begin{shell}\na % b\n\\end{shell}"),
        ("\\newmintinline{ruby}{}", "\\rubyinline{a % b} after"),
        ("\\newmintinline[rb]{ruby}{}", "\\rb|a % b| after"),
        ("\\DefineVerbatimEnvironment{Out}{Verbatim}{}", "\\begin{Out}\n5 % of it\n\\end{Out}"),
        ("\\newtcblisting{box1}{listing only}", "x"),
        ("\\newenvironment{code}{\\small\\verbatim}{\\endverbatim}", "\\begin{code}\na % b\n\\end{code}"),
        ("\\MakeShortVerb{\\|}", "so |a % b| after"),
        ("\\NewDocumentCommand{\\code}{v}{\\texttt{#1}}", "\\code{a % b} after"),
        ("", "\\SaveVerb{name}|a % b| after"),
        ("\\newverbatim{out}{}{}{}{}", "\\begin{out}\na % b\n\\end{out}"),
        ("", "\\tcbverb{a % b} after"),
        ("", "\\url|http://a.b/c%20d| after"),
        ("\\DeclareUrlCommand\\mail{}", "\\mail{a%b@c} after"),
        ("", "\\begin{markdown}\n50 % of it\n\\end{markdown}"),
        ("", "\\begin{jllisting}\na % b\n\\end{jllisting}"),
    ],
)
def test_code_keeps_its_percent_signs_and_the_text_after_them(declaration, code):
    text = f"\\documentclass{{a}}\n{declaration}\n\\begin{{document}}\n\\section{{A}}\n{code} more.\n"
    text += "% gone\nLast.\n"
    assert clean_latex(text) == f"\\section{{A}}\n{code} more.\nLast.\n"


@pytest.mark.parametrize("command", ["verb", "lstinline", "Verb"])
def test_another_name_for_a_command_of_code_is_that_command(command):
    text = f"\\let\\code\\{command}\\begin{{document}}\\section{{A}}\n"
    cleaned = clean_latex(f"{text}a \\code|x_1 % y| b.\n")
    assert cleaned == f"\\section{{A}}\na \\{command}|x_1 % y| b.\n"


@pytest.mark.parametrize(
    ("make", "delete"),
    [
        ("\\MakeShortVerb{\\|}", "\\DeleteShortVerb{\\|}"),
        ("\\lstMakeShortInline[language=C]|", "\\lstDeleteShortInline|"),
        ("\\DefineShortVerb{\\|}", "\\UndefineShortVerb{\\|}"),
    ],
)
def test_a_character_is_short_for_verb_only_from_its_declaration_to_the_end_of_that(make, delete):
    text = "\\newcommand{\\me}{Ann}\\section{A}\n$|\\me| %c\n|$ "
    code = f"{make} |\\me % b| {delete} "
    cleaned = clean_latex(f"{text}{code}$|\\me|$ %d\n")
    assert cleaned == f"\\section{{A}}\n$|Ann|\n|$ {code}$|Ann|$\n"


@pytest.mark.parametrize(
    "hides",
    [
        "\\excludecomment{private}",
        "\\excludeversion{private}",
        "\\newenvironment{private}{\\comment}{\\endcomment}",
        "\\NewEnviron{private}{}",
    ],
)
def test_an_environment_that_the_paper_hides_is_left_out(hides):
    text = f"\\documentclass{{a}}\n{hides}\n\\begin{{document}}\n\\section{{A}}\na\n"
    assert clean_latex(text + "\\begin{private}\nhidden\n\\end{private}\nb") == "\\section{A}\na\nb\n"


def test_an_environment_that_is_both_included_and_excluded_is_kept():
    text = "\\excludecomment{long}\\includecomment{long}\\section{A}\n\\begin{long}\nkept\n\\end{long}"
    assert "kept" in clean_latex(text)


@given(st.text("abc xyz.,", min_size=1, max_size=80).filter(str.strip), st.integers(1, 2))
def test_text_without_markup_passes_unchanged(text, breaks):
    text = (text.strip() + "\n" * breaks) * 3
    assert strip_comments(text) == text
    assert body(text) == text.strip() + "\n"


def test_notes_to_co_authors_are_removed_and_changes_keep_the_new_text():
    text = "\\documentclass{a}\\usepackage[obeyFinal]{todonotes}\\usepackage{changes}\n\\begin{document}\n"
    text += "\\section{A}\nKept.\\todo[inline]{ask Bob} \\added{new} \\deleted{old}\\replaced{better}{worse}."
    assert clean_latex(text) == "\\section{A}\nKept. new better.\n"


def test_an_authors_own_todo_is_read_as_defined():
    assert body("\\newcommand{\\todo}[1]{(#1)}\\section{A}\n\\todo{x}") == "\\section{A}\n(x)\n"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\\DeclarePairedDelimiter{\\card}{\\lvert}{\\rvert}$\\card{S}$", "$\\lvert S\\rvert$"),
        ("\\DeclarePairedDelimiter\\n\\|\\|$\\n*{S}$", "$\\left\\|S\\right\\|$"),
        ("\\DeclarePairedDelimiter\\n()$\\n[\\Big]{S}$", "$\\Bigl(S\\Bigr)$"),
        (
            "\\DeclarePairedDelimiterX\\s[2]\\{\\}{#1\\,\\delimsize\\vert\\,#2}$\\s*{a}{b}$",
            "$\\left\\{a\\,\\middle\\vert\\,b\\right\\}$",
        ),
        ("\\newrobustcmd*{\\r}[1]{<#1>}\\r{x}", "<x>"),
        ("\\NewDocumentCommand{\\c}{m o m}{#1;#3}\\c{p}{q}\\c{p}[x]{q}", "p;qp;q"),
        ("\\NewDocumentCommand{\\c}{s m}{#2}\\c*{p}\\c{q}", "pq"),
    ],
)
def test_more_kinds_of_definitions_are_written_out(text, left):
    assert clean_latex("\\section{A}" + text) == f"\\section{{A}}{left}\n"
