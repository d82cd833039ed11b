"""Reads the pages of a MediaWiki dump, compressed or not, at once or in slices that can run in parallel.

In: `.xml`, `.xml.gz` or `.xml.bz2`. Out: the facts about the site, and the XML of one page at a time. A bz2
file is divided at its streams: a slice reads the streams that start in its range of bytes, and all pages that
begin in them, to their ends. Pages are found by their tags (in text, `<` is always written `&lt;`) and parsed
one by one, without a DTD. A bad page or stream is quarantined, and reading continues with the next.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # lxml ships no types

from configs.sizes import binary
from data.sources.files import limits
from data.sources.files.limits import Expansion
from data.sources.wikipedia.streams import PIECE, Bad, BrokenOff, read_streams

MAX_PAGE = 32 << 20  # bytes of XML per page; MediaWiki limits the text to 2 MiB
MAX_HEAD = 4 << 20  # bytes before the first page
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PAGE, _PAGE_END = b"<page>", b"</page>"


@dataclass(frozen=True)
class Site:
    """What a dump says about its site."""

    language: str = ""  # a Wikipedia's language, such as en; another site's name
    base: str = ""  # the beginning of page addresses
    namespaces: dict[int, str] = field(default_factory=dict)


def pages(path: Path, index: int = 0, n_slices: int = 1) -> Iterator[bytes | Bad]:
    """The XML of each page in UTF-8, in file order; the slices together give each page once.

    Raises BrokenOff after the last readable page.
    """
    head = _head(path)
    n_found = 0
    for page in _pages(path, head, index, n_slices):
        n_found += 1
        yield page
    if index == 0 and not n_found and b"<mediawiki" not in head and not head.startswith(_UTF16):
        raise BrokenOff(f"{path.name}: not a MediaWiki dump (it does not begin with <mediawiki>)")


def _pages(path: Path, head: bytes, index: int, n_slices: int) -> Iterator[bytes | Bad]:
    if head.startswith(_UTF16):
        if index == 0:  # read in one slice, because a cut could fall inside a character
            yield from _split((data, False) for data in _utf8(_all_bytes(path)))
    elif _is_bz2(path):
        size = path.stat().st_size
        yield from _split(read_streams(path, size * index // n_slices, size * (index + 1) // n_slices))
    elif index == 0:
        yield from _split((data, False) for data in _all_bytes(path))


def read_site(path: Path) -> Site:
    """The facts about the site before the first page; missing ones are empty."""
    head = _head(path)
    if head.startswith(_UTF16):
        head = head.decode("utf-16", errors="ignore").encode()
    language = re.search(rb"<mediawiki\b[^<>]*?\bxml:lang=[\"']([\w-]+)", head)
    begin, end = head.find(b"<siteinfo"), head.find(b"</siteinfo>")
    try:
        siteinfo = parse(head[begin:end] + b"</siteinfo>") if 0 <= begin < end else etree.Element("none")
    except etree.XMLSyntaxError:
        siteinfo = etree.Element("none")
    names = {
        int(space.get("key")): space.text or ""
        for space in siteinfo.iter("namespace")
        if re.fullmatch(r"-?\d{1,6}", space.get("key", ""))
    }
    address = siteinfo.findtext("base") or ""
    base = address[: address.find("/wiki/") + len("/wiki/")] if "/wiki/" in address else ""
    declared = language[1].decode() if language else ""
    named = re.match(r"([a-z_]+)wiki-", path.name)  # used if the head cannot be read
    declared = declared or (named[1].replace("_", "-") if named else "")
    return Site(_language(siteinfo.findtext("dbname") or "", base, declared), base, names)


def parse(xml: bytes) -> etree._Element:
    """Parse one element, without loading a DTD or resolving entities. Raises XMLSyntaxError."""
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=len(xml) > 9 << 20,  # libxml2 otherwise refuses texts above 10 MB
    )
    return etree.fromstring(xml, parser)


def _language(database: str, base: str, declared: str) -> str:
    """The Wikipedia's language. By xml:lang alone, simplewiki and Wiktionary would be `en`."""
    if database.endswith("wiki") and len(database) > 4:
        return database.removesuffix("wiki").replace("_", "-")
    host = base.split("/")[2] if base.count("/") > 2 else ""
    if host.endswith(".wikipedia.org"):
        return host.removesuffix(".wikipedia.org")
    return host or database or declared


def _is_bz2(path: Path) -> bool:
    return path.name.lower().endswith(".bz2")


def _head(path: Path) -> bytes:
    """The decompressed beginning, up to the first page."""
    head = bytearray()
    try:
        for data in _all_bytes(path):
            head += data
            if b"<page>" in head or b"</siteinfo>" in head or len(head) > MAX_HEAD:
                break
            if b"<\0p\0a\0g\0e\0" in head or b"\0<\0p\0a\0g\0e" in head:
                break
    except BrokenOff:
        pass  # raised again when the pages are read
    return bytes(head)


# ---- bytes


def _all_bytes(path: Path) -> Iterator[bytes]:
    if _is_bz2(path):
        for data, is_bad in read_streams(path, 0, path.stat().st_size):
            if isinstance(data, bytes) and not is_bad:
                yield data
        return
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    expansion = Expansion(path.stat().st_size)
    with opened(path, "rb") as file:
        try:
            while data := file.read(PIECE):
                expansion.add(len(data))
                yield data
        except (OSError, EOFError, zlib.error) as error:
            raise BrokenOff(f"{path.name}: {error}") from None


def _utf8(pieces: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
    for data in pieces:
        yield decoder.decode(data).encode(errors="replace")


# ---- pages


def _split(pieces: Iterator[tuple[bytes | Bad, bool]]) -> Iterator[bytes | Bad]:
    """Each complete `<page>…</page>` that begins before the first piece marked True."""
    limit = limits.record_bytes(MAX_PAGE)
    held, searched, own, skipping = bytearray(), 0, -1, False
    for data, is_after in pieces:
        if isinstance(data, Bad):
            if is_after and held[:6] != _PAGE and not skipping:
                return
            yield data
            held.clear()
            searched, skipping = 0, False
            if is_after:
                return
            continue
        if is_after and own < 0:
            own = len(held)  # pages must begin before this
        held += data
        while True:
            if not skipping and held[: len(_PAGE)] != _PAGE:
                start = held.find(_PAGE)
                if start < 0:
                    tail = _overlap(held, _PAGE)
                    own = _cut(held, len(held) - tail, own)
                    searched = 0
                    break
                own = _cut(held, start, own)
                searched = 0
            if own == 0:
                return
            end = held.find(_PAGE_END, searched)
            if end < 0:
                searched = max(0, len(held) - len(_PAGE_END) + 1)
                if len(held) > limit:  # skip it without holding it in memory
                    skipping = True
                    own = min(1, own)
                    del held[:searched]
                    searched = 0
                break
            end += len(_PAGE_END)
            if skipping:
                yield Bad("page too large", f"above {binary(limit)} of XML")
            else:
                yield bytes(held[:end])
            skipping, searched = False, 0
            own = _cut(held, end, own)
        if own == 0:
            return
    if held[: len(_PAGE)] == _PAGE or skipping:
        yield Bad("malformed page", "the page has no end")
        raise BrokenOff("the dump ends within a page")


def _cut(held: bytearray, count: int, own: int) -> int:
    del held[:count]
    return own if own < 0 else max(0, own - count)


def _overlap(held: bytearray, mark: bytes) -> int:
    """The number of bytes at the end that may begin the mark."""
    return next((n for n in range(len(mark) - 1, 0, -1) if held.endswith(mark[:n])), 0)
