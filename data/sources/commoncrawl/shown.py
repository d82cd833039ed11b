"""Makes a page's text what a browser shows: with quotation marks, without closed dialogs and headings' links.

In: the parsed page. Out: the page with the text that a reader sees. <q> stands for quotation marks; a gloss
over a word (<ruby> without <rp>) would run into the word; a picture of an emoji has the emoji as its
alternative text; links of a heading to itself and of a note back to its place are only signs; keys are told
apart, and what the page shows on a line of its own is. A title is no text wherever it stands, and what
`!important` hides is hidden. Lists have the numbers or letters that they are shown with.
"""

import re
from collections.abc import Iterable, Iterator
from typing import cast

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ElementNode, Node

from data.sources.commoncrawl.elements import rename, select, span, text_of
from data.sources.commoncrawl.scan import (
    ANCHOR,
    EMOJI,
    LABELED,
    LATE_TITLE,
    LISTING,
    NUMBERED,
    SHOWN,
    STYLED,
    Facts,
)

_ANCHORS = ("#", "¶", "§", "🔗")  # texts of headings' links to themselves
# Text of a note's link back to its place; _JOINER may be in it.
_RETURN = re.compile(r"\s*+\u21a9[\ufe0e\ufe0f\u2060]*+\s*+\d*+\s*+")
_SELF_LINKS = ", ".join(f'h{level} a[href*="#"]' for level in range(1, 7))
# Elements that break lines in a browser, and not in resiliparse; others do if their style says so.
_LINES = "summary, legend, search"
# HTML's own older names of elements that resiliparse does not know.
_RENAMED = {"dir": "ul", "menu": "ul", "listing": "pre", "xmp": "pre"}
_INLINE = {"a", "b", "cite", "code", "em", "font", "i", "label", "small", "span", "strong", "u"}
_STYLED = '[style*="display"], [style*="float"]'
_LINE_STYLE = r"display:\s*+(?:block|flex|grid|list-item|table)"
_BLOCK = re.compile(rf"(?:^|;)\s*+{_LINE_STYLE}\s*+(?:[;!]|$)")
_FLOAT = re.compile(r"(?:^|;)\s*+float:\s*+(?:left|right)")
_INITIAL = 2  # most characters of an initial, with its quotation mark
# In a tag; cheaper to look for.
_MAY_BREAK = re.compile(rf"{_LINE_STYLE}[^<>{{}}]{{0,1000}}>")
_MAY_FLOAT = re.compile(r"float:\s*+(?:left|right)[^<>{}]{0,1000}>")
_MAY_HIDE = re.compile(r"!\s?important[^<>{}]{0,1000}>")
_HIDING = re.compile(
    r"(?:^|;)\s*+(?:display:\s*+none|visibility:\s*+hidden)\s*+!\s*+important", re.IGNORECASE
)
_NUMBERED_LISTS = "ol[start]"
_MOST_ITEMS = 1000  # most items added to a page's lists
# Lists that are not numbered 1, 2, 3 ..., or only may be: styles and types are looked at one by one.
_LABELED_LISTS = 'ol[type], ol[reversed], ol[style*="list-style"]'
_LABELED_ITEMS = "ol > li[value]"
_LIST_STYLE = re.compile(r"list-style(?:-type)?\s*+:[^:;]*?\b(none|(?:lower|upper)-(?:alpha|latin|roman))\b")
_STYLES = {"a": "lower-alpha", "A": "upper-alpha", "i": "lower-roman", "I": "upper-roman"}
_ROMAN = ["m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"]
_VALUES = (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1)  # of _ROMAN's
_NUMBER = re.compile(r"\s*[-+]?\d{1,9}\s*")
_JOINER = "\u2060"  # main_content.py's, after a sign that stands alone
_MARKS = "\"'“”„‟«»‹›‘’‚「『"


def write_as_shown(tree: HTMLTree, body: ElementNode, facts: Facts, html: str) -> None:
    """Change the parsed page's text to what is shown; `html` is the page before parsing."""
    if facts.features & LATE_TITLE:
        _hide(select(body, "title"))
    if facts.features & STYLED:
        if _MAY_HIDE.search(html):
            styled = select(body, '[style*="important"]')
            _hide([each for each in styled if _HIDING.search(each.getattr("style") or "")])
        if _MAY_BREAK.search(html) or _MAY_FLOAT.search(html):
            styled = select(body, _STYLED)
            _break_lines(tree, [each for each in styled if each.tag in _INLINE and _is_line(each)])
    if facts.features & LISTING and "</code><code" in html:
        _set_apart(tree, select(body, "pre > code + code"), "\n")  # variants of a program, or its lines
    if facts.features & SHOWN:
        _rename(tree, body)
        _quote(tree, body)
        _set_glosses_apart(body)
        _set_apart(tree, select(body, "kbd + kbd"), " ")  # keys, which pages draw as boxes
        _break_lines(tree, select(body, _LINES))
        _hide(select(body, "dialog:not([open]), canvas"))
    if facts.features & LABELED:
        _label_lists(tree, body)
    if facts.features & NUMBERED:
        _number_lists(tree, body)
    if facts.features & ANCHOR:
        for link in select(body, _SELF_LINKS):
            if text_of(link).strip() in _ANCHORS:
                link.set_attribute("hidden", "")
                _forget_name(link)
        _hide(select(body, ".mw-cite-backlink"))
        _hide([link for link in select(body, 'a[href*="#"]') if _RETURN.fullmatch(text_of(link))])
    if not EMOJI.isdisjoint(facts.names):
        for picture in select(body, "img.emoji, img.wp-smiley"):
            sign = (picture.getattr("alt") or "").strip()
            if sign and not any(map(str.isalnum, sign)):
                picture.replace_with(span(tree, sign))


def _is_line(element: ElementNode) -> bool:
    """Whether an element's style breaks lines around it, as around no floating initial or picture."""
    style = element.getattr("style") or ""
    if _FLOAT.search(style) is not None:
        return len(text_of(element).strip()) > _INITIAL
    return _BLOCK.search(style) is not None


def _hide(elements: Iterable[ElementNode]) -> None:
    for element in elements:
        element.set_attribute("hidden", "")


def _rename(tree: HTMLTree, body: ElementNode) -> None:
    for element in select(body, ", ".join(_RENAMED)):
        rename(tree, element, _RENAMED[element.tag or ""])


def _forget_name(link: ElementNode) -> None:
    """Take a section's id away if its heading links to it: it is made of the heading's words (Sphinx)."""
    heading = link.closest("h1, h2, h3, h4, h5, h6")
    section = heading.parent_element if heading is not None else None
    if section is not None and section.id and (link.getattr("href") or "").endswith(f"#{section.id}"):
        section.remove_attribute("id")


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
    return ((node.text_content or "").rstrip(_JOINER)[-1:] if node is not None else "") or " "


def _set_glosses_apart(body: ElementNode) -> None:
    """Put glosses in parentheses where the page has none: 漢<rt>kan</rt> becomes 漢(kan)."""
    with_marks = {mark.parent_element for mark in select(body, "rp")}
    for gloss in select(body, "ruby rt"):
        text = text_of(gloss).strip()
        if text and gloss.parent_element not in with_marks:
            gloss.text_content = f"({text})"


def _set_apart(tree: HTMLTree, elements: Iterable[ElementNode], space: str) -> None:
    """Put a space before elements that directly follow another: <kbd>Ctrl</kbd><kbd>V</kbd>."""
    for element in elements:
        if isinstance(element.previous_sibling, ElementNode):
            cast(ElementNode, element.parent).insert_before(span(tree, space), element)


def _break_lines(tree: HTMLTree, elements: Iterable[ElementNode]) -> None:
    """Break the line before and after each element, except where its parent begins or ends."""
    for element in elements:
        parent = cast(ElementNode, element.parent)
        before, after = element.previous_sibling, element.next_sibling
        if before is not None and (_is_shown(before) or before.previous_sibling is not None):
            parent.insert_before(cast(Node, tree.create_element("br")), element)
        if after is not None and (_is_shown(after) or after.next_sibling is not None):
            parent.insert_before(cast(Node, tree.create_element("br")), after)


def _is_shown(node: Node) -> bool:
    return bool((node.text_content or "").strip())


def _label_lists(tree: HTMLTree, body: ElementNode) -> None:
    """Write the labels of lists that are not numbered 1, 2, 3: a., iv., 3. 2. 1., or none."""
    lists = [*select(body, _LABELED_LISTS), *(item.parent_element for item in select(body, _LABELED_ITEMS))]
    for element in dict.fromkeys(each for each in lists if each is not None):
        items = [item for item in _children(element) if item.tag == "li"]
        style = _style(element)
        is_reversed = element.has_attribute("reversed")
        if style == "decimal" and not is_reversed and not any(item.has_attribute("value") for item in items):
            continue
        number = _number(element.getattr("start"), len(items) if is_reversed else 1)
        for item in items:
            number = _number(item.getattr("value"), number)
            if style != "none":
                _first_block(item).prepend(span(tree, f"{_label(number, style)}. "))
            number += -1 if is_reversed else 1
            rename(tree, item, "dd")
        rename(tree, element, "dl")


def _children(element: ElementNode) -> Iterator[ElementNode]:
    child = element.first_element_child
    while child is not None:
        yield child
        child = child.next_element_sibling


def _style(element: ElementNode) -> str:
    if found := _LIST_STYLE.search(element.getattr("style") or ""):
        return found[1].replace("latin", "alpha")
    return _STYLES.get(element.getattr("type") or "", "decimal")


def _number(value: str | None, default: int) -> int:
    return int(value) if value is not None and _NUMBER.fullmatch(value) else default


def _first_block(item: ElementNode) -> ElementNode:
    """The element with an item's first text: the item, or the paragraph at its beginning."""
    while True:
        child = item.first_child
        while child is not None and not _is_shown(child):
            child = child.next_sibling
        if not isinstance(child, ElementNode) or child.tag not in ("p", "div"):
            return item
        item = child


def _label(number: int, style: str) -> str:
    """A number as browsers write it in this style: decimal where the style has no sign for it."""
    label = ""
    if style.endswith("alpha"):
        while number > 0:
            number, letter = divmod(number - 1, 26)
            label = chr(ord("a") + letter) + label
    elif style.endswith("roman") and number < 4000:
        left = number
        for sign, value in zip(_ROMAN, _VALUES):
            while left >= value:
                label, left = label + sign, left - value
    return (label.upper() if style.startswith("upper") else label) or str(number)


def _number_lists(tree: HTMLTree, body: ElementNode) -> None:
    """Begin lists that start later with empty items, which resiliparse counts but does not show."""
    left = _MOST_ITEMS
    for element in select(body, _NUMBERED_LISTS):
        start, first = element.getattr("start") or "", element.first_element_child
        if not (start.isascii() and start.isdecimal()) or first is None:
            continue
        n_items = min(int(start[:9]) - 1, left)
        if n_items + 1 == int(start[:9]):
            for _ in range(n_items):
                element.insert_before(cast(ElementNode, tree.create_element("li")), first)
            left -= n_items
