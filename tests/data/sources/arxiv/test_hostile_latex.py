"""Hostile LaTeX takes linear time and bounded memory."""

import time
from itertools import pairwise, product
from string import ascii_lowercase

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data.sources.arxiv.latex.calls import MAX_CALL, TooMuch
from data.sources.arxiv.latex.macros import expand
from data.sources.arxiv.recipe import clean_latex


def expanded(text: str) -> str:
    return expand(text)[0]


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
def test_exponential_macros_are_bounded(leaf):
    text = exponential(40, leaf) + "\\section{A}[\\xaa]"
    begin = time.process_time()
    cleaned = clean_latex(text)
    assert time.process_time() - begin < 5
    assert cleaned.startswith("\\section{A}[")
    assert len(cleaned) < 16 * MAX_CALL


def test_a_paper_of_many_bombs_is_dropped():
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
        "\\expandafter" * 50_000,
        "\\bibliography{a}\\verb|b|" * 30_000,
        "{\\catcode`\\%=12 " * 30_000,
        "\0\ufffe\U0010ffff\\" * 30_000,
    ],
    ids=lambda text: text[:24],
)
def test_hostile_text_takes_linear_time(text):
    assert seconds("\\section{A}" + text) < 8


def test_many_names_of_a_preamble_take_linear_time():
    names = [f"x{a}{b}{c}" for a, b, c in product(ascii_lowercase, repeat=3)]
    chain = "".join(f"\\newcommand{{\\a@{a}}}{{\\a@{b}}}" for a, b in pairwise(names))
    acronyms = "".join(f"\\newacronym{{{name}}}{{A}}{{all}}" for name in names)
    for preamble, body in ((chain, ""), (acronyms, "\\glsresetall \\gls{xaaa} " * len(names))):
        text = f"\\documentclass{{a}}{preamble}\\begin{{document}}\\section{{A}}{body}\\end{{document}}"
        assert seconds(text) < 8


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text("\\{}[]#%$&\n\t ab1@" + "é\0", max_size=80), st.booleans())
@example("\\newcommand{\\a}{\\a", True)
def test_any_text_at_all_is_cleaned(text, in_paper):
    prefix = "\\newcommand{\\a}[1]{<#1>}\\def\\b#1a{#1}\\let\\aa\\a\\section{A}" if in_paper else ""
    assert isinstance(clean_latex(prefix + text), str)
