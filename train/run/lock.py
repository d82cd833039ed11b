"""One owner of a run's folder at a time: a lock, and a lease where locks do not reach.

The owner locks `.lock` with flock. That keeps out the processes of this machine, and those of other machines
if the file system shares locks between them. Many do not, so the owner also renews a lease in that file every
BEAT seconds (lease.py), and a process on another machine that gets the lock waits PATIENCE seconds for a sign
of life. The file belongs to the process whose id is in it: whoever takes a run over replaces the file.
"""

import errno
import fcntl
import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from configs.existence import exists
from train.config import RunError
from train.ranks import identity
from train.run import lease, views
from train.run.lease import Lease

NAME = ".lock"
WAIT = 15.0  # seconds for the workers of a killed run to exit
SEEN = 60.0  # seconds within which a network file system shows a new file to all machines
LOCAL = ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "ext3", "f2fs", "zfs")  # file systems of one machine


def hold(path: Path, patience: float = WAIT) -> Lease:
    """Own `path` until the lease is released.

    Raises RunError if another process owns it, or if the file system has no locks.
    """
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


def is_shared(path: Path, owner: str) -> bool:
    """Whether `path` is the first rank's lock, with its lease id `owner`: then the folder is the same one."""
    deadline = time.monotonic() + (0.0 if _is_on_a_local_disk(path) else SEEN)
    while not _is_of(path, owner):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _is_on_a_local_disk(path: Path) -> bool:
    """Whether Linux says that the file system is this machine's alone, where new files appear at once."""
    try:
        there = next(parent for parent in (path, *path.absolute().parents) if exists(parent))
        device = there.stat().st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return any(fields[2] == number and fields[fields.index("-") + 1] in LOCAL for fields in mounts)
    except OSError:
        return False


def _is_of(path: Path, owner: str) -> bool:
    try:
        found = lease.read_at(path)
    except PermissionError:  # the lock exists; a folder of this machine's own would have none yet
        return True
    except OSError:
        return False
    return found is not None and found.id == owner


def _locked(path: Path, deadline: float) -> IO[str]:
    views.refuse_other_than_file(path)
    try:
        handle = lease.opened(path)
    except OSError as error:
        if not os.path.lexists(path) or error.errno == errno.EROFS:
            raise  # the folder is at fault, not the file
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
    """Whether the owner gives no sign of life for PATIENCE seconds."""
    identity.say(
        f"{path.parent}: {owner.owner} has not released this run; waiting {lease.PATIENCE:.0f} s for a sign "
        "of life from there"
    )
    pause = min(lease.BEAT / 2, lease.PATIENCE / 4)
    for _ in range(math.ceil(lease.PATIENCE / pause)):  # not by the clock, which runs on while suspended
        time.sleep(pause)
        with suppress(OSError):
            if lease.read_at(path) != owner:
                return False
    return True
