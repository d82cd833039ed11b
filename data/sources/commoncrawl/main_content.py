"""Extracts a web page's main content: the title and text of its article, without the surroundings.

resiliparse extracts the text and drops navigation and the like by its own rules. This module corrects their
weaknesses by changing the parsed page before the extraction:

- Everything after the article (teasers, comments, notes about the site) is extracted too. The article is the
  deepest element that holds more than half of the page's paragraph text. Everything after it is hidden, and
  so is whatever precedes it if that is mostly links. Boxes inside it are recognized by their conventional
  names (Mozilla's Readability; boxes.py has those that are never text).
- Its rules lose text wherever it is: figures, accordions, lists near the body, words of a sentence (kept.py).
- A sign between tags (`1990</b>–<b>2000`, `</a>,&nbsp;<a>`) is lost.
- Sometimes nearly the entire article is lost. If less than half of the paragraph text is extracted, the rules
  are relaxed step by step, until the article's text is taken without any rule. So is the largest text without
  paragraphs, only <br>, if less than half as much is extracted.

The only threshold is one half. Every element is visited a constant number of times.
"""

import re
from html import unescape

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree, NodeType
from resiliparse.parse.html.node import ElementNode

from data.sources.commoncrawl.article import Article, find_article
from data.sources.commoncrawl.boxes import (
    clean_document,
    has_numbered_lines,
    has_skip_links,
    remove_boxes,
    remove_line_numbers,
    remove_page_ends,
    remove_skip_links,
)
from data.sources.commoncrawl.elements import select, text_of
from data.sources.commoncrawl.formulas import mark_indices, mark_powers, replace_formulas, replace_pictures
from data.sources.commoncrawl.kept import keep_text
from data.sources.commoncrawl.scan import (
    FORMULA,
    LISTING,
    LONE_SIGN,
    LOWERED,
    NAMED_ANCHOR,
    NAMED_HEADING,
    PAGE_END,
    PICTURES,
    RAISED,
    Facts,
    by_documentation_system,
    scan,
)
from data.sources.commoncrawl.shown import write_as_shown

_MOST_READ = 8  # times the page's length: what is read of elements that may be in one another
_MAY_NAME_HEADINGS = re.compile(r"<[hH][1-6]\s[^>]{0,1000}?\b[iI][dD]\s*=")  # cheaper to look for
_NAMED_HEADINGS = "h1[id], h2[id], h3[id], h4[id], h5[id], h6[id]"  # the ids are the headings' own words
# An anchor is no link, and often never closed (<a id="x"/>): it is closed at once, before its text.
_ANCHOR = re.compile(
    r"<a\s+(?:name|id)=(?![^<>]*\b(?:href|class|onclick)\b)[^<>]*+>", re.IGNORECASE | re.ASCII
)
_COMMENTS = ", ".join(
    f'[{name}*="{word}" i]' for name in ("class", "id") for word in ("comment", "repl", "meta")
)
_BULLETS = frozenset("•‣▪▸►●■◆○▶◦∙")
_DROPPED = 3  # bytes of a text that resiliparse takes for a bullet
_JOINER = "\u2060"  # invisible, and removed afterwards, as is the next
_SOFT_HYPHEN = "\u00ad"
_REWRITTEN = 'math, script[type^="math/tex"], sup, sub'
_REWRITING = FORMULA | RAISED | LOWERED
_OUTSIDE = "outside"  # the value of `hidden` for what surrounds an article
_UNSEEN = f'[hidden]:not([hidden="{_OUTSIDE}"]), noscript, template, nav, footer, aside'
_PARAGRAPHS = ("p", "pre")
_NOTES = '[role="alert"]'  # Bootstrap's notes
_NEVER = "[hidden], script, style, noscript, template, button, iframe, body * nav, body * form"


def extract(html: str, facts: Facts | None = None) -> tuple[str, str]:
    """A page's title and main text; lines may have whitespace around them."""
    facts = facts or scan(html)
    title, text = _extract(_with_marks(html, facts.signs), facts)
    return title.replace(_SOFT_HYPHEN, ""), text.replace(_JOINER, "").replace(_SOFT_HYPHEN, "")


def _with_marks(html: str, signs: list[int]) -> str:
    """The page with a mark after each lone sign that is to be kept."""
    parts, end = [], 0
    for place in signs:
        found = LONE_SIGN.match(html, place)
        if found and _is_kept(unescape(found[2])):
            parts += html[end:place], f">{found[1]}{found[2]}{_JOINER}{found[3]}<"
            end = found.end()
    return "".join([*parts, html[end:]]) if parts else html


def _is_kept(sign: str) -> bool:
    """Whether what stands alone between tags is part of the text, not a bullet, and would be dropped."""
    is_dropped = len(sign.encode(errors="surrogatepass")) == _DROPPED
    return is_dropped and sign not in _BULLETS and not sign.isspace()


def _extract(html: str, facts: Facts) -> tuple[str, str]:
    if facts.features & NAMED_ANCHOR:
        html = _ANCHOR.sub(r"\g<0></a>", html)
    tree = HTMLTree.parse(html)
    title, body = tree.title or "", tree.body
    if body is None:
        return title, ""
    if not PICTURES.isdisjoint(facts.names):
        replace_pictures(tree, body)
    if facts.features & _REWRITING:
        _rewrite(tree, body)
    write_as_shown(tree, body, facts, html)
    is_document = by_documentation_system(html)
    if is_document:
        clean_document(body)
    remove_boxes(body, facts)
    if facts.features & LISTING and has_numbered_lines(html):
        remove_line_numbers(body)
    if has_skip_links(html):
        remove_skip_links(body)
    if facts.features & PAGE_END:
        remove_page_ends(body)
    keep_text(tree, body, facts, _MOST_READ * len(html), is_document=is_document)
    if facts.features & NAMED_HEADING and _MAY_NAME_HEADINGS.search(html):
        for heading in select(body, _NAMED_HEADINGS):
            heading.remove_attribute("id")
    article = find_article(body, is_document=is_document)
    if article is not None and 2 * article.n_characters >= article.most:
        return title, _extract_article(tree, body, article)
    # The paragraphs may be too small a part of the page to tell where the article is.
    has_comments = body.query_selector(_COMMENTS) is not None
    text = _plain(tree, comments=has_comments)
    if article is not None and 2 * article.n_characters >= len(text):
        text = _extract_article(tree, body, article)
    elif has_comments:
        text = _without_comments(tree, text)
    outside = len(text_of(body)) if article is None else article.most - article.n_characters
    if 2 * len(text) < outside:  # at most so much is outside the paragraphs
        text = _lost_lines(tree, body, text, _MOST_READ * len(html))
    return title, text


def _lost_lines(tree: HTMLTree, body: ElementNode, text: str, left: int) -> str:
    """`text`, or the most text that an element has of its own around <br> if `text` has less than half.

    Elements may be in one another: `left` characters are read in all.
    """
    sizes = {}
    for block in dict.fromkeys(each.parent_element for each in select(body, "br")):
        if block is None or block.tag in _PARAGRAPHS:
            continue
        size = len(text_of(block))
        left -= size
        if left < 0:
            break
        if 2 * len(text) < size:
            sizes[block] = _n_own(block)
    for block in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if 2 * len(text) >= sizes[block]:
            break
        if block.closest(_UNSEEN) is None:
            block.remove_attribute("hidden")
            return _alone(tree, body, block)
    return text


def _n_own(element: ElementNode) -> int:
    """How many characters an element has outside the elements in it."""
    size, node = 0, element.first_child
    while node is not None:
        if node.type == NodeType.TEXT:
            size += len(" ".join((node.text_content or "").split()))
        node = node.next_sibling
    return size


def _rewrite(tree: HTMLTree, body: ElementNode) -> None:
    """Write formulas, powers and indices as text that resiliparse keeps."""
    tags = {element.tag for element in select(body, _REWRITTEN)}
    if "math" in tags or "script" in tags:
        replace_formulas(tree, body)
    if "sup" in tags:
        mark_powers(body)
    if "sub" in tags:
        mark_indices(body)


def _extract_article(tree: HTMLTree, body: ElementNode, article: Article) -> str:
    """The article and its introduction; relaxes the rules if they lose most of the paragraphs."""
    element, surroundings = article.locate()
    for outside in surroundings:
        outside.set_attribute("hidden", _OUTSIDE)
    for note in select(element, _NOTES):  # dropped as if it told of the site, as outside the article
        note.remove_attribute("role")
    text = _plain(tree, comments=False)
    if 2 * len(text) >= article.n_characters:
        return text
    for outside in surroundings:
        outside.remove_attribute("hidden")
    text = _plain(tree, comments=True)
    if 2 * len(text) >= article.n_characters:
        return text
    return _alone(tree, body, element) or text


def _alone(tree: HTMLTree, body: ElementNode, element: ElementNode) -> str:
    """The text of an element, by no rule."""
    body.replace_children(element)
    return extract_plain_text(tree, alt_texts=False, skip_elements=[_NEVER])


def _without_comments(tree: HTMLTree, everything: str) -> str:
    """A page's text without comments, unless these make up most of the page, as in a forum."""
    text = _plain(tree, comments=False)
    return text if 2 * len(text) >= len(everything) else everything


def _plain(tree: HTMLTree, *, comments: bool) -> str:
    """The text that resiliparse's rules give, with or without comments and notes such as dates."""
    return extract_plain_text(tree, main_content=True, alt_texts=False, comments=comments, post_meta=comments)
