"""train/main.py with switches: a rank in whose process faults are on while a file of their name exists.

The files are in the folder that $CHAOS_SWITCHES names. wandb is one of our own, which logs nothing.
"""

import errno
import os
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

UNREADABLE, CLOCK, LOGGER = "unreadable", "clock", "logger"
FOLDER = "CHAOS_SWITCHES"


def main(argv: list[str]) -> int:
    switches = Path(os.environ[FOLDER])
    sys.modules["wandb"] = _wandb(switches / LOGGER)
    _patch_clock(switches / CLOCK)
    _patch_reads(switches / UNREADABLE)
    from train import main as entry  # after the clock was patched

    return entry.main(argv)


def _patch_reads(switch: Path) -> None:
    """Opening a file of a checkpoint fails."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and "/checkpoints/step-" in str(arguments[0]) and switch.exists():
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(arguments[0]))

    sys.addaudithook(hook)


def _patch_clock(switch: Path) -> None:
    """time.time() is off by the seconds in the file."""
    right = time.time

    def wrong() -> float:
        try:
            return right() + float(switch.read_text())
        except (OSError, ValueError):
            return right()

    time.time = wrong


def _wandb(switch: Path) -> ModuleType:
    """What Relama uses of wandb, raising while the switch is on."""

    def method(result: Any = None) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            if switch.exists():
                raise RuntimeError("wandb: the service is down")
            return result

        return call

    run = SimpleNamespace(log=method(), finish=method(), resumed=False, step=0)
    module = ModuleType("wandb")
    vars(module).update(Settings=method(), init=method(run))
    return module


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
