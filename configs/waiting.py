"""Say what a command is doing whenever it would otherwise be silent for seconds.

On a terminal the live line counts the seconds. In a pipe or a log, a line is printed after `AFTER` seconds
and then once a minute.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from configs import terminal
from configs.interrupts import importing

AFTER = 4.0  # seconds of silence
AGAIN = 60.0  # seconds between lines in a log
POLL = 0.5  # seconds

T = TypeVar("T")
Doing = Callable[[], tuple[float, str]]  # since when (time.monotonic), and what; an empty text: say nothing

_stack: list[Doing] = []
_changed = threading.Condition()
_thread: threading.Thread | None = None
_shown = ""  # the live line that this file drew last


@contextmanager
def waiting(doing: str | Doing) -> Iterator[None]:
    """Report `doing` while the block runs: the innermost block that has taken long is the one reported."""
    global _thread
    began = time.monotonic()
    entry: Doing = (lambda: (began, doing)) if isinstance(doing, str) else doing
    with _changed:
        _stack.append(entry)
        if _thread is None:
            _thread = threading.Thread(target=_report, name="waiting", daemon=True)
            _thread.start()
    try:
        yield
    finally:
        with _changed:
            _stack.remove(entry)
            _changed.notify_all()
            if _shown and terminal.live_line() == _shown:
                terminal.clear()


@contextmanager
def starting(verb: str) -> Iterator[None]:
    """Report that a verb starts while the block imports its modules."""
    gc.disable()
    known = len(sys.modules)
    try:
        with importing(), waiting(f"starting {verb}") if terminal.is_live() else nullcontext():
            yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()  # what imports create stays alive, so the garbage collector need never search it
        gc.enable()


def counted(activity: str, items: Sequence[T]) -> Iterator[T]:
    """The items, while `activity` and how many of them are done is reported."""
    began, done = time.monotonic(), 0
    with waiting(lambda: (began, f"{activity}, {done:,} of {len(items):,}")):
        for item in items:
            yield item
            done += 1


def _report() -> None:
    """Show the current activity and how long it has taken, until nothing is waited for."""
    global _thread, _shown
    live = terminal.is_live()
    again = 1.0 if live else AGAIN
    told: dict[float, float] = {}  # when an activity began, and when it was last shown
    while True:
        with _changed:  # while it is held, no block can end
            _changed.wait(POLL)
            if not _stack:
                _thread = None
                return
            now = time.monotonic()
            since, doing = _reported(now)
            wanted = again if since in told else AFTER
            if doing and now - max(since, terminal.silent_since(), told.get(since, 0.0)) >= wanted:
                name, comma, done = doing.rpartition(", ")  # of `counted`: what, and how many are done
                end = f"{comma}{done}: {now - since:.0f} s" if comma else f": {now - since:.0f} s"
                text = f"relama: {name if comma else doing}"
                if live:
                    terminal.draw(terminal.fit_before(text, end, terminal.columns() - 1))
                else:
                    terminal.say(text + end)
                told[since], _shown = now, terminal.live_line()


def _reported(now: float) -> tuple[float, str]:
    """The innermost activity that has taken long: short ones do not hide what they are part of."""
    activities = [doing() for doing in reversed(_stack)]
    long = (one for one in activities if one[1] and now - one[0] >= AFTER)
    return next(long, (now, ""))
