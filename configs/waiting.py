"""Say what a command is doing whenever it would otherwise be silent for seconds.

On a terminal the live line counts the seconds. In a pipe or a log, a line is printed after `AFTER` seconds
and then once a minute.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from configs import terminal

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
    """Report `doing` while the block runs; the innermost block is the one that is reported."""
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


def counted(activity: str, items: Sequence[T]) -> Iterator[T]:
    """The items, while `activity` and how many of them are done is reported."""
    began, done = time.monotonic(), 0
    with waiting(lambda: (began, f"{activity}, {done:,} of {len(items):,}")):
        for item in items:
            yield item
            done += 1


def _report() -> None:
    """Until nothing is waited for: show the innermost activity and how long it has taken."""
    global _thread, _shown
    live = terminal.is_live()
    interval, shown_since = AFTER, 0.0  # `shown_since`: when the activity that was shown last began
    current, at = 0.0, 0.0  # when the activity at hand began, and when it became the innermost
    while True:
        with _changed:  # while it is held, no block can end
            _changed.wait(POLL)
            if not _stack:
                _thread = None
                return
            since, doing = _stack[-1]()
            now = time.monotonic()
            if since != current:
                current, at = since, now
            wanted = interval if since == shown_since else AFTER
            if doing and now - max(at, terminal.silent_since()) >= wanted:
                name, comma, done = doing.rpartition(", ")  # of `counted`: what, and how many are done
                end = f"{comma}{done}: {now - since:.0f} s" if comma else f": {now - since:.0f} s"
                text = f"relama: {name if comma else doing}"
                if live:
                    terminal.draw(terminal.fit_before(text, end, terminal.columns() - 1))
                else:
                    terminal.say(text + end)
                shown_since, interval, _shown = since, 1.0 if live else AGAIN, terminal.live_line()
