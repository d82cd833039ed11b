"""How much of a paper's text is kept, and how much noise: `python benchmarks/recall/arxiv.py`.

The independent reader is pandoc: it expands macros, follows \\input, and gives the words of a paper without
its title, abstract, comments and markup. It reads the raw paper and the recipe's output (LaTeX) alike. Words
inside formulas count too. `--against CLONE` measures another version too.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

from common import SHARED, Figures, report, words

FOLDERS = {"1202.3665": "ms", "1603.07285": "conv_arithmetic", "1801.02634": "main", "1911.07688": "paper"}
ROWS = SHARED / "arxiv" / "data-juicer-arxiv.jsonl"
INPUTS = [*(SHARED / "arxiv" / name for name in FOLDERS), ROWS]
_SHORT = 1000  # characters of a row that is not a paper
# What the recipe leaves out by design; pandoc keeps it.
_BIBLIOGRAPHY = re.compile(r"\\begin\\{thebibliography\\}.*?\\end\\{thebibliography\\}", re.DOTALL)


def _words(latex: str, folder: Path | None = None) -> Counter[str] | None:
    """The words that pandoc reads, or None if it cannot parse this LaTeX."""
    command = ["pandoc", "--from=latex+latex_macros", "--to=plain", "--wrap=none"]
    latex = _BIBLIOGRAPHY.sub("", latex)
    done = subprocess.run(command, input=latex, cwd=folder, capture_output=True, text=True, timeout=120)
    return words(done.stdout) if done.returncode == 0 else None


@cache
def _papers() -> dict[tuple[str, int], Counter[str]]:
    """The words of each raw paper that pandoc can read."""
    found = {}
    for name, main in FOLDERS.items():
        folder = SHARED / "arxiv" / name
        found[str(folder), 0] = _words((folder / f"{main}.tex").read_text(errors="replace"), folder)
    for number, line in enumerate(ROWS.read_text().splitlines()):
        text = json.loads(line)["text"]
        if len(text) > _SHORT:
            found[str(ROWS), number] = _words(text)
    unread = [Path(file).name for (file, _), text in found.items() if text is None]
    if unread:
        print(
            f"pandoc cannot read {len(unread)} of {len(found)} papers ({', '.join(unread)})", file=sys.stderr
        )
    return {key: text for key, text in found.items() if text is not None}


def judge(documents: dict[tuple[str, int], str]) -> dict[str, Figures]:
    """Judge all papers."""
    figures = Figures()
    for key, expected in _papers().items():
        given = _words(documents.get(key, ""))
        if given is None:
            print(f"pandoc cannot read the output for {key}", file=sys.stderr)
            given = words(documents[key])
        figures.add(expected, expected, given)
    return {"papers": figures}


if __name__ == "__main__":
    report("arxiv", INPUTS, judge)
