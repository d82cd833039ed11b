"""Posts' HTML as a reader sees it: words in order, code as written, the same lines."""

import re
import signal
import time
from html import escape, unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sources.stackexchange import html_text
from data.sources.stackexchange.html_text import html_to_text
from tests.support.cpu_time import takes_over


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p>\n\n<p>Two</p>", "One\n\nTwo"),
        ("so\u00adft", "soft"),
        ("<p>un&shy;seen</p><pre>a\u00adb</pre>", "unseen\n\na\u00adb"),
        ("<p>w<b>or</b>d and  <i>space </i> here</p>", "word and space here"),
        ("<p>the author's\n own line</p>", "the author's\nown line"),
        ("<p>a<br>b<br/>\nc<br><br><br>d</p>", "a\nb\nc\n\nd"),
        ("<h1>Title</h1><p>text</p><hr>more", "Title\n\ntext\n\nmore"),
        ("<blockquote>\n  <p>said</p>\n</blockquote>\n<p>so</p>", "said\n\nso"),
        ("<ul>\n<li>a</li>\n<li>b</li>\n</ul>", "- a\n- b"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ('<ol start="9"><li>a<li>b</ol>', "9. a\n10. b"),
        ('<ol start="-1e9"><li>a</ol>', "1. a"),
        ("<ul><li>a<ul><li>b</li></ul></li><li></li><li>c</li></ul>", "- a\n  - b\n- c"),
        ("<ul>\n<li><p>a</p>\n\n<p>b</p></li>\n<li><p>c</p></li>\n</ul>", "- a\n\nb\n\n- c"),
        ("<ol><li><pre><code>x = 1\n</code></pre></li></ol>", "1. x = 1"),
        (
            "<table><tr><th>a</th><th>b</th></tr>\n<tr><td>1</td>\n<td>2</td></tr></table>x",
            "a | b\n1 | 2\n\nx",
        ),
        ("<table><tr><td>a</td><td></td><td> </td><td>d</td></tr></table>", "a | | | d"),
        ("x<table><tr><th></th><th>a</th></tr><tr><td>r</td><td>1</td></tr></table>", "x\n\n| a\nr | 1"),
        ("<table><tr><td></td><td></td></tr></table><p>x</p>", "x"),
        ("<table><tr><td><p>a</p></td><td></td><td>b</td></tr></table>", "a\n\nb"),
        ("<dl><dt>a</dt><dd>b</dd></dl>", "a\nb"),
        ('see <a href="http://x.org">this</a><img src="i.png" alt="a picture">.', "see this."),
        ("a<!-- language: lang-py -->b<script>alert(1)</script>c<style>p{}</style>", "abc"),
        (
            "x<sup>2</sup> H<sub>2</sub>O &amp;lt; &lt;i&gt; &#228; &nbsp;|",
            "x^2 H2O &lt; <i> ä \N{NO-BREAK SPACE}|",
        ),
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("  no \t mark-up \n at all ", "no mark-up\nat all"),
        ("<p>never closed <b>at all", "never closed at all"),
        ("</p></div>closed first<p>", "closed first"),
        ("", ""),
        ("<p> \n </p><ul><li> </li></ul><pre>\n\n</pre>", ""),
        ("<p>two  words, <code>two  words</code>,  two</p>", "two words, two  words, two"),
        ("<code>&lt;&nbsp;  \t&gt;</code> <code> a </code>  b", "<\xa0  \t> a b"),
        ("<p><code>if x:\n    y</code> or <code>if x:<br>    y  z</code></p>", "if x:\n    y or if x:\ny  z"),
        ("<code>a  <b>b   <code>c  d</code>  e</code>  f", "a  b   c  d  e f"),
        ("<pre>a  <code>b  c</code></pre><p>d  e<code></code></p>", "a  b  c\n\nd e"),
    ],
)
def test_html_becomes_this_text(html, text):
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("101<sub>2</sub>, log<sub>10</sub>100, log<sub>b</sub>9", "101_2, log10 100, logb9"),
        (
            "x<sub>1</sub><sup>2</sup>, x<sup>2</sup><sub>1</sub>, C<sub>6</sub>H<sub>12</sub>",
            "x1^2, x^2_1, C6H12",
        ),
        ("<pre>7<sub>2</sub>8</pre> <sub>1</sub>2<sub></sub>3", "728\n\n1 23"),
        ("3.2 × 10<sup>8</sup> or 10<sup>-9</sup>", "3.2 × 10^8 or 10^-9"),
        ("2<sup>n+1</sup> − (a + b)<sup>k</sup>", "2^(n+1) − (a + b)^k"),
        ("<b>7</b><sup>2</sup> cm<sup>2</sup>", "7^2 cm^2"),
        ("e<sup>-x<sup>2</sup>/2</sup>", "e^(-x^2/2)"),
        ("5<sup>1</sup>/<sub>2</sub>, 7<sup>3</sup>&frasl;<sub>4</sub> in", "5 1/2, 7 3⁄4 in"),
        (
            "x<sup>2</sup>/<sub>3</sub>, 10<sup>6</sup>/<sub>a</sub>, <sup>1</sup>/<sub>2</sub>",
            "x^2/3, 10^6/a, 1/2",
        ),
        ("the 1<sup>st</sup>, 22<sup>nd</sup> and 4<sup>th</sup>", "the 1st, 22nd and 4th"),
        ("XIX<sup>e</sup>, n<sup>o</sup> 5, Brand<sup>TM</sup>", "XIXe, no 5, BrandTM"),
        ("as shown before.<sup>[3]</sup> And again<sup>4</sup>", "as shown before.[3] And again4"),
        ("<pre>10<sup>6</sup></pre>", "106"),
        ("2<sup>10</sup>3, 10<sup>6 </sup>km, x<sup>2</sup>y", "2^10 3, 10^6 km, x^2y"),
        ("5<sup>2", "5^2"),
        ("a</sup>b<sup></sup>", "ab"),
    ],
)
def test_a_power_gets_a_mark_and_an_ordinal_does_not(html, text):
    assert html_to_text(html) == text


def test_adjacent_keys_have_a_space_between_them():
    html = "<p><kbd>Ctrl</kbd><kbd>C</kbd>, <kbd>A</kbd>+<kbd>B</kbd>, <kbd>C</kbd>s</p><p><kbd>D</kbd></p>"
    assert html_to_text(html) == "Ctrl C, A+B, Cs\n\nD"
    assert html_to_text("<pre><kbd>a</kbd><kbd>b</kbd></pre>") == "ab"


@pytest.mark.parametrize("row", ["<tr>", "<tr><td>a</td>"])
def test_many_cells_take_linear_time(row):
    small, large = (f"<table>{row}{'<td></td>' * cells}x" for cells in (100_000, 400_000))
    assert html_to_text(small).endswith("| x") and html_to_text(large).endswith("| x")
    assert not takes_over(8, lambda: html_to_text(large), lambda: html_to_text(small))  # a square: 16 times
    assert html_to_text(f"<table><tr>{'<td>a</td>' * 1100}") == " | ".join("a" * 1100)


def test_many_powers_take_linear_time():
    assert html_to_text("<p>" + "2<sup>3</sup> " * 100_000 + "</p>").count("2^3") == 100_000


@pytest.mark.parametrize(
    "code",
    [
        'def f(a):\n    if a < 1 and b > 2:\n\n        return "\'&amp;"\n\treturn',
        "    indented first\nthen not",
        "* not a list\n1. nor this\n\n\n\nfar below",
        "<p>html</p>\n<ul>\n  <li>in code</li>\n</ul>",
        "tabs\tand  runs   of spaces",
    ],
)
def test_code_is_kept_as_written(code):
    html = f"<p>before</p>\n\n<pre><code>{escape(code)}\n</code></pre>\n\n<p>after</p>"
    assert html_to_text(html) == f"before\n\n{code}\n\nafter"
    spans = escape(code).replace(" ", "</span> <span>")
    assert html_to_text(f'<pre class="lang-py"><code><span>{spans}</span></code></pre>') == code
    assert html_to_text(f"<pre>{escape(code)}".replace("\n", "\r\n")) == code


plain = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=30)


@given(plain)
def test_escaped_text_keeps_its_words(text):
    for html in (escape(text), f"<p>{escape(text)}</p>", f"<p><b>{escape(text)}</b><br></p>"):
        assert html_to_text(html).split(" ") == re.sub("[ \t\n\f\r]+", " ", text).strip(" \t\n\f\r").split(
            " "
        )


@given(plain)
def test_code_comes_back_character_for_character(text):
    assert html_to_text(f"<pre>|{escape(text)}|</pre>") == f"|{text}|"


TAGS = "p b ul ol li pre code table tr td th br hr blockquote div h2 img script i dl dt dd a"
tags = st.sampled_from(TAGS.split())
soup = st.lists(
    st.one_of(
        st.builds("<{}>".format, tags),
        st.builds("</{}>".format, tags),
        st.sampled_from(
            ["word", " ", "\n", "&lt;", "&amp;amp;", "<", "&", "ä😀", "<!--", "-->", '<p a="', "\x0b"]
        ),
    ),
    max_size=30,
).map("".join)


@given(soup)
def test_any_soup_gives_text_with_lines_trimmed_and_blocks_an_empty_line_apart(html):
    text = html_to_text(html)
    assert isinstance(text, str) and text == text.strip("\n")
    if "<pre" not in html:  # whose lines keep their indentation
        assert "\n\n\n" not in text
        assert not re.search(r"[ \t](?:\n|\Z)|(?:\A|\n)[ \t]++(?!- |[0-9]+\. )", text)  # items are indented
    if "<" not in re.sub("</?[a-z0-9]+>", "", html) and not re.search("<(pre|script)", html):
        seen = re.sub("<[^>]*>", " ", html)
        assert re.findall("word", unescape(seen)) == re.findall("word", text)


@given(soup)
def test_a_post_parsed_in_pieces_is_the_same(html):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html_text, "_MANY_TAGS", 0)
        patch.setattr(html_text, "_PIECE", 7)
        pieces = html_to_text(html)
    assert pieces == html_to_text(html)


@pytest.mark.parametrize("tag", ["div", "b", "ul", "li", "blockquote", "pre", "table"])
def test_deep_nesting_is_read(tag):
    html = f"<{tag}>" * 100_000 + "deep" + f"</{tag}>" * 100_000 + "<p>after"
    text = html_to_text(html)
    assert "deep" in text and text.endswith("after") and len(text) < 200


def test_large_posts_are_read():
    assert html_to_text("<p>x</p>" * 100_000).count("x") == 100_000
    assert len(html_to_text("<p>" + "x" * (11 << 20) + "</p>")) == 11 << 20


def test_a_hostile_post_can_be_interrupted_and_the_next_one_is_intact():
    class Late(BaseException):
        pass

    def late(number: int, frame: object) -> None:
        raise Late

    html = "<div>" * 300_000 + "</b>" * 300_000
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 1)
    started = time.monotonic()
    try:
        with pytest.raises(Late):
            html_to_text(html)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < 60  # to the end it takes many minutes
    assert html_to_text("<p>whole</p>") == "whole"


def test_references_to_characters_that_no_text_holds_are_replaced():
    assert (
        html_to_text("<p>a&#31;b &#x8;c &#xFFFE;d &#0;e&#10;f</p>") == "a\ufffdb \ufffdc \ufffdd \ufffde\nf"
    )
