"""Wikitext to text beside three libraries: `python benchmarks/wikitext.py`. One core, in one run.

The dump is ../shared/data/wiki's English sample, its pages repeated. Ours reads the XML and gives documents;
The dump is the English sample of ../shared/data/wiki, its pages repeated. Ours reads XML and gives documents;
They take turns; MB/s are of the XML, by CPU time. Of words it is counted how many of ours each one gives.
"""

import argparse
import bz2
import logging
import os
import re
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from data.documents import Record
from data.sources.wikipedia import recipe as wikipedia

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "wiki"
SAMPLE = SHARED / "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"


def with_mwparserfromhell() -> Callable[[str, str], str]:
    import mwparserfromhell

    return lambda title, text: mwparserfromhell.parse(text).strip_code(normalize=True, collapse=True)


def with_gensim() -> Callable[[str, str], str]:
    from gensim.corpora.wikicorpus import filter_wiki

    return lambda title, text: filter_wiki(text)


def with_wikiextractor(expand: bool = True) -> Callable[[str, str], str]:
    """Its own cleaning; its default expands templates, of which none are known here.

    Its patterns with flags in their middle are mended: Python 3.11 and later refuse them.
    """
    compiled = re.compile

    def mended(pattern: str | re.Pattern, flags: int = 0) -> re.Pattern:
        if isinstance(pattern, str) and "(?i)" in pattern:
            return compiled(pattern.replace("(?i)", ""), flags | re.I)
        return compiled(pattern, flags)

    re.compile = mended
    try:
        from wikiextractor import extract
    finally:
        re.compile = compiled
    extract.Extractor.keepLinks = extract.Extractor.HtmlFormatting = False

    def run(title: str, text: str) -> str:
        extractor = extract.Extractor("1", "1", "https://en.wikipedia.org", title, [text])
        return "\n".join(extractor.clean_text(text, expand_templates=expand))

    return run


LIBRARIES = {
    "mwparserfromhell": with_mwparserfromhell,
    "wikiextractor": with_wikiextractor,
    "… --no-templates": lambda: with_wikiextractor(expand=False),
    "gensim": with_gensim,
}


def ours(path: Path) -> list[str]:
    items = [wikipedia.clean(item) for item in wikipedia.read(path) if isinstance(item, Record)]
    return [item.text for item in items if hasattr(item, "text")]


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--copies", type=int, default=3, help="of the sample, for our own turns")
    words = parser.parse_args()
    if not SAMPLE.is_file():
        parser.error(f"the real samples are not on this machine ({SAMPLE})")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    xml = bz2.decompress(SAMPLE.read_bytes())
    start, end = xml.index(b"<page>"), xml.rindex(b"</page>") + len(b"</page>")
    pages = [(r.meta["title"], r.text) for r in wikipedia.read(SAMPLE) if isinstance(r, Record)]
    runs, absent = {}, []
    for name, make in LIBRARIES.items():
        try:
            runs[name] = make()
        except Exception as error:  # an optional library, of whatever state
            absent.append(f"{name}: not measured ({type(error).__name__}: {error})")
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "enwiki-pages-articles.xml")
        plain.write_bytes(xml[:start] + (xml[start:end] + b"\n") * words.copies + b"</mediawiki>")
        packed = Path(folder, "enwiki-pages-articles.xml.bz2")
        packed.write_bytes(bz2.compress(plain.read_bytes()))
        size, one = plain.stat().st_size, len(xml)
        sizes = {"ours, from XML": size, "ours, from bz2": size} | dict.fromkeys(runs, one)
        for _ in range(words.turns):
            for name, path in {"ours, from XML": plain, "ours, from bz2": packed}.items():
                best[name] = min(best.get(name, 1e9), seconds(lambda path=path: ours(path)))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            for name, run in runs.items():
                spent = seconds(lambda run=run: [run(title, text) for title, text in pages])
                best[name] = min(best.get(name, 1e9), spent)
        texts = ours(plain)[: len(pages)]
    print(f"{size / 1e6:.1f} MB of XML, {len(pages)} articles × {words.copies}; one core, CPU time,", end=" ")
    print(f"best of {words.turns}; the libraries on one copy, from wikitext")
    print(f"{'':20}{'MB/s':>8}{'words':>12}")
    counted = {"ours, from XML": texts, "ours, from bz2": texts}
    counted |= {name: [run(title, text) for title, text in pages] for name, run in runs.items()}
    for name, spent in best.items():
        n_words = sum(len(re.findall(r"\w+", text)) for text in counted[name])
        print(f"{name:20}{sizes[name] / 1e6 / spent:8.2f}{n_words:12,}")
    print(*absent, sep="\n", file=sys.stderr)
    print(f"peak memory before any library ran {peak:,.0f} MiB; target: ours at least 2.5 MB/s from XML")


if __name__ == "__main__":
    main()
