"""`python data/main.py recipe=github input=…` or `relama prepare …`: parse, prepare, nothing else."""

import os
import sys

from configs.load import entry, load, quoted
from data.errors import DataError
from data.prepare.source import PrepareConfig, prepare

LISTS = ("input", "licences", "languages", "cutoffs", "skip", "cited")


def run(argv: list[str]) -> None:
    prepare(load("prepare", PrepareConfig, [_as_list(word) for word in argv]))


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(DataError,))


def _as_list(word: str) -> str:
    """`input=a,b` in Hydra's words, `input=['a','b']`: any path can be given as the shell gives it.

    A path that is there is one path, with its commas.
    """
    key, equals, value = word.partition("=")
    if key not in LISTS or not equals or value.startswith("[") or value == "null":
        return word
    parts = [value] if os.path.exists(value) else value.split(",")
    return f"{key}=[" + ",".join(quoted(part) for part in parts if part) + "]"


if __name__ == "__main__":
    sys.exit(main())
