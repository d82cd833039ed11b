r"""LaTeX in, its text out: comments, macros and structure, against TeX, two libraries and made truths."""

import re
import shutil
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data.sources.arxiv.latex import strip_comments
from data.sources.arxiv.macros import MAX_CALL, TooMuch, expand
from data.sources.arxiv.recipe import clean_latex


def expanded(text: str) -> str:
    return expand(text)[0]


def body(text: str) -> str:
    """What becomes of this text in a paper."""
    return clean_latex(f"\\documentclass{{article}}\n\\begin{{document}}\n{text}\n\\end{{document}}\n")


# ---- comments


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\n% a line\nb", "a\nb"),
        ("a\n   % a line\nb", "a\nb"),
        ("word % why\nnext", "word\nnext"),
        ("kept% the character before it stays\nnext", "keptnext"),
        ("affine-%\n    invariant", "affine-invariant"),
        ("{%\n%\n  % \n  a}", "{a}"),
        ("a%\n\nb", "a\n\nb"),  # the empty line is still a paragraph's end
        ("\\foo%\nbar", "\\foo\nbar"),  # or it would read \foobar
        ("\\\\% a line break, then a comment\nb", "\\\\b"),
        ("5\\% of it % five\nb", "5\\% of it\nb"),
        ("\\\\\\% c\nb", "\\\\\\% c\nb"),
        ("\\verb|100%| % c\nb", "\\verb|100%|\nb"),
        ("\\verb*+%+\\lstinline[language=C]!a%b!", "\\verb*+%+\\lstinline[language=C]!a%b!"),
        ("\\verb|not closed % c\nb", "\\verb|not closed\nb"),
        ("\\verbose% c\nb", "\\verbose\nb"),
        ("\\url{a.b/%20c} % c", "\\url{a.b/%20c}"),
        ("\\href{a.b/%20c}{d} % c", "\\href{a.b/%20c}{d}"),
        ("a\n\\begin{comment}\nb\n\\end{comment}\nc", "a\nc"),
        ("a \\begin{comment}b\\end{comment} c", "a  c"),
        ("% \\begin{comment}\na\n% \\end{comment}\nb", "a\nb"),
        ("a\n\\iffalse\nb \\ifx c \\fi % \\fi\n\\fi\nd", "a\nd"),
        ("\\iffalse a\\else b\\fi c", " b c"),
        ("\\iffalse a \\iff b \\ifthenelse{c}{d}{e} \\fi f", " f"),
        ("\\iffalse never closed % c\na", "\\iffalse never closed\na"),
        ("no comment\r\n", "no comment\r\n"),
        ("a% at the end", "a"),
        ("%", ""),
    ],
)
def test_comments_go_as_tex_reads_them(text, left):
    assert strip_comments(text) == left
    assert strip_comments(left) == left


@pytest.mark.parametrize("name", ["verbatim", "verbatim*", "Verbatim", "lstlisting", "minted", "alltt"])
def test_verbatim_text_has_no_comments_and_no_macros(name):
    text = f"\\begin{{{name}}}\nx = 5 % 3 \\me\n\n\n\n% \\section{{no}}\n\\end{{{name}}}"
    assert strip_comments(text + "% c\n") == text + "\n"
    assert body("\\newcommand{\\me}{I}\\section{A}\n" + text) == "\\section{A}\n" + text + "\n"


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_comments_are_arxiv_latex_cleaners_where_it_reads_as_tex(shared_data):
    """On every real sample but the longest. Verbatim text apart, in which it takes a % for a comment.

    It leaves a bare % where a comment ended a line, so that TeX reads no blank there; here both go.
    """
    cleaner = pytest.importorskip("arxiv_latex_cleaner.arxiv_latex_cleaner")
    compared = 0
    for path in sorted((shared_data / "arxiv").rglob("*.tex")):
        if path.stat().st_size > 100_000:
            continue
        text = re.sub(
            r"\\begin\{(verbatim|lstlisting)\}.*?\\end\{\1\}", "", path.read_text(), flags=re.DOTALL
        )
        theirs = "".join(cleaner._remove_comments_inline(line) for line in text.splitlines(keepends=True))
        theirs = re.sub(r"(?<!\\)((?:\\\\)*)%\n", r"\1", cleaner._remove_environment(theirs, "comment"))
        if "\\iffalse" not in text:
            assert squeezed(strip_comments(text)) == squeezed(theirs), path.name
            compared += 1
    assert compared > 35


def test_arxiv_latex_cleaner_is_wrong_where_we_differ():
    cleaner = pytest.importorskip("arxiv_latex_cleaner.arxiv_latex_cleaner")
    for text in ("\\verb|100%| of\n", "a \\\\% a comment after a line break\n"):
        assert squeezed(cleaner._remove_comments_inline(text)) != squeezed(strip_comments(text))
    assert cleaner._remove_comments_inline("a \\\\% c\n") == "a \\\\% c\n"  # takes \\% for \%


pieces = st.lists(
    st.sampled_from(
        ["a", "b c", " ", "\n", "\n\n", "%", "\\%", "\\\\", "\\x", "{", "}", "\\verb|%|", "  % c\n"]
    ),
    max_size=25,
).map("".join)


@settings(deadline=None)
@given(pieces)
def test_stripping_is_a_fixed_point_and_only_takes_away(text):
    left = strip_comments(text)
    assert strip_comments(left) == left
    characters = iter(text)
    assert all(character in characters for character in left)  # a subsequence
    for line in text.split("\n"):
        if "%" not in line:
            assert squeezed(line) in squeezed(left)


# ---- macros


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\\newcommand{\\R}{\\mathbb{R}}\n$x\\in\\R^n$", "$x\\in\\mathbb{R}^n$"),
        ("\\newcommand\\R{\\mathbb R}$\\R$ \\Real", "$\\mathbb R$ \\Real"),
        ("\\newcommand*{\\R}[0]{r}\\R", "r"),
        ("\\newcommand{\\pair}[2]{(#1, #2)}\\pair{a}{b}\\pair ab\\pair{a} \\c", "(a, b)(a, b)(a, \\c)"),
        ("\\newcommand{\\norm}[2][2]{\\|#2\\|_{#1}}\\norm{x}\\norm[p]{x}", "\\|x\\|_{2}\\|x\\|_{p}"),
        ("\\newcommand{\\o}[1][a{]}b]{<#1>}\\o[{]}] \\o", "<{]}> <a{]}b>"),
        ("\\renewcommand{\\vec}[1]{\\mathbf{#1}}\\vec{a}\\vec b", "\\mathbf{a}\\mathbf{b}"),
        ("\\providecommand{\\a}{1}\\providecommand{\\a}{2}\\a", "1"),
        ("\\DeclareRobustCommand{\\a}{1}\\a", "1"),
        ("\\def\\eps{\\varepsilon}$\\eps$ $\\epsilon$", "$\\varepsilon$ $\\epsilon$"),
        ("\\def\\at#1#2{#1_{#2}}\\at x{12}", "x_{12}"),
        ("\\long\\def\\a{1}\\global \\long \\def\\b{2}\\a\\b", "12"),
        ("\\def\\frac#1/#2;{{#1 \\over #2}}\\frac 1/{2;};", "{1 \\over 2;}"),
        ("\\def\\v(#1){[#1]}\\v(a) \\v b", "[a] \\v b"),
        (
            "\\DeclareMathOperator{\\tr}{tr}\\DeclareMathOperator*{\\am}{arg\\,min}\\tr\\am",
            "\\operatorname{tr}\\operatorname*{arg\\,min}",
        ),
        (
            "\\newcommand{\\this}{emcee\\xspace}\\this is \\this. \\this\\cite{a}",
            "emcee is emcee. emcee \\cite{a}",
        ),
        ("\\newcommand{\\a}{x\\b}\\newcommand{\\b}{y}\\a", "xy"),  # read at the use
        ("\\newcommand{\\b}[1]{<#1>}\\newcommand{\\a}{\\b}\\a{x}", "<x>"),  # arguments from outside
        ("\\newcommand{\\b}[1]{<#1>}\\b{\\b{a}\\b{\\b b}}", "<<a><<b>>>"),
        ("\\let\\e\\epsilon\\e x", "\\epsilon x"),
        ("\\newcommand{\\a}{1}\\let\\b=\\a\\renewcommand{\\a}{2}\\a\\b", "21"),
        ("\\let\\old\\emph\\renewcommand{\\emph}[1]{\\old{\\bf #1}}\\emph{a}", "\\emph{\\bf a}"),
        ("\\newcommand{\\a}{é}\\newcommand{\\b}[1]{中#1}\\a\\b{ü}", "é中ü"),  # raises in RedPajama
        ("\\newcommand{\\a}{\\1 \\g<0> \\n $0 &}\\a", "\\1 \\g<0> \\n $0 &"),  # no regex template
        (
            "\\newcommand{\\be}{\\begin{equation}}\\newcommand{\\ee}{\\end{equation}}\\be x\\ee",
            "\\begin{equation} x\\end{equation}",
        ),
        ("\\newcommand{\\a}{\\alpha}\\newcommand{\\b}[1]{\\hat#1}\\b x\\b\\a y", "\\hat x\\hat\\alpha y"),
        ("\\newcommand{\\a}{I}\\bf\\a\\\\am", "\\bf I\\\\am"),
        ("\\def\\1{\\alpha}\\1x", "\\alpha x"),
        (
            "\\newcommand{\\code}{code}The \\code s and \\code\\ and \\code{}",
            "The codes and code\\ and code{}",
        ),
        ("\\newcommand{\\Ms}{\\ifmmode M_\\odot\\else$M_\\odot$\\fi}\\Ms", "\\ensuremath{M_\\odot}"),
        ("\\newcommand{\\a}{\n  x\n}[\\a]", "[x]"),
        ("a\n\\def\\x{1}\n\\def\\y{2} \\def\\z{3}\nb", "a\nb"),  # their lines go too
        ("{\\def\\x{1}\\x}\\def\\x{2}\\x", "{1}2"),
        ("\\def\\a\n{1}\\a\\newcommand *{\\b}{2}\\b", "12"),
        (
            "\\newcommand{\\w}[1]{<#1>}\\let\\old\\emph\\def\\emph#1{\\old{\\bf #1}}\\w{\\w{\\emph{a}}}",
            "<<\\emph{\\bf a}>>",  # a value inside values is not expanded again
        ),
        ("\\def\\a{[1]}\\item\\a \\\\\\a", "\\item{}[1] \\\\{}[1]"),
        ("\\NewDocumentCommand{\\p}{O{2} m +m}{#1#2#3}\\p{a}{b}\\p[c]de", "2abcde"),
        ("\\newcommand{\\a}[1][x]{<#1>}{\\a[}{]}", "{<x>[}{]}"),  # the group ends before its ]
        ("\\def\\n{\\\\}\\n[2pt]", "\\\\[2pt]"),
        ("\\renewcommand{\\figurename}{Fig}\\figurename", "\\renewcommand{\\figurename}{Fig}Fig"),
    ],
)
def test_macros_become_their_values(text, left):
    assert expanded(text) == left


def test_in_the_body_a_group_keeps_its_definitions_to_itself():
    text = "\\newcommand{\\x}{1}\\section{A}\\x{\\renewcommand{\\x}{2}\\x}\\x"
    text += "\\begin{it}\\def\\x{3}\\x\\end{it}\\x"
    assert body(text) == "\\section{A}1{2}1\\begin{it}3\\end{it}1\n"
    assert body("\\def\\x{1}\\section{A}{\\gdef\\x{2}}\\x") == "\\section{A}{}2\n"


@pytest.mark.parametrize(
    "text",
    [
        "\\renewcommand{\\section}[1]{\\par{\\bf #1}}\\section{A}",
        "\\def\\paragraph#1{#1:}\\paragraph{A}",
        "\\newenvironment{p}[1][x]{\\begin{quote}\\a}{\\end{quote}}\\begin{p}\\end{p}",
        "\\newcommand{\\a}[1]{\\@ifnextchar[{\\b}{\\c}}\\a{1}",
        "\\newcommand{\\a}{\\ifdraft x\\else y\\fi}\\a",
        "\\newcommand{\\a}[1]{\\expandafter\\b\\csname #1\\endcsname}\\a{1}",
        "\\newcommand{\\a}[1]{\\def\\b##1{##1 #1}}\\a{1}",
        "\\def\\a#1\\end{x#1}\\a 1\\end",
        "\\newcommand{\\a}[1]{#2}\\a{1}",
        "\\newcommand{\\a}{never closed \\a",
        "\\let\\a=x\\a",
        "\\NewDocumentCommand{\\a}{s m}{#2}\\a{1}",
    ],
)
def test_what_programs_or_redefines_latex_itself_is_left_alone(text):
    assert expanded(text) == text


def test_a_macro_redefined_beyond_reading_is_no_more_expanded():
    assert expanded("\\def\\a{1}\\a\\def\\a{\\ifx}\\a") == "1\\def\\a{\\ifx}\\a"


def test_an_argument_that_is_missing_leaves_the_call_as_it_is():
    text = "\\newcommand{\\a}[2]{<#1#2>}"
    for call in ("{\\a{1}}", "\\a{1}", "$\\a$", "\\a{1}{never closed", "\\a{1}\n\n{2}\n\n\n"):
        assert expanded(text + call).endswith(call[-8:])


CALLS = {"qa": 0, "qb": 1, "qc": 2, "qd": 0}
VALUES = {"qa": "A", "qb": "<#1>", "qc": "[#2|#1\\qb{#2}]", "qd": "\\qc{\\qa}{d}"}
PREAMBLE = "".join(
    f"\\newcommand{{\\{name}}}" + (f"[{CALLS[name]}]" if CALLS[name] else "") + f"{{{VALUES[name]}}}\n"
    for name in CALLS
)
texts = st.recursive(
    st.sampled_from(["x", "y z", "$1+\\alpha$", "\\'e", "{}", "1"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        inner.map(lambda text: "{" + text + "}"),
        st.sampled_from(sorted(CALLS)).flatmap(
            lambda name: st.tuples(*[inner] * CALLS[name]).map(
                lambda given: f"\\{name}" + "".join(f"{{{text}}}" for text in given) + "{}" * (not given)
            )
        ),
    ),
    max_leaves=12,
)


def walked(text: str) -> str:
    """The expansion by pylatexenc's parse tree: slow, and sure for macros with braced arguments."""
    from pylatexenc import latexwalker, macrospec

    context = latexwalker.get_default_latex_context_db()
    specs = [macrospec.MacroSpec(name, "{" * count) for name, count in CALLS.items()]
    context.add_context_category("author", macros=specs, prepend=True)

    def value(node) -> str:
        if isinstance(node, latexwalker.LatexGroupNode):
            return node.delimiters[0] + "".join(map(value, node.nodelist)) + node.delimiters[1]
        if isinstance(node, latexwalker.LatexMacroNode) and node.macroname in CALLS:
            given = ["".join(map(value, argument.nodelist)) for argument in node.nodeargd.argnlist]
            filled = re.sub("#([12])", lambda mark: given[int(mark[1]) - 1], VALUES[node.macroname])
            return walked(filled) + node.macro_post_space
        return node.latex_verbatim()

    walker = latexwalker.LatexWalker(text, latex_context=context)
    return "".join(map(value, walker.get_latex_nodes()[0]))


@settings(deadline=None, max_examples=150)
@given(texts)
def test_expansion_is_that_of_pylatexencs_parse_tree(text):
    pytest.importorskip("pylatexenc")
    assert expanded(PREAMBLE + text) == walked(text)


TEX = shutil.which("latex")
TEX_DEFINITIONS = (
    PREAMBLE
    + r"""
\newcommand{\opt}[2][o]{(#1:#2)}
\def\delimited#1.#2;{#2--#1}
\let\alias\qc
\newcommand{\outside}{\qb}
\renewcommand{\theta}{\Theta}
"""
)
tex_texts = st.lists(
    st.one_of(
        texts,
        st.sampled_from(
            [
                "\\opt{x}",
                "\\opt[{p]}]{q}",
                "\\delimited a.b;",
                "\\alias xy",
                "\\outside{z}",
                "$\\theta\\qa x$",
                "\\qc{\\opt{x}}1",
                "% gone\n",
                "a%\n b",
                "{\\renewcommand{\\qa}{local}\\qa}",
                "\\begin{it}\\def\\qd{D}\\qd\\end{it}",
                "\\qd\\qd",
                "\\verb|%\\qa|",
                "\\\\% c\n",
            ]
        ),
    ),
    min_size=1,
    max_size=5,
).map("".join)


@pytest.mark.skipif(TEX is None, reason="no TeX is installed")
def test_tex_itself_sets_the_expanded_text_as_it_sets_the_paper(tmp_path_factory):
    """Thousands of characters of made calls, one box each, in two runs of TeX: the same pages."""
    samples = []

    @settings(deadline=None, max_examples=300, database=None, derandomize=True)
    @given(tex_texts)
    def collect(text):
        samples.append(text)

    collect()
    folder = tmp_path_factory.mktemp("tex")
    paper = "\n\n".join(f"\\section{{S}}\nt{text}" for text in samples)
    head, tail = "\\documentclass{article}\n", "\n\\end{document}\n"
    cleaned = clean_latex(f"{head}{TEX_DEFINITIONS}\\begin{{document}}\n{paper}{tail}")
    left = re.sub(r"\\verb\|.*?\||\\\\", "", cleaned)
    assert not re.search(r"\\(?:q[abcd]|opt|delimited|alias|outside|theta)(?![A-Za-z])", left)
    pages = []
    for name, text in (
        ("paper", f"{TEX_DEFINITIONS}\\begin{{document}}\n{paper}"),
        ("cleaned", f"\\begin{{document}}\n{cleaned}"),
    ):
        (folder / f"{name}.tex").write_text(head + text + tail)
        run = subprocess.run(
            [TEX, "-interaction=nonstopmode", "-halt-on-error", "-output-comment=none", f"{name}.tex"],
            cwd=folder,
            capture_output=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout[-1500:]
        pages.append((folder / f"{name}.dvi").read_bytes())
    assert len(pages[0]) > 10_000
    assert pages[0] == pages[1]


# ---- structure


SECTIONS = [
    "\\section{A}",
    "\\section*{A}",
    "\\section[a]{A}",
    "\\chapter{A}",
    "\\part{A}",
    "\\section {A}",
    "\\section\n{A}",
    "\\subsection{A}",
    "\\paragraph{A}",
    "\\subparagraph{A}",
]


@pytest.mark.parametrize("section", SECTIONS)
def test_everything_before_the_first_section_goes(section):
    text = (
        "\\title{T}\\maketitle\n\\begin{abstract}\n\\paragraph{Aim.} We.\n\\end{abstract}\n\n"
        + section
        + "\ntext"
    )
    assert body(text) == section + "\ntext\n"


def test_sections_before_the_document_and_in_definitions_and_verbatim_are_none():
    text = (
        "\\def\\at{\\section{macro}}\n\\renewcommand{\\section}[1]{\\section{#1}}\n\\begin{document}\nfront"
    )
    assert clean_latex(text + "\\verb|\\section{v}| \\section{A} text") == "\\section{A} text\n"


def test_a_heading_in_the_preamble_is_none():
    text = "\\AtEndDocument{\\section{End}\\bibliography{x}}\\begin{document}\nfront\n\\section{A}\ntext\n"
    assert clean_latex(text) == "\\section{A}\ntext\n"


def test_a_section_made_by_a_macro_counts():
    assert body("\\newcommand{\\sect}[1]{\\section{#1}}front\n\\sect{A}\ntext") == "\\section{A}\ntext\n"


def test_a_paper_without_sections_keeps_its_body():
    assert body("\\title{T}\n\\maketitle\nWe show.\n\nEnd.") == "We show.\n\nEnd.\n"
    assert body("We show.") == "We show.\n"
    letter = "We show.\n\n\\section*{Acknowledgments}\nThanks.\n"
    assert body("\\maketitle\n" + letter) == letter


BIBLIOGRAPHIES = [
    "\\begin{thebibliography}{9}\n\\bibitem{a} A.\n\\end{thebibliography}\n",
    "\\bibliographystyle{plain}\n\\bibliography{refs}\n",
    "\\printbibliography[heading=none]\n",
    "\\input{main.bbl}\n",
    "\\section*{References}\n\\begin{thebibliography}{9}\n\\bibitem{a} A.\n\\end{thebibliography}\n",
    "\\section*{\\bf References}\n\\noindent [1] A. Author, Title.\n\n[2] B.\n",
    "\\hypertarget{references}{\\section*{References}\\label{r}}\n\nA. Author, Title.\n",
]


@pytest.mark.parametrize("bibliography", BIBLIOGRAPHIES)
def test_the_bibliography_goes_and_the_appendix_after_it_stays(bibliography):
    text = f"\\section{{A}}\ntext\n\n{bibliography}\n\\appendix\n\\section{{B}}\nmore"
    assert body(text) == "\\section{A}\ntext\n\n\\appendix\n\\section{B}\nmore\n"


@pytest.mark.parametrize(
    "title",
    [
        "Jellium model",
        "PACSystems at work",
        "MSCs in culture",
        "Competing orders",
        "Funding liquidity",
        "Supplementing data with priors",
        "Appending to a list",
        "Keyword spotting",
        "Conflicts of norms",
        "Literature",
    ],
)
def test_a_first_section_is_not_taken_for_what_stands_around_a_paper(title):
    text = f"\\section{{{title}}}\nWe review it.\n\\section{{B}}\nmore"
    assert body("front\n" + text) == text + "\n"


@pytest.mark.parametrize(
    "title",
    [
        "Acknowledgements",
        "Funding",
        "Funding information",
        "Competing Financial Interests",
        "Conflict of interest",
        "Supplementary material",
        "Appendix",
        "Keywords:",
        "JEL codes",
    ],
)
def test_a_letter_with_such_a_heading_alone_keeps_its_body(title):
    text = f"We show.\n\n\\section*{{{title}}}\nThanks.\n"
    assert body("\\maketitle\n" + text) == text


@pytest.mark.parametrize(
    "listed",
    [
        "[1] A. Author, Title.",
        "\\begin{thebibliography}{9}\\bibitem{a} A.\\end{thebibliography}",
        "\\bibitem{a} A.\n\\appendix",
    ],
)
def test_literature_that_is_a_bibliography_goes(listed):
    text = f"\\section{{A}}\ntext\n\\section*{{Literature}}\n{listed}\n"
    assert body(text).replace("\\appendix", "").strip() == "\\section{A}\ntext"


def test_what_follows_the_end_of_the_document_goes():
    assert body("\\section{A}\ntext\n\\end{document}\n\\section{B}") == "\\section{A}\ntext\n"
    assert body("\\def\\ed{\\end{document}}\\section{A}\ntext\n\\ed\nB") == "\\section{A}\ntext\n"


def test_plain_tex_and_latex_209_are_read():
    plain = "\\magnification=1200\n\\def\\a{1}\n\\beginsection Title\n\ntext \\a\n\\bye\nafter"
    assert clean_latex(plain) == "\\beginsection Title\n\ntext 1\n"
    old = "\\documentstyle[12pt]{article}\n\\def\\be{\\begin{equation}}\n\\begin{document}\nx"
    old += "\\section{A}\n\\be\n\\end{document}"
    assert clean_latex(old) == "\\section{A}\n\\begin{equation}\n"
    amstex = "\\documentstyle{amsppt}\n\\document\nfront\n\\head 1. A\\endhead\ntext\n"
    amstex += "\\Refs\n\\ref\\endRefs\n\\enddocument"
    assert clean_latex(amstex) == "\\head 1. A\\endhead\ntext\n"


# ---- hostile text


def seconds(text: str) -> float:
    begin = time.process_time()
    clean_latex(text)
    return time.process_time() - begin


def test_a_macro_inside_its_own_value_is_not_expanded_again():
    assert expanded("\\def\\a{\\a\\a}[\\a]") == "[\\a\\a]"
    assert expanded("\\def\\a{1\\b}\\def\\b{2\\a}\\a") == "12\\a"


def exponential(levels: int, leaf: str) -> str:
    names = [f"x{chr(97 + level // 26)}{chr(97 + level % 26)}" for level in range(levels)]
    pairs = pairwise(names)
    return "".join(f"\\def\\{a}{{\\{b}\\{b}}}" for a, b in pairs) + f"\\def\\{names[-1]}{{{leaf}}}"


@pytest.mark.parametrize("leaf", ["boom ", "", "\\xaa"])
def test_exponential_macros_stay_within_bounds(leaf):
    text = exponential(40, leaf) + "\\section{A}[\\xaa]"
    begin = time.process_time()
    cleaned = clean_latex(text)
    assert time.process_time() - begin < 5
    assert cleaned.startswith("\\section{A}[")
    assert len(cleaned) < 16 * MAX_CALL


def test_a_paper_of_many_bombs_is_given_up():
    with pytest.raises(TooMuch):
        clean_latex(exponential(16, "boom ") + "\\section{A}" + "\\xad" * 2000)


@pytest.mark.parametrize(
    "text",
    [
        "{" * 100_000 + "}" * 100_000,
        "{" * 100_000,
        "}" * 100_000,
        "\\newcommand{\\f}[1]{<#1>}" + "\\f{" * 100_000 + "}" * 100_000,
        "\\newcommand{\\f}[1]{<#1>}" + "\\f{" * 100_000,
        "\\newcommand{\\f}[1][]{<#1>}" + "\\f[" * 100_000,
        "\\def\\f#1;{<#1>}" + "\\f " * 100_000,
        "\\newcommand{\\f" * 50_000,
        "\\def\\f" + " " * 300_000,
        "\\newcommand" + " " * 300_000,
        "\\def\\f#1" * 50_000,
        "\\begin{verbatim}" * 100_000,
        "\\begin{comment}" * 50_000,
        "\\begin{thebibliography}" * 50_000,
        "\\iffalse" * 50_000,
        "\\iffalse\\else " * 20_000 + "\\fi" * 20_000,
        "\\verb|" * 100_000,
        "\\url{" * 100_000,
        "\\usepackage[" * 50_000,
        "\\section " * 100_000,
        "%" * 100_000 + "\n" + "a%\n" * 100_000,
        " " * 300_000 + "%" + "\n" * 300_000,
        "\\" * 300_000,
        "\\" + "a" * 300_000 + "\\b" * 100_000,
        "\\def\\a{}" * 30_000,
        "\\bibliography{a}\\verb|b|" * 30_000,
        "\0\ufffe\U0010ffff\\" * 30_000,
    ],
    ids=lambda text: text[:24],
)
def test_hostile_text_takes_linear_time(text):
    assert seconds("\\section{A}" + text) < 8


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text("\\{}[]#%$&\n\t ab1@" + "é\0", max_size=80), st.booleans())
@example("\\newcommand{\\a}{\\a", True)
def test_any_text_at_all_is_cleaned(text, in_paper):
    prefix = "\\newcommand{\\a}[1]{<#1>}\\def\\b#1a{#1}\\let\\aa\\a\\section{A}" if in_paper else ""
    assert isinstance(clean_latex(prefix + text), str)


def test_real_samples_are_cleaned_at_no_loss_of_words(shared_data):
    """The words of a chapter that has no macros in its prose are all there."""
    text = (shared_data / "arxiv" / "1603.07285" / "conv_arithmetic.tex").read_text()
    cleaned = clean_latex(text)
    start, end = text.index("\\chapter{Introduction}"), text.index("\\bibliography{")
    words = re.findall(r"[A-Za-z]{4,}", strip_comments(text[start:end]))
    assert [word for word in re.findall(r"[A-Za-z]{4,}", cleaned) if word not in ("bibliographystyle",)] == [
        word for word in words if word not in ("bibliographystyle", "natbib", "plainnat", "apalike")
    ]


def test_the_macros_of_a_real_paper(shared_data):
    cleaned = clean_latex(Path(shared_data / "arxiv" / "1202.3665" / "ms.tex").read_text())
    assert cleaned.startswith("\\section{Introduction}\n\nProbabilistic data analysis---including Bayesian")
    # \pr{\link_k (t) ...}: \newcommand{\pr}[1]{\ensuremath{p(#1)}}, \link is \ensuremath{X}
    assert (
        "\\ensuremath{p(\\ensuremath{\\Theta} | \\ensuremath{D})} = \\int" in cleaned
    )  # \pr{\model | \data}
    assert "{\\sffamily emcee}" in cleaned  # \this, which is \project{\thisplain}
    assert "Section~\\ref{sect:algo}" in cleaned  # \sect{algo}, which is \Sect{algo}
    assert not re.search(r"\\(?:this|project|pr|model|data|Fig|fig|ensemble|like|dd)(?![A-Za-z])", cleaned)
