"""Writes a web page's formulas as text: as TeX where the page has it, else as MathML on one line.

In: the parsed page. Out: the page with <math>, <script type="math/tex"> and pictures of formulas replaced.
Otherwise MathML with an annotation would be extracted twice, and a fraction or a power would lose its sign
and become another number. MediaWiki hides its MathML behind a picture. WordPress and older wikis have only
the picture, with the TeX as its alternative text.
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
