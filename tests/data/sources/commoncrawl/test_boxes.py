"""Widgets, share buttons and forum members are no text; lone signs, formulas and dates in sentences are."""

import pytest
from resiliparse.parse.html import HTMLTree

from data.sources.commoncrawl.boxes import remove_page_ends
from data.sources.commoncrawl.main_content import extract

LONG = "The ferry leaves the harbor at seven, and whoever is late waits for the evening boat on the quay."
ARTICLE = "".join(f"<p>{LONG} {number}.</p>" for number in range(4))
LINES = "".join(f"<div>{LONG} {number}.</div>" for number in range(4))  # without any <p>
ROWS = "<table>" + "".join(f"<tr><td>{number}</td><td>{LONG}</td></tr>" for number in range(4)) + "</table>"


def page(body: str) -> str:
    return f"<!DOCTYPE html><html><head><title>T</title></head><body>{body}</body></html>"


def text(body: str) -> str:
    return " ".join(extract(page(body))[1].split())


@pytest.mark.parametrize("content", [ARTICLE, LINES, ROWS, "<p>Short, and all there is.</p>"])
@pytest.mark.parametrize(
    "box",
    [
        '<div class="footer-widgets"><h3>About</h3><p>SECRET We have made shoes since 1950.</p></div></div>',
        '<div id="cookie-notice"><p>SECRET We use cookies.</p></div>',
        "<div class=site-info><p>SECRET powered by a theme</p></div>",
        '<section class="newsletter-signup"><p>SECRET Subscribe to our letter.</p></section>',
    ],
)
def test_what_surrounds_an_article_is_removed_whatever_the_article_is_made_of(content, box):
    assert "SECRET" not in text(f"<div>{content}</div>{box}")


def test_widgets_are_removed_unless_they_hold_most_of_the_page():
    widget = '<div class="widget widget_text"><p>ABOUT our shop in the old town.</p></div>'
    assert "ABOUT" not in text(f"<div>{LINES}</div>{widget}")
    built = "".join(f'<div class="widget widget_editor"><p>{LONG} {n}</p></div>' for n in range(5))
    assert text(built).count("ferry") == 5


@pytest.mark.parametrize(
    "links",
    [
        '<a href="#content">SKIP ahead</a>',
        '<div><a class="visually-hidden-focusable" href=#content>SKIP it</a></div><script>x = 1</script>',
        '<p><a href="#a">SKIP to the text</a> | <a href="#b"><span>SKIP to the menu</span></a></p>',
        "<!-- top --><span></span><A HREF='#main'>Zum Inhalt SKIP</A>",
    ],
)
@pytest.mark.parametrize("around", ["{}<main><div>{}</div></main>", "<main><div>{}{}</div></main>"])
def test_links_that_skip_to_the_text_are_removed(links, around):
    found = text(around.format(links, f"<h1>The ferry</h1>{ARTICLE}"))
    assert found.startswith("The ferry The ferry leaves") and "SKIP" not in found and "|" not in found


@pytest.mark.parametrize(
    "first",
    [
        '<h1><a href="#ferry">KEPT title</a></h1>',
        '<a href="#ferry"><h1>KEPT title</h1></a>',
        '<p>As <a href="#note">KEPT</a> says:</p>',
        '<p><a href="/other#part">KEPT</a> is another page.</p>',
        '<p><a href="#">KEPT</a> opens a dialog.</p>',
    ],
)
def test_other_links_at_the_beginning_are_kept(first):
    assert "KEPT" in text(f"<main><div>{first}{ARTICLE}</div></main>")


@pytest.mark.parametrize("name", ["share-buttons", "sharedaddy", "addtoany_share", "social-share-bar"])
def test_share_buttons_are_removed_and_shareholders_kept(name):
    assert "Tweet" not in text(
        f'<article>{ARTICLE}<div class="{name}"><a href="/t">Tweet</a></div></article>'
    )
    assert "shareholder" in text(
        f'<article>{ARTICLE}<div class="shareholders">A shareholder asks.</div></article>'
    )


POST = "I tried this, and the carburetor still leaks when it is cold."
FORUMS = {  # how each system writes a post by `USER` with the signature `MOTTO`, and what is around all posts
    "phpBB 2": (
        "<tr><td><b>USER</b><br>Joined: 2005<br>Posts: 120</td>"
        '<td><span class="postbody">{}<br>_________________<br>MOTTO</span></td></tr>',
        "<table>{}</table>",
    ),
    "phpBB 3": (
        '<div class="post"><dl class="postprofile"><dt>USER</dt><dd>Posts: 3</dd></dl>'
        '<div class="content">{}</div><div class="signature">MOTTO</div></div>',
        "<div>{}</div>",
    ),
    "vBulletin": (
        '<table><tr><td class="alt2"><a>USER</a><div>Join Date: Oct 2004</div><div>Posts: 7</div></td></tr>'
        "<tr><td><div>{}</div><div>__________________<br>MOTTO</div></td></tr></table>",
        "<div>{}</div>",
    ),
    "SMF": (
        '<div class="wrapper"><div class="poster"><h4>USER</h4></div>'
        '<div class="inner">{}</div><div class="moderatorbar">MOTTO</div></div>',
        "<div>{}</div>",
    ),
    "XenForo": (
        '<article class="message"><div class="message-cell--user"><h4>USER</h4></div>'
        '<div class="bbWrapper">{}</div><footer class="message-footer">MOTTO</footer></article>',
        "<div>{}</div>",
    ),
    "PunBB": (
        '<div class="inbox"><div class="postleft"><dl><dt>USER</dt></dl></div>'
        '<div class="postmsg"><p>{}</p></div><div class="postsignature">MOTTO</div></div>',
        "<div>{}</div>",
    ),
}


@pytest.mark.parametrize("system", FORUMS)
def test_a_forums_posts_are_kept_without_their_authors_and_signatures(system):
    post, frame = FORUMS[system]
    found = text(frame.format("".join(post.format(f"{POST} {number}") for number in range(4))))
    assert found.count("carburetor") == 4
    assert "USER" not in found and "MOTTO" not in found and "Posts" not in found


TEX = "<annotation encoding='application/x-tex'>x=5</annotation>"
ROOT = "<math><msqrt><mn>2</mn></msqrt><msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup></math>"
QUOTIENT = "<math><mfrac><mn>1</mn><mrow><mi>n</mi><mo>+</mo><mn>2</mn></mrow></mfrac></math>"
PICTURE = "<img class=mwe-math-fallback-image-inline alt='{\\displaystyle x=6}'>"
KATEX = f"<span class=katex><math>{TEX}</math><span class=katex-html aria-hidden=true>x=5</span></span>"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("from <b>1990</b>–<b>2000</b> on", "from 1990–2000 on"),
        ("<i>don</i>&rsquo;<b>t</b> go", "don’t go"),
        ("a <em>—</em> b", "a — b"),
        ("<span>„</span>Ja<span>“</span>", "„Ja“"),
        ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>", "漢(kan)"),
        ("it opened on <time>May 1</time> in Bern", "it opened on May 1 in Bern"),
        (f"<math><mi>x</mi><mo>=</mo><mn>5</mn>{TEX}</math>", "$x=5$"),
        ("<math alttext='{\\displaystyle a^{2}}'><msup><mi>a</mi><mn>2</mn></msup></math>", "$a^{2}$"),
        (QUOTIENT, "1/(n+2)"),
        ("<math><msup><mn>10</mn><mn>6</mn></msup></math>", "10^6"),
        (ROOT, "√2x_i^2"),
        ("so <script type='math/tex'>z=7</script> holds", "so $z=7$ holds"),
        (KATEX, "$x=5$"),
        (f"<span><span style='display: none'><math>{TEX}</math></span>{PICTURE}</span>", "$x=5$"),
        (PICTURE, "$x=6$"),
        ("<img class=latex alt='x^2&lt;y'>", "$x^2<y$"),
        ("<img class=tex alt='\\pi'> or <img class=tex>", "$\\pi$ or"),
        ("<img class='ql-img-inline-formula auto' alt='&#36;&#120;&#36;'>", "$x$"),
        ("<img class=photo alt='Two boats'>", ""),
    ],
)
def test_signs_dates_and_formulas_in_a_sentence_are_kept_once(html, expected):
    sentence = "This sentence is long enough that its date cannot be a byline: "
    assert f"byline: {expected} .".replace("  ", " ") in text(
        f"<article>{ARTICLE}<p>{sentence}{html} .</p></article>"
    )


def test_the_date_of_a_short_sentence_is_kept():
    assert "On May 1 it fell." in text(f"<article>{ARTICLE}<p>On <time>May 1</time> it fell.</p></article>")
    assert "May 1" not in text(f"<article>{ARTICLE}<p>By A. B., <time>May 1</time></p></article>")


def test_a_bullet_and_a_byline_are_still_dropped():
    assert "•" not in text(f"<article>{ARTICLE}<p><b>•</b> an item</p></article>")
    assert "May" not in text(f"<article><p>By <time>May 1</time></p>{ARTICLE}</article>")


def test_a_date_without_text_is_no_error():
    assert f"{LONG} 3." in text(ARTICLE + "<p>Written <time datetime=2020-01-01></time> on a boat.</p>")


CODE = "def f():\n    pass"


@pytest.mark.parametrize(
    "html",
    [
        f"<table><tr><td class=gutter><pre>1\n2</pre></td><td class=code><pre>{CODE}</pre></td></tr></table>",
        f"<table><tr><td class=linenos><div class=linenodiv><pre> 9\n10</pre></div></td>"
        f"<td><pre>{CODE}</pre></td></tr></table>",
        f"<pre><span class=lineno>1</span>{CODE}</pre>",
        f"<pre class=line-numbers>{CODE}</pre>",
    ],
)
def test_line_numbers_are_no_part_of_code(html):
    assert text(f"<article>{ARTICLE}{html}</article>").endswith(" 3. def f(): pass")


def test_a_box_named_like_line_numbers_that_has_words_is_kept():
    assert "In the gutter" in text(f"<article>{ARTICLE}<p class=gutter>In the gutter.</p></article>")


def test_a_wikis_links_to_edit_sections_are_dropped():
    heading = "<h2><span>History</span><span class=mw-editsection>[<a href=#>edit</a>]</span></h2>"
    assert " History The ferry" in text(f"<article>{ARTICLE}{heading}{ARTICLE}</article>")


@pytest.mark.parametrize("end", ["footer", "aside", "nav"])
def test_what_ends_the_page_is_no_article_however_long_it_is(end):
    article = f"<article><h2>T</h2><p>{LONG} kept</p></article>"
    ends = f"<div><{end}>" + "".join(f"<p>{LONG} SECRET {n}</p>" for n in range(8)) + f"</{end}></div>"
    assert text(article + ends).endswith("kept") and text(ends + article).endswith("kept")


def test_what_ends_a_section_belongs_to_it():
    article = f"<article>{ARTICLE}<footer>AFTER</footer></article>"
    body = HTMLTree.parse(page(f"{article}<footer>SECRET</footer><td><aside>SECRET</aside>")).body
    assert body is not None
    remove_page_ends(body)
    assert "AFTER" in body.html and "SECRET" not in body.html


def test_a_footer_around_the_only_text_is_kept():
    assert "MINE" in text(f"<footer><article><p>{LONG} MINE</p></article></footer>")
    assert "MINE" in text(f"<nav>x</nav><footer><main>{ARTICLE}<p>{LONG} MINE</p></main></footer>")
