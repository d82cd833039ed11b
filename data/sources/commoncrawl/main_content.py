"""The main content of a web page: the title and text of its article, without the surroundings.

resiliparse extracts the text and drops navigation and the like by its own rules. Their weaknesses are
corrected here, by changing the parsed page before the extraction:

- Everything after the article (teasers, comments, notes about the site) is extracted too. The article is the
  deepest element that holds more than half of the page's paragraph text. All that follows it is hidden, and
  so is what precedes it if that is mostly links. Boxes inside it are recognized by their conventional names
  (Mozilla's Readability; boxes.py has those that are never text).
- Lists near the body are lost, as if each were a menu. Lists that are not mostly links are moved deeper.
- A sign that stands alone between tags (`1990</b>–<b>2000`) and a date in a sentence are lost.
- Sometimes nearly the entire article is lost. If less than half of the paragraph text is extracted, the rules
  are relaxed step by step, until the article's text is taken without any rule.

The only threshold is one half. Every element is visited a constant number of times.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import cast

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ElementNode

from data.sources.commoncrawl.boxes import remove_boxes
from data.sources.commoncrawl.elements import select, span, text_of
from data.sources.commoncrawl.formulas import replace_formulas
from data.sources.commoncrawl.superscripts import mark_indices, mark_powers

_PARAGRAPHS = "p, pre"
_LISTS = "body > ul, body > * > ul, body > * > * > ul"  # resiliparse drops these as the site's navigation
_LIST_DEPTH = 3
# Class names and ids of boxes outside the article: Readability's "unlikely candidates" and "bylines".
# fmt: off
_BOX_NAMES = [
    "-ad-", "ad-break", "agegate", "author", "banner", "breadcrumb", "byline", "combx", "comment",
    "community", "dateline", "disqus", "extra", "footer", "gdpr", "legends", "menu", "pager", "pagination",
    "popup", "related", "remark", "replies", "rss", "shoutbox", "sidebar", "skyscraper", "social", "sponsor",
    "supplemental", "writtenby",
]
# fmt: on
_NO_BOXES = {"main", "article", "h1", "h2", "h3", "h4", "h5", "h6"}
_MAY_NAME_HEADINGS = re.compile(r"<[hH][1-6]\s[^>]{0,1000}?\b[iI][dD]\s*=")  # cheaper to look for
_NAMED_HEADINGS = "h1[id], h2[id], h3[id], h4[id], h5[id], h6[id]"  # the ids are the headings' own words
_TOPICS = ("tag-", "category-")  # the article's topics in WordPress
_BOXES = "[class], [id], form"
_COMMENTS = ", ".join(
    f'[{name}*="{word}" i]' for name in ("class", "id") for word in ("comment", "repl", "meta")
)
_LINKS = "a, select, script"
_DATE_SHARE = 3  # a paragraph this many times as long as its date is a sentence, not a byline
# resiliparse drops a text of one character if it takes three bytes, as it does a bullet: 1990</b>–<b>2000.
_LONE_SIGN = re.compile(r">(\s*+)([\u0800-\uffff]|&#?\w{2,8};)(\s*+)<")
_BULLETS = frozenset("•‣▪▸►●■◆○▶◦∙")
_JOINER = "\u2060"  # invisible, and removed afterwards
_DATES = "p time, li time, dd time, blockquote time"
_REWRITTEN = f'math, script[type^="math/tex"], sup, sub, {_DATES}'
_NEVER = "[hidden], script, style, noscript, template, button, iframe, body * nav, body * form"


@dataclass(frozen=True)
class _Article:
    path: list[ElementNode]  # the article and its ancestors, up to the body
    n_characters: int  # of the page's paragraphs, without their links


def extract(html: str) -> tuple[str, str]:
    """A page's title and its main text, whose lines may have space around them."""
    title, text = _extract(_LONE_SIGN.sub(_kept_sign, html))
    return title, text.replace(_JOINER, "")


def _kept_sign(found: re.Match[str]) -> str:
    """A lone sign between tags with a mark that keeps it, unless it is a bullet."""
    sign = unescape(found[2])
    is_kept = len(sign) == 1 and sign not in _BULLETS and not sign.isspace()
    return f">{found[1]}{found[2]}{_JOINER}{found[3]}<" if is_kept else found[0]


def _extract(html: str) -> tuple[str, str]:
    tree = HTMLTree.parse(html)
    title, body = tree.title or "", tree.body
    if body is None:
        return title, ""
    tags = {element.tag for element in select(body, _REWRITTEN)}
    if "math" in tags or "script" in tags:
        replace_formulas(tree, body)
    if "time" in tags:
        _keep_dates(tree, body)
    if "sup" in tags:
        mark_powers(body)
    if "sub" in tags:
        mark_indices(body)
    remove_boxes(body, html)
    _deepen_lists(tree, body)
    if _MAY_NAME_HEADINGS.search(html):
        for heading in select(body, _NAMED_HEADINGS):
            heading.remove_attribute("id")
    article = _find_article(body)
    if article is None or 2 * article.n_characters < _n_visible(body):
        has_comments = body.query_selector(_COMMENTS) is not None
        everything = _plain(tree, comments=has_comments)
        if article is None or 2 * article.n_characters < len(everything):
            # The paragraphs are too small a part of the page to locate the article.
            return title, _without_comments(tree, everything) if has_comments else everything
    return title, _extract_article(tree, body, article)


def _keep_dates(tree: HTMLTree, body: ElementNode) -> None:
    """Keep the dates in sentences, which resiliparse drops as if they were bylines."""
    for element in select(body, _DATES):
        parent = element.parent_element
        if parent is not None and _is_sentence(text_of(parent), text_of(element)):
            element.replace_with(span(tree, text_of(element)))


def _is_sentence(text: str, date: str) -> bool:
    """Whether a text with a date is a sentence, not a byline."""
    before, _, after = text.partition(date)
    is_closed = after.rstrip().endswith((".", "!", "?")) and any(map(str.isalpha, before))
    return is_closed or len(text) > _DATE_SHARE * len(date)


def _extract_article(tree: HTMLTree, body: ElementNode, article: _Article) -> str:
    """The article and its introduction; the rules are relaxed if they lose most of the paragraphs."""
    hidden = _hide_surroundings(article)
    text = _plain(tree, comments=False)
    if 2 * len(text) >= article.n_characters:
        return text
    for element in hidden:
        element.remove_attribute("hidden")
    text = _plain(tree, comments=True)
    if 2 * len(text) >= article.n_characters:
        return text
    body.replace_children(article.path[0])
    return extract_plain_text(tree, alt_texts=False, skip_elements=[_NEVER]) or text


def _without_comments(tree: HTMLTree, everything: str) -> str:
    """A page's text without its comments, unless these are most of the page, as in a forum."""
    text = _plain(tree, comments=False)
    return text if 2 * len(text) >= len(everything) else everything


def _plain(tree: HTMLTree, *, comments: bool) -> str:
    """The text by resiliparse's rules, with or without comments and notes such as dates."""
    return extract_plain_text(tree, main_content=True, alt_texts=False, comments=comments, post_meta=comments)


def _n_visible(body: ElementNode) -> int:
    """An upper bound on the number of extracted characters, far cheaper than the extraction."""
    silent = select(body, "script, style, noscript, template")
    return len(text_of(body)) - sum(len(text_of(element)) for element in silent)


def _find_article(body: ElementNode) -> _Article | None:
    """The deepest element that holds more than half of the text of the page's paragraphs."""
    paragraphs = select(body, _PARAGRAPHS)
    sizes = [_n_unlinked(paragraph) for paragraph in paragraphs]
    n_characters = sum(sizes)
    if not n_characters:
        return None
    # An element's paragraphs are neighbors in the page's order: more than half of all include the median.
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
    below = 0
    for place, size in enumerate(held):
        below += size
        if 2 * below > n_characters:
            return _Article(path[place:], n_characters)
    return None


def _ancestors(element: ElementNode) -> list[ElementNode]:
    """The ancestors of an element, from its parent up to the root."""
    path = []
    parent = element.parent
    while isinstance(parent, ElementNode):
        path.append(parent)
        parent = parent.parent
    return path


def _hide_surroundings(article: _Article) -> list[ElementNode]:
    """Hide everything after the article, links before it and boxes in it; returns the hidden elements."""
    hidden, boxed = [], [article.path[0]]
    for element in article.path:
        if element.tag in ("body", "html"):
            break
        sibling = element.next_element_sibling
        while sibling is not None:
            (boxed if _continues(element, sibling) else hidden).append(sibling)
            sibling = sibling.next_element_sibling
        sibling = element.previous_element_sibling
        while sibling is not None:
            is_outside = _is_box(sibling) or _is_mostly_links(sibling)
            (hidden if is_outside else boxed).append(sibling)
            sibling = sibling.previous_element_sibling
    hidden += [box for element in boxed for box in select(element, _BOXES) if _is_box(box)]
    hidden = [element for element in hidden if not element.has_attribute("hidden")]
    for element in hidden:
        element.set_attribute("hidden", "")
    return hidden


def _is_box(element: ElementNode) -> bool:
    tag = element.tag
    return tag == "form" or (tag not in _NO_BOXES and _names_box(f"{element.class_name} {element.id}"))


@lru_cache(maxsize=4096)
def _names_box(names: str) -> bool:
    kept = " ".join([name for name in names.lower().split() if not name.startswith(_TOPICS)])
    return any([word in kept for word in _BOX_NAMES])


def _continues(element: ElementNode, sibling: ElementNode) -> bool:
    """Whether a sibling is another section of the same kind, with paragraphs."""
    same = sibling.tag == element.tag and sibling.class_name == element.class_name
    kind = element.class_name or element.tag == "section"
    return bool(same and kind and sibling.query_selector(_PARAGRAPHS) is not None)


def _deepen_lists(tree: HTMLTree, body: ElementNode) -> None:
    """Move lists near the body deeper, so that they are not dropped as the site's navigation."""
    for element in select(body, _LISTS):
        if _is_mostly_links(element):
            continue
        levels = [cast(ElementNode, tree.create_element("div")) for _ in range(_LIST_DEPTH)]
        element.replace_with(levels[0])
        for outer, inner in zip(levels, [*levels[1:], element]):
            outer.append_child(inner)


def _n_unlinked(element: ElementNode) -> int:
    """Characters outside links, options and scripts."""
    size = _n_characters(element)
    return max(0, size - _n_linked(element)) if size and element.first_element_child else size


def _is_mostly_links(element: ElementNode) -> bool:
    size = _n_characters(element)
    return size > 0 and 2 * _n_linked(element) > size


def _n_linked(element: ElementNode) -> int:
    """Characters of links, options and scripts."""
    return sum([_n_characters(inner) for inner in select(element, _LINKS)])


def _n_characters(element: ElementNode) -> int:
    """The number of characters of an element's text, counting each stretch of space as one."""
    return len(" ".join(text_of(element).split()))
