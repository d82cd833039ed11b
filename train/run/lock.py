"""One owner of a run's folder at a time: a lock, and a lease where locks do not reach.

`.lock` is locked with flock, which keeps off the processes of this machine, and those of others if the file
system carries locks to them. Many do not, so the owner also renews the lease in that file every BEAT seconds
(lease.py), and a process of another machine that gets the lock waits PATIENCE seconds for a sign of life.
The file belongs to the process whose id is in it: whoever takes a run over replaces the file.
"""

import fcntl
import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from train.config import RunError
from train.ranks import identity
from train.run import lease, views
from train.run.lease import Lease

NAME = ".lock"
WAIT = 15.0  # seconds for the workers of a killed run to exit
SEEN = 60.0  # seconds within which a network file system shows a new file to all machines


def hold(path: Path, patience: float = WAIT) -> Lease:
    """Own `path` until the lease is released. Raises RunError if another process has it, or without locks."""
    deadline = time.monotonic() + patience
    while True:
        handle = _locked(path, deadline)
        if not _is_still(path, handle):  # replaced while we waited for it
            handle.close()
            continue
        before = lease.read(handle)
        if before is None or not before.may_live(path, handle):
            return Lease.begin(path, handle)
        if not _has_gone(before, path):
            handle.close()
            raise RunError(
                f"{path.parent}: being trained by another process ({before.owner}); stop that one, or "
                "choose another run=NAME"
            )
        handle.close()
        path.unlink(missing_ok=True)  # if its owner wakes up, it finds that this is no longer its file


def refuse_unshared(path: Path, owner: str, host: str) -> None:
    """Raise RunError if `path` is not the lock that the first rank, on `host`, holds by the lease `owner`."""
    deadline = time.monotonic() + SEEN
    while not _is_of(path, owner):
        if time.monotonic() > deadline:
            raise RunError(
                f"{path.parent}: on {identity.node()} this is not the folder that the first rank has on "
                f"{host}; choose a run=PATH on a file system that all machines share"
            )
        time.sleep(0.1)


def _is_of(path: Path, owner: str) -> bool:
    try:
        found = lease.read_at(path)
    except PermissionError:  # it is there, and a folder of this machine's own would have none
        return True
    except OSError:
        return False
    return found is not None and found.id == owner


def _locked(path: Path, deadline: float) -> IO[str]:
    views.refuse_other_than_file(path)
    try:
        handle = lease.opened(path)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be opened ({error.strerror}); restore access, or {views.AWAY}"
        ) from None
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > deadline:
                owner = handle.readline(200).strip() or "unknown"
                handle.close()
                raise RunError(f"{path.parent}: being trained by another process ({owner})") from None
            time.sleep(0.2)
        except OSError as error:
            handle.close()
            raise RunError(
                f"{path.parent}: this file system has no locks ({error.strerror}); mount it with flock, "
                "or choose a run=PATH on another"
            ) from None


def _is_still(path: Path, handle: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False


def _has_gone(owner: lease.Owner, path: Path) -> bool:
    """Whether the owner gives no sign of life for as long as it takes to be sure."""
    identity.say(
        f"{path.parent}: {owner.owner} has not released this run; waiting {lease.PATIENCE:.0f} s for a sign "
        "of life from there"
    )
    pause = min(lease.BEAT / 2, lease.PATIENCE / 4)
    for _ in range(math.ceil(lease.PATIENCE / pause)):  # not by the clock, which goes on while suspended
        time.sleep(pause)
        with suppress(OSError):
            if lease.read_at(path) != owner:
                return False
    return True
