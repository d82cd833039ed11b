"""Text that resiliparse's rules drop wherever it is: in figures, sentences, accordions and sections."""

import time

import pytest

pytest.importorskip("resiliparse", reason="resiliparse is not installed (pip install -e '.[data]')")

from data.sources.commoncrawl.main_content import extract

PARAGRAPH = "<p>The lock keeper opens the gates at dawn, and the barges go through one after another.</p>"
QUESTION = "May I moor here overnight?"
ANSWER = "<p>Boats may stay for two nights, if the keeper has been told of it in time.</p>"
LINKS = "<ul><li><a href=/a>Locks and their keepers</a></li><li><a href=/b>Tides and moorings</a></li></ul>"


def lines(body: str) -> list[str]:
    """The lines of an article with this body."""
    html = f"<html><body><main><div>{PARAGRAPH * 2}{body}{PARAGRAPH}</div></main></body></html>"
    found = [line.strip() for line in extract(html)[1].split("\n") if line.strip()]
    return [line for line in found if not line.startswith("The lock keeper")]


@pytest.mark.parametrize(
    ("figure", "text"),
    {
        "<table><tr><td>Spring<td>4 m</table><figcaption>Tides</figcaption>": "Spring\t\t4 m|Tides",
        "<figcaption>Listing</figcaption><pre><code>open()\nshut()</code></pre>": "Listing|open()|shut()",
        "<blockquote>Row,<br>row.</blockquote><figcaption>A round</figcaption>": "Row,|row.|A round",
        "<div><blockquote><p>The gate is <a href=/g>shut</a>.</p></blockquote></div>": "The gate is shut.",
        "<img src=a alt=boat><figcaption>A boat.</figcaption>": "",
        "<img src=a><figcaption><blockquote>A boat.</blockquote></figcaption>": "",
        "<table><tr><td><img src=a></td></tr></table><figcaption>A boat.</figcaption>": "",
        "<blockquote><a href=/p>See this post with its pictures</a></blockquote>": "",
    }.items(),
)  # fmt: skip
def test_a_figure_of_text_is_kept_and_a_picture_is_not(figure: str, text: str):
    assert "|".join(lines(f"<figure class=wp-block>{figure}</figure>")) == text


def test_words_around_a_picture_do_not_run_together():
    assert lines("<div>It is open.<figure><img src=a></figure>It shuts at dusk.</div>") == [
        "It is open.",
        "It shuts at dusk.",
    ]


def test_a_quotation_from_the_same_page_is_not_repeated():
    assert (
        lines("<figure class=wp-block-pullquote><blockquote>One after another.</blockquote></figure>") == []
    )


ACCORDIONS = {
    "a heading's button (Bootstrap 5)": """
        <h2><button class='accordion-button collapsed' aria-expanded=false>{q}</button></h2>
        <div class='accordion-collapse collapse'><div>{a}</div></div>""",
    "a button in a card (Bootstrap 4)": """
        <div class=card><div class=card-header><h5><button class='btn btn-link'>{q}</button></h5></div>
        <div class=collapse><div>{a}</div></div></div>""",
    "a link (Bootstrap 3)": """
        <div class=panel><div class=panel-heading>
        <h4><a class=collapsed data-toggle=collapse href=#{id}>{q}</a></h4></div>
        <div id={id} class=panel-collapse><div>{a}</div></div></div>""",
    "a box that opens the next": """
        <div class='panel-heading collapsed' data-toggle=collapse data-target=#{id}><h4>{q}</h4></div>
        <div id={id}>{a}</div>""",
    "a plain button": "<button class=accordion>{q}</button><div class=panel>{a}</div>",
    "a button alone in a box": "<div><div><button class=faq>{q}</button></div></div><div>{a}</div>",
    "a label after a switch": """
        <div><input type=checkbox id={id}><label for={id}>{q}</label><div>{a}</div></div>""",
    "a role (Elementor)": """
        <div><div role=button aria-controls={id} aria-expanded=false><a class=title>{q}</a></div>
        <div id={id} role=region>{a}</div></div>""",
    "a term": "<dl><dt><button aria-expanded=false>{q}</button></dt><dd>{a}</dd></dl>",
    "a hidden answer (USWDS)": """
        <h4><button aria-expanded=false aria-controls={id}>{q}</button></h4><div id={id} hidden>{a}</div>""",
    "an answer that a style hides": """
        <button aria-controls={id}>{q}</button>
        <div id={id} aria-hidden=true style='display: none'>{a}</div>""",
}


@pytest.mark.parametrize("accordion", ACCORDIONS.values(), ids=ACCORDIONS)
@pytest.mark.parametrize("times", [1, 3])
def test_an_accordions_questions_and_answers_are_kept(accordion: str, times: int):
    answer = ANSWER.removeprefix("<p>").removesuffix("</p>")
    items = [accordion.format(q=QUESTION, a=ANSWER, id=f"item{number}") for number in range(times)]
    assert lines("".join(items)) == [QUESTION, answer] * times


def test_a_short_answer_is_kept():
    assert lines(f"<button class=faq>{QUESTION}</button><div hidden>No.</div>") == [QUESTION, "No."]


@pytest.mark.parametrize(
    "tool",
    [
        f"<button aria-expanded=false>Menu</button>{LINKS}",
        f"<button class=accordion>All about locks</button><div>{LINKS}</div>",
        "<button aria-controls=f>Write to us</button><form id=f>Your name and address</form>",
        "<form><p><label>Your name, without titles.</label><input> We need it for the permit.</p></form>",
        "<button type=submit>Send it</button><p></p>",
        "<h3><button type=submit>Send it</button></h3>",
        "<button data-toggle=modal data-target=#m>Subscribe</button>",
        "<p><button class=share hidden>Share</button></p>",
        "<button aria-expanded=false>+</button>",
        f"<h4 aria-expanded=false>Your company</h4>{LINKS}",
        "<label for=c>Your name</label><input id=c>",
    ],
)  # fmt: skip
def test_menus_forms_and_tools_are_no_text(tool: str):
    found = lines(tool)
    words = ("Menu", "locks", "Write", "titles", "Send", "Subscribe", "Share", "+", "Your")
    assert not any(word in line for line in found for word in words)


def test_a_button_in_a_program_is_no_part_of_it():
    assert lines("<pre>open()\nshut()<button>copy</button></pre>") == ["open()", "shut()"]


@pytest.mark.parametrize(
    ("sentence", "text"),
    {
        "The <a rel=next href=/3>next chapter</a> shows it all.": "The next chapter shows it all.",
        "I like <a rel=tag href=/t>#<span>boats</span></a> very much.": "I like #boats very much.",
        "The map by <span itemprop=author>Ada Bo</span> is lost.": "The map by Ada Bo is lost.",
        "Press the <button>Save</button> button to go on.": "Press the Save button to go on.",
        "Tick <label><input type=checkbox> I agree</label> to go on.": "Tick I agree to go on.",
        "You must <a class=login href=/l>log in</a> to see it.": "You must log in to see it.",
        "Then <a class=share href=/l>share</a> it with <b class=logo>Acme</b>.": "Then share it with Acme.",
        "We <em class=like>like</em> it<span class=sr-only> (new tab)</span>.": "We like it.",
    }.items(),
)  # fmt: skip
def test_words_of_a_sentence_are_kept(sentence: str, text: str):
    assert lines(f"<p>{sentence}</p>") == [text]


def test_a_post_that_an_article_quotes_is_kept():
    post = "<p lang=en>The gate is shut.</p>&mdash; Ada (@ada) <a href=/p>May 1</a>"
    assert lines(f"<blockquote class=twitter-tweet>{post}</blockquote>")[0] == "The gate is shut."
    assert lines("<a class=twitter-timeline href=/t>Tweets by Ada</a>") == []


@pytest.mark.parametrize("name", ["note", "a tip", "starlight-aside--caution", "callout_box"])
def test_a_note_in_an_aside_is_kept(name: str):
    assert len(lines(f"<aside class='{name}'>{ANSWER}</aside>")) == 1
    assert lines(f"<aside class='{name}'>{LINKS}</aside>") == []


@pytest.mark.parametrize("name", ["related", "notebook-shop", "tips", "author-info"])
def test_other_asides_are_dropped(name: str):
    assert lines(f"<aside class={name}>{ANSWER}</aside>") == []


def test_a_byline_and_topics_are_still_dropped():
    assert lines("<p><a rel=author href=/a>Ada Bo</a></p><p><a rel=tag href=/t>boats</a></p>") == []


def test_a_section_named_by_its_heading_is_no_box():
    section = f"<section id={{}} class=level2><h2>3.1 Related work</h2>{ANSWER}</section>"
    assert lines(section.format("related-work"))[0] == "3.1 Related work"
    assert lines(section.format("related")) == []


def test_a_note_in_the_article_is_kept_and_one_around_it_is_not():
    note = f"<div class=alert role=alert>{ANSWER}</div>"
    assert len(lines(note)) == 1
    outside = extract(f"<body><div>{note}</div><div><article>{PARAGRAPH * 3}</article></div></body>")[1]
    assert "two nights" not in outside


@pytest.mark.parametrize(
    "box",
    ["<div class=itemizedlist><ul type=disc>{}</ul></div>", "<ul class='simple'>{}</ul>"],
)
def test_a_manuals_list_with_links_is_kept_wherever_it_is(box: str):
    item = "<li><p>The <a href=/g>upper gate</a> is shut.</p></li>"
    assert lines(f"<div>{PARAGRAPH}<h3>Gates</h3>{box.format(item * 2)}</div>") == [
        "Gates",
        *["• The upper gate is shut."] * 2,
    ]
    menu = "<li><a href=/g>The upper gate of the lock</a></li>"
    assert lines(f"<div>{PARAGRAPH}{box.format(menu * 2)}</div>") == []


@pytest.mark.parametrize("word", ["mosty", "мосты", "橋と川", "łódź 🚤"])
@pytest.mark.parametrize("space", ["", "  "])
def test_a_list_with_links_is_kept_in_every_script(word: str, space: str):
    for n in range(1, 30):
        item = f"{word} {'y' * n}"
        kept = lines("<ul>" + f"<li><a href=/a>{space}{word}</a> {'y' * n}</li>" * 4 + "</ul>")
        assert kept == ([f"• {item}"] * 4 if 2 * len(word) <= len(item) else []), n


@pytest.mark.parametrize(
    ("begin", "repeated", "n"),
    [
        ("<ol type=a>", f"<li>{QUESTION}", 4000),
        ("<p>So it is.", f"<a rel=tag href=/t>{QUESTION}</a>", 16_000),
        ("<p>So it is.", f"<label>{QUESTION}</label>", 16_000),
        ("<h2>So it is.", f"<div><button>{QUESTION}</button></div>", 16_000),
        (PARAGRAPH, f"<figure><table><tr><td>{QUESTION}", 400),
        (PARAGRAPH, f"<div aria-expanded=false>{QUESTION}", 1000),
    ],
)
def test_what_is_repeated_is_not_read_again_for_each(begin: str, repeated: str, n: int):
    started = time.process_time()
    extract(f"<body><main>{begin}{repeated * n}")
    assert time.process_time() - started < 5  # far more if each is


@pytest.mark.parametrize("accordion", ["a plain button", "a term"])
def test_a_long_accordion_is_kept_whole(accordion: str):
    items = [ACCORDIONS[accordion].format(q=QUESTION, a=ANSWER, id=n) for n in range(60)]
    assert lines("".join(items)).count(QUESTION) == 60
