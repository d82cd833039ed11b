"""Which documents are held out: a function of their URL, the same in all sources, or of their text."""

from urllib.parse import urlsplit

import xxhash


def is_heldout(url: str, text: str, share: float) -> bool:
    """Whether a document is held out: by its normalized URL, or by its text if it has no URL."""
    name = normalized(url) if url else text
    return xxhash.xxh3_64_intdigest(b"heldout\0" + name.encode()) < share * 2**64


def normalized(url: str) -> str:
    """A URL without what differs between two crawls of a page.

    That is the scheme, www., the default port, the host's case, the last slash and the fragment.
    """
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url.strip()
    host = parts.netloc.lower().removeprefix("www.").removesuffix(":80").removesuffix(":443")
    query = f"?{parts.query}" if parts.query else ""
    return host + parts.path.rstrip("/") + query
