"""Folders that appear whole or not at all, and one owner at a time while they are made.

Everything is written in a folder beside its place and renamed into it once it is on the disk:
what a killed run leaves behind has another name, and the next run throws it away.
"""

import fcntl
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import DataError


def aside(folder: Path) -> Path:
    """An empty folder beside `folder`, to be filled and then given to `commit`."""
    temporary = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    return temporary


def commit(temporary: Path, folder: Path) -> None:
    """Put `temporary` in the place of `folder`, its contents safely on the disk first."""
    for path in [*sorted(temporary.rglob("*")), temporary]:
        sync(path)
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """Write a small text file that is either there with all of its content, or not. Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a file's name")
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path`; it is let go when this process ends, however it ends.

    If another process holds it: with `waiting`, call that once and wait; without, raise DataError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise DataError(f"{path.parent}: another process is preparing this folder") from None
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_plain(name: object) -> bool:
    """Whether this is the name of something directly in a folder: no way to lead out of it."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set("/\\\0") & set(name)


def own(path: Path) -> Path:
    """A name beside `path` for this process alone: on a cluster a task may run twice at once."""
    return path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
