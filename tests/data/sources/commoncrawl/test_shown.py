"""The extraction takes what a browser shows: signs, lines of their own, and nothing that is hidden."""

import pytest

pytest.importorskip("resiliparse", reason="resiliparse is not installed (pip install -e '.[data]')")

from data.sources.commoncrawl.main_content import extract

PARAGRAPH = "<p>The lock keeper opens the gates at dawn, and the barges go through one after another.</p>"


def lines(body: str, head: str = "<head><title>Locks</title></head>") -> list[str]:
    """The lines of an article with this body."""
    html = f"<html>{head}<body><article>{PARAGRAPH}{body}{PARAGRAPH}</article></body></html>"
    found = [line.strip() for line in extract(html)[1].split("\n") if line.strip()]
    return [line.replace("\xa0", " ") for line in found if not line.startswith("The lock keeper")]


@pytest.mark.parametrize(
    ("html", "text"),
    {
        "Ropes are at <a href=/r>the shed</a>.&nbsp;": "Ropes are at the shed.",
        "<b>Ask Ada</b>,&nbsp;<b>Bo</b>,\xa0<b>Cy</b>&#44;&#160;<b>Di</b> or\n<i>&amp;&nbsp;</i>Co.": (
            "Ask Ada, Bo, Cy, Di or & Co."
        ),
        "The <em>né</em> and <i> sé </i> and <i>&amp;é</i> are lent.": "The né and sé and &é are lent.",
        "Lock <b>4\xa0</b>is open, <b>&alpha;\xa0</b>is not.": "Lock 4 is open, α is not.",
        "Oars<b>&para;</b> are lent.": "Oars are lent.",  # a mark of headings, which is dropped as before
        "She said,<br>\n„<q>Go on</q>“ and left.": "She said,|„Go on“ and left.",
    }.items(),
)
def test_signs_between_tags_are_kept(html: str, text: str):
    assert "|".join(lines(f"<p>{html}</p>")) == text


@pytest.mark.parametrize(
    "style",
    ["display:none!important", "color:red; DISPLAY: none !important;", "visibility:hidden ! important"],
)
def test_what_a_style_hides_against_all_others_is_not_taken(style: str):
    hidden = f"<div style='{style}'><p>Nobody reads these words about the cheap pills.</p></div>"
    shown = "<p style='color:red !important'>The pumps are old.</p>"
    assert lines(f"{hidden}<p>The bridge<span style='{style}'>pills</span> is up.</p>{shown}") == [
        "The bridge is up.",
        "The pumps are old.",
    ]


@pytest.mark.parametrize("before", ["<div></div>", "<p>", "<header>The canal</header>", "<x-icon>"])
def test_a_title_after_the_end_of_the_head_is_no_text(before: str):
    assert "Locks and weirs" not in "".join(lines("", f"<head>{before}<title>Locks and weirs</title></head>"))


@pytest.mark.parametrize("tag", ["menu", "dir", "MENU"])
def test_older_lists_are_lists(tag: str):
    listed = f"<{tag}><li>A rope of hemp</li><li>A hook of iron</li></{tag}>"
    assert lines(f"<p>Bring:</p>{listed}<p>Nothing else is needed here.</p>") == [
        "Bring:",
        "• A rope of hemp",
        "• A hook of iron",
        "Nothing else is needed here.",
    ]


@pytest.mark.parametrize(("tag", "word"), [("listing", "<b>go</b>"), ("xmp", "go"), ("LISTING", "go")])
def test_older_program_text_keeps_its_lines(tag: str, word: str):
    assert lines(f"<{tag}>open gates\n  {word} through\nclose</{tag}>after it<p>") == [
        "open gates",
        "go through",
        "close",
        "after it",
    ]


@pytest.mark.parametrize("attributes", ["href=#{0} id={0} data-nosnippet", "name='{0}' class=n href='#{0}'"])
def test_numbers_of_lines_that_link_to_themselves_are_no_code(attributes: str):
    listed = ["//! Opens gates.", "", "use std::gate;", "    open(7);"]
    numbered = "\n".join(f"<a {attributes.format(n)}>{n}</a>{line}" for n, line in enumerate(listed, 9))
    note = "<pre>[<a href=#1>1</a>] <a id=s1 href=#s1>1</a>. Gates</pre>"
    found = lines(f"<pre><code>{numbered}</code></pre>{note}")
    assert found == ["//! Opens gates.", "use std::gate;", "open(7);", "[1] 1. Gates"]


@pytest.mark.parametrize(
    ("html", "text"),
    {
        "<h2><span style='float:right'>24 boats</span>The harbor today</h2>": "24 boats|The harbor today",
        "<p>See<b style='color: red; float: left;'>the map</b>there.</p>": "See|the map|there.",
        "<p>See <span style='float: right'><img src=x></span>the map.</p>": "See the map.",
        "<p><span style='float:left; font-size:3em'>“T</span>hey came.</p>": "“They came.",
        "<p>By and<search>Find a boat</search>by.</p>": "By and|Find a boat|by.",
        "<pre><code>import gate</code><code>require(gate)</code></pre>": "import gate|require(gate)",
        "<p>Call <code>gate</code><code>.open</code> twice.</p>": "Call gate.open twice.",
    }.items(),
)
def test_what_stands_apart_has_lines_of_its_own(html: str, text: str):
    assert "|".join(lines(html)) == text


@pytest.mark.parametrize(
    ("html", "text"),
    {
        "<ul><li>menu: <span class=guimenu>Boat</span> → <b class='x menuitem'>Moor</b>;</li></ul>": (
            "• menu: Boat → Moor;"
        ),
        "<p>In <span class=menuchoice><em class=guimenu>File</em> → <i class=submenu>New</i></span></p>": (
            "In File → New"
        ),
        "<h3>The <span class=guisubmenu>Ropes</span> part</h3>": "The Ropes part",
        "<p>Write to <code class=email>&lt;<a class=email-link href=x>ada@x</a>&gt;</code> about it.</p>": (
            "Write to <ada@x> about it."
        ),
        "<p><span class=menu-text>Home</span></p>": "",
        "<h3>The tide <span class=submenu-author>by Ada</span></h3>": "The tide",
        "<p>Go <span class=menu><a href=/>home</a></span></p>": "Go",
        "<p><a class=email href=x>Send it to a friend</a></p>": "",
    }.items(),
)
def test_menus_and_addresses_in_a_text_are_no_boxes(html: str, text: str):
    assert "|".join(lines(html)) == text


@pytest.mark.parametrize(
    ("html", "text"),
    {
        "<ol type=a><li>Moor.<li>Wait.</ol>": "a. Moor.|b. Wait.",
        "<ol type=I start=3><li><p>Moor.</p><p>Then:</p><li><div><p>Wait.</ol>": "III. Moor.|Then:|IV. Wait.",
        "<ol style='color:red; list-style-type: lower-roman'><li>Moor.</ol>": "i. Moor.",
        "<ol style='list-style: upper-latin inside'><li>Moor.</ol>": "A. Moor.",
        "<ol style='list-style:none'><li>(1) Moor.</ol>": "(1) Moor.",
        "<ol><li>Moor.<li value=7>Wait.<ol type=a><li>Go.</ol><li>On.": "1. Moor.|7. Wait.|a. Go.|8. On.",
        "<ol reversed><li>Three.<li>Two.<li>One.</ol>": "3. Three.|2. Two.|1. One.",
        "<ol reversed start=9><li>Moor.<li>Wait.</ol>": "9. Moor.|8. Wait.",
        "<ol type=A start=27><li>Moor.</ol><ol type=i start=4000><li>Wait.</ol>": "AA. Moor.|4000. Wait.",
        "<ol type=i start=1994><li>Moor.</ol><ol type=a start=0><li>Wait.</ol>": "mcmxciv. Moor.|0. Wait.",
        "<ol type=1 class=x><li>Moor.<li value=x>Wait.</ol>": "1. Moor.|2. Wait.",
        "<ol type=a><li>Moor.<ol><li>Long.</ol></ol>": "a. Moor.|1. Long.",
    }.items(),
)  # fmt: skip
def test_lists_have_the_labels_that_they_are_shown_with(html: str, text: str):
    assert "|".join(lines(html)) == text


@pytest.mark.parametrize(
    ("html", "text"),
    {
        "<ol><li id=n1><p>Of ash. <a href='#r1' role=doc-backlink>↩︎</a></p></ol>": "1. Of ash.",
        "<ol><li><p>Of ash. <a href='/boat#r1'>&#8617;</a> <a href='#b'>&#8617;<sup>2</sup></a></p></ol>": (
            "1. Of ash."
        ),
        "<ol><li><span class=mw-cite-backlink><b><a href='#r'>^</a></b></span> Of ash.</ol>": "1. Of ash.",
        "<p>Press ↩, or <a href='#keys'>↩ twice</a>, to go on.</p>": "Press ↩, or ↩ twice, to go on.",
    }.items(),
)
def test_a_notes_link_back_is_no_text(html: str, text: str):
    assert "|".join(lines(html)) == text
