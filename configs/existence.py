"""`Path.exists`, `is_file` and `is_dir` as they were before Python 3.14, which takes every error for "no".

A network drive that does not answer must not make a checkpoint look as if it were missing. So use these where
a wrong "no" would lose work.
"""

import errno
import stat
from pathlib import Path

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP)


def exists(path: Path) -> bool:
    """Whether a path leads to something. Raises OSError if that cannot be told."""
    return _mode(path) is not None


def is_file(path: Path) -> bool:
    """Whether a path leads to a regular file. Raises OSError if that cannot be told."""
    return stat.S_ISREG(_mode(path) or 0)


def is_dir(path: Path) -> bool:
    """Whether a path leads to a folder. Raises OSError if that cannot be told."""
    return stat.S_ISDIR(_mode(path) or 0)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    except ValueError:  # a null byte in its name
        return None
