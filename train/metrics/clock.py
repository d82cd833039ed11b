"""Where a step's time went, by name."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

STALLS = ("data", "validate", "checkpoint", "certificate")  # stretches of a step in which no model computes


class Clock:
    """The time since `restart`: in total, and by named stretches."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._start = time.perf_counter()
        self.spent: dict[str, float] = {}  # seconds by stretch

    @contextmanager
    def stretch(self, name: str) -> Iterator[None]:
        """Add the time inside to `name`, without that of stretches nested in it."""
        begin, before = time.perf_counter(), sum(self.spent.values())
        try:
            yield
        finally:
            nested = sum(self.spent.values()) - before
            self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - begin - nested

    def total(self) -> float:
        """Seconds since the last restart."""
        return time.perf_counter() - self._start
