"""Finds the file of unfinished work that cannot be read: a disk lost its content, or somebody changed it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from data.errors import DataError

OPENERS: dict[str, Callable[[Path], Any]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".npy": lambda path: np.load(path, mmap_mode="r"),
    ".parquet": pq.read_metadata,
}


@contextmanager
def named(work: Path) -> Iterator[None]:
    """If the block fails over a damaged file below `work`, raise a DataError that names it."""
    try:
        yield
    except (ValueError, TypeError, LookupError, EOFError):
        if path := _damaged(work):
            raise DataError(f"{path}: damaged; delete {work} and run the same command again") from None
        raise


def _damaged(work: Path) -> Path | None:
    for path in sorted(work.rglob("*")):
        if path.suffix in OPENERS and path.parent.name != "live":  # files in live/ may be half-written
            try:
                OPENERS[path.suffix](path)
            except (ValueError, EOFError):
                return path
    return None
