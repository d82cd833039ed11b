"""Ctrl-C as one line and exit code 130, also while a program imports or ends.

A KeyboardInterrupt that is raised within an import may reach C code, which prints a traceback of its own or
turns it into another error. Before and after a verb runs, nothing is unfinished, so the process may end at
once; in between, `configs.load.entry` catches KeyboardInterrupt.
"""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130  # a shell's exit code for a command that Ctrl-C ended
LINE = "\nrelama: interrupted\n"


def end_at_once() -> None:
    """From now on Ctrl-C prints one line and ends this process, unless it is ignored or handled otherwise."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_again() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def importing() -> Iterator[None]:
    """Within the block, which imports modules, Ctrl-C ends this process at once."""
    is_main = threading.current_thread() is threading.main_thread()  # only that one may set handlers
    if is_main:
        end_at_once()
    try:
        yield
    finally:
        if is_main:
            raise_again()


def end_on_sigterm(code: int, line: str) -> None:
    """From now on SIGTERM prints `line` and ends this process with `code`; call it before any work starts.

    Without a handler, a container's first process would not notice the signal.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        os.write(1, line.encode())
        os._exit(code)

    signal.signal(signal.SIGTERM, end)


@contextmanager
def held() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block. Processes started in it never receive it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # which a new process inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
        if seen:
            signal.raise_signal(signal.SIGINT)


def interrupted() -> int:
    """Print one line (on the first rank of a machine) and return the exit code. A second Ctrl-C kills."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if speaks():
        print(LINE, end="", file=sys.stderr, flush=True)
    return INTERRUPTED


def _end(_number: int, _frame: FrameType | None) -> None:
    if speaks():
        os.write(2, LINE.encode())  # print may be at work in the interrupted code
    os._exit(INTERRUPTED)


@atexit.register
def _ignore() -> None:
    """Ignore Ctrl-C: Python restores the default handler as it ends, and that would kill a finished verb."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def speaks() -> bool:
    """Whether this is the rank that prints for its machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
