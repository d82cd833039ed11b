"""The real samples; expected results were checked by eye."""

import json
import re
from pathlib import Path

import pytest

from data.documents import Document, Drop
from data.sources.arxiv.files import Paper
from data.sources.arxiv.latex.comments import strip_comments
from data.sources.arxiv.recipe import clean_latex
from tests.support.papers import cleaned


@pytest.fixture(scope="module")
def real(shared_data) -> dict[str, Document]:
    """The documents of the samples by the paper's folder and main file."""
    found = {}
    for item in cleaned(shared_data / "arxiv"):
        if isinstance(item, Drop):
            assert (item.reason, item.detail) == (
                "not a main file",
                "hogg-recipes: sharing/delete_me/sharing.tex",
            )
            continue
        meta = json.loads(item.meta)
        found[f"{meta.get('name')}/{meta.get('main')}" if "main" in meta else meta["arxiv_id"]] = item
    return found


def test_the_samples_are_all_kept(real):
    assert len(real) == 5 + 19 + 11
    urls = {document.url for document in real.values()}
    assert {f"https://arxiv.org/abs/{name}" for name in ("1202.3665", "1603.07285", "hep-ex/0408102")} < urls
    assert not any("\\documentclass" in document.text for document in real.values())


def test_the_hott_books_chapters_come_in_their_input_order(real):
    book = real["hott-book/main.tex"].text
    assert book.startswith("\\chapter*{Preface}\n")
    assert re.findall(r"^\\(?:chapter|part)\*?\{(.*)\}$", book, re.MULTILINE) == [
        "Preface",
        "Introduction",
        "Foundations",
        "Type theory",
        "Homotopy type theory",
        "Sets and logic",
        "Equivalences",
        "Induction",
        "Higher inductive types",
        "Homotopy \\texorpdfstring{$n$}{n}-types",
        "Mathematics",
        "Homotopy theory",
        "Category theory",
        "Set theory",
        "Real numbers",
        "Appendix",
        "Formal type theory",
        "Index of symbols",
    ]


def test_the_hott_books_macros(real):
    book = real["hott-book/main.tex"].text
    # \define{(propositionally) equal}, \jdeq, \id[A]{a}{b}, \nat
    assert "we say that $a$ and $b$ are \\textbf{(propositionally) equal}." in book
    assert "we write it as $a\\equiv b : A$ or simply $a \\equiv b$." in book
    assert "we have a type ``$\\ensuremath{a =_{A} b}$''" in book
    assert "shorthand for ``let $x$ be a thing and assume that $x\\in\\ensuremath{\\mathbb{N}}$''" in book
    assert not re.search(r"\\(?:define|jdeq|idtype|nat|refl|UU|transfib)(?![A-Za-z])", book)
    assert "\\prd{" in book  # it looks ahead at the next token, so it is left as written


def test_the_astropy_papers_own_files_and_macros(real, shared_data):
    text = real["1801.02634/main.tex"].text
    assert text.startswith("\\section{Introduction} \\label{sec:intro}\nAll modern astronomical research")
    # \package{GitHub} is \texttt{GitHub}\xspace; author.tex is before the first section, registry.tex after
    assert "support astronomical functionality in the \\texttt{Python} programming language." in text
    assert "Price-Whelan}" not in text.partition("\\appendix")[0]
    authors = Paper(
        {path.name: path.read_bytes() for path in (shared_data / "arxiv" / "1801.02634").iterdir()}
    )
    assert "\\author[0000-0003-0872-7098]{A. M. Price-Whelan}" in authors.text("main.tex")
    assert "\\href{https://github.com/aplpy/aplpy}{APLpy} & Yes" in text
    assert "Hans Moritz Günther" in text
    assert "\\bibliography" not in text
    assert text.index("\\section{Conclusion") < text.index(
        "aplpy/aplpy"
    )  # the appendix follows the bibliography


def test_other_samples_by_eye(real):
    emcee = real["1202.3665/ms.tex"].text
    assert (
        "marginalized probability function \\ensuremath{p(\\ensuremath{\\Theta} | \\ensuremath{D})}" in emcee
    )
    assert "% pip install emcee" in emcee  # a shell's prompt in a listing, not a comment
    guide = real["1603.07285/conv_arithmetic.tex"].text
    assert guide.startswith("\\chapter{Introduction}\n\nDeep convolutional neural networks (CNNs)")
    line = real["hogg-recipes/straightline/straightline.tex"].text
    assert line.startswith(
        "\\section*{Data analysis recipes:\\ \\\\\n  Fitting a model to data\\footnotemark}\n"
    )
    assert "The notes begin on page~\\pageref{note:first}" in line  # \notename s, of ../hogg_style.tex
    assert real["1711.11276"].text.startswith("\\section{Robbins quartic equation}\n\n$$x^4+x^2-Tx+1=0.$$")
    letter = real["hogg-recipes/modelselection/mml.tex"].text
    assert letter.startswith("Imagine that we want to communicate")  # it has no section


def test_real_samples_lose_no_words_in_cleaning(shared_data):
    """All words of a chapter without macros in its prose are kept."""
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
