"""Finds the article of a web page, and what surrounds it.

The article is the deepest element that holds more than half of the page's paragraph text, not counting links,
and is neither a list nor a quotation. Everything after it and its last section of the same kind is outside,
but a document continues to its end.
What precedes is outside if that is a box or mostly links, but for titles. Boxes inside it are recognized by
their conventional names (Mozilla's Readability), which words of a sentence may have, too.

c/outline.c finds all this in the serialized page, because every element touched here takes microseconds. The
functions here do the same if it is not compiled, and for pages that it cannot read.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from resiliparse.parse.html.node import ElementNode

from data.sources.commoncrawl.elements import is_mostly_links, n_unlinked, select, text_of
from data.sources.commoncrawl.scan import native

_PARAGRAPHS = "p, pre"
# Class names and ids of boxes outside the article: Readability's "unlikely candidates" and "bylines".
# fmt: off
_BOX_NAMES = (
    "-ad-", "ad-break", "agegate", "author", "banner", "breadcrumb", "byline", "combx", "comment",
    "community", "dateline", "disqus", "extra", "footer", "gdpr", "legends", "menu", "pager", "pagination",
    "popup", "related", "remark", "replies", "rss", "shoutbox", "sidebar", "skyscraper", "social", "sponsor",
    "supplemental", "writtenby",
)
# fmt: on
_PARTS = {"blockquote", "dd", "dl", "li", "ol", "ul"}  # never the whole article
_WHOLES = ("article", "main")
_NO_BOXES = {"main", "article", "h1", "h2", "h3", "h4", "h5", "h6"}
_TOPICS = ("tag-", "category-")  # the article's topics in WordPress
_BOXES = "[class], [id], form"
# fmt: off
_INLINE = {
    "a", "abbr", "b", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "mark", "q", "s", "samp",
    "small", "span", "strong", "sub", "sup", "u", "var",
}
# fmt: on
_TEXTS = {"p", "li", "dd", "pre"}
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_MENU = "menu"  # in a text, it names a program's menu: DocBook's guimenu, Sphinx's menuselection
_ENDS = tuple(".!?:…。！？．।॥؟۔")  # of sentences, before closing marks
_CLOSING = "\"'”’»」』)] \t\r\n"
_OF_WORD = re.compile("(?:Word)?Section[0-9]+")
_SILENT = "script, style, noscript, template"
_Place = tuple[ElementNode, list[ElementNode]]
_Way = tuple[int, ...]  # the way from the body to an element: at each step, the place among siblings, from 1


@dataclass(frozen=True)
class Article:
    """An article that has been found but not yet changed."""

    n_characters: int  # in the page's paragraphs, without their links
    most: int  # an upper bound on the characters extracted from the page
    locate: Callable[[], _Place]  # finds the article's element, and the elements around it to hide


def find_article(body: ElementNode, *, is_document: bool = False) -> Article | None:
    """The article of a page; None if it has no paragraphs."""
    outline = native.outline(body.html, _BOX_NAMES, is_document) if native is not None else None
    if outline is None:
        return _find_article(body, is_document)
    n_characters, n_visible, most, article, surroundings = outline
    if not n_characters:
        return None

    def locate() -> _Place:
        elements = dict(_elements_at(body, sorted({article, *surroundings})))
        return elements[article], without_words([elements[way] for way in surroundings])

    return Article(n_characters, min(n_visible, most), locate)


def _elements_at(body: ElementNode, ways: Sequence[_Way]) -> Iterator[tuple[_Way, ElementNode]]:
    """The elements at sorted ways; visits each element of the page at most once."""
    path = [body]
    previous: _Way = ()
    for way in ways:
        depth = 0
        while depth < len(previous) and previous[depth] == way[depth]:
            depth += 1
        element, place = (path[depth + 1], previous[depth]) if depth < len(previous) else (None, 0)
        del path[depth + 1 :]
        for target in way[depth:]:
            if element is None:
                element, place = path[-1].first_element_child, 1
            while place < target and element is not None:
                element, place = element.next_element_sibling, place + 1
            if element is None:
                raise ValueError(f"a page without an element at {way}")
            path.append(element)
            element = None
        previous = way
        yield way, path[-1]


def _find_article(body: ElementNode, is_document: bool) -> Article | None:
    """The same, using only resiliparse's elements."""
    paragraphs = select(body, _PARAGRAPHS)
    sizes = [n_unlinked(paragraph) for paragraph in paragraphs]
    n_characters = sum(sizes)
    if not n_characters:
        return None
    # An element's paragraphs are consecutive in the page, so more than half of all include the median.
    median, seen = 0, sizes[0]
    while 2 * seen < n_characters:
        median += 1
        seen += sizes[median]
    path = _ancestors(paragraphs[median])
    joins = {element: place for place, element in enumerate(path)}  # the first ancestor on the path
    held = [0] * len(path)
    for paragraph, size in zip(paragraphs, sizes):
        climbed, element = [], paragraph.parent
        while element is not None and element not in joins:
            climbed.append(element)
            element = element.parent
        place = joins[element] if isinstance(element, ElementNode) else len(path) - 1
        joins |= dict.fromkeys(climbed, place)
        held[place] += size
    while 2 * held[0] <= n_characters or path[0].tag in _PARTS:
        path, held = path[1:], [held[0] + held[1], *held[2:]]

    def locate() -> _Place:
        return path[0], without_words(_surroundings(path, is_document))

    return Article(n_characters, _n_visible(body), locate)


def _ancestors(element: ElementNode) -> list[ElementNode]:
    """The ancestors of an element, from its parent up to the root."""
    path = []
    parent = element.parent
    while isinstance(parent, ElementNode):
        path.append(parent)
        parent = parent.parent
    return path


def _surroundings(path: list[ElementNode], is_document: bool) -> list[ElementNode]:
    """Everything after the article, links before it and boxes in it, except what is hidden already."""
    found, boxed = [], [path[0]]
    whole = max((place for place, element in enumerate(path) if element.tag in _WHOLES), default=0)
    for place, element in enumerate(path):
        if element.tag in ("body", "html"):
            break
        after = list(_siblings(element, lambda each: each.next_element_sibling))
        ends = [n for n, sibling in enumerate(after, 1) if _continues(element, sibling, place < whole)]
        last = len(after) if is_document else ends[-1] if ends else 0
        found += after[last:]
        for sibling in after[:last]:
            is_outside = not _continues(element, sibling, place < whole) and _is_outside(sibling)
            (found if is_outside else boxed).append(sibling)
        for sibling in _siblings(element, lambda each: each.previous_element_sibling):
            # A title may link to its own page.
            is_outside = sibling.tag not in _HEADINGS and _is_outside(sibling)
            (found if is_outside else boxed).append(sibling)
    found += [box for element in boxed for box in select(element, _BOXES) if _is_box(box)]
    return [element for element in found if not element.has_attribute("hidden")]


def _is_box(element: ElementNode) -> bool:
    tag = element.tag
    return tag == "form" or (tag not in _NO_BOXES and _names_box(f"{element.class_name} {element.id}"))


@lru_cache(maxsize=4096)
def _names_box(names: str) -> bool:
    kept = " ".join([name for name in names.lower().split() if not name.startswith(_TOPICS)])
    return any([word in kept for word in _BOX_NAMES])


def without_words(surroundings: list[ElementNode]) -> list[ElementNode]:
    """The same without words of sentences and code, which lose the names that make them look like boxes."""
    boxes = []
    for element in surroundings:
        if element.tag in _INLINE and is_word(element):
            for name in ("class", "id"):
                if element.has_attribute(name):
                    element.remove_attribute(name)
        else:
            boxes.append(element)
    return boxes


def sentence_of(element: ElementNode) -> ElementNode | None:
    """The paragraph, item or heading that an inline element stands in."""
    around = element.parent_element
    while around is not None and around.tag in _INLINE:
        around = around.parent_element
    return around if around is not None and around.tag in _TEXTS | _HEADINGS else None


def is_word(element: ElementNode) -> bool:
    """Whether an inline element is a part of code, the smaller part of a sentence, or a program's menu."""
    around = sentence_of(element)
    if around is None:
        return False
    text = text_of(around)
    if _names_menu(element) and _has_letters(text.replace(text_of(element), "", 1)):
        return True
    if around.tag in _HEADINGS:
        return False
    return around.tag == "pre" or (
        2 * len(text_of(element)) <= len(text) and text.rstrip(_CLOSING).endswith(_ENDS)
    )


def _names_menu(element: ElementNode) -> bool:
    """Whether an element looks like a box because of its menu alone, and holds no link."""
    names = f"{element.class_name} {element.id}".lower()
    is_menu = _MENU in names and not _names_box(names.replace(_MENU, ""))
    return is_menu and element.query_selector("a") is None and element.closest("a") is None


def _has_letters(text: str) -> bool:
    return any(map(str.isalnum, text))


def _siblings(
    element: ElementNode, next_one: Callable[[ElementNode], ElementNode | None]
) -> Iterator[ElementNode]:
    sibling = next_one(element)
    while sibling is not None:
        yield sibling
        sibling = next_one(sibling)


def _is_outside(sibling: ElementNode) -> bool:
    return _is_box(sibling) or is_mostly_links(sibling)


def _continues(element: ElementNode, sibling: ElementNode, in_whole: bool) -> bool:
    """Whether a sibling is another section of the same kind, with paragraphs.

    Within <article> and <main>, sections continue one another whatever their classes, and so do plain boxes.
    """
    if sibling.tag != element.tag or sibling.query_selector(_PARAGRAPHS) is None:
        return False
    is_same = sibling.class_name == element.class_name or _are_words(element, sibling)
    if is_same and (element.class_name or element.tag == "section"):
        return True
    return in_whole and (is_same or element.tag == "section") and not _is_outside(sibling)


def _are_words(*elements: ElementNode) -> bool:
    """Whether these are sections of a document that Word wrote: Section1, WordSection2."""
    return all([_OF_WORD.fullmatch(element.class_name or "") for element in elements])


def _n_visible(body: ElementNode) -> int:
    """An upper bound on the number of extracted characters; far cheaper than extracting them."""
    return len(text_of(body)) - sum(len(text_of(element)) for element in select(body, _SILENT))
