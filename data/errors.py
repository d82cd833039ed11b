"""What can go wrong here: the user's data or request, or an error of the machine that may pass."""

import errno
import time
from collections.abc import Callable

# Of the machine, the disk or the network; no content of a file causes them.
_NAMES = """EIO ESTALE EACCES EPERM EMFILE ENFILE ENOMEM EAGAIN EBUSY EINTR ENODEV ENXIO EROFS ENOSPC EDQUOT
ETIMEDOUT ECONNRESET ECONNREFUSED ECONNABORTED EPIPE ENOTCONN ESHUTDOWN ENETDOWN ENETUNREACH ENETRESET
EHOSTDOWN EHOSTUNREACH ENOLINK EREMOTEIO"""
_PASSING = frozenset(getattr(errno, name) for name in _NAMES.split() if hasattr(errno, name))
PAUSES = (0.5, 2.0, 8.0)  # seconds before each new attempt


class DataError(Exception):
    """One line that names the file or key, what was expected and how to fix it."""


class PassingError(Exception):
    """A file cannot be read now, for a reason outside of it."""


def is_passing(error: BaseException) -> bool:
    """Whether an error, or one that led to it, comes from the machine or the network, not from the data."""
    if isinstance(error, FileNotFoundError):  # a reader may look for a file in vain, and go on
        return True
    cause: BaseException | None = error
    for _ in range(20):
        if cause is None:
            return False
        if isinstance(cause, OSError) and cause.errno in _PASSING:
            return True
        if isinstance(cause, MemoryError | TimeoutError | ConnectionError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def raise_passing(error: BaseException) -> None:
    """Raise `error` again if it may pass: a reader must not count it as damage to its file."""
    if is_passing(error):
        raise error


def retried(work: Callable[[], None]) -> None:
    """Do `work`, again after a pause if it raises PassingError; DataError if it still does in the end."""
    for pause in (*PAUSES, None):
        try:
            return work()
        except PassingError as error:
            if pause is None:
                raise DataError(
                    f"{error}; nothing of it was counted: fix the cause and run the same command again"
                ) from None
            time.sleep(pause)
