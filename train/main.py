"""`torchrun train/main.py model=7b data=mix`, or `relama train …` in one process: parse, begin the run."""

import sys

if __name__ == "__main__":
    from configs.interrupts import end_at_once

    end_at_once()

from configs.load import entry, load
from configs.waiting import starting
from data.errors import DataError
from model.formats.errors import FormatError
from train.config import RunError, TrainConfig
from train.ranks.allocator import raise_malloc_thresholds
from train.ranks.output import survive_broken_output


def run(argv: list[str]) -> int:
    config = load("train", TrainConfig, argv)
    with starting("train"):  # torch takes seconds, for which a refused key does not wait
        from train.begin import begin
    return begin(config, argv)


def main(argv: list[str] | None = None) -> int:
    survive_broken_output()
    raise_malloc_thresholds()
    return entry(run, argv, errors=(RunError, DataError, FormatError))


if __name__ == "__main__":
    sys.exit(main())
