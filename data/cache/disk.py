"""The cache on a local disk: sparse copies of shards, of bounded size, shared by any number of processes.

tokens/FINGERPRINT/  manifest.json  tokenizer.model  train-00000.bin (sparse)  train-00000.sums  …
There is no index. A block is present if its bytes have the right checksum, which every reader checks anyway.
So a kill, a torn write, a full disk, or another process freeing the block at the same time costs one more
read from the bucket, but never yields a wrong token.
"""

import ctypes
import fcntl
import os
import shutil
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

from configs.errors import FULL
from configs.existence import exists
from configs.sizes import binary
from data.cache import files
from data.errors import DataError

STRIPES = 128  # locks per store, so that processes do not fetch the same block at once
OPEN_FILES = 128
PAGE = 4096  # the smallest piece of a file that a disk allocates, in bytes
RECOUNT = 5.0  # seconds between two measurements of the space the cache takes
_KEEP_SIZE_PUNCH = 0x1 | 0x2  # Linux: FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE


class Disk:
    """The cache in `folder`, of at most `capacity` bytes."""

    def __init__(self, folder: Path, capacity: int) -> None:
        """Raises DataError if the folder cannot be written."""
        self.folder, self.capacity = folder / "tokens", capacity
        self._held: dict[str, IO[bytes]] = {}
        self._warned = False
        self._taken, self._counted = 0, -RECOUNT  # bytes, and when they were counted
        self._being_written = 0  # bytes that `used` may not include yet
        self._counting = threading.Lock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"cache.path={folder}: cannot be written ({error.strerror}); choose a folder on a local disk"
            ) from None

    def store(self, fingerprint: str) -> Path:
        """A store's folder, which other jobs will not remove while this process lives. Raises DataError."""
        folder = self.folder / fingerprint
        while fingerprint not in self._held:
            try:
                (folder / "locks").mkdir(parents=True, exist_ok=True)
                handle = open(folder / "in-use", "ab")  # noqa: SIM115 (held for life)
                fcntl.flock(handle, fcntl.LOCK_SH)
                os.utime(handle.fileno())
                if os.path.samestat(os.fstat(handle.fileno()), os.stat(folder / "in-use")):
                    self._held[fingerprint] = handle
            except FileNotFoundError:
                continue  # another job has just removed it
            except OSError as error:
                if error.errno in FULL:
                    raise
                raise DataError(
                    f"cache.path={self.folder.parent}: cannot be locked ({error.strerror}); choose a folder "
                    "on a local disk"
                ) from None
        return folder

    def used(self) -> int:
        """How many bytes the cache takes on the disk."""
        return sum(_disk_bytes(path) for path in self.folder.glob("*/*"))

    def taken(self) -> int:
        """About `used()`, recounted every few seconds because other processes share the cache."""
        with self._counting:
            if time.monotonic() - self._counted >= RECOUNT:
                self._taken, self._counted = self.used() + self._being_written, time.monotonic()
            return self._taken

    def refuse_too_little(self, needed: int) -> None:
        """Raise DataError if the disk lacks room that the cache may take and this run needs."""
        free = shutil.disk_usage(self.folder).free
        wanted = min(self.capacity, needed) - self.used()
        if wanted > free:
            raise DataError(
                f"cache.path={self.folder.parent}: only {binary(free)} are free, and the cache may "
                f"grow by {binary(wanted)}; make room, set cache.gib lower, or choose another disk"
            )

    def free_unused(self) -> bool:
        """Remove the oldest store that no living job reads; return whether there was one."""
        for folder in sorted(self.folder.iterdir(), key=_age):
            if folder.name in self._held:
                continue
            with suppress(OSError), open(folder / "in-use", "ab") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                self._counted = -RECOUNT
                return True
        return False

    def write(self, path: Path, offset: int, content: bytes, size: int) -> bool:
        """Write into the sparse file `path` of `size` bytes; return whether there was room."""
        self.taken()
        room = -(-len(content) // PAGE) * PAGE  # the space that `punch` gives back
        with self._counting:
            if self._taken + room > self.capacity:
                return False
            self._taken += room
            self._being_written += room
        try:
            file = _opened(path, size)
            os.pwrite(file.fileno(), content, offset)
        except OSError as error:
            if error.errno not in FULL:
                raise DataError(
                    f"cache.path: {path}: cannot be written ({error.strerror}); choose a local disk"
                ) from None
            self._warn_of_full()
            return False
        finally:
            with self._counting:
                self._being_written -= room
        return True

    def keep(self, path: Path, content: bytes) -> bool:
        """Write a small file, complete or not at all; return whether the disk had room. Raises DataError."""
        try:
            files.keep(path, content)
        except DataError as error:
            if not isinstance(error.__context__, OSError) or error.__context__.errno not in FULL:
                raise
            self._warn_of_full()
            return False
        return True

    def read(self, path: Path, offset: int, n_bytes: int, size: int) -> bytes:
        """Read from the sparse file; unwritten parts give zeros or, at its end, fewer bytes."""
        try:
            return os.pread(_opened(path, size).fileno(), n_bytes, offset)
        except OSError:
            return b""

    def punch(self, path: Path, offset: int, n_bytes: int) -> None:
        """Free a part of a sparse file. Raises DataError if the file system cannot do that."""
        if not exists(path):
            return
        with open(path, "r+b") as file, self._counting:  # a count in between would subtract it twice
            before = os.fstat(file.fileno()).st_blocks
            if _punch(file.fileno(), offset, n_bytes):
                self._taken += (os.fstat(file.fileno()).st_blocks - before) * 512
                return
        raise DataError(
            f"cache.path={self.folder.parent}: its file system cannot free parts of a file; choose a local "
            "disk (ext4, xfs, btrfs, tmpfs), or set cache.gib above the size of the tokens"
        )

    @contextmanager
    def claim(self, store: Path, key: str, kind: str = "") -> Iterator[None]:
        """Hold the lock for a part of a store, so that one process or thread fetches it and the others wait.

        A thread may hold two claims at once only if they are of different kinds, because keys share locks.
        """
        with open(store / "locks" / f"{kind}{zlib.crc32(key.encode()) % STRIPES}", "ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _warn_of_full(self) -> None:
        if not self._warned:
            self._warned = True
            print(
                f"relama: warning: {self.folder.parent}: the disk of the cache is full; tokens that it "
                "cannot keep are read from the bucket each time (make room, or set cache.gib lower)",
                file=sys.stderr,
                flush=True,
            )


def stretches(path: Path) -> Iterator[tuple[int, int]]:
    """The parts [low, high) of a sparse file that take disk space."""
    try:
        with open(path, "rb") as file:
            high, size = 0, os.fstat(file.fileno()).st_size
            while high < size:
                low = os.lseek(file.fileno(), high, os.SEEK_DATA)
                high = os.lseek(file.fileno(), low, os.SEEK_HOLE)
                yield low, high
    except OSError:
        return  # no such file, or no data after the last hole


@lru_cache(maxsize=OPEN_FILES)
def _file(path: Path, size: int) -> IO[bytes]:
    # A file object, because it closes only when no thread uses it; a number could be reused for another file.
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    file = open(handle, "r+b", buffering=0)  # noqa: SIM115 (the last reference closes it)
    if os.fstat(file.fileno()).st_size != size:
        os.ftruncate(file.fileno(), size)
    return file


_opening = threading.Lock()


def _opened(path: Path, size: int) -> IO[bytes]:
    with _opening:
        return _file(path, size)


def _punch(handle: int, offset: int, n_bytes: int) -> bool:
    if sys.platform != "linux":
        return False
    fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return fallocate(handle, _KEEP_SIZE_PUNCH, offset, n_bytes) == 0


def _disk_bytes(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def _age(folder: Path) -> float:
    try:
        return (folder / "in-use").stat().st_mtime
    except OSError:
        return 0.0
