"""Stack Exchange: questions, each with its answers, the highest score first.

In: `Posts.xml`, alone or in a `.7z`, or a folder of these; of a folder, the 28 largest sites are used (paper
§2.1). Out: a document for each question: `Q: title`, its body, then `A: …` for each answer, separated by
empty lines. These marks, which show where an answer begins, are also the Pile's and RedPajama's.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from data.documents import Document, Drop, Record
from data.sources.files import rows
from data.sources.stackexchange.archive import Unreadable, unpacked_size
from data.sources.stackexchange.html_text import html_to_text
from data.sources.stackexchange.partitions import Partitions
from data.sources.stackexchange.posts import Rows, read_posts

VERSION = 8  # of this recipe's output: raise it when the same input gives other text
DUPLICATES = None  # ids already distinguish a site's posts
SITES = 28  # use this many sites of a folder (paper §2.1)

PARTITION_BYTES = 64 << 20  # about how much XML is joined at once
MAX_PARTITIONS = 100  # twice as many files are open at once
SLICE_BYTES = 8 << 30  # XML per slice (a quarter of that if packed); each slice's task parses the whole file
MAX_SLICES = 16

_INPUT = "Posts.xml, a site's .7z, or a folder of these"
# Sites with their own domain; all others are under stackexchange.com.
_DOMAINS = ("stackoverflow.com", "superuser.com", "serverfault.com", "askubuntu.com", "mathoverflow.net")
_DOMAINS += ("stackapps.com", "stackexchange.com")
# Stack Overflow has an archive for each table; only Posts is read.
_OTHER_TABLES = re.compile(r"[-.](badges|comments|posthistory|postlinks|tags|users|votes)\.(7z|xml)$", re.I)
_PACKED = re.compile(r"\.7z\.\d{3}$|\.(zip|rar|tar|gz|tgz|bz2|xz|zst)$", re.I)
_POSTS = re.compile(r"(?:^|[-._])posts$", re.I)


def inputs(path: Path) -> list[Path]:
    """The file, or the 28 largest sites under a folder, by file size. A meta site counts as a site."""
    if path.is_file() and path.name.lower().endswith((".xml", ".7z")):
        return [path]
    found = together([file for file in rows.visible_files(path) if is_posts(file)] if path.is_dir() else [])
    if not found:
        raise rows.expected(path, _INPUT)
    return sorted(sorted(found, key=lambda file: (-file.stat().st_size, str(file)))[:SITES])


def left_out(path: Path) -> str | None:
    """What a folder holds in archives that are not read, in a sentence; None if it has none."""
    others = [file for file in rows.visible_files(path) if _PACKED.search(file.name)] if path.is_dir() else []
    if not others:
        return None
    advice = "unpack them, or join the parts of one (cat NAME.7z.* > NAME.7z)"
    return f"{path}: not read: {rows.kinds_of(others)}; {advice}"


def together(files: list[Path]) -> list[Path]:
    """The files to read of all inputs: of a site that has several, only the largest."""
    found: dict[str, tuple[int, str, Path]] = {}
    for file in files:
        sized = (file.stat().st_size, str(file), file)
        site = site_of(file) or str(file)
        found[site] = max(found.get(site, sized), sized)
    largest = {file for _, _, file in found.values()}
    return [file for file in files if file in largest]


def slices(path: Path) -> int:
    """The number of slices of a file."""
    size = path.stat().st_size * (4 if path.name.lower().endswith(".7z") else 1)
    return min(MAX_SLICES, max(1, size // SLICE_BYTES))


def read(path: Path, index: int = 0, n_slices: int = 1) -> Iterator[Record | Drop]:
    """All drops, and every question with its answers.

    Raises Unreadable for a damaged file, after the records that could be read.
    """
    broken = None
    n_partitions = min(MAX_PARTITIONS, max(1, unpacked_size(path) // n_slices // PARTITION_BYTES))
    with tempfile.TemporaryDirectory(prefix="relama-posts-") as folder:
        with ExitStack() as files:
            partitions = Partitions(Path(folder), str(path), n_partitions, index, n_slices, files)
            try:
                read_posts(path, Rows(partitions.add, partitions.bad))
            except Unreadable as error:
                broken = error
        yield from partitions.dropped()
        for number in range(n_partitions):
            yield from partitions.join(number, site_of(path))
    if broken and index == 0:
        raise broken


def clean(record: Record, *, source: str = "stackexchange") -> Document | Drop:
    """The question and its answers as text, without empty answers."""
    question = "\n\n".join(filter(None, (" ".join(record.meta["title"].split()), html_to_text(record.text))))
    if not question:
        return record.drop("empty")
    texts = [html_to_text(answer["html"]) for answer in record.meta["answers"]]
    scores = [{"id": answer["id"], "score": answer["score"]} for answer in record.meta["answers"]]
    answers = [score for score, text in zip(scores, texts) if text]
    text = "\n\n".join(["Q: " + question, *("A: " + text for text in texts if text)])
    return replace(record, meta=record.meta | {"answers": answers}).document(source, text)


def site_of(path: Path) -> str:
    """The site's host, from the name of its archive, file or folder; "" if that names no site."""
    stem = path.name.lower().removesuffix(".7z").removesuffix(".xml")
    names_posts = _POSTS.search(stem) is not None
    stem = _POSTS.sub("", stem)
    if names_posts and not stem:
        return _host(path.parent.name.lower())
    return _host(stem, known=names_posts)


def _host(name: str, known: bool = False) -> str:
    """`coffee.stackexchange.com` from that name, or from `coffee` if that is `known` to name a site."""
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", name):
        return ""
    if not name.endswith(_DOMAINS):
        if not known:
            return ""
        own = next((domain for domain in _DOMAINS if name.split(".")[-1] == domain.split(".")[0]), "")
        name = name + own.removeprefix(own.split(".")[0]) if own else f"{name}.stackexchange.com"
    # Until 2017, the name of a meta site began with `meta.`.
    return re.sub(r"^meta\.(.+)\.stackexchange\.com$", r"\1.meta.stackexchange.com", name)


def is_posts(file: Path) -> bool:
    """Whether the file is named like a site's posts."""
    name = file.name.lower()
    if name.endswith(".7z"):
        return not _OTHER_TABLES.search(name)
    return name.endswith(".xml") and _POSTS.search(name.removesuffix(".xml")) is not None
