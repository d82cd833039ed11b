"""Keeps text that resiliparse's rules drop wherever it is: in figures, sentences, accordions and lists.

In: the parsed page. Out: the page changed so that these are extracted.

- Figures: tables, programs and quotations in them, with their captions. Pictures' captions stay dropped.
- Words of a sentence: links with a relation (`rel=tag`), buttons, labels, dates.
- Notes to the text in <aside> that are named so: note, tip, warning.
- Accordions: the buttons, labels and closed links that open a text are its headings, and the text is shown.
- Sections with an id that names a box and is made of their own heading's words (Pandoc, Sphinx).
- Lists near the body or with links, dropped as if each were a menu. Those near the body, after a paragraph or
  by a documentation system that are not mostly links are moved deeper, with hidden text that makes their
  links a small part.
"""

import re
from typing import cast

from resiliparse.parse.html import HTMLTree, NodeType
from resiliparse.parse.html.node import ElementNode, Node

from data.sources.commoncrawl.article import is_word, sentence_of
from data.sources.commoncrawl.elements import is_mostly_links, rename, select, sizes, span, text_of
from data.sources.commoncrawl.scan import (
    COLLAPSED,
    CONTROL,
    FIGURE,
    LEVELS,
    LISTS,
    PAGE_END,
    RELATED,
    TIME,
    Facts,
)

_NEAR_LISTS = "body > ul, body > * > ul, body > * > * > ul"  # dropped as the site's navigation
_OWN_LISTS = ".itemizedlist > ul, ul.simple, .mw-parser-output > ul"  # DocBook's, docutils', MediaWiki's
_LISTS = f"{_NEAR_LISTS}, {_OWN_LISTS}, p + ul, p + ul ul"  # a list after a paragraph belongs to it
_ALL_LISTS = "ul"  # of a document, which has no menus
_LIST_DEPTH = 3
_LINKED = 5  # resiliparse drops lists with more than a fifth of their bytes in links, at any depth
_DATES = "p time, li time, dd time, blockquote time"
_DATE_SHARE = 3  # a paragraph this many times as long as its date is a sentence, not a byline
_FIGURE_TEXTS = "table, pre, blockquote"
_REPEATED = "pull"  # in the class of a quotation from the same page
_RELATIONS = ("rel", "itemprop")
_RELATED = ", ".join(
    [f'[rel="{value}"]' for value in ("author", "next", "prev", "search", "tag")]
    + [f'[itemprop="{value}"]' for value in ("author", "datePublished", "url")]
)
_CONTROLS = 'button:not([hidden]), label:not([hidden]), [aria-expanded="false"], .collapsed'
_TITLES = "h1, h2, h3, h4, h5, h6, dt, summary"
_TOGGLES = ("data-toggle", "data-bs-toggle")
_TARGETS = ("aria-controls", "data-target", "data-bs-target")
_OPENING = re.compile("accordion|collapsible|faq|question|spoiler", re.IGNORECASE)
_NOTE = re.compile(
    r"\b(?:admonition|attention|callout|caution|danger|hint|important|note|tip|warning)\b", re.IGNORECASE
)
_FIELDS = "form, select, textarea"
_SWITCHES = ("checkbox", "radio")
_HIDDEN_CLASS = re.compile(
    r"(?:^|\s)(?:is-)?(?:collapsed|expandable|hidden|invisible)(?=\s|$)", re.IGNORECASE
)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SECTIONS = ", ".join(["section[id]", ".section[id]", *(f".{level}[id]" for level in sorted(LEVELS))])


def keep_text(tree: HTMLTree, body: ElementNode, facts: Facts, most_read: int, *, is_document: bool) -> None:
    """Change the parsed page so that these are extracted.

    Elements may be in one another: each step that reads them whole reads `most_read` characters in all.
    """
    if facts.features & TIME:
        _keep_dates(tree, body)
    if facts.features & FIGURE:
        _keep_figures(tree, body, most_read)
    if facts.features & PAGE_END:
        _keep_notes(tree, body, most_read)
    if facts.features & RELATED:
        _keep_related(body, most_read)
    if facts.features & CONTROL or not COLLAPSED.isdisjoint(facts.names):
        _keep_controls(tree, body, most_read)
    if is_document or not LEVELS.isdisjoint(facts.names):
        _forget_ids(body)
    if facts.features & LISTS:
        _keep_lists(tree, body, _ALL_LISTS if is_document else _LISTS, most_read)


def _keep_dates(tree: HTMLTree, body: ElementNode) -> None:
    """Keep the dates in sentences, which resiliparse drops as if they were bylines."""
    for element in select(body, _DATES):
        parent, date = element.parent_element, text_of(element)
        if parent is not None and date and _is_sentence(text_of(parent), date):
            element.replace_with(span(tree, date))


def _is_sentence(text: str, date: str) -> bool:
    """Whether a text with a date is a sentence, not a byline."""
    before, _, after = text.partition(date)
    is_closed = after.rstrip().endswith((".", "!", "?")) and any(map(str.isalpha, before))
    return is_closed or len(text) > _DATE_SHARE * len(date)


def _keep_figures(tree: HTMLTree, body: ElementNode, left: int) -> None:
    """Keep figures of text, but not quotations from the same page; break the line at the others."""
    for figure in select(body, "figure:not([hidden])"):
        left -= len(text_of(figure))
        if left < 0:
            break
        captions = select(figure, "figcaption")
        in_captions = {each for caption in captions for each in select(caption, _FIGURE_TEXTS)}
        texts = (each for each in select(figure, _FIGURE_TEXTS) if each not in in_captions)
        is_text = any(text_of(each).strip() for each in texts) and _REPEATED not in (figure.class_name or "")
        if is_text and not is_mostly_links(figure):
            for caption in captions:
                rename(tree, caption, "div", ("class", "id"))
            rename(tree, figure, "div", ("class", "id"))
        elif _is_text(figure.previous_sibling) and _is_text(figure.next_sibling):
            figure.replace_with(cast(ElementNode, tree.create_element("br")))


def _is_text(node: Node | None) -> bool:
    return node is not None and node.type == NodeType.TEXT and bool((node.text_content or "").strip())


def _keep_notes(tree: HTMLTree, body: ElementNode, left: int) -> None:
    for aside in select(body, "aside[class]:not([hidden])"):
        left -= len(text_of(aside))
        if left < 0:
            break
        if _NOTE.search((aside.class_name or "").replace("_", "-")) and not is_mostly_links(aside):
            rename(tree, aside, "div")


def _keep_related(body: ElementNode, left: int) -> None:
    """Keep links and names in sentences that have a relation to the page."""
    for element in select(body, _RELATED):
        left -= _n_around(element)
        if left < 0:
            break
        if is_word(element):
            for name in _RELATIONS:
                if element.has_attribute(name):
                    element.remove_attribute(name)


def _keep_controls(tree: HTMLTree, body: ElementNode, left: int) -> None:
    """Keep the controls that are words of a sentence, a heading's text, or open the text after them."""
    for control in select(body, _CONTROLS):
        text, title = text_of(control).strip(), control.closest(_TITLES)
        titled = text_of(title).strip() if title is not None else ""
        left -= len(text) + len(titled) + _n_around(control)
        if left < 0:
            break
        if not any(map(str.isalnum, text)):
            continue
        if is_word(control) and not _is_tool(control):
            _show(tree, control, "span")
            continue
        is_title = titled == text and not _is_field(control)
        panel = _panel(body, control, text)
        if panel is not None:
            size, n_linked = sizes(panel)
            left -= size
            if left < 0:
                break
            if not size or 2 * n_linked > size or _has_fields(panel):
                continue  # a menu or a form
            _unhide(panel)
        if is_title or panel is not None:
            _show(tree, control, "span" if is_title else "div")


def _n_around(element: ElementNode) -> int:
    """How many characters `is_word` reads."""
    sentence = sentence_of(element)
    return len(text_of(sentence)) if sentence is not None else 0


def _is_field(control: ElementNode) -> bool:
    """Whether a control belongs to a form."""
    return control.tag == "label" or control.getattr("type") in ("submit", "reset")


def _has_fields(panel: ElementNode) -> bool:
    return panel.tag == "form" or panel.query_selector(_FIELDS) is not None


def _is_tool(control: ElementNode) -> bool:
    """Whether a control names a form's field, or copies or runs a program."""
    return control.closest("pre") is not None or (_is_field(control) and control.closest("form") is not None)


def _panel(body: ElementNode, control: ElementNode, text: str) -> ElementNode | None:
    """The element that a control opens: the one that it names, or else the one that follows it."""
    if control.tag == "label":
        switch = control.previous_element_sibling
        if switch is None or switch.getattr("type") not in _SWITCHES:
            return None
        return control.next_element_sibling
    is_toggle = any(control.getattr(name) == "collapse" for name in _TOGGLES)
    names = [control.getattr(name) for name in _TARGETS]
    if is_toggle:
        names.append(control.getattr("href"))
    for name in filter(None, names):
        if (panel := body.get_element_by_id(name.removeprefix("#"))) is not None:
            return panel
    if not (is_toggle or control.has_attribute("aria-expanded") or _OPENING.search(control.class_name or "")):
        return None
    element: ElementNode | None = control
    while element is not None and element != body and text_of(element).strip() == text:
        if (following := element.next_element_sibling) is not None:
            return following
        element = element.parent_element
    return None


def _show(tree: HTMLTree, control: ElementNode, tag: str) -> None:
    for link in select(control, "a"):
        rename(tree, link, "span")
    if control.tag in ("button", "label"):
        rename(tree, control, tag)
    elif control.tag == "a":
        rename(tree, control, "span")
    else:
        _unhide(control)


def _unhide(element: ElementNode) -> None:
    for name in ("hidden", "aria-hidden", "aria-expanded"):
        if element.has_attribute(name):
            element.remove_attribute(name)
    if _HIDDEN_STYLE.search(element.getattr("style") or ""):
        element.remove_attribute("style")
    if names := element.class_name:
        element.class_name = _HIDDEN_CLASS.sub("", names)


def _forget_ids(body: ElementNode) -> None:
    """Take away the ids of sections that are the words of their own heading."""
    for section in select(body, _SECTIONS):
        heading = section.first_element_child
        if heading is not None and _letters(text_of(heading)) == _letters(section.id or ""):
            section.remove_attribute("id")


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.lower()))


def _keep_lists(tree: HTMLTree, body: ElementNode, lists: str, left: int) -> None:
    """Keep lists that are not mostly links, which resiliparse drops as menus or as the site's navigation.

    Lists in lists are read again, `left` characters in all.
    """
    near = set(select(body, _NEAR_LISTS))
    for element in select(body, lists):
        size, n_linked = sizes(element)
        left -= size
        if left < 0:
            break
        if 2 * n_linked > size:
            continue
        in_links = sum([_n_bytes(text_of(link)) for link in select(element, "a")])
        n_missing = _LINKED * in_links - _n_bytes(" ".join(text_of(element).split()))
        if n_missing > 0:
            padding = span(tree, "x" * n_missing)
            padding.set_attribute("hidden", "")
            element.append_child(padding)
        if element in near:
            _deepen(tree, element)


def _n_bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def _deepen(tree: HTMLTree, element: ElementNode) -> None:
    # <dl>, because a list is never taken for the article (article.py).
    levels = [cast(ElementNode, tree.create_element("dl")) for _ in range(_LIST_DEPTH)]
    element.replace_with(levels[0])
    for outer, inner in zip(levels, [*levels[1:], element]):
        outer.append_child(inner)
