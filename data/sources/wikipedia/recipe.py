"""Wikipedia: articles in the paper's 20 languages, as prose (paper §2.1).

In: `pages-articles[-multistream].xml.bz2` (also `.xml`, `.xml.gz`), or Parquet of `wikimedia/wikipedia` (id,
url, title, text). Out: one document per article, with its title above its text; only namespace 0, without
redirects. A large bz2 file is read in slices.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # lxml ships no types

from data.documents import Document, Drop, Record
from data.sources.files import rows
from data.sources.wikipedia import dump
from data.sources.wikipedia.names import NAMES
from data.sources.wikipedia.streams import Bad
from data.sources.wikipedia.wikitext import Namespaces, wikitext_to_text

VERSION = 23  # raise it when the same input gives different text
DUPLICATES = "exact"  # a page may be in two dumps
LICENSE = "cc-by-sa-4.0"
_PAPER = "bg ca cs da de en es fr hr hu it nl pl pt ro ru sl sr sv uk"  # §2.1
LANGUAGES = frozenset(_PAPER.split())
SLICE_BYTES = 64 << 20  # of a bz2 file; takes a few minutes
MAX_TEXT = 16 << 20  # characters of wikitext; MediaWiki limits a page to 2 MiB

_INPUT = "pages-articles[-multistream].xml.bz2, .xml or .xml.gz, .parquet, or a folder of these"
_XML = re.compile(r"\.xml(-[\w-]+)?(\.bz2|\.gz)?$", re.IGNORECASE)
_REDIRECT = re.compile(rf"\s*#(?:{'|'.join(sorted(NAMES['redirect']))})\s*+:?+\s*+\[\[", re.IGNORECASE)
_SAFE = ";@$!*(),/~:"  # characters that MediaWiki does not escape in addresses
_NO_LANGUAGE = "language is not one of the 20"


def inputs(path: Path) -> list[Path]:
    """The dumps and Parquet files to read."""
    if path.is_file() and (_XML.search(path.name) or path.name.lower().endswith(".parquet")):
        return [path]
    found = [
        file
        for file in (rows.visible_files(path) if path.is_dir() else [])
        if _XML.search(file.name) or file.name.lower().endswith(".parquet")
    ]
    if not found:
        raise rows.expected(path, _INPUT)
    return found


def slices(path: Path) -> int:
    """The number of slices of a file."""
    return max(1, path.stat().st_size // SLICE_BYTES) if path.name.lower().endswith(".bz2") else 1


def read(path: Path, index: int = 0, n_slices: int = 1) -> Iterator[Record | Drop]:
    """Every page of a dump, or every row of a Parquet file. A dump's record numbers are page ids."""
    if path.name.lower().endswith(".parquet"):
        return _read_rows(path) if index == 0 else iter(())
    return _read_dump(path, index, n_slices)


def clean(record: Record, *, source: str = "wikipedia") -> Document | Drop:
    """The article as prose; text from Parquet files needs no cleaning."""
    title = record.meta["title"]
    if "namespaces" not in record.meta:
        return record.document(source, f"{title}\n\n{record.text.strip()}" if record.text.strip() else "")
    meta = {key: value for key, value in record.meta.items() if key != "namespaces"}
    if _REDIRECT.match(record.text):
        return record.drop("redirect")
    text = wikitext_to_text(record.text, title, record.meta["namespaces"], record.meta["language"])
    return replace(record, meta=meta).document(source, text)


def _read_dump(path: Path, index: int, n_slices: int) -> Iterator[Record | Drop]:
    site = dump.read_site(path)
    namespaces = Namespaces.of(site.namespaces)
    for page in dump.pages(path, index, n_slices):
        if isinstance(page, Bad):
            yield Drop(page.reason, str(path), page.place, page.detail, malformed=True)
        else:
            yield _page(page, str(path), site, namespaces)


def _page(xml: bytes, file: str, site: dump.Site, namespaces: Namespaces) -> Record | Drop:
    try:
        page = dump.parse(xml)
    except etree.XMLSyntaxError as error:
        found = re.search(rb"<id>\s*(\d{1,18})", xml)
        number = int(found[1]) if found else 0
        return Drop("malformed page", file, number, str(error), malformed=True)
    title, space = (page.findtext("title") or "").strip(), (page.findtext("ns") or "0").strip()
    number = (page.findtext("id") or "").strip()
    if not title or not re.fullmatch(r"[0-9]{1,18}", number):
        detail = f"expected a title and an id, found {title[:60]!r} and {number[:60]!r}"
        return Drop("malformed page", file, 0, detail, malformed=True)
    record = int(number)
    if site.language not in LANGUAGES:
        return Drop(_NO_LANGUAGE, file, record, site.language or "unknown")
    if space != "0":
        return Drop("not an article", file, record, f"namespace {space}: {title}")
    if page.find("redirect") is not None:
        return Drop("redirect", file, record, title)
    revisions = page.findall("revision")
    text = revisions[-1].findtext("text") if revisions else None  # with full history: the newest
    if not text:
        return Drop("no text", file, record, title)
    if len(text) > MAX_TEXT:
        return Drop("larger than 16 MiB", file, record, title, malformed=True)
    revision = revisions[-1]
    model = revision.findtext("model") or "wikitext"
    if model != "wikitext":
        return Drop("not wikitext", file, record, f"{model}: {title}")
    meta = {"title": title, "language": site.language, "namespaces": namespaces}
    if identity := revision.findtext("id"):
        meta["revision"] = int(identity) if re.fullmatch("[0-9]{1,18}", identity) else 0
    return Record(file, record, text, page_url(title, site.base, site.language), LICENSE, meta)


def page_url(title: str, base: str = "", language: str = "") -> str:
    """A page's canonical address in MediaWiki's form."""
    return (base or f"https://{language}.wikipedia.org/wiki/") + quote(title.replace(" ", "_"), safe=_SAFE)


def _read_rows(path: Path) -> Iterator[Record | Drop]:
    named = re.search(r"(?:^|[./_-])(?:20\d{6})\.([a-z-]+)(?:[/.]|$)", str(path))
    for item in rows.read_rows(path):
        if isinstance(item, Drop):
            yield item
            continue
        number, row = item
        title, text = row.get("title"), row.get("text")
        if not isinstance(title, str) or not isinstance(text, str):
            detail = f"expected title and text, found {', '.join(row)}"
            yield Drop("malformed record", str(path), number, detail, malformed=True)
            continue
        host, address = _address(row.get("url"))
        language = host.removesuffix(".wikipedia.org") if host else named[1] if named else ""
        if language not in LANGUAGES:
            yield Drop(_NO_LANGUAGE, str(path), number, language or "unknown")
            continue
        identity = str(row.get("id") or "")
        place = int(identity) if re.fullmatch("[0-9]{1,18}", identity) else number
        meta = {"title": title, "language": language}
        url = page_url(unquote(address) or title, "", language)
        yield Record(str(path), place, text, url, LICENSE, meta)


def _address(url: object) -> tuple[str, str]:
    """Host and page of a Wikipedia address; two empty strings for any other value."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    except ValueError:
        return "", ""
    host = (parts.hostname or "").replace(".m.", ".")
    return (host, parts.path.removeprefix("/wiki/")) if host.endswith(".wikipedia.org") else ("", "")
