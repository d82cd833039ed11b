"""Chooses the documents to hold out by their URL, or by their text if they have none, alike in all sources.

In a small corpus the share may select no document. Then the first document that a larger share would select
is held out (`Apart`), or only its end if it is much larger than the share. The same is done if a share below
half selects every document, which would leave nothing to train on.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

import xxhash

LEAST = 8192  # fewest bytes to hold out (about 2,048 tokens), unless that exceeds MOST
MOST = 0.1  # largest share of all text
TOO_LITTLE = 4096  # if all text is less than this many bytes, and the share selects none, hold out nothing


@dataclass(frozen=True)
class Apart:
    """The one document to hold out: its last `end_bytes` bytes, or all of it (None)."""

    file: int
    row: int
    end_bytes: int | None


def is_heldout(url: str, text: str, share: float) -> bool:
    """Whether a document is held out: by its normalized URL, or by its text if it has no URL."""
    return place_of(url, text) < share * 2**64


def place_of(url: str, text: str) -> int:
    """A 64-bit hash, uniform over documents; the documents with the lowest are held out."""
    name = normalized(url) if url else text
    return xxhash.xxh3_64_intdigest(b"heldout\0" + name.encode())


def selects_none_or_all(n_heldout: int, n_documents: int, share: float) -> bool:
    """Whether a share selects nothing, or, though it is below half, every document."""
    return share > 0 and (not n_heldout or (n_heldout == n_documents and share < 0.5))


def choose(file: int, row: int, size: int, total: int, n_documents: int, share: float) -> Apart:
    """What to hold out if the share selects none or all: the document with the lowest place, or its end.

    `size` and `total` are the bytes of its text and of all text.
    """
    wanted = int(min(max(share * total, LEAST), MOST * total))
    if n_documents > 1 and size <= 2 * wanted:
        return Apart(file, row, None)
    return Apart(file, row, min(wanted, size // 2))


def cut_end(text: str, end_bytes: int) -> tuple[str, str]:
    """Cut the text about `end_bytes` before its end, at a paragraph, line, sentence or word if possible."""
    content = text.encode()
    target = len(content[: len(content) - end_bytes].decode(errors="ignore"))
    earliest = max(1, target - (len(text) - target))
    for boundary in ("\n\n", "\n", ". ", " "):
        found = text.rfind(boundary, earliest, target)
        if found >= 0:
            target = found + len(boundary)
            break
    return text[:target], text[target:]


def normalized(url: str) -> str:
    """A URL without what may differ between two crawls of the same page.

    That is the scheme, `www.`, the default port, the host's case, trailing slashes and the fragment.
    """
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url.strip()
    host = parts.netloc.lower().removeprefix("www.").removesuffix(":80").removesuffix(":443")
    query = f"?{parts.query}" if parts.query else ""
    return host + parts.path.rstrip("/") + query
