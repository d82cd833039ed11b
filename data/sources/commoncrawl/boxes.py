"""Removes boxes of a web page that are never text: widgets, forum members, line numbers, navigation.

In: the parsed page. Out: the page without these boxes. They are recognized by the class names and ids of the
common systems (WordPress, Bootstrap; phpBB, vBulletin, SMF, XenForo, MyBB, Invision, PunBB, Discourse; those
for documentation); the cell next to a forum post is recognized by its fields (Joined, Posts). Page builders
call everything a widget, so widgets are removed only if most of the page's text is outside them.
"""

import re
from typing import cast

from resiliparse.parse.html import NodeType
from resiliparse.parse.html.node import ElementNode, Node

from data.sources.commoncrawl.article import without_words
from data.sources.commoncrawl.elements import select, text_of
from data.sources.commoncrawl.scan import FORUM, PAGE_ENDS, Facts, kind_of

_SHORT = 500  # most characters of a box with a forum member or share buttons (Readability's)
_NUMBERS = re.compile(r"[\d\s.:]*")
_CONTENT = "article, h1, main"
_HEADINGS = "h1, h2, h3, h4, h5, h6"
_NUMBER_LINK = re.compile(r"""href=["']?#\d[^<>]{0,100}>\s*+\d++\s*+</a""")
_LINK = re.compile(r"<a\s[^>]*+", re.IGNORECASE | re.ASCII)
_UNSEEN = ("script", "style", "noscript", "template", "svg")
_BEGINNINGS = (*_HEADINGS.split(", "), "ul", "ol", "dl", "table")  # of text: a title, a table of contents
# The page's own ends are inside none of these:
_SECTIONS = ("article", "main", "section", "blockquote", "details", "dialog", "fieldset", "figure", "td")
_FIELDS = (
    "joined|join date|registered|member since|posts|messages|location|registriert|beiträge|wohnort|inscrit"
)
_MEMBER = re.compile(rf"(?:{_FIELDS})[ \t]*:", re.IGNORECASE)
_RULE = re.compile(r"\s*_{10,}\s*")

# Links to other pages of DocBook, texi2any, Doxygen, TeX4ht, GAPDoc and httpd; Doxygen's project and hints.
_NAVIGATION = (
    ".navheader, .navfooter, .nav-panel, #nav-path, .navpath, .crosslinks, table.header, [class^=chlink],"
    " .toplang, .bottomlang, #titlearea, .ttc,"
    # of a name to itself and to its program
    " a.headerlink, .viewcode-link, .srclink, a.src, .src > a.link, .src > a.selflink"
)
_HEADERS = "div.header, div.node"  # texi2any's, whose links are named; Doxygen's hold the title
_NAMED_LINK = "a[rel], a[accesskey]"
_MADE = re.compile(  # how the last line of such a page begins
    r"\W*+(?:version\s[\w.]{1,20}\s++)?"
    r"(?:this\s(?:document|file|manual|page)\s(?:was|is|has\sbeen)\s(?:automatically\s)?)?"
    r"(?:generated|created|converted|translated|last\s(?:modified|updated))\b",
    re.IGNORECASE,
)
_LAST = 4  # children of the body that may be such lines
_BOXES_OF_TEXT = "div.sidebar, aside.sidebar"  # DocBook's and docutils'; these have a title
_BOX_TITLE = ".titlepage, .title, .sidebar-title"


def remove_boxes(body: ElementNode, facts: Facts) -> None:
    """Remove the boxes from the parsed page."""
    names = {name for word in facts.names if kind_of(name := word.lower())}
    if names:
        _remove_named(body, names)
    if facts.features & FORUM:
        _remove_members(body)


def has_numbered_lines(html: str) -> bool:
    """Whether a number links to a place in the page, as lines of code do; cheaper than to look at nodes."""
    return _NUMBER_LINK.search(html) is not None


def remove_line_numbers(body: ElementNode) -> None:
    """Remove the numbers of a program's lines that link to themselves (rustdoc)."""
    for link in select(body, 'pre a[href^="#"]'):
        target = (link.getattr("href") or "")[1:]
        if target and target in (link.id, link.getattr("name")) and target == text_of(link).strip():
            link.remove()


def has_skip_links(html: str) -> bool:
    """Whether the first link of the page leads to a place in it; cheaper than to look at its nodes."""
    first = _LINK.search(html, max(0, html.find("<body")))
    return first is not None and "#" in first[0]


def remove_skip_links(body: ElementNode) -> None:
    """Remove the links within the page that come before any other text ("Skip to content")."""
    found: list[Node] = []
    signs: list[Node] = []  # between two links, such as |
    node = body.first_child
    while node is not None:
        is_entered = True
        if isinstance(node, ElementNode):
            if node.tag in _BEGINNINGS:
                break
            is_entered = node.tag not in _UNSEEN and not node.hasattr("hidden")
            if node.tag == "a" and _leads_within(node):
                found += [*signs, node]
                signs, is_entered = [], False
        elif node.type == NodeType.TEXT:
            if any(map(str.isalnum, node.text_content or "")):
                break
            signs += [node] if found else []
        node = _following(node, body, is_entered)
    for node in found:
        cast(ElementNode, node.parent).remove_child(node)


def clean_document(body: ElementNode) -> None:
    """Remove what a documentation system writes around its text, and keep its titles and boxes of text."""
    for element in select(body, _NAVIGATION):
        element.remove()
    for element in select(body, _HEADERS):
        if element.query_selector(_NAMED_LINK) is not None and element.query_selector(_HEADINGS) is None:
            element.remove()
    for header in select(body, "#header"):  # AsciiDoc's
        if header.query_selector("h1") is not None:
            header.remove_attribute("id")
    for box in select(body, _BOXES_OF_TEXT):
        if box.query_selector(_BOX_TITLE) is not None:
            box.remove_attribute("class")
    last = body.last_element_child
    for _ in range(_LAST):
        if last is None:
            break
        element, last = last, last.previous_element_sibling
        text = text_of(element)
        if len(text) < _SHORT and _MADE.match(text) and element.query_selector(_HEADINGS) is None:
            element.remove()


def _following(node: Node | None, body: ElementNode, is_entered: bool) -> Node | None:
    """The next node in the page's order; one inside `node` only if that is entered."""
    following = node.first_child if node is not None and is_entered else None
    while following is None and node is not None and node != body:
        following, node = node.next_sibling, node.parent
    return following


def _leads_within(link: ElementNode) -> bool:
    target = link.getattr("href") or ""
    return target.startswith("#") and len(target) > 1 and link.query_selector(_HEADINGS) is None


def remove_page_ends(body: ElementNode) -> None:
    """Remove the page's own footers, asides and navigation if it has an article, even a shorter one.

    A footer belongs to the nearest section around it (HTML's standard, 4.3.8).
    """
    if body.query_selector("article p, main p") is None:
        return
    for element in select(body, ", ".join(PAGE_ENDS)):
        parent = element.parent_element
        while parent is not None and parent.tag not in _SECTIONS:
            parent = parent.parent_element
        if parent is None and not _holds_content(element):
            element.remove()


def _remove_named(body: ElementNode, names: set[str]) -> None:
    unseen, small, surroundings, widgets, gutters, words, posts = (
        _elements(body, [name for name in names if kind_of(name) == kind])
        for kind in ("unseen", "small", "surroundings", "widget", "gutter", "word", "post")
    )
    without_words(words)
    for post in posts:
        if post.tag == "blockquote":
            post.remove_attribute("class")
    small = [*unseen, *without_words(small)]
    size = len(text_of(body)) if surroundings or widgets else 0
    widgets = _outermost(widgets)
    in_widgets = sum(len(text_of(element)) for element in widgets)
    if 2 * in_widgets > size or any(map(_holds_content, widgets)):
        widgets = []
    small = [element for element in small if len(text_of(element)) < _SHORT]
    small += [element for element in gutters if _NUMBERS.fullmatch(text_of(element))]
    surroundings = [element for element in surroundings if len(text_of(element)) < size]
    for element in (*small, *widgets):
        if not _holds_content(element):
            _hide(element)
    for element in surroundings:
        if not _holds_content(element):
            element.remove()  # if only hidden, it could still be taken for the article


def _remove_members(body: ElementNode) -> None:
    """Remove the cells of a table that describe forum members, and the members' signatures."""
    is_forum = False
    for cell in select(body, "td"):
        text = text_of(cell)
        if len(text) < _SHORT and len(_MEMBER.findall(text)) > 1:
            _hide(cell)
            is_forum = True
    if is_forum and "__________" in text_of(body):
        _cut_signatures(body)


def _elements(body: ElementNode, names: list[str]) -> list[ElementNode]:
    selectors = (f'[class~="{name}" i], [id="{name}" i]' for name in sorted(names))
    return list(select(body, ", ".join(selectors))) if names else []


def _hide(element: ElementNode) -> None:
    """Hide an element, or remove it where resiliparse would show a hidden one."""
    if element.tag == "footer":
        element.remove()
    else:
        element.set_attribute("hidden", "")


def _holds_content(element: ElementNode) -> bool:
    return element.query_selector(_CONTENT) is not None


def _outermost(elements: list[ElementNode]) -> list[ElementNode]:
    """The elements that are not inside another one."""
    inside = dict.fromkeys(elements, True)  # whether an element is one of these or inside one
    outer = []
    for element in elements:
        climbed, parent = [], element.parent_element
        while parent is not None and parent not in inside:
            climbed.append(parent)
            parent = parent.parent_element
        is_inside = parent is not None and inside[parent]
        inside |= dict.fromkeys(climbed, is_inside)
        if not is_inside:
            outer.append(element)
    return outer


def _cut_signatures(body: ElementNode) -> None:
    """Remove whatever follows a rule of underscores in the same element: it is a forum member's signature."""
    for element in select(body, "td, div, span, p"):
        children = element.child_nodes
        for place, child in enumerate(children):
            if child.tag == "#text" and _RULE.fullmatch(child.text_content or ""):
                if sum(len(each.text_content or "") for each in children[place:]) < _SHORT:
                    for each in children[place:]:
                        element.remove_child(each)
                break
