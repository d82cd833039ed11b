"""Finding books contained in others, stage by stage: `python benchmarks/containment.py`.

Books of made-up words with natural frequencies, every fifth an edition of the one before. One process on one
core; MB/s of text by CPU time, so that a busy machine does not distort it. Then the same on twice as many
books: speed and memory should not change.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from data.dedup import containment
from data.documents import Document, write_parts

WORDS, BOOK_WORDS = 50_000, 90_000  # a book is half a megabyte


def books(megabytes: float) -> Iterator[Document]:
    """Different books and some editions of them, with one word in a hundred changed."""
    draw = np.random.default_rng(0)
    letters = draw.choice(list("etaoinshrdlu"), (WORDS, 8))
    vocabulary = np.array(["".join(row[: 2 + place % 7]) for place, row in enumerate(letters)])
    size, number, words = 0, 0, np.zeros(0, int)
    while size < megabytes * 1e6:
        if number % 5 == 4:
            changed = draw.random(BOOK_WORDS) < 0.01
            words = np.where(changed, draw.integers(WORDS, size=BOOK_WORDS), words)
        else:
            words = (WORDS ** draw.random(BOOK_WORDS)).astype(int) - 1  # Zipf
        text = " ".join(vocabulary[words])
        size += len(text)
        yield Document(f"books:{number}", "books", text, "made up", number)
        number += 1


def measure(megabytes: float) -> None:
    """One line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "text").mkdir()
        files = write_parts(books(megabytes), work / "text")
        runs = [work / f"run-{place}" for place in range(len(files))]
        clock = [time.process_time()]
        for file, run in zip(files, runs):
            containment.sketch(file, run)
        clock.append(time.process_time())
        parts = containment.n_partitions(runs)
        counts = [work / f"counts-{part}" for part in range(parts)]
        for part, out in enumerate(counts):
            containment.candidates(runs, part, parts, out)
        clock.append(time.process_time())
        containment.measure(files, runs, counts, 0, 1, work / "measured")
        gone = len(containment.decide(runs, [work / "measured"]))
        clock.append(time.process_time())
        disk = sum(path.stat().st_size for run in runs for path in run.iterdir())
    sketched, paired, measured = (megabytes / (stop - start) for start, stop in pairwise(clock))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{megabytes:9.0f} | {sketched:6.1f} | {paired:10.1f} | {measured:7.1f} | {gone:4d} "
        f"| {disk / megabytes / 1e6:12.2f} | {peak:8.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=60)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.megabytes)
        return
    print(
        "  MB text | sketch | candidates | measure | gone | disk/text, ×  | peak MiB   (MB/s per core)",
        flush=True,
    )
    for size in (arguments.megabytes, 2 * arguments.megabytes):
        subprocess.run([sys.executable, __file__, "--one", f"--megabytes={size}"], check=True)


if __name__ == "__main__":
    main()
