"""WET pages to tokens with all of CCNet's steps, beside their sum: `python benchmarks/text/wet.py`.

Novels as pages, of which no step but the last ones drops many. End to end is `relama prepare` in a process of
its own, its start and all imports included; each step alone runs on the same pages in the order of the
recipe, with opened models and without remembered words. All on one core, in CPU time, in turns. Twice as many
pages tell what a further megabyte costs. `--models` names a folder with models; if it has none, they are
trained there (lmplz must be installed; a minute). `--large` takes 200 MB of other real text, as much as a
file of a dump has, `--wet` pages of yours.
"""

import argparse
import contextlib
import gzip
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commoncrawl import ROOT, SHARED, wet_record, write_wet

T = TypeVar("T")
PIECES, WEB_CHARACTERS, LINES = 65_536, 12_000_000, 60
START = "import sys; from launch import relama; sys.exit(relama())"
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def write_large(folder: Path) -> None:
    """Three WET files with all real documents: the same lines, but other pages, in each."""
    from encode import real_documents

    number = 0
    with contextlib.ExitStack() as stack:
        out = [stack.enter_context(gzip.open(folder / f"{n}.warc.wet.gz", "wb", 4)) for n in range(3)]
        for document in real_documents(20_000):
            lines = [line.strip() for line in document.text.splitlines()]
            for place, file in enumerate(out):
                starts = [0, *range(LINES - place * LINES // 3, len(lines), LINES)]
                for start, end in zip(starts, [*starts[1:], len(lines)]):
                    body = "\n".join([f"title {number}", *lines[start:end]]).encode()
                    file.write(wet_record(number, body))
                    number += 1


def train_models(folder: Path) -> None:
    """A language model of novels and of other real text, and a classifier that tells these apart."""
    from encode import real_documents

    from data.ccnet.train_classifier import balanced, examples, train_classifier
    from data.ccnet.train_language_model import train_language_model
    from data.documents import Document

    novels = [path.read_text(errors="replace") for path in sorted((SHARED / "corpus").glob("*.txt"))]
    others, size = [], 0
    for document in real_documents(20_000):
        if size < WEB_CHARACTERS and "corpus/" not in document.file:
            others.append(document.text)
            size += len(document.text)

    def pages() -> Iterator[Document]:
        for texts, meta in ((novels, '{"cited": true}'), (others, "{}")):
            for lines in map(str.splitlines, texts):
                for start in range(0, len(lines), LINES):
                    yield Document("", "", "\n".join(lines[start : start + LINES]), "", start, meta=meta)

    folder.mkdir(parents=True, exist_ok=True)
    train_classifier(pages(), balanced(examples(pages()), 0), folder, 0.25)
    train_language_model([*novels, *others], folder, "en", pieces=PIECES, memory_gb=2)


class Clock:
    """CPU time of each step, and the bytes of text that it was given."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[float, int]] = {}

    def run(self, name: str, size: int, step: Callable[[], T]) -> T:
        begin = time.process_time()
        made = step()
        self.steps[name] = time.process_time() - begin, size
        return made


def steps(wet: Path, tokenizer: Path, models: Path) -> dict[str, tuple[float, int]]:
    """Each step alone: its seconds, and the bytes of text that reach it."""
    import numpy as np

    from data.ccnet import language, paragraphs, perplexity, references, repeats
    from data.documents import Document, Record, read_documents, write_parts
    from data.sources.commoncrawl import recipe
    from data.tokens.tokenizer import Tokenizer

    clock, model = Clock(), language.model_file(None)
    lm, encoder = perplexity.load(models, "en"), Tokenizer(tokenizer)
    language.identify("a", model)
    references.probability("a", models / references.FILE)
    encoder.encode("a")
    files = recipe.inputs(wet)

    def bytes_of(pages: list[Document]) -> int:
        return sum(page.n_bytes for page in pages)

    def read() -> list[Document]:
        records = (one for file in files for one in recipe.read(file) if isinstance(one, Record))
        return [page for page in map(recipe.clean, records) if isinstance(page, Document)]

    def without_repeats(place: Path, pages: list[Document]) -> list[str]:
        """Hash, compare and remove, in sets of one file, as ccnet.group=1 does."""
        sets = {str(file): number for number, file in enumerate(files)}
        repeats.write_hashes(((sets[page.file], paragraphs.hashes(page.text)) for page in pages), place / "h")
        found = [(which, place / f"r{n}") for n, which in enumerate(repeats.partitions([place / "h"]))]
        for which, folder in found:
            repeats.reduce_partition([place / "h"], which, folder)
        repeated, left = repeats.repeated(place / "h", 0, found), []
        with repeats.opened_order(place / "h") as read_hashes:
            for page in pages:
                hashes = read_hashes(page.text.count("\n") + 1)
                removed = repeats.isin_sorted(hashes, repeated[sets[page.file]])
                left += [] if removed.all() else [paragraphs.without(page.text, removed)]
        return left

    def written(folder: Path, pages: list[Document]) -> list[Document]:
        """Written once and read back once."""
        folder.mkdir()
        return [page for path in write_parts(pages, folder) for page in read_documents(path)]

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        pages = clock.run("read", sum(file.stat().st_size for file in files), read)
        clock.steps["read"] = clock.steps["read"][0], bytes_of(pages)
        texts = clock.run("paragraphs", bytes_of(pages), lambda: without_repeats(place, pages))
        size = sum(map(len, map(str.encode, texts)))
        found = clock.run("language", size, lambda: [language.identify(text, model) for text in texts])
        texts = [text for text, (code, score) in zip(texts, found) if code == "en" and score >= 0.5]
        size = sum(map(len, map(str.encode, texts)))
        values = clock.run("perplexity", size, lambda: [lm.perplexity(text) for text in texts])
        tail = np.percentile(values, perplexity.MIDDLE)
        texts = [text for text, value in zip(texts, values) if value <= tail]
        size = sum(map(len, map(str.encode, texts)))
        file = models / references.FILE
        likely = clock.run("references", size, lambda: [references.probability(text, file) for text in texts])
        texts = [text for text, share in zip(texts, likely) if share >= 0.25]
        size = sum(map(len, map(str.encode, texts)))
        clock.run("tokens", size, lambda: encoder.encode_batch(texts))
        kept = [Document(str(n), "wet", text, "", n) for n, text in enumerate(texts)]
        clock.run("write and read text", size, lambda: written(place / "text", kept))
    return clock.steps


def end_to_end(wet: Path, output: Path, tokenizer: Path, models: Path) -> float:
    """CPU seconds of `relama prepare`, from the start of Python to its end."""
    keys = ["recipe=commoncrawl", f"input={wet}", f"output={output}", f"tokenizer={tokenizer}", "heldout=0"]
    keys += ["ccnet.group=1", f"ccnet.models={models}", "engine.workers=1"]
    shutil.rmtree(output, ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", START, "prepare", *keys]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=ENVIRONMENT)
    if ran.returncode:
        sys.exit(ran.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def steps_apart(wet: Path, tokenizer: Path, models: Path) -> dict[str, tuple[float, int]]:
    command = [sys.executable, __file__, "--steps", str(wet), str(tokenizer), str(models)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=ENVIRONMENT)
    if ran.returncode:
        sys.exit(ran.stderr)
    return json.loads(ran.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="WET pages to tokens beside the sum of the steps")
    parser.add_argument("--models", type=Path, default=ROOT / "runs" / "benchmark-models")
    parser.add_argument("--tokenizer", type=Path, default=SHARED / "tokenizer" / "llama-tokenizer.model")
    parser.add_argument("--turns", type=int, default=3)
    pages = parser.add_mutually_exclusive_group()
    pages.add_argument("--large", action="store_true", help="200 MB of text, instead of novels")
    pages.add_argument("--wet", type=Path, help="a folder with WET files of yours, instead of novels")
    parser.add_argument("--steps", nargs=3, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.steps:
        print(json.dumps(steps(*arguments.steps)))
        return
    if not (arguments.models / "en.arpa.bin").is_file():
        train_models(arguments.models)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        if arguments.wet:
            folders = [arguments.wet]
        elif arguments.large:
            folders = [Path(name, "large")]
            folders[0].mkdir()
            write_large(folders[0])
        else:
            folders = [Path(name, kind) for kind in ("once", "twice")]
            for number, folder in enumerate(folders):
                folder.mkdir()
                for n in range(number + 1):
                    write_wet(folder / f"{n}.warc.wet.gz", n * 12)
        given = arguments.tokenizer, arguments.models
        end_to_end(folders[0], Path(name, "out"), *given)  # compiles bytecode, fills the page cache
        whole: list[list[float]] = [[] for _ in folders]
        alone: list[list[dict[str, tuple[float, int]]]] = [[] for _ in folders]
        for _ in range(arguments.turns):
            for number, folder in enumerate(folders):
                whole[number].append(end_to_end(folder, Path(name, "out"), *given))
                alone[number].append(steps_apart(folder, *given))
    show(whole, alone)


def show(whole: list[list[float]], alone: list[list[dict[str, tuple[float, int]]]]) -> None:
    print(f"{'alone':24}{'MB of text':>12}{'CPU s':>8}{'MB/s':>8}")
    for step in alone[0][0]:
        seconds = statistics.median(one[step][0] for one in alone[0])
        size = alone[0][0][step][1] / 1e6
        print(f"{step:24}{size:12.2f}{seconds:8.3f}{size / seconds:8.1f}")
    sums = [statistics.median(sum(one[0] for one in each.values()) for each in turns) for turns in alone]
    totals = [statistics.median(turns) for turns in whole]
    sizes = [turns[0]["read"][1] / 1e6 for turns in alone]
    rows = list(zip(["with its start"] * len(sizes), sizes, sums, totals))
    if len(rows) > 1:
        rows.append(("each further", sizes[1] - sizes[0], sums[1] - sums[0], totals[1] - totals[0]))
    print(f"\n{'end to end':24}{'MB of text':>12}{'CPU s':>8}{'MB/s':>8}{'steps alone':>14}{'share':>8}")
    for name, size, least, seconds in rows:
        print(f"{name:24}{size:12.2f}{seconds:8.3f}{size / seconds:8.2f}{least:14.3f}{least / seconds:8.0%}")


if __name__ == "__main__":
    main()
