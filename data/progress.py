"""One live status line on stderr."""

import time

from configs import terminal


class Progress:
    """Shows `label: message`: a few times a second on a terminal, else after 5 seconds, then every 10."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._live = terminal.is_live()
        self.started = time.monotonic()
        self._next = self.started + (0.0 if self._live else 5.0)

    def show(self, message: str) -> None:
        """Show the current state; most calls return immediately."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + (0.2 if self._live else 10.0)
            text = f"{self._label}: {terminal.printable(message)}"
            terminal.draw(text) if self._live else terminal.say(text)

    def say(self, message: str) -> None:
        """Print a message that stays on the screen."""
        terminal.say(f"{self._label}: {terminal.printable(message)}")
