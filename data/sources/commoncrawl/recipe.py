"""CommonCrawl: the pages of WET files, or of WARC files with their main content extracted.

In: `*.warc.wet.gz` (with old or new headers) or `*.warc.gz`, also plain or zstd. Out: a document for each
page of 300 characters or more, with stripped lines and without its title, as in CCNet (docs/recipe.md §2).
CCNet's filters follow in `data/ccnet/`.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data.documents import Document, Drop, Record
from data.sources.commoncrawl import main_content, nesting
from data.sources.commoncrawl.charset import decode_html
from data.sources.commoncrawl.response import ResponseError, parse_response
from data.sources.commoncrawl.scan import scan
from data.sources.commoncrawl.warc import Fault, WarcRecord, read_records
from data.sources.files import rows

VERSION = 16  # raise it when the same input gives other text
DUPLICATES = None  # paragraphs are compared instead (data/ccnet)
MIN_CHARACTERS = 300  # without the title (CCNet)

_SUFFIXES = tuple(kind + pack for kind in (".wet", ".warc") for pack in ("", ".gz", ".zst"))
_INPUT = "WET or WARC files (.warc.wet.gz, .warc.gz), or a folder of these"
_HTML = ("text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml")


def inputs(path: Path) -> list[Path]:
    """The WET and WARC files. WAT files hold no text and are ignored."""
    if path.is_file():
        if not path.name.lower().endswith(_SUFFIXES):
            raise rows.expected(path, _INPUT)
        return [path]
    found = rows.visible_files(path) if path.is_dir() else []
    found = [file for file in found if file.name.lower().endswith(_SUFFIXES)]
    if not found:
        raise rows.expected(path, _INPUT)
    return found


def read(path: Path) -> Iterator[Record | Drop]:
    """Every page; other records, and unreadable ones, become drops."""
    for number, item in enumerate(read_records(path)):
        if isinstance(item, Fault):
            yield Drop("malformed record", str(path), number, item.detail, malformed=True)
        else:
            yield _page(str(path), number, item)


def clean(record: Record, *, source: str = "commoncrawl") -> Document | Drop:
    """The page's lines without its title, or a drop."""
    meta = dict(record.meta)
    if meta.pop("html", False):
        facts = scan(record.text)
        if nesting.is_too_deep(record.text, facts):
            return replace(record.drop("nested too deeply"), malformed=True)
        title, text = main_content.extract(record.text, facts)
        lines = _lines(text)
    else:
        title, *lines = _lines(record.text) or [""]
    text = "\n".join(lines)
    if len(text) < MIN_CHARACTERS:
        return record.drop(f"under {MIN_CHARACTERS} characters", str(len(text)))
    meta["title"] = title
    page = Record(record.file, record.record, text, record.url, record.licence, meta)
    return page.document(source, text)


def _page(file: str, number: int, record: WarcRecord) -> Record | Drop:
    if not record.kind:
        return Drop("malformed record", file, number, "no WARC-Type, or an unknown type", malformed=True)
    url = record.headers.get("warc-target-uri", "").strip("<>")
    if record.kind not in ("conversion", "response") or url.startswith("dns:"):
        return Drop("not a page", file, number, record.kind)
    if not url:
        return Drop("malformed record", file, number, "a page without WARC-Target-URI", malformed=True)
    meta = {"date": record.headers.get("warc-date", "")}
    if record.note:
        meta["note"] = record.note
    if record.kind == "response":
        return _web_page(file, number, record, url, meta)
    try:
        text = record.body.decode()
    except UnicodeDecodeError as error:
        return Drop("malformed record", file, number, f"not UTF-8: {error}", malformed=True)
    return Record(file, number, text, url, "", meta)


def _web_page(file: str, number: int, record: WarcRecord, url: str, meta: dict[str, str]) -> Record | Drop:
    """The page in an HTTP response."""
    try:
        page = parse_response(record.body)
    except ResponseError as error:
        return Drop("malformed record", file, number, f"HTTP: {error}", malformed=True)
    if page.status != 200:
        return Drop("not a page", file, number, f"HTTP {page.status}")
    if page.content_type not in _HTML:
        return Drop("not a page", file, number, page.content_type or "no Content-Type")
    if page.note:
        meta["note"] = f"{meta['note']}, {page.note}" if "note" in meta else page.note
    return Record(file, number, decode_html(page.body, page.charset), url, "", meta | {"html": True})


def _lines(text: str) -> list[str]:
    """The lines, stripped and without empty ones, as in CCNet."""
    return [line for line in map(str.strip, text.split("\n")) if line]
