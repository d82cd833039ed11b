"""Fast access to resiliparse's elements; iterating over its own lists takes quadratic time."""

from collections.abc import Sequence
from typing import cast

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ElementNode

_LINKS = "a[href], select, script"  # <a> without a target is no link, and often never closed


def select(element: ElementNode, selector: str) -> Sequence[ElementNode]:
    """The elements below this one that match a CSS selector, in the page's order."""
    return element.query_selector_all(selector)[:]


def text_of(element: ElementNode) -> str:
    """All text of an element, as written."""
    return element.text_content or ""


def span(tree: HTMLTree, text: str) -> ElementNode:
    """A new inline element with this text."""
    element = cast(ElementNode, tree.create_element("span"))
    element.text_content = text
    return element


def rename(tree: HTMLTree, element: ElementNode, tag: str, attributes: Sequence[str] = ()) -> None:
    """Replace an element by another one with the same content, and with these of its attributes."""
    renamed = cast(ElementNode, tree.create_element(tag))
    for name in attributes:
        if value := element.getattr(name):
            renamed.set_attribute(name, value)
    element.replace_with(renamed)
    while (child := element.first_child) is not None:
        renamed.append_child(child)


def n_unlinked(element: ElementNode) -> int:
    """How many characters are outside links, options and scripts."""
    size = _n_characters(element)
    return max(0, size - _n_linked(element)) if size and element.first_element_child else size


def is_mostly_links(element: ElementNode) -> bool:
    """Whether more than half of an element's text is in links, options and scripts."""
    size, n_linked = sizes(element)
    return size > 0 and 2 * n_linked > size


def sizes(element: ElementNode) -> tuple[int, int]:
    """How many characters an element has, and how many of them are in links, options and scripts."""
    size = _n_characters(element)
    return size, _n_linked(element) if size else 0


def _n_linked(element: ElementNode) -> int:
    """How many characters are in links, options and scripts."""
    return sum([_n_characters(inner) for inner in select(element, _LINKS)])


def _n_characters(element: ElementNode) -> int:
    """How many characters an element's text has, counting each run of whitespace as one."""
    return len(" ".join(text_of(element).split()))
