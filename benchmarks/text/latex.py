"""LaTeX to text, compared with two libraries on one core: `python benchmarks/text/latex.py`.

The papers are ../shared/data/arxiv, repeated. Ours reads them from arXiv's packaging (a bulk tar of .gz),
finds the main files, follows inputs, and cleans; pylatexenc only walks the nodes of the same files, and
arxiv-latex-cleaner only removes comments and marked environments. They take turns.
"""

import argparse
import gzip
import io
import logging
import os
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from arxiv_latex_cleaner import arxiv_latex_cleaner as cleaner
from pylatexenc.latexwalker import LatexWalker

from data.documents import Record
from data.sources.arxiv import recipe as arxiv
from data.sources.arxiv.latex.comments import strip_comments
from data.sources.arxiv.latex.macros import expand
from data.sources.arxiv.recipe import clean_latex

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "arxiv"
SETTINGS = {"commands_to_delete": [], "commands_only_to_delete": [], "environments_to_delete": []}


def bulk_tar(folders: list[Path], copies: int, path: Path) -> None:
    """Write the folders as papers of a bulk tar."""
    with tarfile.open(path, "w") as bulk:
        for number in range(copies):
            for place, folder in enumerate(folders):
                inner = io.BytesIO()
                with tarfile.open(fileobj=inner, mode="w") as tar:
                    for file in sorted(folder.rglob("*.tex")):
                        tar.add(file, str(file.relative_to(folder)))
                content = gzip.compress(inner.getvalue())
                member = tarfile.TarInfo(f"0704/0704.{number * len(folders) + place:04d}.gz")
                member.size = len(content)
                bulk.addfile(member, io.BytesIO(content))


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def ours(path: Path) -> list:
    return [arxiv.clean(item) if isinstance(item, Record) else item for item in arxiv.read(path)]


def libraries(texts: list[str]) -> dict[str, Callable[[], object]]:
    return {
        "pylatexenc: nodes walked": lambda: [
            LatexWalker(text, tolerant_parsing=True).get_latex_nodes() for text in texts
        ],
        "arxiv-latex-cleaner: comments out": lambda: [
            cleaner._remove_comments_and_commands_to_delete(text.splitlines(keepends=True), SETTINGS)
            for text in texts
        ],
        "ours: comments out": lambda: [strip_comments(text) for text in texts],
        "ours: comments out, macros expanded": lambda: [expand(strip_comments(text)) for text in texts],
        "ours: all of cleaning": lambda: [clean_latex(text) for text in texts],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--copies", type=int, default=10, help="of the samples, for our own turns")
    arguments = parser.parse_args()
    if not SHARED.is_dir():
        parser.error(f"the real samples are not on this machine ({SHARED})")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    logging.disable(logging.WARNING)
    folders = sorted(path for path in SHARED.iterdir() if path.is_dir())
    texts = [path.read_text() for folder in folders for path in sorted(folder.rglob("*.tex"))]
    size = sum(len(text.encode()) for text in texts)
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "arXiv_src_0704_001.tar"
        bulk_tar(folders, arguments.copies, path)
        runs = libraries(texts)
        label_of_ours = f"ours: tar in, documents out (×{arguments.copies})"
        for _ in range(arguments.turns):
            for label, work in runs.items():
                best[label] = min(best.get(label, 1e9), seconds(work))
            best[label_of_ours] = min(
                best.get(label_of_ours, 1e9), seconds(lambda: ours(path)) / arguments.copies
            )
        kept = len(ours(path))
    print(
        f"{size / 1e6:.2f} MB of LaTeX in {len(texts)} files of {len(folders)} papers; one core, CPU time,"
        f" best of {arguments.turns}; {kept} documents from the tar"
    )
    print(f"{'':42}{'MB/s':>8}")
    for label, spent in best.items():
        print(f"{label:42}{size / 1e6 / spent:8.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MiB, the libraries' included; target: ours at least 1 MB/s")


if __name__ == "__main__":
    main()
