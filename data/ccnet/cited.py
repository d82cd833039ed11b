"""Collects the URLs that Wikipedia cites as references, from its dumps or from a list.

In: `pages-articles*.xml[.bz2|.gz]` (every `<ref …>…</ref>`, including named and list-defined references), or
text files with one URL per line. Out: a file with the normalized URLs' 64-bit hashes, sorted, which any
number of processes can search without loading it.
"""

import bz2
import gzip
import re
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xxhash
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  (lxml has no type stubs)

from data import folders
from data.errors import DataError
from data.sources.files.limits import TooLarge
from data.sources.wikipedia import dump
from data.sources.wikipedia.streams import Bad
from data.tokens.heldout import normalized

_OPENERS = {".bz2": bz2.open, ".gz": gzip.open}
_MAX_LINE = 64 << 10  # bytes of a line in a list; anything longer is no URL
_COMMENT, _COMMENT_END = "<!--", "-->"
_REFERENCE = re.compile(r"<ref(?:\s[^<>]*)?(?<!/)>", re.IGNORECASE)
_REFERENCE_END = re.compile(r"</ref\s*>", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s|\[\]{}<>\"]+", re.IGNORECASE)


def write_cited(paths: list[Path], output: Path) -> int:
    """Write the hashes of all cited URLs; return how many. Raises DataError for an unreadable file."""
    found = array("Q")
    for path in paths:
        try:
            found.extend(url_hash(url) for url in _urls(path))
        except (OSError, EOFError, etree.XMLSyntaxError, UnicodeDecodeError, TooLarge) as error:
            raise DataError(
                f"ccnet.cited={path}: cannot be read to its end ({error}); get this file again"
            ) from None
    if not found:
        raise DataError(
            f"ccnet.cited={','.join(map(str, paths))}: no URLs in it; expected a Wikipedia dump or a list of "
            "URLs"
        )
    hashes = np.unique(np.frombuffer(found, np.uint64))
    with folders.replacing(output) as temporary, temporary.open("wb") as file:
        np.save(file, hashes)
    return len(hashes)


def is_cited(url: str, hashes: np.ndarray) -> bool:
    """Whether the URL is among the sorted `hashes`."""
    own = np.uint64(url_hash(url))
    place = int(np.searchsorted(hashes, own))
    return place < len(hashes) and bool(hashes[place] == own)


def url_hash(url: str) -> int:
    """A 64-bit hash of the URL, normalized as for held-out documents: scheme and `www.` do not matter."""
    return xxhash.xxh3_64_intdigest(normalized(url).encode(errors="replace"))


def references(wikitext: str) -> Iterator[str]:
    """The URLs inside the references of one article."""
    # A pattern for a complete comment or reference would rescan the rest at each unterminated one.
    text = _without_comments(wikitext)
    place = 0
    while begin := _REFERENCE.search(text, place):
        end = _REFERENCE_END.search(text, begin.end())
        if not end:
            return
        for url in _URL.findall(text, begin.end(), end.start()):
            yield url.rstrip(".,;:'")
        place = end.end()


def _without_comments(text: str) -> str:
    parts, place = [], 0
    while (start := text.find(_COMMENT, place)) >= 0:
        end = text.find(_COMMENT_END, start + len(_COMMENT))
        if end < 0:
            break
        parts.append(text[place:start])
        place = end + len(_COMMENT_END)
    return "".join(parts) + text[place:]


def _urls(path: Path) -> Iterator[str]:
    if ".xml" not in path.suffixes:
        yield from _listed(path)
        return
    for page in dump.pages(path):
        if isinstance(page, Bad):
            raise OSError(f"{page.reason}: {page.detail}")
        for text in dump.parse(page).iter("text"):
            yield from references(text.text or "")


def _listed(path: Path) -> Iterator[str]:
    with _OPENERS.get(path.suffix, open)(path, "rb") as file:
        while line := file.readline(_MAX_LINE):
            if not line.endswith(b"\n") and len(line) == _MAX_LINE:
                while line and not line.endswith(b"\n"):
                    line = file.readline(_MAX_LINE)
            elif line.strip():
                yield line.decode().strip()
