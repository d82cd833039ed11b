"""Append-only files of JSON lines, such as a run's starts and decisions.

A line torn by a kill or a full disk is ignored when reading and removed when the next line is appended. A
last line that is complete but for its newline (an editor's doing) counts, and gets its newline.
"""

import errno
import json
import os
from pathlib import Path

from configs import regular_file
from configs.existence import exists, is_file
from train.run.schema import Schema, parse


def append(path: Path, *lines: dict) -> None:
    """Append lines, after removing a torn last line; returns once they are on disk. Raises OSError."""
    if exists(path) and not is_file(path):
        raise regular_file.NotAFile(errno.EINVAL, "a pipe or a device, expected a file")
    with open(path, "a+b") as file:
        if file.tell() > regular_file.CONTENT_BYTES:
            raise OSError(errno.EFBIG, "far larger than such a file can be; move it away", str(path))
        file.seek(0)
        before = file.read()
        end = before.rfind(b"\n") + 1
        lacks_newline = end < len(before) and _is_object(before[end:])
        if not lacks_newline:
            file.truncate(end)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        file.write(b"\n" * lacks_newline + text.encode())
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, schema: Schema) -> list[dict]:
    """The lines of a file that fit `schema`; empty if it cannot be read."""
    try:
        lines = split(path)
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(schema.parse(line))
        except ValueError:
            continue
    return found


def split(path: Path) -> list[bytes]:
    """The lines of a file without their newlines, the last one whether or not it has one. Raises OSError."""
    lines = regular_file.content(path).split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse(line), dict)
    except ValueError:
        return False
