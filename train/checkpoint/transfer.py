"""A run's checkpoints in a bucket, object by object: put, read back and compared; downloaded and checked.

URL/checkpoints/step-000123/…  A checkpoint is complete if its state.json, which vouches for its other files,
is there: it is uploaded last, and removed first.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import xxhash

from data import folders
from data.bucket import Bucket
from data.tokens.store import checksum
from train.checkpoint.folder import damage, delete, read_state, step_folder
from train.config import RunError

PIECE = 8 << 20  # bytes of a read
PART = 8 << 20  # bytes that a bounded upload sends at once
TRIES = 3  # of a download with a wrong checksum
STATE = "state.json"


def place(step: int) -> str:
    """A checkpoint's name in the bucket."""
    return f"checkpoints/{step_folder(Path(), step).name}"


class Sender:
    """Puts objects into a bucket, within a bandwidth limit until `closing` is set. Raises DataError."""

    def __init__(self, bucket: Bucket, upload_mbps: float | None, closing: threading.Event) -> None:
        """`upload_mbps`: most megabits per second, for an upload and for reading it back; None: no bound."""
        self._bucket, self._closing = bucket, closing
        self._rate = upload_mbps * 1e6 / 8 if upload_mbps else None  # bytes/s

    def put(self, path: Path, name: str, entry: dict | None) -> None:
        """Upload a file, then read it back and compare: with its size and checksum in `entry`, if known."""
        if entry is None:
            return self.put_bytes(path.read_bytes(), name)

        def put(fs: Any, goal: str) -> None:
            fs.makedirs(goal.rpartition("/")[0], exist_ok=True)
            if self._rate is None:
                fs.put_file(str(path), goal)
            else:
                self._put_slowly(path, fs, goal)
            digest = xxhash.xxh3_128()
            for low in range(0, entry["bytes"], PIECE):
                begin, high = time.monotonic(), min(low + PIECE, entry["bytes"])
                digest.update(fs.cat_file(goal, start=low, end=high))
                self._pause(high - low, begin)
            if digest.hexdigest() != entry["xxh3"]:
                raise OSError("what was uploaded differs from the file")

        self._bucket.ask(name, put)

    def put_bytes(self, content: bytes, name: str) -> None:
        def put(fs: Any, goal: str) -> None:
            fs.makedirs(goal.rpartition("/")[0], exist_ok=True)
            fs.pipe_file(goal, content)
            if fs.cat_file(goal) != content:
                raise OSError("what was uploaded differs from the file")

        self._bucket.ask(name, put)

    def remove(self, name: str) -> None:
        def remove(fs: Any, goal: str) -> None:
            fs.invalidate_cache()
            if not fs.exists(goal):
                return
            try:
                fs.rm(goal, recursive=True)
            except Exception:  # some servers cannot remove many at once; other failures occur again below
                fs.invalidate_cache()
                for path in fs.find(goal):
                    fs.rm_file(path)

        self._bucket.ask(name, remove)

    def _put_slowly(self, path: Path, fs: Any, goal: str) -> None:
        part = max(PART, path.stat().st_size // 9000)  # S3 takes 10,000 at most
        with path.open("rb") as source, fs.open(goal, "wb", block_size=part) as sink:
            while piece := source.read(PIECE):
                begin = time.monotonic()
                sink.write(piece)
                self._pause(len(piece), begin)

    def _pause(self, n_bytes: int, begin: float) -> None:
        """Wait until `n_bytes` since `begin` are within the limit, or until `closing` is set."""
        if self._rate is not None:
            self._closing.wait(max(0.0, n_bytes / self._rate - (time.monotonic() - begin)))


def remote_steps(bucket: Bucket) -> list[int]:
    """The steps of the complete checkpoints of a run in a bucket, oldest first."""
    return [step for step in begun_steps(bucket) if bucket.exists(f"{place(step)}/{STATE}")]


def newest_remote_state(bucket: Bucket) -> dict | None:
    """The state of the newest checkpoint of a run in a bucket, skipping damaged states; None without one."""
    with tempfile.TemporaryDirectory() as folder:
        found = (
            _download_state(bucket, place(step), Path(folder)) for step in reversed(remote_steps(bucket))
        )
        return next((state for state in found if state), None)


def begun_steps(bucket: Bucket) -> list[int]:
    """The steps that the bucket has any file of, oldest first."""
    names = [name for name in bucket.names("checkpoints") if name.startswith("step-")]
    return sorted(int(name[5:]) for name in names if name[5:].isdecimal())


def download_step(
    bucket: Bucket,
    name: str,
    final: Path,
    refuse: Callable[[dict], None] = lambda state: None,
    before_commit: Callable[[], None] = lambda: None,
) -> bool:
    """Download the checkpoint `name` to the folder `final`; returns whether it is intact.

    `refuse` gets its state before anything else is downloaded, and raises if it is not wanted.
    `before_commit` is called once the files have proved intact, before the folder `final` exists.
    """
    aside = final.with_name(f"{final.name}.download.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        state = _download_state(bucket, name, aside)
        if state is None:
            return False
        refuse(state)
        if not _download_files(bucket, name, aside, state["files"]):
            return False
        before_commit()
        delete(final)  # damaged, or it would not be downloaded
        folders.commit_once(aside, final)
        return True
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _download_files(bucket: Bucket, name: str, aside: Path, files: dict[str, dict]) -> bool:
    """Download a checkpoint's files to `aside`; returns whether it is intact. `files`: state.json's facts."""
    try:
        for file in bucket.names(name):
            if file != STATE and folders.is_plain(file):
                _download_file(bucket, f"{name}/{file}", aside / file, files.get(file))
        return not damage(aside)
    except (RunError, FileNotFoundError):
        return False


def _download_state(bucket: Bucket, name: str, aside: Path) -> dict | None:
    """The checkpoint's state; None if it is missing or damaged in every try."""
    for _ in range(TRIES):  # a server may lie once
        with suppress(RunError, FileNotFoundError):
            (aside / STATE).write_bytes(bucket.read(f"{name}/{STATE}"))
            return read_state(aside)
    return None


def _download_file(bucket: Bucket, name: str, path: Path, facts: dict | None) -> None:
    """Download a file, again if its checksum differs from that in `facts` (state.json's)."""
    for _ in range(TRIES if facts else 1):
        download(bucket, name, path)
        if facts and checksum(path) == facts["xxh3"]:
            return


def download(bucket: Bucket, name: str, path: Path) -> None:
    """Copy an object to a file, in pieces. Raises DataError or FileNotFoundError."""
    size = bucket.size(name)
    with path.open("wb") as file:
        for low in range(0, size, PIECE):
            file.write(bucket.read(name, low, min(low + PIECE, size)))
