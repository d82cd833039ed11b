"""The URLs that Wikipedia cites as references: from its dumps, or from a list.

In: `pages-articles*.xml[.bz2|.gz]` (every `<ref …>…</ref>`, including named and list-defined references), or
text files with a URL on each line. Out: a file of the sorted 64-bit hashes of the normalized URLs, which any
number of processes can search without loading it.
"""

import bz2
import gzip
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import ParseError, iterparse

import numpy as np
import xxhash

from data import folders
from data.errors import DataError
from data.tokens.heldout import normalized

_OPENERS = {".bz2": bz2.open, ".gz": gzip.open}
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_REFERENCE = re.compile(r"<ref(?:\s[^<>]*)?(?<!/)>(.*?)</ref\s*>", re.DOTALL | re.IGNORECASE)
_URL = re.compile(r"https?://[^\s|\[\]{}<>\"]+", re.IGNORECASE)


def write_cited(paths: list[Path], output: Path) -> int:
    """Write the hashes of all cited URLs; returns how many. Raises DataError for an unreadable file."""
    found = array("Q")
    for path in paths:
        try:
            found.extend(url_hash(url) for url in _urls(path))
        except (OSError, EOFError, ParseError, UnicodeDecodeError) as error:
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
    """A 64-bit hash of the URL, normalized as for held-out documents: the scheme and `www.` do not matter."""
    return xxhash.xxh3_64_intdigest(normalized(url).encode(errors="replace"))


def references(wikitext: str) -> Iterator[str]:
    """The URLs inside the references of one article."""
    for reference in _REFERENCE.findall(_COMMENT.sub("", wikitext)):
        for url in _URL.findall(reference):
            yield url.rstrip(".,;:'")


def _urls(path: Path) -> Iterator[str]:
    with _OPENERS.get(path.suffix, open)(path, "rb") as file:
        if ".xml" not in path.suffixes:
            yield from (line.decode().strip() for line in file if line.strip())
            return
        events = iterparse(file, events=("start", "end"))
        _, root = next(events)
        for event, element in events:
            if event == "end" and element.tag.rpartition("}")[2] == "page":
                for text in element.iter(element.tag.replace("page", "text")):
                    yield from references(text.text or "")
                root.clear()
