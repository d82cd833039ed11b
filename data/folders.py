"""Files and folders that appear complete or not at all, and one owner at a time while they are made.

Everything is written next to its place and renamed into it once it is on the disk: what a killed process
leaves behind has another name, and the next one throws it away.
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
    """An empty folder next to `folder`, to be filled and then given to `commit`."""
    temporary = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    return temporary


def commit(temporary: Path, folder: Path) -> None:
    """Put `temporary` in the place of `folder`, its contents safely on the disk first."""
    sync_tree(temporary)
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def commit_once(temporary: Path, folder: Path) -> None:
    """Put `temporary` in the place of `folder`, unless another process was first with the same."""
    sync_tree(temporary)
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(temporary)
    sync(folder.parent)


@contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """A path to write a file to; after the block it is on the disk and takes the place of `path`.

    If the block raises, `path` is as before. `temporary` is for tasks that may run twice (`own`).
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a file's name")
    temporary = temporary or path.with_name(path.name + ".tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_whole(path: Path, text: str) -> None:
    """Write a small text file that is either there with all of its content, or not. Raises OSError."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path`; the lock is released when this process ends, however it ends.

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
    """Whether this names something directly in a folder: it cannot lead out of it."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set("/\\\0") & set(name)


def own(path: Path) -> Path:
    """A name next to `path` for this process alone: on a cluster a task may run twice at once."""
    return path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")


def sync_tree(folder: Path) -> None:
    """Put a folder and everything in it on the disk."""
    for path in [*sorted(folder.rglob("*")), folder]:
        sync(path)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
