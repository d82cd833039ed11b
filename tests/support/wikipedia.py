"""Small MediaWiki dumps, and what the recipe reads from them."""

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from data.documents import Drop, Record
from data.sources.wikipedia import recipe as wikipedia

NAME = "enwiki-20220620-pages-articles.xml"


def head(language: str = "en", database: str = "", doctype: str = "") -> bytes:
    return (
        f'{doctype}<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" '
        f'xml:lang="{language}">\n<siteinfo><sitename>Wikipedia</sitename>'
        f"<dbname>{database or language + 'wiki'}</dbname>"
        f"<base>https://{language}.wikipedia.org/wiki/Main_Page</base><namespaces>"
        '<namespace key="0" case="first-letter" /><namespace key="6" case="first-letter">Fájl</namespace>'
        "</namespaces></siteinfo>\n"
    ).encode()


def page(number: int, text: str = "Prose.", title: str = "", space: int = 0, more: str = "") -> bytes:
    return (
        f"  <page>\n<title>{escape(title or f'Page {number}')}</title><ns>{space}</ns><id>{number}</id>{more}"
        f"<revision><id>{number + 7}</id><contributor><id>5</id></contributor><model>wikitext</model>"
        f'<text xml:space="preserve">{escape(text)}</text></revision></page>\n'
    ).encode()


def dump(*pages: bytes, **of_head) -> bytes:
    return head(**of_head) + b"".join(pages) + b"</mediawiki>\n"


def write(folder: Path, content: bytes, name: str = NAME) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read_all(path: Path, part: int = 0, parts: int = 1) -> tuple[list[Any], str]:
    """The records read, and the message of the error that ended reading, if any."""
    items: list[Record | Drop] = []
    try:
        for item in wikipedia.read(path, part, parts):
            items.append(item)
    except OSError as error:
        return items, str(error)
    return items, ""


def documents(items: list[Any]) -> list[Any]:
    return [wikipedia.clean(item) if isinstance(item, Record) else item for item in items]
