"""Expansion compared with pylatexenc's parse tree and with TeX itself."""

import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.arxiv.latex.macros import expand
from data.sources.arxiv.recipe import clean_latex
from tests.support.narrow import present


def expanded(text: str) -> str:
    return expand(text)[0]


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
    """The expansion by pylatexenc's parse tree: slow, but reliable for macros with braced arguments."""
    from pylatexenc import latexwalker, macrospec

    context = latexwalker.get_default_latex_context_db()
    parser = macrospec.MacroStandardArgsParser
    specs = [macrospec.MacroSpec(name, parser("{" * count)) for name, count in CALLS.items()]
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
    """Thousands of generated calls, one box each, give the same pages in two runs of TeX."""
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
    command = [present(TEX), "-interaction=nonstopmode", "-halt-on-error", "-output-comment=none"]
    pages = []
    for name, text in (
        ("paper", f"{TEX_DEFINITIONS}\\begin{{document}}\n{paper}"),
        ("cleaned", f"\\begin{{document}}\n{cleaned}"),
    ):
        (folder / f"{name}.tex").write_text(head + text + tail)
        run = subprocess.run(
            [*command, f"{name}.tex"],
            cwd=folder,
            capture_output=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout[-1500:]
        pages.append((folder / f"{name}.dvi").read_bytes())
    assert len(pages[0]) > 10_000
    assert pages[0] == pages[1]
