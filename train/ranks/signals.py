"""Signals that end a run after its current step: SIGINT, SIGTERM, SIGHUP, and SIGUSR1 from schedulers."""

import os
import signal
from contextlib import suppress

import torch
import torch.distributed as dist

from configs import terminal
from train.ranks import identity


class Signals:
    """Remembers the first such signal that this rank receives after its construction."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.received: int | None = None  # by this rank
        self.agreed: int | None = None  # the signal that ends the run, known to all ranks
        self.save = False  # this rank asks all to save after the step
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._receive)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # ignored under nohup
            signal.signal(signal.SIGHUP, self._receive)

    def has_one(self) -> bool:
        """Whether this rank has received one."""
        return self.received is not None

    def must_stop(self) -> bool:
        """Whether any rank has received one, the same on all ranks; all of them call it."""
        if self.agreed is None:
            received = torch.tensor(float(self.received or 0), device=self._device)
            dist.all_reduce(received, dist.ReduceOp.MAX)
            self.agreed = int(received.item()) or None
        return self.agreed is not None

    def _receive(self, number: int, _frame: object) -> None:
        # torchrun passes the terminal's Ctrl-C on, so it arrives twice. Otherwise a second one ends at once.
        again = signal.SIG_IGN if identity.under_torchrun() else signal.default_int_handler
        signal.signal(signal.SIGINT, again)
        if number == signal.SIGINT and self.received is None and identity.is_first():
            _answer("" if identity.under_torchrun() else "; again stops now")
        self.received = self.received or number


def _answer(more: str) -> None:
    """Say at once that this step is the last; it may take long. Not by `print`, which may be interrupted."""
    below = "\n" if terminal.is_live() else ""  # the live line and the terminal's ^C
    with suppress(OSError):  # nobody reads it
        os.write(2, f"{below}relama: stopping after this step{more}\n".encode())
