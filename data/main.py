"""`python data/main.py recipe=github input=…` or `relama prepare …`: parse, prepare, nothing else."""

import sys

from configs.load import entry, load
from data.errors import DataError
from data.prepare import PrepareConfig, prepare

LISTS = ("input", "licences", "languages", "cutoffs", "skip", "cited")


def run(argv: list[str]) -> None:
    prepare(load("prepare", PrepareConfig, [_as_list(word) for word in argv]))


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(DataError,))


def _as_list(word: str) -> str:
    """`input=a,b` in Hydra's words, `input=['a','b']`: any path can be given as the shell gives it."""
    key, equals, value = word.partition("=")
    if key not in LISTS or not equals or value.startswith("[") or value == "null":
        return word
    escaped = [part.replace("\\", "\\\\").replace("'", "\\'") for part in value.split(",") if part]
    return f"{key}=[" + ",".join(f"'{part}'" for part in escaped) + "]"


if __name__ == "__main__":
    sys.exit(main())
