"""The exceptions of this room: wrong data or a wrong request, and a failure that may pass."""

import errno

# Of the machine, the disk or the network; no content of a file causes them.
_NAMES = """EIO ESTALE EACCES EPERM EMFILE ENFILE ENOMEM EAGAIN EBUSY EINTR ENOENT ENODEV ENXIO EROFS ENOSPC
EDQUOT ETIMEDOUT ECONNRESET ECONNREFUSED ECONNABORTED EPIPE ENOTCONN ESHUTDOWN ENETDOWN ENETUNREACH ENETRESET
EHOSTDOWN EHOSTUNREACH ENOLINK EREMOTEIO"""
_PASSING = frozenset(getattr(errno, name) for name in _NAMES.split() if hasattr(errno, name))


class DataError(Exception):
    """One line that names the file or key, what was expected and how to fix it."""


def is_passing(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, comes from the machine or the network, not from the data."""
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _PASSING:
            return True
        if isinstance(error, MemoryError | TimeoutError | ConnectionError):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def raise_passing(error: BaseException) -> None:
    """Raise `error` again if it may pass, so that a reader does not count it as damage of its file."""
    if is_passing(error):
        raise error
