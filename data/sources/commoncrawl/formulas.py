"""Writes a web page's formulas as text: as TeX where the page has it, else as MathML on one line.

In: the parsed page. Out: the page with <math>, <script type="math/tex"> and pictures of formulas replaced.
Otherwise MathML with an annotation would be extracted twice, and a fraction or a power would lose its sign
and become another number. MediaWiki hides its MathML behind a picture. WordPress and older wikis have only
the picture, with the TeX as its alternative text.

Powers and indices outside formulas are written as text too: 10<sup>6</sup> becomes 10^6, 101<sub>2</sub>
becomes 101_2. No two numbers run together: log<sub>2</sub>8 becomes log2 8, and a link to a note after a
number is dropped. 1<sup>st</sup>, other note numbers and H<sub>2</sub>O are unchanged.
"""

import re

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ElementNode

from data.sources.commoncrawl.elements import select, span, text_of
from data.sources.commoncrawl.scan import PICTURES

_DISPLAYED = re.compile(r"\{\\displaystyle\s(.*)\}", re.DOTALL)
_SIGNS = {"mfrac": "/", "msup": "^", "msub": "_", "mroot": "^1/"}
_ATOM = re.compile(r"\w|\d+(?:[.,]\d+)?|\W?")
_DELIMITED = re.compile(r"(?s:\$\$?(.*?)\$\$?|\\\((.*)\\\)|\\\[(.*)\\\])")
_HIDING = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_NUMBER = re.compile(r"[-+−–]?\d+(?:[.,/]\d+)*[½⅓¼⅔¾]?")
_VARIABLE = re.compile(r"[-+−–]?\d*[nxyzkpqijtNT]|[α-ω]")  # never the end of an ordinal or an abbreviation
_SUM = re.compile(r"[½⅓¼⅔¾]|[\w.]+(?: ?[-+−–*/×·] ?[\w.]+)+")
_BASE = re.compile(r"(?:[\d)\]}]|(?<![^\W\d_])[^\W\d_]{1,3})$")  # a number, a bracket, a unit or a variable
_SPACE = " \t\r\n\xa0\u2060"  # with the invisible joiner of main_content.py
_STROKES = ("/", "⁄", "∕")
_INLINE = {"i", "em", "b", "strong", "span", "var", "font"}


def replace_formulas(tree: HTMLTree, body: ElementNode) -> None:
    """Replace each formula by its TeX, or else by its MathML on one line."""
    for rendered in select(body, ".katex-html, .MathJax_Preview, .MathJax, .mwe-math-fallback-image-inline"):
        rendered.set_attribute("hidden", "")
    for script in select(body, 'script[type^="math/tex"]'):
        script.replace_with(span(tree, _tex(text_of(script))))
    for formula in select(body, "math"):
        annotation = formula.query_selector('annotation[encoding*="tex" i]')
        tex = text_of(annotation) if annotation is not None else formula.getattr("alttext") or ""
        for mark in select(formula, "annotation, annotation-xml"):
            mark.text_content = ""
        _show(formula.parent_element)
        formula.replace_with(span(tree, _tex(tex) if tex.strip() else _linear(formula)))


def replace_pictures(tree: HTMLTree, body: ElementNode) -> None:
    """Replace each picture of a formula by its TeX, unless the page has the formula's MathML too."""
    for picture in select(body, ", ".join(f"img.{name}" for name in sorted(PICTURES))):
        parent = picture.parent_element
        tex = (picture.getattr("alt") or "").strip()
        if tex and (parent is None or parent.query_selector("math") is None):
            picture.replace_with(span(tree, _tex(tex)))


def _show(wrapper: ElementNode | None) -> None:
    """Show an element that is hidden because a picture is shown instead."""
    if wrapper is not None and wrapper.tag == "span" and _HIDING.search(wrapper.getattr("style") or ""):
        wrapper.remove_attribute("style")


def _tex(text: str) -> str:
    text = text.strip().removeprefix("% <![CDATA[").removesuffix("%]]>").strip()
    if delimited := _DELIMITED.fullmatch(text):
        text = next(filter(None, delimited.groups()), "").strip()
    shown = _DISPLAYED.fullmatch(text)
    return f"${(shown[1] if shown else text).strip()}$"


def _linear(formula: ElementNode) -> str:
    """MathML on one line: a/b, x^2, x_i, √(x)."""
    for element in reversed(select(formula, ", ".join((*_SIGNS, "msqrt", "msubsup")))):
        parts = [
            part for child in element.child_nodes if (part := " ".join((child.text_content or "").split()))
        ]
        tag = element.tag or ""
        if tag == "msqrt":
            element.text_content = f"√{_atom(''.join(parts))}"
        elif tag == "msubsup" and len(parts) == 3:
            element.text_content = f"{parts[0]}_{_atom(parts[1])}^{_atom(parts[2])}"
        elif len(parts) == 2:
            base = _atom(parts[0]) if tag == "mfrac" else parts[0]
            element.text_content = f"{base}{_SIGNS[tag]}{_atom(parts[1])}"
    return " ".join(text_of(formula).split())


def _atom(text: str) -> str:
    return text if _ATOM.fullmatch(text) else f"({text})"


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
