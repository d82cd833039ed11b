"""A step's metrics: to the live line, metrics.jsonl and the loggers.

A line of metrics.jsonl has step, loss, grad_norm, lr, tokens, tokens_per_second (over all the time since
the previous line), tokens_per_second_computing (without waiting for data, validation and checkpoints),
peak_flops (of all ranks) and mfu, the share of it (both null if unknown), memory_gib (peak), epochs per
source, seconds by stretch (`communication`, on the steps that are profiled for it, overlaps the others), and
validation and evaluation after a step that had one.
"""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from configs import terminal
from train.config_groups import LoggerConfig
from train.loggers.chosen import Loggers
from train.loggers.follow import Position
from train.metrics.progress_line import ProgressLine
from train.run.schema import finite

UNKNOWN = -1  # where the file ended, if this process has not written there


class Journal:
    """metrics.jsonl, the live line and the loggers; only rank 0 has one."""

    def __init__(
        self, path: Path, steps: int, logger: LoggerConfig, run_config: dict[str, Any], at: Position
    ) -> None:
        self._path = path
        self._unwritten: list[str] = []  # lines for which the disk had no room
        self._open()
        self._progress = ProgressLine(steps)
        self._loggers = Loggers(logger, path, run_config, at)

    def _open(self) -> None:
        self._file = open(self._path, "a+b", buffering=0)  # noqa: SIM115 - held for the run
        self._end = self._file.seek(0, os.SEEK_END)

    def reopen(self, at: Position) -> None:
        """The run has rewound and the file was replaced: append to the new one.

        Lines that wait are of steps that were taken back.
        """
        self._unwritten.clear()
        self._open()
        self._loggers.moved(at)

    def write(self, line: dict) -> None:
        self._unwritten.append(json.dumps(finite(line)) + "\n")
        self._write_out()
        self._loggers.wrote()
        self._progress.show(line)
        for sentence in _sentences(line):
            self.say(sentence)

    def settle(self) -> bool:
        """Flush; returns whether all lines are on disk. A checkpoint that outlived them would leave a gap."""
        if self._unwritten:
            self._write_out()
        try:
            os.fsync(self._file.fileno())
        except OSError:
            return False
        return not self._unwritten

    def _write_out(self) -> None:
        """Write all waiting lines. If the disk is full they keep waiting; no line is left half-written."""
        self._reopen_if_replaced()
        before = self._file.seek(0, os.SEEK_END)
        separator = self._separator(before)
        whole = separator + "".join(self._unwritten).encode()
        try:
            written = self._file.write(whole)
            if written < len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._file.truncate(before)
            self._end = UNKNOWN if separator else before
            if len(self._unwritten) == 1:
                self.say(f"warning: {self._path}: {error.strerror}; training continues, and the lines wait")
        else:
            self._unwritten.clear()
            self._end = before + written

    def _separator(self, end: int) -> bytes:
        """What to write before a new line if somebody else changed the file, which now ends at `end`."""
        if end < self._end:
            self.say(
                f"warning: {self._path}: cut short while this run trains ({self._end - end:,} bytes are "
                "lost); new lines are added to it"
            )
        if end == self._end or end == 0:
            return b""
        self._file.seek(-1, os.SEEK_END)
        return b"" if self._file.read(1) == b"\n" else b"\n"

    def _reopen_if_replaced(self) -> None:
        """If an editor replaced the file, or a person removed it, open the path again."""
        try:
            if os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
                return
        except FileNotFoundError:
            if not self._path.parent.is_dir():  # the folder is away, and this file with it
                return
        except OSError:  # a transient error proves nothing
            return
        try:
            replaced = open(self._path, "a+b", buffering=0)  # noqa: SIM115 - held for the run
        except OSError:
            return
        self._file.close()
        self._file, self._end = replaced, UNKNOWN
        self.say(
            f"warning: {self._path}: replaced or removed while this run trains; new lines are added to it"
        )

    def say(self, text: str) -> None:
        """Print a line above the live line."""
        terminal.say(text)

    def close(self, failed: bool = False) -> None:
        terminal.keep()
        self._file.close()
        self._loggers.close(failed)


def _sentences(line: dict) -> Iterator[str]:
    """What a line of metrics reports as text: held-out losses, exposed communication, slow ranks."""
    step, seconds = line["step"], line.get("seconds", {})
    if "validation" in line:
        parts = (
            f"{source}: loss {result['loss']:.4f}, {result['bits_per_byte']:.4f} bits/byte "
            f"({result['sequences']:,} of {result['of_sequences']:,} sequences)"
            for source, result in line["validation"].items()
        )
        yield f"held out after step {step}: " + "; ".join(parts)
    if line.get("evaluation"):
        scores = ", ".join(f"{task} {score:.4g}" for task, score in line["evaluation"].items())
        yield f"evaluated after step {step}: {scores}"
    if "communication" in seconds:
        share = seconds["communication"] / (seconds["total"] or 1)
        yield f"step {step}: {share:.1%} of it was communication not hidden by computation"
    for rank, times in line.get("ranks", {}).get("slow", {}).items():
        yield f"slow: {rank} computes at 1/{times} of the usual speed; all others wait for it"
    for rank, waited in line.get("ranks", {}).get("starved", {}).items():
        yield f"slow: {rank} waited {waited} s for its data since the last comparison; all others wait for it"
