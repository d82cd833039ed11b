"""Wikitext to text compared with three libraries and another version: `python benchmarks/text/wikitext.py`.

The dump is the English sample of ../shared/data/wiki, its pages repeated. Ours reads XML and gives documents;
the libraries get wikitext read beforehand. All take turns on one core, in CPU time; MB/s are of XML.
`--against CLONE` also measures another clone's recipe, in turns with ours. Words are counted in one copy.
"""

import argparse
import bz2
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from data.documents import Record
from data.sources.wikipedia import recipe as wikipedia

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data" / "wiki"
SAMPLE = SHARED / "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"


def with_mwparserfromhell() -> Callable[[str, str], str]:
    import mwparserfromhell  # pyright: ignore[reportMissingImports]

    return lambda title, text: mwparserfromhell.parse(text).strip_code(normalize=True, collapse=True)


def with_gensim() -> Callable[[str, str], str]:
    from gensim.corpora.wikicorpus import filter_wiki  # pyright: ignore[reportMissingImports]  # optional

    return lambda title, text: filter_wiki(text)


def with_wikiextractor(expand: bool = True) -> Callable[[str, str], str]:
    """WikiExtractor's own cleaning. By default it expands templates, but here it has no definitions.

    Python 3.11 and later refuse flags in the middle of a pattern, so they are moved.
    """
    compiled = re.compile

    def with_flags(pattern: str | re.Pattern, flags: int = 0) -> re.Pattern:
        if isinstance(pattern, str) and "(?i)" in pattern:
            return compiled(pattern.replace("(?i)", ""), flags | re.I)
        return compiled(pattern, flags)

    re.compile = with_flags
    try:
        from wikiextractor import extract  # pyright: ignore[reportMissingImports]  # optional
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


READ = """
import importlib, json, resource, sys, time
from pathlib import Path
recipe = importlib.import_module("data.sources.wikipedia")
begin = time.process_time()
items = [recipe.clean(item) for item in recipe.read(Path(sys.argv[1])) if not hasattr(item, "reason")]
seconds = time.process_time() - begin
texts = [item.text for item in items if not hasattr(item, "reason")]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds, peak, texts if len(sys.argv) > 2 else len(texts)]))
"""


def ours(tree: Path, path: Path, *more: str) -> tuple[float, float, list[str]]:
    """CPU seconds, peak memory in MiB and (with one more argument) the texts, of the recipe in `tree`."""
    command = [sys.executable, "-c", READ, str(path), *more]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    seconds, peak, texts = json.loads(done.stdout)
    return seconds, peak, texts


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description="Wikitext to text compared with three libraries.")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--copies", type=int, default=3, help="of the sample, for our own turns")
    parser.add_argument("--against", type=Path, help="a clone of another version")
    given = parser.parse_args()
    if not SAMPLE.is_file():
        parser.error(f"the real samples are not on this machine ({SAMPLE})")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    xml = bz2.decompress(SAMPLE.read_bytes())
    start, end = xml.index(b"<page>"), xml.rindex(b"</page>") + len(b"</page>")
    pages = [(str(r.meta["title"]), r.text) for r in wikipedia.read(SAMPLE) if isinstance(r, Record)]
    runs, absent = {}, []
    for name, make in LIBRARIES.items():
        try:
            runs[name] = make()
        except Exception as error:  # an optional library may fail in any way
            absent.append(f"{name}: not measured ({type(error).__name__}: {error})")
    best: dict[str, float] = {}
    peak: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder, "enwiki-articles.xml"), Path(folder, "enwiki-articles.xml.bz2")
        plain.write_bytes(xml[:start] + (xml[start:end] + b"\n") * given.copies + b"</mediawiki>")
        packed.write_bytes(bz2.compress(plain.read_bytes()))
        contestants = {"ours, from XML": (ROOT, plain), "ours, from bz2": (ROOT, packed)}
        if given.against:
            contestants |= {
                "against, from XML": (given.against, plain),
                "against, from bz2": (given.against, packed),
            }
        size = plain.stat().st_size
        sizes = dict.fromkeys(contestants, size) | dict.fromkeys(runs, len(xml))
        for _ in range(given.turns):
            for name, (tree, path) in contestants.items():
                spent, memory, _ = ours(tree, path)
                best[name] = min(best.get(name, 1e9), spent)
                peak[name] = max(peak.get(name, 0), memory)
            for name, run in runs.items():
                spent = seconds(lambda run=run: [run(title, text) for title, text in pages])
                best[name] = min(best.get(name, 1e9), spent)
        counted = {name: ours(tree, SAMPLE, "texts")[2] for name, (tree, _) in contestants.items()}
    print(f"{size / 1e6:.1f} MB of XML, {len(pages)} articles × {given.copies}; one core, CPU time,", end=" ")
    print(f"best of {given.turns}; the libraries on one copy, from wikitext")
    print(f"{'':20}{'MB/s':>8}{'words':>12}{'peak MiB':>10}")
    counted |= {name: [run(title, text) for title, text in pages] for name, run in runs.items()}
    for name, spent in best.items():
        n_words = sum(len(re.findall(r"\w+", text)) for text in counted[name])
        memory = f"{peak[name]:10,.0f}" if name in peak else ""
        print(f"{name:20}{sizes[name] / 1e6 / spent:8.2f}{n_words:12,}{memory}")
    print(*absent, sep="\n", file=sys.stderr)
    print("target: ours at least 2.5 MB/s from XML, and 0.9 of another version at 1.1 of its memory")


if __name__ == "__main__":
    main()
