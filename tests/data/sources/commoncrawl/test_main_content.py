"""The main content of web pages: articles with their lists, without the surroundings."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("resiliparse", reason="resiliparse is not installed (pip install -e '.[data]')")

from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.commoncrawl import main_content
from data.sources.commoncrawl.main_content import extract


def sentence(word: str, number: int) -> str:
    return f"Sentence {number} about {word} is long enough to be a part of what a reader came for."


def paragraphs(word: str, n: int) -> str:
    return "".join(f"<p>{sentence(word, number)}</p>" for number in range(n))


def lines(html: str) -> list[str]:
    return [line.strip() for line in extract(html)[1].split("\n") if line.strip()]


def page(body: str) -> str:
    return f"<html><head><title>A title</title></head><body>{body}</body></html>"


LIST = "<ul><li>The first point is made here.<ul><li>A finer point</li></ul></li><li>The second one</li></ul>"
MENU = "<ul><li><a href=/>Home</a></li><li><a href=/a>About us</a></li><li><a href=/b>Contact</a></li></ul>"


@pytest.mark.parametrize("n_items", [1, 2, 9])
@pytest.mark.parametrize(
    ("before", "after"), [("", ""), ("<main>", "</main>"), ("<div><article>", "</article></div>")]
)
def test_a_list_with_links_in_its_sentences_is_no_menu(before, after, n_items):
    items = "".join(
        f"<li>Read <a href=/{n}>the book of ponds {n}</a>, a fine introduction for all.</li>"
        for n in range(n_items)
    )
    found = lines(page(f"{before}<h1>Head</h1>{paragraphs('lists', 2)}<ul>{items}</ul>{MENU}{after}"))
    read = [line for line in found if line.startswith("•")]
    assert read == [f"• Read the book of ponds {n}, a fine introduction for all." for n in range(n_items)]
    assert not any("xx" in line for line in found)


@pytest.mark.parametrize("depth", range(7))
@pytest.mark.parametrize("before", ["<p>Such books are:</p>", "<p>Such books are:</p><ul><li>Any other</li>"])
def test_a_list_after_a_paragraph_may_have_many_links(before, depth):
    items = "".join(f"<li><a href=/{n}>Book {n}</a>, an old one</li>" for n in range(4))
    article = f"{paragraphs('lists', 3)}{before}<ul>{items}</ul>{'</ul>' * before.count('<ul>')}"
    body = f"{'<div>' * depth}{article}{paragraphs('more', 2)}{'</div>' * depth}"
    assert [line for line in lines(page(MENU + body)) if "old" in line or "About" in line] == [
        f"• Book {n}, an old one" for n in range(4)
    ]


@pytest.mark.parametrize("depth", range(6))
@pytest.mark.parametrize("tag", ["div", "main", "article", "section"])
def test_lists_are_kept_at_any_depth_and_menus_are_not(depth, tag):
    body = f"<h1>Head</h1>{paragraphs('lists', 3)}{LIST}{paragraphs('more', 2)}"
    for _ in range(depth):
        body = f"<{tag}>{body}</{tag}>"
    found = lines(page(MENU + body))
    assert "• The first point is made here." in found and "• A finer point" in found
    assert found.index("• The second one") == found.index(sentence("more", 0)) - 1
    assert not any("About us" in line for line in found)


def test_a_page_that_is_a_list_is_kept():
    assert lines(page(LIST)) == ["• The first point is made here.", "• A finer point", "• The second one"]
    assert lines(page("<ol><li>One</li><li>Two</li></ol>")) == ["1. One", "2. Two"]


@pytest.mark.parametrize(
    ("attribute", "number"), [("start=4", 4), ('start="12"', 12), ("start=-2", 1), ("start=9999999", 1)]
)
def test_a_numbered_list_begins_with_its_number(attribute, number):
    steps = f"<ol {attribute}>\n<li>Turn it.</li><li>Lift it.</li></ol>"
    for body in (f"<main>{paragraphs('a', 3)}{steps}</main>", f"{paragraphs('a', 3)}{steps}", steps):
        found = lines(page(body))
        assert found[-2:] == [f"{number}. Turn it.", f"{number + 1}. Lift it."]


AROUND = {
    "footer": "<div class=foot><p>All rights are reserved by the owner of this site.</p></div>",
    "teasers": "<div class=more><h3>Read next</h3><p>Another story begins here and goes on.</p></div>",
    "comments": "<div id=comments><p>I do not agree with a word of this, says a reader.</p></div>",
    "sidebar": "<div class=side><p>We are a small company and sell things.</p></div>",
}


@pytest.mark.parametrize("after", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize("wrap", ["<div class=text>{}</div>", "<article>{}</article>", "<td>{}</td>"])
def test_text_after_the_article_is_dropped(after, wrap):
    article = wrap.format(paragraphs("gears", 5))
    body = f"<div class=page><h1>Gears</h1><p>What this is about.</p>{article}{after}</div>"
    if "<td>" in wrap:
        body = f"<table><tr>{article}<td>{after}</td></tr></table>"
    found = lines(page(body))
    assert [sentence("gears", number) for number in range(5)] == found[-5:]


def test_an_introduction_to_the_article_is_kept_but_its_links_are_not():
    body = f"<div>{MENU}</div><div><h1>Gears</h1></div><p>What this is about.</p>"
    found = lines(page(f"{body}<div class=text>{paragraphs('gears', 5)}</div>"))
    assert found[:2] == ["Gears", "What this is about."] and len(found) == 7


@pytest.mark.parametrize("tag", ["h1", "h2", "h3"])
def test_a_title_that_links_to_its_own_page_is_kept(tag):
    title = f"<{tag}><a href=/gears>All about gears</a></{tag}>"
    teaser = "<div><a href=/wheels>All about wheels</a></div>"
    body = f"<div>{teaser}{title}<div>{paragraphs('gears', 3)}</div></div>"
    assert lines(page(body)) == ["All about gears", *(sentence("gears", n) for n in range(3))]


def test_an_introduction_in_a_link_without_a_target_is_kept():
    for tag, n in (("a class=lead", 7), ("a href=/x", 6)):
        body = f"<h1>Gears</h1><p><{tag}>What this is about.</a></p>"
        assert len(lines(page(f"{body}<div class=text>{paragraphs('gears', 5)}</div>"))) == n


def test_sections_of_a_document_that_word_wrote_are_all_kept():
    for names, n in (
        (("Section1", "Section12"), 8),
        (("WordSection1", "WordSection2"), 8),
        (("Sec1", "Sec2"), 6),
    ):
        one, two = (f"<div class={name}>{paragraphs(name, size)}</div>" for name, size in zip(names, (6, 2)))
        assert len(lines(page(one + two))) == n


def test_sections_of_the_same_kind_are_all_kept():
    for tag in ("section", "div class=part", "article class='post type-post category-related tag-comments'"):
        parts = [
            f"<{tag}>{paragraphs(word, n)}</{tag.split()[0]}>"
            for word, n in (("one", 9), ("two", 3), ("six", 2))
        ]
        found = lines(page(f"<main>{''.join(parts)}</main>"))
        assert len(found) == 14, tag


PARTS = {
    "sections of other classes": (
        "<section class=body>{}</section><h2>End</h2><section class=end>{}</section>",
        "section class=share",
    ),
    "plain boxes": ("<div>{}</div><h2>End</h2><div>{}</div>", "div class=about"),
    "of one class": ("<div class=text>{}</div><h2>End</h2><div class=text>{}</div>", "div"),
    "a quotation": ("<blockquote>{}</blockquote><h2>End</h2>{}", "div class=related"),
    "a list": ("<ul><li>{0}</li></ul><h2>End</h2>{1}", "div class=related"),
    "steps": ("<ol><li>{0}</li><li>{0}</li></ol><h2>End</h2>{1}", "div class=related"),
}


@pytest.mark.parametrize("whole", ["article", "main"])
@pytest.mark.parametrize(("parts", "box"), PARTS.values(), ids=PARTS)
def test_an_article_in_several_parts_is_kept_whole(whole, parts, box):
    teaser = f"<{box}><p>Another story begins here.</p></{box.split()[0]}>"
    article = parts.format(paragraphs("gears", 6), paragraphs("wheels", 2))
    found = lines(page(f"{MENU}<{whole}><h1>Gears</h1>{article}</{whole}>{teaser}"))
    assert (
        found[0] == "Gears" and found[-3] == "End" and found[-2:] == [sentence("wheels", n) for n in (0, 1)]
    )


NAMED = {
    "<p>He spoke of <a class=popup href=#>the matter</a> to <span id=author-4>Joyce</span>.</p>": (
        "He spoke of the matter to Joyce."
    ),
    "<p><span class=dateline>Cairo — </span>The <b><em class='x banner'>flag</em></b> is up.”</p>": (
        "Cairo — The flag is up.”"
    ),
    "<dl><dt>Flag<dd>A <i class=social-sign>sign</i> on a cloth。</dl>": "Flag|A sign on a cloth。",
    "<pre><code><span class='token comment'># Wind</span>\nblow()</code></pre>": "# Wind|blow()",
    "<p>The flag is up. <span class=byline>By somebody who saw it with her own eyes</span></p>": (
        "The flag is up."
    ),
    "<p>The flag is up. <a class=social href=#>Share</a></p>": "The flag is up.",
    "<p>By <span class=byline-author>Joan Flag</span> and others</p>": "By and others",
}


@pytest.mark.parametrize(("html", "text"), NAMED.items())
def test_words_of_sentences_and_code_are_no_boxes_whatever_their_names(html, text):
    found = lines(page(f"<main>{paragraphs('a', 2)}{html}{paragraphs('b', 2)}</main>"))
    assert "|".join(found[2:-2]) == text


@pytest.mark.parametrize("anchor", ['<a id="b"/>', "<A NAME=b>", '<a name="b" title="x"></a>'])
def test_text_in_an_anchor_is_not_in_a_link(anchor):
    listed = "".join(f"<li>{sentence('lists', number)}</li>" for number in range(3))
    section = f"<div class=section><h2>{anchor}Wheels</h2>{paragraphs('wheels', 3)}<ul>{listed}</ul></div>"
    html = page(f"<div class=chapter><p>{sentence('gears', 0)}</p>{section}{section}</div>")
    for body in (html, html.replace("<h2>", "<h2 title=x>")):
        part = [
            "Wheels",
            *(sentence("wheels", n) for n in range(3)),
            *(f"• {sentence('lists', n)}" for n in range(3)),
        ]
        assert lines(body) == [sentence("gears", 0), *part, *part]


def test_a_section_whose_heading_links_to_it_is_no_box():
    heading = "<h2>Sponsoring and comments<a class=headerlink href='page#sponsoring-and-comments'>¶</a></h2>"
    for tag in ("section", "div class=section"):
        section = f"<{tag} id=sponsoring-and-comments>{heading}{paragraphs('b', 2)}</{tag.split()[0]}>"
        found = lines(page(f"<main>{paragraphs('a', 5)}{section}{paragraphs('c', 2)}</main>"))
        assert len(found) == 10 and found[5] == "Sponsoring and comments"
        assert len(lines(page(f"<main>{paragraphs('a', 5)}{section.replace('page#s', '#x')}</main>"))) == 5


LOST = {
    "modal": "<div class=modal>{}</div>",
    "a menu's class": "<section class='nav menu'>{}</section>",
    "hidden until a script runs": "<div style='display:none'>{}</div>",
    "an advertisement's class": "<div class='widead'>{}</div>",
    "nav": "<nav>{}</nav>",
    "aside": "<aside>{}</aside>",
    "footer": "<footer>{}</footer>",
    "comments": "<div class=comments>{}</div>",
    "related": "<div class=related-content>{}</div>",
    "form": "<form>{}</form>",
}


@pytest.mark.parametrize("wrap", LOST.values(), ids=LOST)
def test_an_article_in_an_unlikely_place_is_kept(wrap):
    found = lines(page(f"<div><b>A short line</b></div>{wrap.format(paragraphs('gears', 6))}"))
    assert [sentence("gears", number) for number in range(6)] == [line for line in found if "gears" in line]


@pytest.mark.parametrize("name", ["sidebar", "related-posts", "author-box", "newsletter-popup", "social"])
def test_boxes_inside_the_article_are_dropped(name):
    box = f"<div class={name}><p>Not a part of the article at all.</p></div>"
    found = lines(page(f"<main>{paragraphs('gears', 3)}{box}{paragraphs('wheels', 3)}</main>"))
    assert len(found) == 6 and not any("Not a part" in line for line in found)


def test_a_headings_own_words_do_not_make_it_a_box():
    body = f"{paragraphs('a', 3)}<h2 id=author-comments-and-related>Author comments</h2>{paragraphs('b', 3)}"
    assert "Author comments" in lines(page(f"<main>{body}</main>"))


def test_pages_without_paragraphs_are_kept():
    divs = "".join(f"<div>{sentence('divs', number)}</div>" for number in range(6))
    cells = "".join(f"<tr><td>{sentence('cells', number)}</td></tr>" for number in range(6))
    breaks = "<br><br>".join(sentence("breaks", number) for number in range(6))
    for text in (
        f"<div>{divs}</div>",
        f"<table>{cells}</table>",
        breaks,
        f"<div class=comments>{divs}</div>",
    ):
        found = lines(page(f"<p>A footnote.</p>{text}"))
        assert sum("Sentence" in line for line in found) == 6


def test_options_and_scripts_do_not_count_as_paragraphs():
    options = "".join(f"<option>{sentence('options', number)}</option>" for number in range(20))
    body = f"<div><form><p><select>{options}</select></p></form></div><div>{sentence('text', 1)}</div>"
    assert lines(page(body)) == [sentence("text", 1)]


@pytest.mark.parametrize(
    "html", ["", "<", "<title>x</title>", "<frameset><frame src=x></frameset>", "\0", "<p>"]
)
def test_pages_without_text_give_none(html):
    assert extract(html)[1].strip("\ufffd<") == ""


POWERS = {
    "10<sup>6</sup> m<sup>2</sup>": "10^6 m^2",
    "100<sup>2</sup>=10000": "100^2=10000",
    "2<sup>10</sup>3, 10<sup>6 </sup>km, x<sup>2</sup>y": "2^10 3, 10^6 km, x^2y",
    "10<sup>-9</sup> and 10<sup>−9</sup>": "10^-9 and 10^−9",
    "2<sup>n</sup>, 2<sup>n+1</sup>, <i>x</i><sup>2</sup>, (a+b)<sup>3</sup>": "2^n, 2^(n+1), x^2, (a+b)^3",
    "10<sup><b>9</b></sup> km<SUP>2</SUP>": "10^9 km^2",
    "1<sup>st</sup>, 2<sup>nd</sup>, 21<sup>e</sup>, M<sup>me</sup>": "1st, 2nd, 21e, Mme",
    "a fact<sup>1</sup> and a fact<sup><a href=#n>2</a></sup>": "a fact1 and a fact2",
    "10<sup><a href=#n>3</a></sup>, name<sup>TM</sup>, <sup>2</sup>He, H<sub>2</sub>": "10, nameTM, 2He, H2",
    "101<sub>2</sub>, log<sub>2</sub>8, x<sub>1</sub><sup>2</sup>, C<sub>6</sub>": "101_2, log2 8, x1^2, C6",
    "1<sup>3</sup>/<sub>4</sub> in, <sup>1</sup>&frasl;<sub>2</sub>": "1 3/4 in, 1⁄2",
    "6<sup>1</sup>&frasl;<sub>2</sub>, 7<sup>3</sup>⁄<sub>4</sub>": "6 1⁄2, 7 3⁄4",
    "4<sup>&frac12;</sup>, 10<sup>3½</sup>, a<sub>10</sub>, 5<sub>min</sub>": "4^(½), 10^3½, a10, 5min",
}


@pytest.mark.parametrize(("html", "text"), POWERS.items())
def test_powers_are_separate_from_their_bases(html, text):
    assert lines(page(f"<main><p>{html}</p>{paragraphs('a', 2)}</main>"))[0] == text


SHOWN = {
    "He said <q>no <q>boat</q> today</q>, <q>“so”</q>, <Q lang=de>ja</Q><q></q>, „<q>no</q>“.": (
        'He said "no \'boat\' today", “so”, "ja", „no“.'
    ),
    "<ruby>東京<rt>とうきょう</rt></ruby>と<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字": (
        "東京(とうきょう)と漢(かん)字"
    ),
    "A re&shy;search boat.<dialog>Subscribe!</dialog><canvas>No canvas.</canvas>": "A research boat.",
    "A calm <img class=emoji alt='⛵🌊' src=x> day <img class=emoji alt=smile src=y>.": "A calm ⛵🌊 day .",
    "The map<span class=sr-only> opens in a new tab</span> of C<a href=#s>#</a>": "The map of C#",
    "Press <kbd>Ctrl</kbd><kbd>C</kbd> or <kbd>Ctrl</kbd>+<kbd>V</kbd>, <kbd>A</kbd>s.": (
        "Press Ctrl C or Ctrl+V, As."
    ),
    "Deep</p><details><summary>More of it</summary>The text</details><p>": "Deep|More of it|The text",
    "Deep</p><fieldset><legend>A key</legend>The text</fieldset><p>": "Deep|A key|The text",
    "One<span style='color:red; display: block'>two</span>three<b style='display:inline-block'>s</b>": (
        "One|two|threes"
    ),
    "<span style='float:left; display:block'>“W</span>inds <b style='display:block;float:left'>Win</b>d": (
        "“Winds|Win|d"
    ),
    "A</p><table><tr><td><b style='display:block'>b</b><td> <i style='display:flex'>c</i> </table><p>": (
        "A|b\t\tc"
    ),
    "Deep<h2 id=w>Winds<a href='#w'>#</a></h2>": "Deep|Winds",
    "Deep<h2 id=w><a class=anchor href='/p#w'> ¶</a>Winds <a href=#s>§ 5</a></h2>": "Deep|Winds § 5",
}


@pytest.mark.parametrize(("html", "text"), SHOWN.items())
def test_text_is_what_a_browser_shows(html, text):
    found = lines(page(f"<main><p>{html}</p>{paragraphs('a', 2)}</main>"))
    assert "|".join(found[:-2]) == text


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.sampled_from([*AROUND.values(), MENU, LIST, paragraphs("gears", 1), "<div>", "</div>"]),
        max_size=20,
    )
)
def test_no_page_fails_and_an_article_that_is_most_of_it_is_kept(parts):
    body = "".join(parts)
    found = lines(page(f"{body}<article>{paragraphs('wheels', 200)}</article>{body}"))
    assert sum("wheels" in line for line in found) == 200


BROKEN = "<br><br>".join(sentence("the mill", number) for number in range(5))


@pytest.mark.parametrize("tag", ["div", "td", "span"])
@pytest.mark.parametrize("name", ["permalink", "post gallery", "skip"])  # which resiliparse takes for boxes
@pytest.mark.parametrize("after", ["", "<div class=form><p>Use the form below to write to us.</p></div>"])
def test_a_text_of_lines_without_paragraphs_is_not_lost(tag, name, after):
    outer = "<table><tr>" if tag == "td" else "<div>"
    text = f"<div>{outer}<{tag} class='{name}'>{BROKEN}</{tag}></div></table>{after}"
    found = lines(page(f"<ul><li><a href=/>Home</a></ul>{text}"))
    assert found[:5] == [sentence("the mill", number) for number in range(5)]


def test_lines_in_many_elements_in_one_another_are_not_read_again_for_each(monkeypatch):
    read, text_of = [], main_content.text_of
    monkeypatch.setattr(main_content, "text_of", lambda element: read.append(text_of(element)) or read[-1])
    nested = "<div class=skip><br>" * 400 + "word " * 20_000 + "</div>" * 400
    html = page("<p>A short page.</p>" + nested)
    extract(html)
    assert len(html) < sum(map(len, read)) < 12 * len(html)


@pytest.mark.parametrize("box", ["<nav>", "<footer>", "<noscript>", "<div hidden>", "<div class=newsletter>"])
def test_lines_in_what_is_no_text_are_not_taken_for_it(box):
    end = box.replace("<", "</").split()[0].rstrip(">") + ">"
    assert lines(page(f"{box}<div>{BROKEN}</div>{end}<p>A short page.</p>")) == ["A short page."]


def test_marked_pages_are_extracted_better_than_by_resiliparse_and_trafilatura(shared_data):
    """Recall, precision and F over marked passages; benchmarks/recall/pages.py prints them."""
    pytest.importorskip("trafilatura", reason="trafilatura is not installed (pip install -e '.[dev]')")
    path = Path(__file__).resolve().parents[4] / "benchmarks" / "recall" / "pages.py"
    spec = importlib.util.spec_from_file_location("recall_pages", path)
    assert spec and spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark
    spec.loader.exec_module(benchmark)
    pages = benchmark.marked_pages(shared_data / "cc")
    ours, bare, theirs = (
        benchmark.score(pages, benchmark.CONTESTANTS[name])
        for name in ("relama", "resiliparse", "trafilatura, default, no comments")
    )
    assert len(pages) == 106
    assert ours.f > theirs.f > bare.f
    assert ours.recall >= bare.recall and ours.precision > bare.precision
