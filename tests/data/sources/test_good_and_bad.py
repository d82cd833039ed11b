"""Good records before and after bad ones come out once each, in every format read one record at a time."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.documents import Record
from data.sources import books, github, text, wikipedia
from data.sources.books.gutenberg import open_book
from tests.support.github import CODE

# Each place in a file is a good record (None), or one of three bad ones (by its number).
places = st.lists(st.sampled_from([None, None, 0, 1, 2]), min_size=1, max_size=9)
SITE = "<siteinfo><base>https://en.wikipedia.org/wiki/Main_Page</base><dbname>enwiki</dbname></siteinfo>"


def _page(number: int, wikitext: str) -> str:
    revision = f"<revision><id>1</id><model>wikitext</model><text>{wikitext}</text></revision>"
    return f"<page><title>T{number}</title><ns>0</ns><id>{number + 1}</id>{revision}</page>\n"


def write_wikipedia(folder: Path, file: list[int | None]) -> Path:
    bad = ["<page><title>no id</title></page>\n", _page(900, "&undeclared;"), _page(901, "a <b> c")]
    pages = [
        _page(number, f"good {number}") if kind is None else bad[kind] for number, kind in enumerate(file)
    ]
    path = folder / "enwiki-pages-articles.xml"
    path.write_text(f'<mediawiki xml:lang="en">{SITE}\n{"".join(pages)}</mediawiki>')
    return path


def write_lines(folder: Path, file: list[int | None]) -> Path:
    bad = [b'{"text": "cut', b'{"text": "\xff"}', b'{"other": 1}']
    lines = [
        json.dumps({"text": f"good {number}"}).encode() if kind is None else bad[kind]
        for number, kind in enumerate(file)
    ]
    path = folder / "rows.jsonl"
    path.write_bytes(b"\n".join(lines))
    return path


def write_exports(folder: Path, file: list[int | None]) -> Path:
    bad: list[object] = ["no object", {"path": "a.py"}, {"path": 5, "content": CODE, "license": "mit"}]
    rows = [
        {"path": "a.py", "content": f"{CODE}\ngood = {number}\n", "license": "mit"}
        if kind is None
        else bad[kind]
        for number, kind in enumerate(file)
    ]
    path = folder / "files.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def write_zip(folder: Path, file: list[int | None]) -> Path:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as members:
        for number, kind in enumerate(file):
            members.writestr(
                f"{number}.txt", "bad" if kind == 0 else b"\x81\x8d" if kind == 1 else f"good {number}"
            )
    raw = bytearray(content.getvalue())
    for number, kind in enumerate(file):
        if kind is not None and kind != 1:  # its contents do not match their checksum
            name = f"{number}.txt".encode()
            at = raw.index(name) + len(name)
            raw[at : at + 1] = bytes([raw[at] ^ 255])
    path = folder / "books.zip"
    path.write_bytes(raw)
    return path


@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize(
    ("write", "read"),
    [
        (write_wikipedia, wikipedia.read),
        (write_lines, text.read),
        (write_exports, github.read),
        (write_zip, books.read),
    ],
)
@given(file=places)
def test_good_records_around_any_bad_ones_come_out_once(tmp_path_factory, write, read, file):
    items = list(read(write(tmp_path_factory.mktemp("mixed"), file)))
    good = [f"good {number}" for number, kind in enumerate(file) if kind is None]
    found = [item.text.replace("good = ", "good ") for item in items if isinstance(item, Record)]
    assert [line for item in found for line in item.splitlines() if line.startswith("good ")] == good
    assert len(items) == len(file)  # every bad record is counted


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(st.characters(categories=["L", "N", "Zs"]), min_size=1, max_size=60), max_size=12))
def test_a_book_without_any_marks_passes_unchanged(paragraphs):
    book = "\n\n".join(paragraphs)
    assert open_book(book).text == book
