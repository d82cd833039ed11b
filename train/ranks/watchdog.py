"""End a run that hangs, so that it can be restarted, and record what it was waiting for.

Every rank watches itself. Without progress for the allowed time, it writes the Python stacks of all its
threads (and on GPUs NCCL's flight recorder) to runs/NAME/hangs/ and exits. A C timer backs up the watching
thread, in case something holds the interpreter's lock. Time while the process itself is stopped (Ctrl-Z, a
debugger) does not count.
"""

import faulthandler
import importlib
import os
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

from configs import terminal
from train.ranks import identity

EXIT_CODE = 75  # sysexits' EX_TEMPFAIL
LONG = 10.0  # times the timeout, for the start, validation and saving
GRACE = 3.0  # seconds between the dump and the exit, in which the other ranks dump too
DUMP = 30.0  # seconds for the dump and GRACE, after which the process ends all the same
POLL = 1.0


def longest_wait(timeout: float) -> timedelta:
    """How long ranks may wait for one another, under a watchdog with this timeout (0: none).

    Longer than the watchdog lets anyone take, so that it is the one that ends a hang. By default, torch ends
    ranks after 30 minutes, while the first one may still download a checkpoint for them.
    """
    return timedelta(seconds=LONG * timeout + 60) if timeout else timedelta(days=1)


class Watchdog:
    """Call `beat` at every sign of progress. With timeout 0 it does nothing."""

    def __init__(self, folder: Path, rank: int, timeout: float) -> None:
        self._folder, self._rank, self._timeout = folder, rank, timeout
        self._closed = threading.Event()
        self._file = None
        self._doing, self._since, self._is_usual = "", 0.0, False
        self.beat("starting", LONG)
        if timeout:
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self, doing: str, patience: float = 1.0) -> None:
        """Report progress: now `doing`, which may take `patience` × the timeout."""
        now = time.monotonic()
        self._last = (now, doing, patience * self._timeout)
        if doing != self._doing:
            self._doing, self._since = doing, now
        self._is_usual = patience <= 1

    def beat_on(self) -> None:
        """Report progress with what was reported last."""
        _, doing, allowed = self._last
        self._last = (time.monotonic(), doing, allowed)

    def doing(self) -> tuple[float, str]:
        """Since when, and what, for configs/waiting.py; normal steps are not logged."""
        return self._since, "" if self._is_usual and not terminal.is_live() else self._doing

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        poll = min(POLL, self._timeout / 4)
        looked = excused = time.monotonic()
        while not self._closed.wait(poll):
            now = time.monotonic()
            last, doing, allowed = self._last
            last = max(last, excused)
            if now - looked > 4 * poll + 1:  # this process was stopped or starved
                excused = now
            elif now - last > allowed:
                self._end(doing, now - last)
            else:
                self._arm(allowed - (now - last) + 60)
            looked = now

    def _arm(self, seconds: float) -> None:
        try:
            if self._file is None and self._is_run_folder():
                self._folder.mkdir(exist_ok=True)
                self._file = open(self._folder / f"rank{self._rank}-locked.txt", "w")  # noqa: SIM115 - for C
        except OSError:
            pass  # a full disk: use stderr
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._file or sys.stderr)

    def _is_run_folder(self) -> bool:
        """Whether the folder is a run's yet; before that, nothing may be written to it."""
        return (self._folder.parent / ".lock").exists()

    def _end(self, doing: str, seconds: float) -> None:
        # What hangs may take the dump with it: a GPU, or the disk of the run folder.
        faulthandler.dump_traceback_later(DUMP, exit=True, file=sys.stderr)
        line = f"rank {self._rank}: no progress for {seconds:.0f} s ({doing})"
        where = "are above"
        try:
            if self._is_run_folder():
                where = f"are in {self._dump(line)}"
            else:
                faulthandler.dump_traceback(sys.stderr, all_threads=True)
        except OSError as error:
            where = f"could not be written ({error})"
        finally:
            print(
                f"relama: {line}; its stacks {where}; exiting, to be restarted "
                "(watchdog.timeout=0 turns this off)",
                file=sys.stderr,
                flush=True,
            )
            time.sleep(GRACE)
            _kill_the_stopped()
            os._exit(EXIT_CODE)

    def _dump(self, line: str) -> Path:
        stem = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-rank{self._rank}"
        path = self._folder / f"{stem}.txt"
        self._folder.mkdir(exist_ok=True)
        with open(path, "w") as file:
            file.write(line + "\n")
            file.flush()
            faulthandler.dump_traceback(file, all_threads=True)
        _dump_flight_recorder(self._folder / f"{stem}-nccl.pickle")
        return path


def _kill_the_stopped() -> None:
    """Kill this node's ranks held by SIGSTOP: they get no SIGTERM, and torchrun would wait 30 s."""
    if not identity.under_torchrun():
        return
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state == "T" and int(parent) == os.getppid():
                os.kill(int(path.parent.name), signal.SIGKILL)
        except (OSError, ValueError):
            continue  # gone already


def _dump_flight_recorder(path: Path) -> None:
    """Write what each of NCCL's collectives on this rank was doing, for torch's own tools."""
    import torch

    if torch.cuda.is_available() and torch.distributed.is_nccl_available():
        c10d = importlib.import_module("torch._C._distributed_c10d")
        path.write_bytes(c10d._dump_nccl_trace())  # in CUDA builds only; _dump_fr_trace is gloo's recorder
