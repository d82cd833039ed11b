"""Errors in preparing data: a fault in the data or the request, or a passing error of the machine."""

import errno
import time
from collections.abc import Callable

# Errors that a name or a file's content can cause. All others come from the machine, its disk or the network.
_NAMES = """EINVAL EISDIR ENOTDIR ENAMETOOLONG ELOOP EFBIG EILSEQ ERANGE EDOM EOVERFLOW ESPIPE EEXIST EBADF
E2BIG"""
_OF_THE_DATA = frozenset(getattr(errno, name) for name in _NAMES.split() if hasattr(errno, name))
PAUSES = (0.5, 2.0, 8.0)  # seconds before each new attempt


class DataError(Exception):
    """One line that names the file or key, what was expected and how to fix it."""


class OtherSettings(DataError):
    """The output already exists, made with other settings; says what differs, and what to do."""

    def __str__(self) -> str:
        return "; ".join(map(str, self.args))


class Unfit(Exception):
    """The compiled reader cannot use this model, or is not compiled; the model's library can."""


class PassingError(Exception):
    """A file cannot be read at the moment, for a reason that is not in the file."""


def is_passing(error: BaseException) -> bool:
    """Whether an error or one of its causes comes from the machine or the network, not from the data."""
    if isinstance(error, FileNotFoundError):  # a reader may look for a file that never existed
        return True
    cause: BaseException | None = error
    for _ in range(20):
        if cause is None:
            return False
        if isinstance(cause, OSError) and cause.errno and cause.errno not in _OF_THE_DATA:
            return True
        if isinstance(cause, MemoryError | TimeoutError | ConnectionError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def raise_passing(error: BaseException) -> None:
    """Re-raise a passing error, so that a reader does not count it as damage to its file."""
    if is_passing(error):
        raise error


def retried(work: Callable[[], None]) -> None:
    """Call `work`, and again after a pause if it raises PassingError; DataError after the last attempt."""
    for pause in (*PAUSES, None):
        try:
            return work()
        except PassingError as error:
            if pause is None:
                raise DataError(
                    f"{error}; none of its records were counted: fix the cause and run the same command again"
                ) from None
            time.sleep(pause)
