"""Send a run's metrics to a logger from a thread: one that fails or hangs neither ends nor delays training.

metrics.jsonl is authoritative. A follower reads it as `tail -f` does and gives the logger each line once, in
order. When a run resumes or rewinds, and after a failure, the logger says up to which step it holds the
history, and the follower continues there. So a logger has no gaps, even if it was down for a day or was
chosen in the middle of a run.
"""

import json
import math
import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from configs.redact import redact
from train.ranks import identity

PAUSE = 300.0  # seconds before the first new attempt; then twice as long, and so on
PATIENCE = 30.0  # seconds that the end of a run waits for a logger
BATCH = 100  # lines sent at once

Values = dict[str, float]  # metrics by name, such as "validation/c4/loss"
_STEP = re.compile(rb'\{"step": (\d+)')  # how the journal begins a line


@dataclass(frozen=True)
class Position:
    """Where a run continues: after step `kept`, having rewound `rewinds` times since its first step."""

    kept: int
    rewinds: int


class Logger(Protocol):
    """A place for metrics. Its methods may raise anything; one thread calls them."""

    def open(self, at: Position) -> int:
        """Connect, or reconnect after a failure; returns the last step that need not be logged.

        Steps after `at.kept` are trained again: to the same values, unless the run has rewound since.
        """
        ...

    def log(self, lines: list[tuple[int, Values]]) -> None:
        """Log steps with their values, in order."""
        ...

    def close(self, failed: bool) -> None:
        """Send what is left; the run has ended, or failed."""
        ...


class Follower:
    """The thread that sends a metrics.jsonl to one logger."""

    def __init__(self, name: str, logger: Logger, metrics: Path, at: Position) -> None:
        self._name, self._logger, self._metrics = name, logger, metrics
        self._changed = threading.Condition()
        self._at, self._is_open = at, False
        self._news, self._closing = True, False
        self._warned = self._failed = False
        self._file: BinaryIO | None = None
        self._sent = 0  # the last step that the logger has
        self._thread = threading.Thread(target=self._follow, name=f"logger {name}", daemon=True)
        self._thread.start()

    def wrote(self) -> None:
        """The file has new lines."""
        with self._changed:
            self._news = True
            self._changed.notify()

    def moved(self, at: Position) -> None:
        """The run has rewound, and the file was replaced."""
        with self._changed:
            self._at, self._is_open, self._news = at, False, True
            self._changed.notify()

    def closing(self, failed: bool) -> None:
        """The run has ended: send what is left, once."""
        with self._changed:
            self._closing, self._failed = True, failed
            self._changed.notify()

    def wait(self, seconds: float) -> None:
        """Wait up to `seconds` until all is sent; the thread ends with the process."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._warn("not everything was sent in time")

    def _follow(self) -> None:
        pause, is_last = PAUSE, False
        while not is_last:
            is_last = self._closing  # read before the work: what is written later is not missed
            try:
                self._send()
                if is_last:
                    self._logger.close(self._failed)
            except Exception as error:  # no error of a logger may end training
                self._is_open = False
                self._warn(_reason(error))
                self._rest(pause)
                pause *= 2
            else:
                pause = PAUSE
                self._rest(None)

    def _rest(self, pause: float | None) -> None:
        """Wait for news, or after a failure for `pause` seconds; the run's end cuts either short."""
        with self._changed:
            if pause is None:
                self._changed.wait_for(lambda: self._news or self._closing)
            else:
                self._changed.wait_for(lambda: self._closing, pause)
            self._news = False

    def _send(self) -> None:
        with self._changed:
            at, must_open = self._at, not self._is_open
            self._is_open = True
        if must_open:
            self._read_again()
            self._sent = self._logger.open(at)
        elif self._is_other():
            self._read_again()  # steps up to `_sent` are passed over
        batch: list[tuple[int, Values]] = []
        assert self._file is not None
        for step, line in _lines(self._file):
            if step <= self._sent:
                continue
            batch.append((step, values(json.loads(line))))
            if len(batch) == BATCH:
                self._give(batch)
                batch = []
        if batch:
            self._give(batch)

    def _read_again(self) -> None:
        if self._file:
            self._file.close()
        self._file = open(self._metrics, "rb")  # noqa: SIM115 - held between calls

    def _is_other(self) -> bool:
        """Whether somebody replaced the file, or cut it off before the position reached in it."""
        assert self._file is not None
        mine = os.fstat(self._file.fileno())
        try:
            is_replaced = not os.path.samestat(mine, self._metrics.stat())
        except FileNotFoundError:  # until the next line is written
            return False
        return is_replaced or mine.st_size < self._file.tell()

    def _give(self, batch: list[tuple[int, Values]]) -> None:
        self._logger.log(batch)
        self._sent = batch[-1][0]

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            on = "" if self._closing else f"training continues, {self._name} is tried again, and "
            identity.say(f"warning: {self._name}: {reason.rstrip('.')}; {on}metrics.jsonl has all metrics")


def _reason(error: Exception) -> str:
    words = " ".join(redact(str(error)).split()) or type(error).__name__
    return f"{words} (pip install -e '.[loggers]')" if isinstance(error, ImportError) else words


def values(line: dict) -> Values:
    """The numbers in a line of metrics.jsonl, by the names that all loggers use.

    Nested keys are joined by `/`; characters other than letters, digits, `_`, `-`, `.` and `/` become `_`. A
    loss that is not finite is NaN; an unknown figure has no value; a decision to skip is `decision/skip`.
    """
    found: Values = {}
    for name, value in _flat({key: value for key, value in line.items() if key != "step"}):
        if value is None and (name in ("loss", "grad_norm") or name.startswith("validation/")):
            found[name] = math.nan
        elif isinstance(value, str):
            found[f"{name}/{value}"] = 1.0
        elif isinstance(value, int | float):
            found[name] = float(value)
    return {re.sub(r"[^\w./-]+", "_", name, flags=re.ASCII): value for name, value in found.items()}


def _flat(tree: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines after the file's position, with their steps; an unfinished last one is left for later."""
    while line := file.readline():
        if not line.endswith(b"\n"):
            file.seek(-len(line), 1)
            return
        with suppress(ValueError, KeyError, TypeError):  # a damaged line
            found = _STEP.match(line)
            yield int(found[1]) if found else int(json.loads(line)["step"]), line
