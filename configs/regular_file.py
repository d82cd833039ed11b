"""Read files that somebody else may have made: a pipe would block forever, a device would never end."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotAFile(OSError):
    """A pipe, a socket or a device, where a file was expected."""


def opened(path: Path) -> BinaryIO:
    """A regular file, to be read; links are followed. Raises NotAFile, or another OSError."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for its writer
    kind = os.fstat(number).st_mode
    if stat.S_ISREG(kind):
        return os.fdopen(number, "rb")
    os.close(number)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise NotAFile(errno.EINVAL, "a pipe or a device, expected a file", str(path))


def content(path: Path, limit: int | None = None) -> bytes:
    """A regular file's bytes. Raises as `opened` does, and OSError (EFBIG) if it has more than `limit`."""
    with opened(path) as file:
        if limit is not None and os.fstat(file.fileno()).st_size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit >> 20} MiB", str(path))
        return file.read()
