"""A site's posts in the form of its dumps, and the recipe's output for them."""

from collections import Counter
from pathlib import Path
from xml.sax.saxutils import quoteattr

import py7zr
import pytest

from data.documents import Document, Drop, Record
from data.sources.stackexchange import recipe
from data.sources.stackexchange.archive import Unreadable

SITE = "tea.stackexchange.com"


def row(**attributes: object) -> dict[str, str]:
    return {key: str(value) for key, value in attributes.items() if value is not None}


def question(number: int, title: str = "Why?", body: str = "<p>Asked.</p>", **more) -> dict[str, str]:
    return row(**{"Id": number, "PostTypeId": 1, "Score": 1, "Title": title, "Body": body} | more)


def answer(number: object, to: int, score: object = 1, body: str = "<p>Said.</p>", **more) -> dict[str, str]:
    return row(**{"Id": number, "PostTypeId": 2, "ParentId": to, "Score": score, "Body": body} | more)


def written(attributes: dict[str, str]) -> str:
    """A row in the form of the dumps: on one line, with line breaks as references."""
    pairs = (
        f"{key}={quoteattr(value, {chr(10): '&#xA;', chr(13): '&#xD;'})}" for key, value in attributes.items()
    )
    return f"  <row {' '.join(pairs)} />"


def xml(rows: list[dict[str, str]]) -> str:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<posts>", *map(written, rows), "</posts>"]
    return "\n".join(lines)


def site(folder: Path, content: str | bytes | list) -> Path:
    content = xml(content) if isinstance(content, list) else content
    path = folder / "tea.Posts.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def packed(path: Path, members: dict[str, bytes], **options) -> Path:
    with py7zr.SevenZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(content, name)
    return path


def items(path: Path, index: int = 0, n_slices: int = 1) -> list[Document | Drop]:
    return [cleaned(item) for item in recipe.read(path, index, n_slices)]


def cleaned(item: Record | Drop) -> Document | Drop:
    return item if isinstance(item, Drop) else recipe.clean(item)


def until_broken(path: Path) -> tuple[list[Document | Drop], str]:
    """The records read from a truncated file, and the error."""
    found = []
    with pytest.raises(Unreadable) as error:
        for item in recipe.read(path):
            found.append(cleaned(item))
    return found, str(error.value)


def only(found: list[Document | Drop]) -> Document:
    """The only document, after checking that nothing was dropped."""
    (document,) = found
    assert isinstance(document, Document)
    return document


def documents(found: list[Document | Drop]) -> list[Document]:
    return [item for item in found if isinstance(item, Document)]


def texts(found: list[Document | Drop]) -> set[str]:
    return {document.text for document in documents(found)}


def reasons(found: list[Document | Drop]) -> dict[str, int]:
    return dict(Counter(item.reason for item in found if isinstance(item, Drop)))
