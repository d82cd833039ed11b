"""Read files that somebody else, or the repair of a disk, may have made.

A pipe would block forever, a device would never end, and a file may hold terabytes of zeros in no space.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from configs.sizes import binary

CONTENT_BYTES = 1 << 31  # of a file that is read at once
FILE_BYTES = 1 << 36  # of one that is read line by line
LINE_BYTES = 1 << 20


class NotAFile(OSError):
    """A pipe, a socket or a device, where a file was expected."""


def opened(path: Path) -> BinaryIO:
    """A regular file, to be read; links are followed. Raises NotAFile, or another OSError (EFBIG)."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for its writer
    status = os.fstat(number)
    kind = status.st_mode
    if stat.S_ISREG(kind) and status.st_size <= FILE_BYTES:
        return os.fdopen(number, "rb")
    os.close(number)
    if stat.S_ISREG(kind):
        raise OSError(errno.EFBIG, f"larger than {binary(FILE_BYTES)}", str(path))
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise NotAFile(errno.EINVAL, "a pipe or a device, expected a file", str(path))


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Add the file's name to an OSError from the block: errors of reading and writing have none."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise


def lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; one longer than LINE_BYTES comes in pieces, and only the last has the newline."""
    while line := file.readline(LINE_BYTES):
        yield line


def content(path: Path, limit: int = CONTENT_BYTES) -> bytes:
    """A regular file's bytes. Raises as `opened` does, and OSError (EFBIG) if it has more than `limit`."""
    with opened(path) as file, named(path):
        if os.fstat(file.fileno()).st_size > limit:
            raise OSError(errno.EFBIG, f"larger than {binary(limit)}", str(path))
        return file.read()
