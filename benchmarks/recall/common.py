"""Shared by the recall benchmarks: documents from this tree or another, words, and the table.

Recall: the share of the words that an independent reader calls text that the recipe outputs. Noise: the share
of the recipe's output that the reader does not call text. Every occurrence of a word counts.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
_WORD = re.compile(r"[^\W\d_]+|\d+")  # letters and figures apart: "H2O" and "H₂O" are three words either way
_READ = """
import importlib, json, sys
from pathlib import Path
recipe = importlib.import_module("data.sources." + sys.argv[1])
for path in map(Path, sys.argv[2:]):
    for record in recipe.read(path):
        document = record if hasattr(record, "reason") else recipe.clean(record)
        if not hasattr(document, "reason"):
            print(json.dumps([document.file, document.record, document.text]))
"""


@dataclass
class Figures:
    """Counts of words, over all records."""

    expected: int = 0  # words that the reader calls text
    found: int = 0  # of these, words in the documents
    given: int = 0  # words in the documents
    foreign: int = 0  # of these, words that the reader does not call text

    def add(self, text: Counter[str], allowed: Counter[str], given: Counter[str]) -> None:
        """Count one record: its text, everything that may be called text, and the recipe's output."""
        self.expected += text.total()
        self.found += (text & given).total()
        self.given += given.total()
        self.foreign += (given - allowed).total()

    def row(self, name: str) -> str:
        """One line of the table."""
        recall = 100 * self.found / max(1, self.expected)
        noise = f"{self.given:,} | {100 * self.foreign / self.given:.2f} %" if self.given else "– | –"
        return f"| {name} | {self.expected:,} | {recall:.2f} % | {noise} |"


HEAD = "| | words of text | come out | words given | not text |\n|---|---:|---:|---:|---:|"


def words(text: str) -> Counter[str]:
    """Each word in lower case, and its number of occurrences."""
    return Counter(_WORD.findall(text.lower()))


def documents(tree: Path, source: str, inputs: list[Path]) -> dict[tuple[str, int], str]:
    """The output of the recipe of the clone in `tree`, by file name and record number."""
    command = [sys.executable, "-c", _READ, source, *map(str, inputs)]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {(file, number): text for file, number, text in rows}


def report(
    source: str, inputs: list[Path], judge: Callable[[dict[tuple[str, int], str]], dict[str, Figures]]
) -> None:
    """Print the table for this tree and, with --against CLONE, for another."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", type=Path, help="a clone of another version, measured first")
    given = parser.parse_args()
    missing = [path for path in inputs if not path.exists()]
    if missing:
        parser.error(f"the real samples are not on this machine ({missing[0]})")
    print(HEAD)
    for name, tree in {"before": given.against, "now": ROOT}.items():
        if tree is not None:
            for part, figures in judge(documents(tree, source, inputs)).items():
                print(figures.row(f"{source}, {part}, {name}"), flush=True)
