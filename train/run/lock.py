"""One owner of a run's folder at a time."""

import fcntl
import os
import time
from pathlib import Path
from typing import IO

from train.config import RunError
from train.run import views

NAME = ".lock"


def hold(path: Path, patience: float = 15.0) -> IO[str]:
    """Hold `path` until the file is closed. A killed run's workers may take a moment to exit."""
    views.refuse_folder(path)
    try:
        handle = open(path, "a+", errors="replace")  # noqa: SIM115 - the lock lives as long as the file
    except OSError as error:
        raise RunError(
            f"{path}: cannot be opened ({error.strerror}); restore access, or {views.AWAY}"
        ) from None
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                handle.seek(0)
                owner = handle.read(200).strip() or "unknown"
                raise RunError(f"{path.parent}: being trained by another process ({owner})") from None
            time.sleep(0.2)
        except OSError as error:
            raise RunError(
                f"{path.parent}: this file system has no locks ({error.strerror}); mount it with flock, "
                "or choose a run=PATH on another"
            ) from None
    handle.truncate(0)
    handle.write(f"pid {os.getpid()} on {os.uname().nodename}\n")
    handle.flush()
    return handle
