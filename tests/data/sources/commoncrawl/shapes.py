"""Pages of every shape at random: nested, hidden, broken, in many scripts."""

import random

_WORDS = (
    "the ferry leaves at seven and whoever is late waits for the evening boat café — 日本 10 x² naïve "
    "10<sup>6</sup> log<sub>2</sub>8 &amp; &lt;tag&gt; &nbsp; &#8211; a\u2003b &copy;2020 \xa0 K\u212a"
)
_NAMES = (
    "comment|sidebar-x|related|tag-comment|share|widget|widget-area|footer-widgets|byline|post-content|nav"
    "|menu-item|cookie-notice|site-info|author|x|y z|İmenu|remar\u212a|category-menu foo|a&amp;b|content"
)
_TAGS = (
    "div div div div p p p p p span b i a a ul li ol li table tr td th tbody section article main nav aside "
    "header footer form pre h1 h2 h3 blockquote dl dt dd figure figcaption script style noscript template "
    "iframe svg math title button select option textarea label input img br hr center font small em code sup "
    "sub time address details xmp listing object video link meta noframes noembed"
)
_RARE = ["plaintext", "body", "html", "head", "frameset"]
_WORD_LIST, _NAME_LIST, _TAG_LIST = _WORDS.split(" "), _NAMES.split("|"), _TAGS.split()


def page(seed: int) -> str:
    """A page: an article in nested elements, with others around it, or elements at random."""
    draw = random.Random(seed)
    body = _article(draw) if draw.random() < 0.6 else ""
    if not body or draw.random() < 0.2:
        body += "".join(_node(draw, draw.randint(2, 5)) for _ in range(draw.randint(1, 6)))
    kind = draw.choice(["<!DOCTYPE html>", ""])
    body += "Posts: 4 Joined: x" if draw.random() < 0.05 else ""
    html = f"{kind}<html><head><title>{_text(draw, 3)}</title></head><body{_attributes(draw)}>{body}"
    return html[: draw.randint(1, len(html))] if draw.random() < 0.05 else html + "</body></html>"


def _text(draw: random.Random, most: int) -> str:
    return " ".join(draw.choice(_WORD_LIST) for _ in range(draw.randint(1, most)))


def _attributes(draw: random.Random) -> str:
    written = ""
    if draw.random() < 0.35:
        quote = draw.choice(['"', '"', '"', "'", ""])
        value = " ".join(draw.sample(_NAME_LIST, draw.choice([1, 1, 2])))
        name = draw.choice(["class", "class", "class", "id", "id", "CLASS", "data-class", "class "])
        written = f" {name}={quote}{value if quote else value.split()[0]}{quote}"
    others = [" hidden", ' style="display:none"', ' "odd=<x', " =", " type='math/tex'", " title='a>b &quot;'"]
    return written + (draw.choice(others) if draw.random() < 0.12 else "")


def _node(draw: random.Random, depth: int) -> str:
    if depth == 0 or draw.random() < 0.3:
        rare = ["<!-- c -- <p>comment</p> -->", "<br><br>", "<b>–</b>", "<b>•</b>", "<i> &mdash;</i>"]
        return draw.choice(rare) if draw.random() < 0.1 else _text(draw, 25) + draw.choice([".", "\n", ""])
    tag = draw.choice(_TAG_LIST if draw.random() < 0.98 else _RARE)
    tag = tag.upper() if draw.random() < 0.08 else tag
    inner = "".join(_node(draw, depth - 1) for _ in range(draw.choice([0, 1, 1, 2, 3, 4])))
    closed = (
        draw.choice(["", f"</{draw.choice(_TAG_LIST)}>", "</", "<"]) if draw.random() < 0.06 else f"</{tag}>"
    )
    return f"<{tag}{_attributes(draw)}>{inner}{closed}"


def _article(draw: random.Random) -> str:
    parts = []
    for _ in range(draw.randint(1, 8)):
        kind = draw.random()
        if kind < 0.65:
            parts.append(f"<p{_attributes(draw)}>{_text(draw, 60)}.</p>")
        elif kind < 0.75:
            parts.append("<ul>" + "".join(f"<li>{_text(draw, 25)}" for _ in range(3)) + "</ul>")
        elif kind < 0.8:
            parts.append(f"<pre>\n{_text(draw, 9)}\n   {_text(draw, 9)}</pre>")
        else:
            parts.append(_node(draw, 3))
    html = "".join(parts)
    for _ in range(draw.randint(0, 5)):
        tag = draw.choice(["div", "section", "article", "main", "td", "li", "form", "span"])
        html = f"<{tag}{_attributes(draw)}>{html}</{tag}>"
        before, after = (_node(draw, depth) if draw.random() < 0.5 else "" for depth in (2, 3))
        if tag == "td":
            html = f"<table><tr>{html}</tr></table>"
        html = f"{before}{html}{after}"
    return html
