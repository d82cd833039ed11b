"""Lists each publisher's files: their names, addresses, sizes and checksums.

Based on the publishers' documentation; the addresses have not been tried (docs/data.md).
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from data.download import http
from data.errors import DataError
from data.folders import is_plain

BETWEEN_PAGES = 2.0  # seconds, as Gutenberg's page "Robot Access" asks
_C4 = re.compile(r"en/(c4-train\.\d{5}-of-01024\.json\.gz)")
_DUMP = re.compile(
    r"^([0-9a-f]{40})[ \t]+\*?((\w+)-(\d{8})-pages-articles-multistream\.xml\.bz2)$", re.MULTILINE
)
_NEXT = re.compile(r'<([^<>]++)>;\s*+rel="next"')


@dataclass(frozen=True)
class Remote:
    """One file of a publisher."""

    name: str
    url: str
    size: int | None = None  # bytes
    algorithm: str = ""  # the digest's, as hashlib names it; empty: the publisher has no checksum
    digest: str = ""
    pause: float = 0.0  # seconds the publisher asks to wait between two files


Only = Callable[[str], bool]  # whether a file of this name is wanted
Lister = Callable[[str, Only, list[str]], Iterator[Remote]]


def wikipedia(base: str, only: Only, prefixes: list[str]) -> Iterator[Remote]:
    """The newest complete dump of each of the paper's languages, with Wikimedia's SHA-1."""
    from data.sources.wikipedia.recipe import LANGUAGES  # needs packages that nothing else here does

    for wiki in (f"{code}wiki" for code in sorted(LANGUAGES)):
        if prefixes and not any(wiki.startswith(one) or one.startswith(wiki) for one in prefixes):
            continue
        sums = f"{base}/{wiki}/latest/{wiki}-latest-sha1sums.txt"
        listed = (found for found in _DUMP.finditer(_text(sums)) if found[3] == wiki)
        found = next(listed, None)
        if not found:
            raise DataError(f"{sums}: lists no pages-articles-multistream.xml.bz2; try again in a few days")
        if only(found[2]):
            url = f"{base}/{wiki}/{found[4]}/{found[2]}"
            length = http.page(url, "HEAD")[1].get("Content-Length") or ""
            yield Remote(found[2], url, int(length) if length.isdigit() else None, "sha1", found[1])


def c4(base: str, only: Only, _prefixes: list[str]) -> Iterator[Remote]:
    """C4's English training files on the Hugging Face Hub, with the SHA-256 of its large-file storage."""
    url = f"{base}/api/datasets/allenai/c4/tree/main/en"
    while url:
        content, headers = http.page(url)
        for file in _json(url, content, list):
            path = _C4.fullmatch(str(file.get("path")))
            if path and only(path[1]):
                large = file.get("lfs") or {}
                digest = str(large.get("oid", "")).removeprefix("sha256:")
                address = f"{base}/datasets/allenai/c4/resolve/main/{path[0]}"
                yield Remote(path[1], address, file.get("size"), "sha256" if digest else "", digest)
        following = _NEXT.search(headers.get("Link") or "")
        url = urljoin(url, following[1]) if following else ""


def stackexchange(base: str, only: Only, _prefixes: list[str]) -> Iterator[Remote]:
    """The largest sites of the last dump on archive.org, the smallest first, with its SHA-1."""
    from data.sources.stackexchange import recipe  # needs packages that nothing else here does

    url = f"{base}/metadata/stackexchange"
    files = [file for file in _json(url, http.page(url)[0], dict).get("files", []) if "name" in file]
    posts = [file for file in files if file["name"].endswith(".7z") and recipe.is_posts(Path(file["name"]))]
    wanted = sorted(
        (file for file in posts if only(file["name"])), key=lambda file: (int(file["size"]), file["name"])
    )
    for file in wanted[-recipe.SITES :]:
        address = f"{base}/download/stackexchange/{quote(file['name'])}"
        yield Remote(
            file["name"], address, int(file["size"]), "sha1" if file.get("sha1") else "", file.get("sha1", "")
        )


def books(base: str, only: Only, _prefixes: list[str]) -> Iterator[Remote]:
    """Project Gutenberg's plain texts, from its list for robots, which has no checksums."""
    url, seen = f"{base}/robot/harvest?filetypes[]=txt", set()
    while url and url not in seen:
        seen.add(url)
        links, following = _links(_text(url)), ""
        for address in (urljoin(url, link) for link in links):
            name = Path(urlsplit(address).path).name
            if "/robot/harvest" in address:
                following = address
            elif name.lower().endswith((".zip", ".txt")) and name not in seen and only(name):
                seen.add(name)
                yield Remote(name, address, pause=BETWEEN_PAGES)
        url = following
        time.sleep(BETWEEN_PAGES if url else 0)


# By recipe: the publisher's address, and the function that lists its files.
PUBLISHERS: dict[str, tuple[str, Lister]] = {
    "books": ("https://www.gutenberg.org", books),
    "c4": ("https://huggingface.co", c4),
    "stackexchange": ("https://archive.org", stackexchange),
    "wikipedia": ("https://dumps.wikimedia.org", wikipedia),
}


def listed(recipe: str, base: str, prefixes: list[str]) -> Iterator[Remote]:
    """A recipe's files with names that begin with one of `prefixes` (empty: all). Raises DataError."""
    for file in PUBLISHERS[recipe][1](
        base, lambda name: not prefixes or name.startswith(tuple(prefixes)), prefixes
    ):
        if not is_plain(file.name) or file.name.startswith("."):
            raise DataError(f"{base}: lists a file named {file.name[:80]!r}; expected a plain name")
        if urlsplit(file.url).scheme not in ("http", "https"):
            raise DataError(f"{base}: lists {file.url[:80]!r}; expected an HTTP address")
        yield file


def _text(url: str) -> str:
    return http.page(url)[0].decode("utf-8", "replace")


def _json(url: str, content: bytes, kind: type) -> Any:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise DataError(f"{url}: not the list of files that was expected; is dumps.mirror= right?")
    return found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _links(html: str) -> list[str]:
    parser = _Links()
    parser.feed(html)
    return parser.found
