"""Does TeX set the same words with a paper's macros expanded? `python benchmarks/recall/tex.py`.

The papers are those that TeX Live ships as examples of its classes (Debian: texlive-publishers-doc,
texlive-latex-recommended-doc), or the subfolders of `--folder`. Each is set twice, as written and with its
body's macros expanded, and pdftotext reads the words of both. A definition in the body is gone once it is
expanded, so a class that calls what the body defines differs. Needs pdflatex and pdftotext.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = Path("/usr/share/doc/texlive-doc/latex")
BEGIN = "\\begin{document}"
SECONDS = 40  # for one run of TeX

sys.path.insert(0, str(ROOT))
from data.documents import Record  # noqa: E402
from data.sources.arxiv.encoding import as_tex_reads  # noqa: E402
from data.sources.arxiv.families import written_out  # noqa: E402
from data.sources.arxiv.latex.comments import strip_comments  # noqa: E402
from data.sources.arxiv.latex.macros import TooMuch, expand  # noqa: E402
from data.sources.arxiv.latex.verbatim import declared  # noqa: E402
from data.sources.arxiv.papers import read_folder  # noqa: E402


def both(latex: str) -> tuple[str, str] | None:
    """A paper without comments, and with its body's macros expanded; None if it is not LaTeX of one piece."""
    latex = as_tex_reads(latex)
    verbatim = declared(latex)
    written = written_out(strip_comments(latex, verbatim=verbatim), verbatim)
    try:
        expanded, _ = expand(written, verbatim)
    except TooMuch:
        return None
    preamble, begin, _ = written.partition(BEGIN)
    _, expanded_begin, body = expanded.partition(BEGIN)
    return (written, preamble + BEGIN + body) if begin and expanded_begin else None


def words_set(folder: Path, name: str, latex: str) -> list[str] | None:
    """The words that TeX sets, or None if it makes no PDF."""
    (folder / f"{name}.tex").write_text(latex, errors="surrogateescape")
    command = ["pdflatex", "-interaction=nonstopmode", "-no-shell-escape", name]
    try:
        for _ in range(2):  # the second run knows the labels
            subprocess.run(command, cwd=folder, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None
    if not (folder / f"{name}.pdf").exists():
        return None
    done = subprocess.run(["pdftotext", "-layout", f"{name}.pdf", "-"], cwd=folder, capture_output=True)
    return done.stdout.decode(errors="replace").replace(name, "NAME").split()


def papers(folders: list[Path]) -> Iterator[tuple[Path, Record]]:
    for folder in folders:
        for record in read_folder(folder):
            if isinstance(record, Record):
                yield folder, record


def judged(source: Path, record: Record) -> str:
    """How a paper compares: equal, different, or why there is nothing to compare."""
    texts = both(record.text)
    if texts is None:
        return "not LaTeX, or macros explode"
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "paper"
        shutil.copytree(source, copy, ignore_dangling_symlinks=True)
        folder = (copy / str(record.meta["main"])).parent
        written = words_set(folder, "as-written", texts[0])
        expanded = words_set(folder, "expanded", texts[1]) if written else None
    if not written:
        return "TeX does not set it"
    if expanded is None:
        return "TeX does not set it expanded"
    if expanded == written:
        return "equal"
    changes = SequenceMatcher(None, written, expanded, autojunk=False).get_opcodes()
    shown = [(written[i:j], expanded[k:m]) for tag, i, j, k, m in changes if tag != "equal"][:3]
    print(f"{source.name}, {record.meta['main']}: {shown}")
    return "different"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, default=DOCUMENTS, help="a folder with a folder for each paper"
    )
    arguments = parser.parse_args()
    missing = [program for program in ("pdflatex", "pdftotext") if shutil.which(program) is None]
    folders = sorted(path for path in arguments.folder.glob("*") if path.is_dir())
    if missing or not folders:
        parser.error(
            f"needs pdflatex, pdftotext and papers in {arguments.folder}; missing: {missing or 'papers'}"
        )
    counts = Counter(judged(*paper) for paper in papers(folders))
    print("\n| papers | |\n|---|---:|")
    for name, count in counts.most_common():
        print(f"| {name} | {count} |")


if __name__ == "__main__":
    main()
