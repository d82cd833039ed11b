"""Scans a page's HTML once, before it is parsed: for its tags, its names, and the slower steps it needs.

c/scan.c does the same as the patterns here, which are used if it is not compiled. A feature may be reported
by mistake; its step then finds nothing to do. FORUM, PAGE_END, NUMBERED and LATE_TITLE are exact.
"""

import re
from functools import lru_cache
from typing import NamedTuple

try:
    import data.sources.commoncrawl.native as native

    if getattr(native, "VERSION", 1) != 11:
        raise ImportError("compiled from older sources; `make install` compiles it again")
except ImportError:  # not compiled: there was no C compiler when Relama was installed
    native = None

(
    FORMULA,
    TIME,
    RAISED,
    LOWERED,
    NAMED_HEADING,
    FORUM,
    SHOWN,
    ANCHOR,
    LISTS,
    PAGE_END,
    NUMBERED,
    NAMED_ANCHOR,
    LATE_TITLE,
    STYLED,
    LISTING,
    FIGURE,
    CONTROL,
    RELATED,
    LABELED,
) = (1 << bit for bit in range(19))
UNKNOWN = 1 << 62
PAGE_ENDS = ("footer", "aside", "nav")
# resiliparse drops a text of three bytes that does not end in ASCII, like a bullet: 1990</b>–<b>2000,
# or a full stop and a hard space.
LONE_SIGN = re.compile(
    r">(\s*+)([\u0800-\uffff]|&#?\w{2,8};(?:[\x80-\u07ff]|&#?\w{2,8};)?"
    r"|[!-%'-;=?-~](?:[\x80-\u07ff]|&#?\w{2,8};))(\s*+)<"
)

# Two patterns that begin with a literal are many times faster than one with a choice.
_CLASS = re.compile(r"""class=("[^"]*"|'[^']*'|[^\s"'>]+)""")
_ID = re.compile(r"""id=("[^"]*"|'[^']*'|[^\s"'>]+)""")

_TITLE = re.compile("<title", re.IGNORECASE | re.ASCII)
_HEAD_END = re.compile(  # a tag that ends the <head>, before which a page's title belongs
    "<(?:header|(?!base|head|html|link|meta|noscript|script|style|template|title)[a-z])",
    re.IGNORECASE | re.ASCII,
)

# Class names and ids of boxes that are never text, and of words that look so, by kind: patterns that begin
# with two plain letters.
_BOXES = {
    "small": (
        "sharing", "share", "sharedaddy",
        "share[-_]?(?:buttons?|bar|links?|icons?|this|tools|box|wrap(?:per)?|list|area|container)",
        *(rf"{what}[-_]share[\w-]*" for what in ("social", "post", "article", "entry", "a2a", "addtoany")),
        r"addtoany[\w-]*", r"addthis[\w-]*", r"sharethis[\w-]*", "profile", "postprofile", "userprofile",
        "poster", "poster_info", "user-?_?info", "author-?_?info", "messageuserinfo", "message-user",
        "message-cell--user", "message-signature", "message-footer", "postleft", "postfootleft",
        "postsignature", "signature", "post_author", "moderatorbar", "keyinfo", "postdetails",
        "ipscomment_author",
        "crawler-post-(?:meta|infos)",
    ),
    "unseen": (
        "mw-editsection", "sr-only", "visually-?hidden", "screen-reader(?:-text)?", "assistive-text",
    ),
    "surroundings": (
        "footer-?widgets?(?:-area)?", "sidebar-?widgets?(?:-area)?",
        r"cookie-?(?:banner|notice|consent|bar|law-?info[\w-]*)", "site-?info", "copyright", "colophon",
        r"newsletter(?:-\w+)*",
    ),
    "widget": ("widget", "widgets?-area", r"widget[_-]\w[\w-]*"),
    # What resiliparse drops wherever it is, even words of a sentence.
    "word": (
        r"email[\w-]*", "likes?", "follow", "facebook", "twitter", "subscribe", "feedback", "log[-_]?in",
        "sign[-_]?(?:in|up)", "account", "next", "prev(?:ious)?", "permalink", "logo", "sponsor(?:ed)?",
        "donate", "promoted", "paid", "banner", "advert(?:isement)?", "entry-date", "published",
    ),
    # A post that an article quotes, which resiliparse takes for a link to share the page.
    "post": ("twitter-(?:tweet|video)",),
    # Line numbers of code: Pygments, SyntaxHighlighter, Rouge, Crayon, WP-Syntax, highlight.js, GitHub.
    "gutter": (
        "gutter", "linenos?", "linenodiv", "line-?numbers?", "line_numbers?", "rouge-gutter", "crayon-nums",
        "hljs-ln-numbers", "blob-num",
    ),
}  # fmt: skip
_KINDS = {kind: re.compile("|".join(names)) for kind, names in _BOXES.items()}
# Classes of pictures of formulas: WordPress's, MediaWiki's old and new ones, QuickLaTeX's.
PICTURES = frozenset(
    {
        "latex", "tex", "mwe-math-fallback-image-inline", "mwe-math-fallback-image-display",
        "ql-img-inline-formula", "ql-img-displayed-equation",
    }
)  # fmt: skip
EMOJI = frozenset({"emoji", "wp-smiley"})  # classes of their pictures (Twemoji, WordPress)
COLLAPSED = frozenset({"collapsed"})  # class of what opens a text, or of the text (Bootstrap)
LEVELS = frozenset(f"level{level}" for level in range(1, 7))  # classes of sections (Pandoc)
_ALL = (*PICTURES, *EMOJI, *COLLAPSED, *LEVELS, *(name for names in _BOXES.values() for name in names))
BEGINNINGS = "".join(sorted({name[:2] for name in _ALL}))  # two letters of each
_PAIRS = {BEGINNINGS[at : at + 2] for at in range(0, len(BEGINNINGS), 2)}

# Systems whose pages are documents, which end with their text. Pages name them before it.
_SYSTEMS = re.compile(
    r"\b(?:AsciiDoc(?:tor)?|DocBook|Docutils|Doxygen|Epydoc|GAPDoc\w*|GTK-Doc|Haddock|hevea|javadoc|LaTeX2HTML"
    r"|LaTeXML|makeinfo|Microsoft Word|(?:Libre|Open|Star)Office|pandoc|publican|rustdoc|Sphinx|TeX4ht"
    r"|texi2\w+|Texinfo|t[th]h|ttm|XML source)\b",
    re.IGNORECASE,
)
_GENERATOR = re.compile(
    r"<(?:meta\s[^<>]{0,200}?\bname\s{0,9}=\s{0,9}[\"']?generator\b|!--[^<>]{0,200}?\bgenerated\b)[^<>]{0,200}",
    re.IGNORECASE,
)
_SIGNS = ("enerat", "ENERAT")  # cheaper to look for
_SPHINX = "_static/doctools.js"  # in the head of its pages
_CREDITED = ("ExDoc", "gi-docgen", "Haddock", "JSDoc", "RDoc", "TypeDoc", "YARD")  # at the end of theirs
_CREDIT = re.compile(
    r"\b(?:[Gg]enerated|[Pp]roduced)\s{1,9}(?:by|using|with)\s{1,9}(?:<a\s[^<>]{0,200}>\s{0,9})?"
    rf"(?:{'|'.join(_CREDITED)})\b"
)
_HEAD, _END, _NEAR = 10_000, 3_000, 300  # characters


class Facts(NamedTuple):
    """What a page contains."""

    features: int
    n_tags: int  # "<"
    n_closing: int  # "</"
    repeated: int  # the most formatting elements that a parser may repeat, or UNKNOWN
    signs: list[int]  # the places at which LONE_SIGN may match
    names: list[str]  # words in its classes and ids that begin like one of the known names, in any order


def scan(html: str) -> Facts:
    """The facts about a page."""
    found = native.scan(html, BEGINNINGS) if native is not None else None
    return Facts(*found) if found is not None else _scan(html)


def _scan(html: str) -> Facts:
    values = {*_CLASS.findall(html), *_ID.findall(html)}
    words = {*" ".join([value.strip("\"'") for value in values]).split()}
    names = [word for word in words if word[:2].lower() in _PAIRS or not word[:2].isascii()]
    features = FORMULA | TIME | RAISED | LOWERED | NAMED_HEADING | SHOWN | ANCHOR | LISTS | NAMED_ANCHOR
    features |= STYLED | LISTING | FIGURE | CONTROL | RELATED | LABELED
    title, end = _TITLE.search(html), _HEAD_END.search(html)
    if title and end and end.start() < title.start():
        features |= LATE_TITLE
    if "osts:" in html or "Beiträge:" in html:
        features |= FORUM
    if any([f"<{end}" in html for end in PAGE_ENDS]):
        features |= PAGE_END
    if " start=" in html:
        features |= NUMBERED
    signs = [found.start() for found in LONE_SIGN.finditer(html)]
    return Facts(features, html.count("<"), html.count("</"), UNKNOWN, signs, names)


def by_documentation_system(html: str) -> bool:
    """Whether a documentation system wrote the page."""
    end = max(0, len(html) - _END)
    if html.find(_SPHINX, 0, _HEAD) >= 0:
        return True
    if any([html.find(name, end) >= 0 for name in _CREDITED]) and _CREDIT.search(html, end):
        return True
    for sign in _SIGNS:
        at = html.find(sign, 0, _HEAD)
        while at >= 0:
            found = _GENERATOR.search(html, max(0, at - _NEAR), at + _NEAR)
            if found and _SYSTEMS.search(found[0]):
                return True
            at = html.find(sign, at + _NEAR, _HEAD)
    return False


@lru_cache(maxsize=1 << 14)
def kind_of(name: str) -> str:
    """The kind of box that a name in lower case denotes, or an empty string."""
    for kind, pattern in _KINDS.items():
        if pattern.fullmatch(name):
            return kind
    return ""
