"""Makes a page's text what a browser shows: with quotation marks, without closed dialogs and headings' links.

In: the parsed page. Out: the page with the text that a reader sees. <q> stands for quotation marks; a gloss
over a word (<ruby> without <rp>) would run into the word; a picture of an emoji has the emoji as its
alternative text; a heading's link to itself is only a sign beside it.
"""

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ElementNode

from data.sources.commoncrawl.elements import select, span, text_of
from data.sources.commoncrawl.scan import ANCHOR, EMOJI, SHOWN, Facts

_ANCHORS = ("#", "¶", "§", "🔗")  # texts of headings' links to themselves
_SELF_LINKS = ", ".join(f'h{level} a[href*="#"]' for level in range(1, 7))
_MARKS = "\"'“”„‟«»‹›‘’‚「『"


def write_as_shown(tree: HTMLTree, body: ElementNode, facts: Facts) -> None:
    """Change the parsed page's text to what is shown."""
    if facts.features & SHOWN:
        _quote(tree, body)
        _set_glosses_apart(body)
        for element in select(body, "dialog:not([open]), canvas"):
            element.set_attribute("hidden", "")
    if facts.features & ANCHOR:
        for link in select(body, _SELF_LINKS):
            if text_of(link).strip() in _ANCHORS:
                link.set_attribute("hidden", "")
    if not EMOJI.isdisjoint(facts.names):
        for picture in select(body, "img.emoji, img.wp-smiley"):
            sign = (picture.getattr("alt") or "").strip()
            if sign and not any(map(str.isalnum, sign)):
                picture.replace_with(span(tree, sign))


def _quote(tree: HTMLTree, body: ElementNode) -> None:
    """Put quotation marks in <q>, unless the page has its own."""
    for element in select(body, "q"):
        first, text = element.first_child, text_of(element).strip()
        has_marks = text[:1] in _MARKS or _before(element) in _MARKS  # also true if the text is empty
        if first is not None and not has_marks:
            mark = "'" if (outer := element.parent_element) is not None and outer.closest("q") else '"'
            element.insert_before(span(tree, mark), first)
            element.append_child(span(tree, mark))


def _before(element: ElementNode) -> str:
    """The last character directly before an element, or a space."""
    node = element.previous_sibling
    return ((node.text_content or "")[-1:] if node is not None else "") or " "


def _set_glosses_apart(body: ElementNode) -> None:
    """Put glosses in parentheses where the page has none: 漢<rt>kan</rt> becomes 漢(kan)."""
    with_marks = {mark.parent_element for mark in select(body, "rp")}
    for gloss in select(body, "ruby rt"):
        text = text_of(gloss).strip()
        if text and gloss.parent_element not in with_marks:
            gloss.text_content = f"({text})"
