"""One live line on stderr that says what is going on."""

import sys
import time


class Progress:
    """Shows `label: words`, at most a few times a second on a terminal, else every ten seconds."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._live = sys.stderr.isatty()
        self.started = time.monotonic()
        self._next = self.started + (0.0 if self._live else 10.0)

    def show(self, words: str) -> None:
        """The state in passing; most calls return at once."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + (0.2 if self._live else 10.0)
            self._write(words, "\r" if self._live else "\n")

    def say(self, words: str) -> None:
        """A state to keep on the screen."""
        self._write(words, "\n")

    def _write(self, words: str, end: str) -> None:
        clear = "\x1b[2K" if self._live else ""
        print(f"{clear}{self._label}: {words}", end=end, file=sys.stderr, flush=True)
