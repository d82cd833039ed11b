"""The main content of marked web pages: recall, precision, F and speed: `python benchmarks/recall/pages.py`.

106 pages of ../shared/data with passages that people marked as text or not text (trafilatura's own
evaluation). A passage is found if the extracted text contains it, with whitespace collapsed and soft hyphens,
which are not shown, left out of both. Contestants take turns; the best CPU time of three rounds counts.
`--halves N` scores random halves of the pages too, which shows how far the order of the contestants depends
on the pages.
"""

import argparse
import json
import random
import re
import tarfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from data.sources.commoncrawl.charset import decode_html
from data.sources.commoncrawl.main_content import extract

CC = Path(__file__).resolve().parents[3] / "shared" / "data" / "cc"
ROUNDS = 3

Extractor = Callable[[str], str | None]
CONTESTANTS: dict[str, Extractor] = {
    "relama": lambda html: extract(html)[1],
    "resiliparse": lambda html: extract_plain_text(HTMLTree.parse(html), main_content=True, alt_texts=False),
    "trafilatura, fast": lambda html: trafilatura.extract(html, fast=True),
    "trafilatura, default": lambda html: trafilatura.extract(html),
    "trafilatura, default, no comments": lambda html: trafilatura.extract(html, include_comments=False),
    "trafilatura, recall": lambda html: trafilatura.extract(html, favor_recall=True),
}


@dataclass(frozen=True)
class Page:
    html: str
    wanted: list[str]  # passages that must be extracted
    unwanted: list[str]  # passages that must not


@dataclass(frozen=True)
class Score:
    precision: float
    recall: float

    @property
    def f(self) -> float:
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def marked_pages(folder: Path) -> dict[str, Page]:
    """The marked pages by name."""
    marks = json.loads((folder / "trafilatura-marked-texts.json").read_text())
    pages = {}
    with tarfile.open(folder / "trafilatura-html-pages.tar.gz") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            content = archive.extractfile(member)
            if content is not None and name in marks:
                html = decode_html(content.read(), "")
                pages[name] = Page(html, marks[name]["with"], marks[name]["without"])
    return pages


def score(pages: dict[str, Page], extractor: Extractor, names: Iterable[str] | None = None) -> Score:
    """Over all passages of all pages, or of the pages with these names."""
    n_wanted = n_found = n_wrong = 0
    for name in names or pages:
        page = pages[name]
        text = _one_space(extractor(page.html) or "")
        n_wanted += len(page.wanted)
        n_found += sum(_one_space(passage) in text for passage in page.wanted)
        n_wrong += sum(_one_space(passage) in text for passage in page.unwanted)
    return Score(n_found / max(1, n_found + n_wrong), n_found / n_wanted)


def _one_space(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\u00ad", "")).strip()


def _seconds(pages: dict[str, Page], extractor: Extractor) -> float:
    begin = time.process_time()
    for page in pages.values():
        extractor(page.html)
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description="The main content of marked web pages")
    parser.add_argument("--halves", type=int, default=0, help="random halves to score as well")
    arguments = parser.parse_args()
    if not CC.is_dir():
        parser.error(f"{CC}: no such folder; this benchmark reads the marked pages there")
    pages = marked_pages(CC)
    size = sum(len(page.html.encode()) for page in pages.values())
    seconds = dict.fromkeys(CONTESTANTS, float("inf"))
    for _ in range(ROUNDS):
        for name, extractor in CONTESTANTS.items():
            seconds[name] = min(seconds[name], _seconds(pages, extractor))
    print(f"{len(pages)} pages, {size / 1e6:.1f} MB of HTML, one core")
    print(f"{'':36}{'recall':>8}{'precision':>11}{'F':>8}{'MB/s':>8}")
    for name, extractor in CONTESTANTS.items():
        found = score(pages, extractor)
        speed = size / 1e6 / seconds[name]
        print(f"{name:36}{found.recall:8.3f}{found.precision:11.3f}{found.f:8.3f}{speed:8.1f}")
    names = sorted(pages)
    for half in range(arguments.halves):
        random.Random(half).shuffle(names)
        fs = (score(pages, extractor, names[: len(names) // 2]).f for extractor in CONTESTANTS.values())
        print(
            f"F on random half {half:<19}" + ", ".join(f"{name} {f:.3f}" for name, f in zip(CONTESTANTS, fs))
        )


if __name__ == "__main__":
    main()
