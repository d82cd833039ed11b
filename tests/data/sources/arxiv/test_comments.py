"""Comments are removed as TeX reads them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.arxiv.latex.comments import strip_comments
from tests.support.papers import body


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\n% a line\nb", "a\nb"),
        ("a\n   % a line\nb", "a\nb"),
        ("word % why\nnext", "word\nnext"),
        ("kept% the character before it stays\nnext", "keptnext"),
        ("affine-%\n    invariant", "affine-invariant"),
        ("{%\n%\n  % \n  a}", "{a}"),
        ("\\section*{A \\% of}\\label{b}% c\nText", "\\section*{A \\% of}\\label{b}\nText"),
        (" \\begin{table}{t}%\n  \\caption{a%\n}", " \\begin{table}{t}\n  \\caption{a}"),
        ("a\\begin{b}%\nc\\end{b}%\nd", "a\\begin{b}c\\end{b}d"),
        ("a%\n\nb", "a\n\nb"),  # the empty line is still a paragraph's end
        ("\\foo%\nbar", "\\foo\nbar"),  # or it would read \foobar
        ("\\\\% a line break, then a comment\nb", "\\\\b"),
        ("5\\% of it % five\nb", "5\\% of it\nb"),
        ("\\\\\\% c\nb", "\\\\\\% c\nb"),
        ("\\verb|100%| % c\nb", "\\verb|100%|\nb"),
        ("\\verb*+%+\\lstinline[language=C]!a%b!", "\\verb*+%+\\lstinline[language=C]!a%b!"),
        ("\\verb@50 % x@ % c", "\\verb@50 % x@"),
        ("\\verb@egroup % c\n\\b@c", "\\verb@egroup\n\\b@c"),
        ("\\verb|not closed % c\nb", "\\verb|not closed\nb"),
        ("\\verbose% c\nb", "\\verbose\nb"),
        ("\\url{a.b/%20c} % c", "\\url{a.b/%20c}"),
        ("\\href{a.b/%20c}{d} % c", "\\href{a.b/%20c}{d}"),
        ("\\href[page=2]{a.b/%20c}{d} % c", "\\href[page=2]{a.b/%20c}{d}"),
        ("\\href\n  {a.b/%20c}{d} % c", "\\href\n  {a.b/%20c}{d}"),
        ("\\url{a{b}/%20c} % c", "\\url{a{b}/%20c}"),
        ("\\burl{a/%20c} % c", "\\burl{a/%20c}"),
        ("\\weblink{here}{https://a.b/%C3%A9?c=d} e % c", "\\weblink{here}{https://a.b/%C3%A9?c=d} e"),
        ("\\doi{10.1000/17%3C1661} e % c", "\\doi{10.1000/17%3C1661} e"),
        ("\\note{https://a.b %ab c}\nd}", "\\note{https://a.b\nd}"),
        ("{\\catcode`\\%=12 50% off} % c", "{\\catcode`\\%=12 50% off}"),
        ("{\\catcode`%=12\\relax\\gdef\\p{%}}a % c", "{\\catcode`%=12\\relax\\gdef\\p{%}}a"),
        (
            "\\begingroup\\def\\a{b}\\catcode`\\%12\n50% off\n\\endgroup % c",
            "\\begingroup\\def\\a{b}\\catcode`\\%12\n50% off\n\\endgroup",
        ),
        ("\\catcode`\\%=12 a % b\n\\catcode`\\%=14 c % d", "\\catcode`\\%=12 a % b\n\\catcode`\\%=14 c"),
        ("\\catcode`\\%=12 never undone % c", "\\catcode`\\%=12 never undone"),
        ("a\n\\begin{comment}\nb\n\\end{comment}\nc", "a\nc"),
        ("a \\begin{comment}b\\end{comment} c", "a  c"),
        ("% \\begin{comment}\na\n% \\end{comment}\nb", "a\nb"),
        ("a\n\\iffalse\nb \\ifx c \\fi % \\fi\n\\fi\nd", "a\nd"),
        ("\\iffalse a\\else b\\fi c", "bc"),
        ("\\iffalse a \\iff b \\ifthenelse{c}{d}{e} \\fi f", "f"),
        ("\\iffalse never closed % c\na", "\\iffalse never closed\na"),
        ("no comment\r\n", "no comment\r\n"),
        ("a% at the end", "a"),
        ("%", ""),
    ],
)
def test_comments_are_removed_as_tex_reads_them(text, left):
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
    """On every real sample but the longest, without verbatim text, where the cleaner reads % as a comment.

    The cleaner leaves a bare % where a comment ended a line, so that TeX reads no blank there; both are
    removed before comparing.
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
def test_stripping_is_idempotent_and_only_removes(text):
    left = strip_comments(text)
    assert strip_comments(left) == left
    characters = iter(text)
    assert all(character in characters for character in left)  # a subsequence
    for line in text.split("\n"):
        if "%" not in line:
            assert squeezed(line) in squeezed(left)
