"""Append-only files of JSON lines, such as a run's starts and decisions.

A line torn by a kill or a full disk is ignored when reading and removed when the next line is appended.
"""

import json
import os
from pathlib import Path


def append(path: Path, *lines: dict) -> None:
    """Append lines, after removing a torn last line; returns once they are on disk. Raises OSError."""
    with open(path, "a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[dict]:
    """The JSON objects in a file, without lines that cannot be read; empty if there is no file."""
    try:
        texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for text in texts:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            found.append(line)
    return found
