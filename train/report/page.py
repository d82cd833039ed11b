"""The report's paper: its style, its tables, and the whole as one HTML file that needs nothing beside it."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

STYLE = Path(__file__).with_name("report.css")


def page(title: str, under: str, sections: Iterable[tuple[str, str, str]]) -> str:
    """The file: `sections` are (anchor, heading, content); one without content is left out."""
    sections = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{anchor}">{heading}</a>' for anchor, heading, _ in sections)
    body = "".join(
        f'<section id="{anchor}"><h2>{heading}</h2>{content}</section>'
        for anchor, heading, content in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE.read_text()}</style></head><body><h1>{html.escape(title)}</h1>"
        f'<p class="soft">{html.escape(under)}</p><nav>{links}</nav>{body}</body></html>\n'
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], words: int = 1) -> str:
    """Rows under their heads; the first `words` columns are text, the others figures."""

    def cells(row: Sequence[object], tag: str) -> str:
        return "".join(
            f"<{tag}{'' if place < words else ' class=n'}>{html.escape(str(cell))}</{tag}>"
            for place, cell in enumerate(row)
        )

    head = f"<thead><tr>{cells(heads, 'th')}</tr></thead>" if any(heads) else ""
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table>{head}<tbody>{body}</tbody></table></div>'


def tiles(pairs: Iterable[tuple[str, str]]) -> str:
    """Large figures with what they are under them."""
    each = (
        f"<div><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>" for name, value in pairs
    )
    return f'<div class="tiles">{"".join(each)}</div>'


def paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind}' if kind else ''}>{html.escape(text)}</p>"


def bullets(lines: Iterable[object], kind: str = "lines") -> str:
    return f'<ul class="{kind}">' + "".join(f"<li>{html.escape(str(line))}</li>" for line in lines) + "</ul>"


def block(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


def count(number: float | None) -> str:
    """A number of tokens, steps or parameters: all of a small one, three figures of a large one."""
    if number is None:
        return "–"
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(number) >= unit:
            return f"{number / unit:.3g}{letter}"
    return f"{number:,.0f}"


def hours(number: float) -> str:
    if number < 1:
        return f"{number * 60:.1f} min"
    return f"{number:,.1f} h" if number < 100 else f"{number:,.0f} h"
