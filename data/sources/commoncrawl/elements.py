"""Fast access to resiliparse's elements: iterating over its own lists takes quadratic time."""

from collections.abc import Sequence
from typing import cast

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ElementNode


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
