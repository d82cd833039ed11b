"""Files of JSON lines that only grow, such as a run's starts and decisions: what a kill or a full disk tore
is passed over when they are read, and gone with the next line."""

import json
import os
from pathlib import Path


def append(path: Path, *lines: dict) -> None:
    """Add lines; returns when they are on the disk. A torn last line goes first. Raises OSError."""
    with open(path, "a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[dict]:
    """The objects of a file, whatever cannot be read left out; no file, no lines."""
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
