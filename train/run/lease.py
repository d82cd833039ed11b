"""The lease of a run's folder: renewed by its owner, and checked by everyone who wants to take it over.

In: the open, locked `.lock`, which names its owner and counts the owner's beats. Out: whether the folder is
still this process's. It may be moved, renamed or removed while the run trains, or taken over by a process on
another machine if this one was suspended for a while.
"""

import fcntl
import os
import re
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from configs import terminal
from configs.existence import exists, is_dir

BEAT = 5.0  # seconds between two signs of life
PATIENCE = 30.0  # seconds without one, after which an owner counts as dead
FORGOTTEN = 600.0  # seconds since the last one, after which nobody waits for the next
EXIT_CODE = 75  # sysexits' EX_TEMPFAIL
_TEXT = re.compile(r"(pid \d+ on .{1,300})\nid ([0-9a-f]{32}) of ([\w:-]{1,100}) file (\d+) beat (\d+)\n")


@dataclass(frozen=True)
class Owner:
    """Who holds a lease, as its file says."""

    owner: str  # for people
    id: str  # of this one start
    machine: str
    inode: int  # of the lease's file: a copy of it has another
    beat: int

    def may_live(self, path: Path, handle: IO, within: float | None = None) -> bool:
        """Whether the owner may still be training although this process has the lock.

        Only if it signed in the last `within` seconds (default: FORGOTTEN), on another machine (locks hold
        between processes of one machine), in this very file (not one that was copied with its folder).
        """
        status = os.fstat(handle.fileno())
        if self.machine == this_machine() or self.inode != status.st_ino:
            return False
        return _now_there(path) - status.st_mtime < (FORGOTTEN if within is None else within)


class Lease:
    """This process's lease, renewed by a thread until it is released."""

    def __init__(self, path: Path, handle: IO[str]) -> None:
        self._path, self._handle, self.id = path, handle, uuid.uuid4().hex  # of this start
        self._beats, self._is_away = 0, False
        self._released, self._changing = threading.Event(), threading.RLock()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    @classmethod
    def begin(cls, path: Path, handle: IO[str]) -> "Lease":
        """Sign the locked file at `path` and keep renewing."""
        lease = cls(path, handle)
        lease._sign()
        lease._thread.start()
        return lease

    def problem(self) -> str | None:
        """Why nothing may be written to the folder now; None if it is in place and still this process's.

        If another process took the lease, this process exits at once: it must not write another byte.
        """
        found = None
        try:
            found = read_at(self._path)
        except FileNotFoundError:
            pass
        except OSError:  # a transient error proves nothing
            return None
        if found is not None and found.id == self.id:
            return None
        if (now := self._moved_to()) is not None:
            return f"{self._path.parent}: moved to {now} while this run trains; move it back"
        if not is_dir(self._path.parent):
            return f"{self._path.parent}: removed while this run trains; restore it"
        if found is None and self._signed_again():
            return None
        self._end(found.owner if found else "unknown")

    def release(self) -> None:
        """Release the folder. The file remains: deleting it would race with the next owner."""
        self._released.set()
        with self._changing:
            with suppress(OSError):  # at worst, the next owner waits for this one in vain
                os.truncate(self._handle.fileno(), len(_process()))
            self._handle.close()

    def _renew(self) -> None:
        while not self._released.wait(BEAT):
            try:
                problem = self.problem()  # before signing: of two that sign a new run, the last wins
                self._sign()
            except (OSError, ValueError):  # a transient error; or just released
                continue
            if problem and not self._is_away:
                terminal.say(
                    f"relama: warning: {terminal.printable(problem)}; training continues, "
                    "but nothing can be saved"
                )
            elif self._is_away and not problem:
                terminal.say(f"relama: {self._path.parent} is back")
            self._is_away = problem is not None

    def _sign(self) -> None:
        """Write who owns the file, and the next beat: in place, because the path may lead to another file."""
        with self._changing:
            number = self._handle.fileno()
            inode = os.fstat(number).st_ino
            whose = f"id {self.id} of {this_machine()} file {inode} beat {self._beats:012d}\n"
            text = _process() + whose.encode()
            os.pwrite(number, text, 0)
            if self._beats == 0:  # after the write: a reader in between must not find it free
                os.truncate(number, len(text))
            os.fsync(number)  # network file systems show it to others only then
            self._beats += 1

    def _moved_to(self) -> str | None:
        """Where the folder is now, if it was moved or renamed; None if not, or not known."""
        try:
            with self._changing:  # the other thread may be taking the lease again
                if self._handle.closed:  # just released
                    return None
                now = os.readlink(f"/proc/self/fd/{self._handle.fileno()}")
            is_elsewhere = Path(now) != self._path.parent.resolve() / self._path.name
            return str(Path(now).parent) if is_elsewhere and exists(Path(now)) else None
        except OSError:
            return None

    def _signed_again(self) -> bool:
        """Retake a lease that was deleted or overwritten; False if another process holds the file."""
        with self._changing:
            if self._released.is_set():
                return True
            handle = opened(self._path)
            if os.path.samestat(os.fstat(handle.fileno()), os.fstat(self._handle.fileno())):
                handle.close()
            else:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    handle.close()
                    return False
                self._handle.close()
                self._handle = handle
            self._beats = 0
        self._sign()
        return True

    def _end(self, owner: str) -> NoReturn:
        terminal.say(
            f"relama: error: {self._path.parent}: taken over by another process "
            f"({terminal.printable(owner)}), because this one gave no sign of life or its lock was removed; "
            "nothing more is written here"
        )
        os._exit(EXIT_CODE)


def opened(path: Path, flags: int = os.O_CREAT) -> IO[str]:
    """The lease's file, to read and to write in place. Raises OSError."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o666), "r+", errors="replace")


def read(handle: IO) -> Owner | None:
    """Who owns an open lease; None if it was released, or is of a version without leases."""
    found = _TEXT.match(os.pread(handle.fileno(), 1000, 0).decode(errors="replace"))
    return found and Owner(found[1], found[2], found[3], int(found[4]), int(found[5]))


def read_at(path: Path) -> Owner | None:
    """Who owns the lease at `path`; None if it was released or is garbage. Raises OSError."""
    with opened(path, 0) as handle:  # opening makes a network file system ask its server again
        return read(handle)


def this_machine() -> str:
    """This machine's name and boot: a restart gives it another."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{re.sub('[^a-zA-Z0-9-]', '-', os.uname().nodename)}:{boot}"


def _process() -> bytes:
    """The first line of a lease; without the second, it was released."""
    return f"pid {os.getpid()} on {os.uname().nodename}\n".encode()


def _now_there(path: Path) -> float:
    """The present time by the clock that stamps files next to `path`."""
    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()
