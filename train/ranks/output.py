"""Standard output and error that cannot end a run: output that cannot be written is dropped.

The reader of a pipe may go away (`| head`), or a log's disk may be full; neither may end training.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


def survive_broken_output() -> None:
    """Replace sys.stdout and sys.stderr; called once, before anything is printed."""
    sys.stdout = _Surviving(sys.stdout)  # pyright: ignore[reportAttributeAccessIssue] - delegates the rest
    sys.stderr = _Surviving(sys.stderr)  # pyright: ignore[reportAttributeAccessIssue] - delegates the rest


@contextmanager
def outlived_reader() -> Iterator[None]:
    """Within the block, a closed pipe on standard output raises nothing; a full disk still does."""
    known = sys.stdout
    sys.stdout = _Surviving(known, only_pipes=True)  # pyright: ignore[reportAttributeAccessIssue] - as above
    try:
        yield
    finally:
        sys.stdout = known


def has_reader() -> bool:
    """Whether standard output may still have a reader."""
    return not getattr(sys.stdout, "has_lost_its_reader", False)


class _Surviving:
    """A text stream whose writes never fail; with `only_pipes`, a closed pipe is all that is ignored."""

    def __init__(self, stream: TextIO, *, only_pipes: bool = False) -> None:
        self._stream, self._only_pipes = stream, only_pipes
        self.has_lost_its_reader = False

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            self._drop(error)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._drop(error)

    def _drop(self, error: OSError | ValueError) -> None:
        """A reader that left does not return: write to nowhere from now on. A disk may have room again."""
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            self.has_lost_its_reader = True
            with suppress(OSError), open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
        elif self._only_pipes:
            raise error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
