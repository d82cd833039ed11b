"""Writes a web page's powers and indices as text: 10<sup>6</sup> becomes 10^6, 101<sub>2</sub> becomes 101_2.

No two numbers run together: log<sub>2</sub>8 becomes log2 8, and a link to a note after a number is dropped.
1<sup>st</sup>, other note numbers and H<sub>2</sub>O are unchanged.
"""

import re

from resiliparse.parse.html.node import ElementNode

from data.sources.commoncrawl.elements import select, text_of

_NUMBER = re.compile(r"[-+−–]?\d+(?:[.,/]\d+)*[½⅓¼⅔¾]?")
_VARIABLE = re.compile(r"[-+−–]?\d*[nxyzkpqijtNT]|[α-ω]")  # never the end of an ordinal or an abbreviation
_SUM = re.compile(r"[½⅓¼⅔¾]|[\w.]+(?: ?[-+−–*/×·] ?[\w.]+)+")
_BASE = re.compile(r"(?:[\d)\]}]|(?<![^\W\d_])[^\W\d_]{1,3})$")  # a number, a bracket, a unit or a variable
_SPACE = " \t\r\n\xa0\u2060"  # with the invisible joiner of main_content.py
_STROKES = ("/", "⁄", "∕")
_INLINE = {"i", "em", "b", "strong", "span", "var", "font"}


def mark_powers(body: ElementNode) -> None:
    """Put ^ before each power in the parsed page. A number after a word counts as a note and stays."""
    for raised in select(body, "sup"):
        if _is_numerator(raised):
            if _text_before(raised)[-1:].isdigit():  # 1<sup>3</sup>/<sub>4</sub>
                raised.text_content = f" {text_of(raised)}"
            continue
        content = text_of(raised)
        power = _power(content.strip(_SPACE))
        before = _text_before(raised)
        if power and _is_link(raised):
            if before[-1:].isdigit():
                raised.text_content = ""
        elif power and _BASE.search(before):
            is_apart = content[-1:].isspace() or (power[-1].isdigit() and _next(raised).isdigit())
            raised.text_content = power + (" " if is_apart else "")


def mark_indices(body: ElementNode) -> None:
    """Separate each lowered number from a number before or after it."""
    for lowered in select(body, "sub"):
        content = text_of(lowered)
        bare = content.strip()
        before = "_" if bare[:1].isdigit() and _text_before(lowered)[-1:].isdigit() else ""
        after = " " if bare[-1:].isdigit() and _next(lowered).isdigit() else ""
        if before or after:
            lowered.text_content = before + content + after


def _is_numerator(raised: ElementNode) -> bool:
    """Whether a fraction stroke and a lowered number follow."""
    stroke = raised.next_sibling
    lowered = raised.next_element_sibling
    return bool(
        stroke is not None
        and lowered is not None
        and lowered.tag == "sub"
        and (stroke.text_content or "").strip(_SPACE) in _STROKES
        and text_of(raised).strip().isdecimal()
    )


def _power(text: str) -> str:
    if _NUMBER.fullmatch(text) or _VARIABLE.fullmatch(text):
        return "^" + text
    return f"^({text})" if _SUM.fullmatch(text) else ""


def _text_before(element: ElementNode) -> str:
    """The end of the text directly before an element, looking outside <i> and the like."""
    node, parent = element.previous_sibling, element.parent_element
    while node is None and parent is not None and parent.tag in _INLINE:
        node, parent = parent.previous_sibling, parent.parent_element
    return (node.text_content or "")[-8:] if node is not None else ""


def _next(element: ElementNode) -> str:
    """The first character directly after an element."""
    node = element.next_sibling
    return (node.text_content or "")[:1] if node is not None else ""


def _is_link(element: ElementNode) -> bool:
    return element.query_selector("a") is not None or element.closest("a") is not None
