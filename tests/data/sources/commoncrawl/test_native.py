"""The compiled scans of a page give what the functions in Python give, which call resiliparse alone."""

import random
import re
import time
from types import ModuleType

import pytest

pytest.importorskip("resiliparse", reason="resiliparse is not installed (pip install -e '.[data]')")

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from data.sources.commoncrawl import article, main_content, nesting, scan
from tests.data.sources.commoncrawl.shapes import page

SEEDS = range(400)


def extract(html: str, native: ModuleType | None, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.setattr(scan, "native", native)
    monkeypatch.setattr(article, "native", native)
    return main_content.extract(html)


def test_every_page_has_the_same_text(native: ModuleType, monkeypatch: pytest.MonkeyPatch):
    n_read = 0
    for seed in SEEDS:
        html = page(seed)
        assert extract(html, native, monkeypatch) == extract(html, None, monkeypatch), seed
        body = HTMLTree.parse(html).body
        n_read += body is not None and native.outline(body.html, (), False) is not None
    assert n_read > 0.7 * len(SEEDS)  # the others have names or tags that only Python reads


def test_no_page_has_more_text_than_its_outline_says(native: ModuleType):
    for seed in SEEDS:
        tree = HTMLTree.parse(page(seed))
        outline = native.outline(tree.body.html, (), False) if tree.body is not None else None
        if outline is not None:
            text = extract_plain_text(tree, main_content=True, alt_texts=False)
            assert len(text) <= outline[2], seed


@pytest.mark.parametrize(
    "html",
    [
        "<p>10<SUP>6</SUP><sub>2</sub><time>now</time><math><mi>x</mi></math>",
        "<script type='MATH/TeX'>x</script><h2 class=a ID = 'b'>c</h2>",
        '<p title="a>b">1990</b>–<b>2000<i>\n&mdash; </i><b>a</b><u>\u3000日</u>',
        "Posts: 3 posts: Beiträge:",
        'class="a b" class=\'c "d\' class= x id=e>id="unclosed class=f\xa0g id="\'h\'" CLASS=i class=>',
        "<b <i </b></i><B><strong><strange></b></font>" * 9,
        "<p class='WIDGET x \u212aeyinfo s -sr sr-only é'><q>a</q><rt>b</rt><h1>c<a href=#c>¶</a></h1>",
        "<RT >a</RT>#<b></a><Dialog><quote><rtc>§</article>",
        "<canvas>🔗</a>a</a>",
        "é\U0001f600<p>日</p>> – <b>x > &ndash;\u3000<i>–</i><UL><FOOTER><Nav><ol\tstart=3>",
        "<footers>&a b;<",
        "<aside><ol start=3>",
        """class="id=share class=widget" id='class=gutter id=sr-only' id=class=widgets class=id=share x""",
        "<ol id= start=5>",
        "<A\n NAME='b'>c<a href=x id=y>",
        "<a href=x id=y><ax id=x><a",
        "<b>.\xa0</b>,&nbsp;<i>&amp;é</i>&#44;&#160;<b>\xa0.</b>é<b>a</b>:&nbsp;&nbsp;<i>é.</i>\x01\xa0<b>",
        "<link><Body><title>a<menus><DIR><listing><search><xmp>",
        "<header><TITLE>",
        "y:<PRE style='Display:none'><p style='float :left'>",
        "float:<p>x display :t:",
        ":<b style='VISIBILITY:hidden'>loat:",
        "<Head><META><\u017f><title><div><title>",
        "<Figure><Button><LABEL><a REL='tag'><i itemProp=url><b Aria-Expanded=false>",
        "<figcaption><ol><olx><a rel=nofollow><i itemprop=name><b aria-expanded=true><li a>",
        "<ol a><b rel=author><p aria-expanded=",
        "<li a='b' value=3><link value=3><p itemprop=",
    ],
)
def test_a_scan_finds_what_the_patterns_find(native: ModuleType, html: str):
    features, n_tags, n_closing, _, signs, names = native.scan(html, scan.BEGINNINGS)
    slow = scan._scan(html)
    assert (n_tags, n_closing, set(names)) == (slow.n_tags, slow.n_closing, set(slow.names))
    assert len(names) == len(set(names))
    exact = scan.FORUM | scan.PAGE_END | scan.NUMBERED | scan.LATE_TITLE
    assert features & exact == slow.features & exact
    assert [place for place in signs if scan.LONE_SIGN.match(html, place)] == slow.signs
    for pattern, feature in {
        main_content._MAY_NAME_HEADINGS: scan.NAMED_HEADING,
        re.compile("<math|math/tex", re.IGNORECASE): scan.FORMULA,
        re.compile("<sup", re.IGNORECASE): scan.RAISED,
        re.compile("<sub", re.IGNORECASE): scan.LOWERED,
        re.compile("<time", re.IGNORECASE): scan.TIME,
        re.compile("<(?:q[ >]|rt[ >]|dialog|canvas|dir|menu|listing|search|xmp)", re.IGNORECASE): scan.SHOWN,
        re.compile("[#¶§🔗]</a"): scan.ANCHOR,
        re.compile("<pre", re.IGNORECASE): scan.LISTING,
        re.compile("(?:display|float|visibility):", re.IGNORECASE): scan.STYLED,
        re.compile("<(?:ul|menu|dir)", re.IGNORECASE): scan.LISTS,
        re.compile(r"<a\s+(?:name|id)=", re.IGNORECASE): scan.NAMED_ANCHOR,
        re.compile("<figure", re.IGNORECASE): scan.FIGURE,
        re.compile("<(?:button|label)|aria-expanded=false", re.IGNORECASE): scan.CONTROL,
        re.compile("rel='?(?:tag|author)|itemprop=url", re.IGNORECASE): scan.RELATED,
        re.compile(r"<(?:ol\s|li\s[^>]*value)", re.IGNORECASE): scan.LABELED,
    }.items():
        assert bool(features & feature) == bool(pattern.search(html))


def test_every_lone_sign_of_a_page_is_a_place_to_look(native: ModuleType):
    n_found = 0
    for seed in SEEDS:
        html = page(seed)
        signs = native.scan(html, scan.BEGINNINGS)[4]
        found = [place for place in signs if scan.LONE_SIGN.match(html, place)]
        assert found == [each.start() for each in scan.LONE_SIGN.finditer(html)], seed
        n_found += len(found)
    assert n_found > 100


@pytest.mark.parametrize("attribute", ["class=main-content", "role=main", ""])
def test_what_is_never_shown_may_still_be_taken_for_the_main_content(native, attribute, monkeypatch):
    words = "The ferry leaves at seven, whatever the weather. " * 9
    comments = "<div><div><div class=comments>So it does.</div></div></div>"
    html = f"<body><div><p>{words}</p></div><noscript {attribute}>{words}{comments}</noscript></body>"
    assert extract(html, native, monkeypatch) == extract(html, None, monkeypatch)


def test_repeated_formatting_elements_are_never_underestimated(native: ModuleType, monkeypatch):
    for seed in SEEDS:
        html = page(seed)
        repeated = native.scan(html, scan.BEGINNINGS)[3]
        monkeypatch.setattr(nesting, "MAX_REPEATED", repeated)
        assert not nesting._may_repeat_often(html)


def test_many_names_are_found_once_each(native: ModuleType):
    html = "".join(f"<p class='a{number % 700} b' id=c{number}>" for number in range(2000))
    names = native.scan(html.replace("'a", "'WIdget").replace("=c", "=widget-"), scan.BEGINNINGS)[5]
    assert len(names) == len(set(names)) == 700 + 2000


def test_names_of_every_kind_pass_the_scan(native: ModuleType):
    kinds = {
        "share-buttons": "small", "a2a_share_x": "small", "userprofile": "small", "sr-only": "unseen",
        "siteinfo": "surroundings", "cookie-law-info-bar": "surroundings", "newsletter-box": "surroundings",
        "widgets-area": "widget", "widget_text": "widget", "linenos": "gutter", "hljs-ln-numbers": "gutter",
        "email-link": "word", "log-in": "word", "twitter-tweet": "post",
    }  # fmt: skip
    names = [*kinds, *scan.PICTURES, *scan.EMOJI, *scan.COLLAPSED, *scan.LEVELS]
    html = "".join(f"<p class='{name}'><p id={name.upper()}>" for name in names)
    found = native.scan(html, scan.BEGINNINGS)[5]
    assert set(found) == {*names, *(name.upper() for name in names)} == set(scan._scan(html).names)
    assert {name: scan.kind_of(name) for name in kinds} == kinds
    assert all(
        re.match("[a-z][a-z0-9](?![?*{])", name) for name in scan._ALL
    )  # each begins with its own two letters


@pytest.mark.parametrize("depth", [0, 1, 3, 20])
def test_elements_nest_as_deeply_as_the_patterns_say(native: ModuleType, depth: int, monkeypatch):
    monkeypatch.setattr(nesting, "MAX_DEPTH", depth)
    draw = random.Random(depth)
    tags = [
        "div",
        "DIV",
        "/div",
        "p",
        "/p",
        "span",
        "/span",
        "/SPAN",
        "x" * 20,
        "/" + "x" * 17,
        "b",
        "1",
        "",
        "é",
    ]
    pages = [page(seed) for seed in range(100)]
    pages += ["".join(f"<{draw.choice(tags)}{draw.choice(ends)}" for _ in range(200)) for ends in _ENDS * 20]
    answers = set()
    for html in pages:
        expected = nesting._nests_too_deep(nesting._NAME.findall(html))
        assert native.nests_deeper(html, depth) == expected, html
        answers.add(expected)
    assert answers == {True, False} or depth == 0


_ENDS = ([">"], [">", " ", "", " é" * 60], [" a='<div>'>", ">", "é>", "/>"])


@pytest.mark.parametrize(
    "unit", ["<script ", "<script '", '<script "', "<h1 ", "<li ", "<b ", "class='", "<a>&"]
)
def test_a_page_of_unfinished_tags_is_scanned_in_linear_time(native: ModuleType, unit: str):
    begin = time.process_time()
    native.scan(unit * 40_000, scan.BEGINNINGS)
    assert time.process_time() - begin < 5  # half a minute if each tag is read up to the end of the page


def test_a_tag_within_a_script_tag_may_hold_its_type(native: ModuleType):
    html = "<script data-a='<b>' type='math/tex'>x</script>"
    assert native.scan(html, scan.BEGINNINGS)[0] & scan.FORMULA


def test_html_with_surrogates_and_strange_serializations_are_left_to_python(native: ModuleType):
    assert native.scan("<p>\ud800", scan.BEGINNINGS) is None
    for body in (
        "",
        "<body>",
        "<body></p></body>",
        "</p>",
        "<body><p a=b></p></body>",
        "<body><plaintext></plaintext></body>",
    ):
        assert native.outline(body, (), False) is None
    deep = "<div>" * 300 + "</div>" * 300
    assert native.outline(f"<body>{deep}</body>", (), False) is None
    with pytest.raises(ValueError):
        native.outline("<body></body>", tuple("word" for _ in range(65)), False)
    with pytest.raises(TypeError):
        native.outline("<body></body>", ["word"], False)
