"""One live line on stderr that says what is going on."""

import time

from configs import terminal


class Progress:
    """Shows `label: words`: a few times a second on a terminal, else after 5 seconds and then every 10."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._live = terminal.is_live()
        self.started = time.monotonic()
        self._next = self.started + (0.0 if self._live else 5.0)

    def show(self, words: str) -> None:
        """The state in passing; most calls return at once."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + (0.2 if self._live else 10.0)
            text = f"{self._label}: {words}"
            terminal.draw(text) if self._live else terminal.say(text)

    def say(self, words: str) -> None:
        """A state to keep on the screen."""
        terminal.say(f"{self._label}: {words}")
