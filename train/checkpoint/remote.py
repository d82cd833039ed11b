"""Copies of a run's checkpoints in a bucket: uploaded in the background, downloaded where a disk has none.

URL/  owner.json  config.yaml  metrics.jsonl  …  checkpoints/step-000123/…
A checkpoint's state.json, which vouches for its other files, is uploaded last, after those were read back and
compared: an upload that is killed anywhere leaves the one before. The first rank uploads for all, from the
run folder, which all ranks share. Nothing here stops training once it has begun.
"""

import json
import os
import shutil
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import xxhash

from data import folders
from data.cache.bucket import Bucket
from data.errors import DataError
from data.tokens.store import TOKENIZERS, checksum
from train.checkpoint.folder import complete_steps, damage, read_state, step_folder
from train.config import RunError
from train.ranks import identity

OWNER, OURS = "owner.json", "remote.json"  # at the URL: its run; in the run folder: its URL
# Small files of the run folder. A run resumes without them too, but with a shorter history.
FILES = (
    "config.yaml",
    "metrics.jsonl",
    "decisions.jsonl",
    "order.json",
    *TOKENIZERS,
    "tokenizer_config.json",
)
PIECE = 8 << 20  # bytes of a read
PART = 8 << 20  # bytes that a bounded upload sends at once
TRIES = 3  # of a download with a wrong checksum
AGAIN = 60.0  # seconds before a failed upload is made again
_STATE = "state.json"


class Remote:
    """The copies of the run in `folder` at `url`. The first rank constructs one."""

    def __init__(
        self, url: str, folder: Path, *, keep: int, keep_every: int, upload_mbps: float | None = None
    ) -> None:
        """`upload_mbps`: most megabits per second, for an upload and for reading it back; None: no bound.

        Raises RunError if the URL cannot be opened or belongs to another run.
        """
        self.url, self._folder, self._checkpoints = url, folder, folder / "checkpoints"
        self._keep, self._keep_every = keep, keep_every
        self._rate = upload_mbps * 1e6 / 8 if upload_mbps else None  # bytes/s
        self._session = uuid.uuid4().hex
        self._wanted = threading.Event()  # something may be missing at the URL
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_warned = False
        try:
            self._bucket = Bucket(url)
            self._id = self._refuse_another_run()
        except DataError as error:
            raise RunError(f"checkpoint.remote: {error}") from None

    def restore(self) -> None:
        """Download the newest checkpoint, if it is newer than what the run folder has. Raises RunError."""
        try:
            here = max(complete_steps(self._checkpoints), default=-1)
            for step in reversed(self.steps()):
                if step <= here or self._download(step):
                    break
        except DataError as error:
            raise RunError(f"checkpoint.remote: {error}") from None

    def begin(self) -> None:
        """Take the URL over for this process, and upload from now on. Raises RunError if it cannot."""
        try:
            owner = {"id": self._id, "session": self._session, "host": socket.gethostname()}
            self._put_bytes(json.dumps(owner).encode(), OWNER)
            folders.write_whole(self._folder / OURS, json.dumps({"url": self.url, "id": self._id}))
        except (DataError, FileNotFoundError) as error:
            raise RunError(f"checkpoint.remote: {error}") from None
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
        self._wanted.set()
        self._thread.start()

    def upload(self, _checkpoint: Path) -> None:
        """A checkpoint was committed: upload it, in the background."""
        self._wanted.set()

    def close(self) -> None:
        """Wait until the newest checkpoint is uploaded, or has failed again."""
        if self._thread is not None:
            self._closing.set()
            self._wanted.set()
            self._thread.join()
            self._thread = None

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints at the URL, oldest first."""
        return remote_steps(self._bucket)

    def _refuse_another_run(self) -> str:
        """This run's id: its own, or of the run at the URL if this folder has none yet."""
        ours = _json(_content(self._folder / OURS))
        mine = ours.get("id") if ours.get("url") == self.url else None
        try:
            owner = _json(self._bucket.read(OWNER)).get("id")
        except FileNotFoundError:
            return mine or uuid.uuid4().hex
        if owner == mine or (mine is None and not complete_steps(self._checkpoints)):
            return str(owner)
        raise RunError(
            f"checkpoint.remote={self.url}: has the checkpoints of another run; choose another URL for "
            f"{self._folder}, or move what is there away"
        )

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            is_last = self._closing.is_set()
            try:
                if not self._sync():
                    return
            except Exception as error:  # an upload must never end training, whatever the client raises
                if not self._is_warned or is_last:
                    identity.say(
                        f"warning: {self.url}: the newest checkpoint is not uploaded ({error}); "
                        + ("run the same command again to upload it" if is_last else "trying again")
                    )
                self._is_warned = True
                if not is_last and not self._closing.wait(AGAIN):
                    self._wanted.set()
            if is_last:
                return

    def _sync(self) -> bool:
        """Upload what is missing; returns False if another process has taken the URL over."""
        here, there = complete_steps(self._checkpoints), self.steps()
        kept = [step for step in here if self._keep_every and step % self._keep_every == 0]
        for step in [*here[-1:], *(step for step in kept if step not in there)]:
            if step in there and self._is_same(step):
                continue
            if not self._is_ours():
                identity.say(
                    f"warning: {self.url}: another process uploads there now; this one stops uploading"
                )
                return False
            self._upload(step)
            self._is_warned = False
        for step in here:
            mark = step_folder(self._checkpoints, step) / "verified.json"
            if mark.is_file() and not self._bucket.exists(f"{_at(step)}/{mark.name}"):
                self._put_bytes(mark.read_bytes(), f"{_at(step)}/{mark.name}")
        if here:
            self._retain(here)
        return True

    def _is_ours(self) -> bool:
        return _json(self._bucket.read(OWNER)).get("session") == self._session

    def _is_same(self, step: int) -> bool:
        """Whether the checkpoint at the URL is the local one, not of the same step before a rewind."""
        local = (step_folder(self._checkpoints, step) / _STATE).read_bytes()
        return self._bucket.read(f"{_at(step)}/{_STATE}") == local

    def _upload(self, step: int) -> None:
        source = step_folder(self._checkpoints, step)
        copy = source.with_name(f"{source.name}.upload.tmp")
        shutil.rmtree(copy, ignore_errors=True)
        try:
            # Links: retention may remove the checkpoint meanwhile.
            shutil.copytree(source, copy, copy_function=_link)
            state = read_state(copy)
            self._remove(f"{_at(step)}/{_STATE}")
            for name in FILES:
                if (content := _content(self._folder / name)) is not None:
                    self._put_bytes(content, name)
            for path in sorted(copy.iterdir()):
                if path.name != _STATE:
                    self._put(path, f"{_at(step)}/{path.name}", state["files"].get(path.name))
            self._put_bytes((copy / _STATE).read_bytes(), f"{_at(step)}/{_STATE}")
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def _put(self, path: Path, name: str, entry: dict | None) -> None:
        """Upload a file, then read it back and compare."""
        if entry is None:
            return self._put_bytes(path.read_bytes(), name)

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

    def _put_slowly(self, path: Path, fs: Any, goal: str) -> None:
        part = max(PART, path.stat().st_size // 9000)  # S3 takes 10,000 at most
        with path.open("rb") as source, fs.open(goal, "wb", block_size=part) as sink:
            while piece := source.read(PIECE):
                begin = time.monotonic()
                sink.write(piece)
                self._pause(len(piece), begin)

    def _pause(self, n_bytes: int, begin: float) -> None:
        """Wait until `n_bytes` since `begin` are within the bandwidth; a run that ends need not wait."""
        if self._rate is not None:
            self._closing.wait(max(0.0, n_bytes / self._rate - (time.monotonic() - begin)))

    def _put_bytes(self, content: bytes, name: str) -> None:
        def put(fs: Any, goal: str) -> None:
            fs.makedirs(goal.rpartition("/")[0], exist_ok=True)
            fs.pipe_file(goal, content)
            if fs.cat_file(goal) != content:
                raise OSError("what was uploaded differs from the file")

        self._bucket.ask(name, put)

    def _remove(self, name: str) -> None:
        def remove(fs: Any, goal: str) -> None:
            fs.invalidate_cache()
            if fs.exists(goal):
                fs.rm(goal, recursive=True)

        self._bucket.ask(name, remove)

    def _retain(self, here: list[int]) -> None:
        """Remove what retention has removed here, but not older checkpoints, which a restored disk lacks."""
        there = self.steps()
        kept = {*here, *there[-self._keep :]}
        verified = [step for step in there if self._bucket.exists(f"{_at(step)}/verified.json")]
        for step in there:
            for_good = self._keep_every and step % self._keep_every == 0
            if step <= here[-1] and step not in kept and not for_good and step not in verified[-1:]:
                self._remove(f"{_at(step)}/{_STATE}")  # first, so that the rest is not taken for a checkpoint
                self._remove(_at(step))

    def _download(self, step: int) -> bool:
        """Have a checkpoint on the local disk; returns whether it is intact."""
        final = step_folder(self._checkpoints, step)
        identity.say(f"downloading {self._bucket.at(_at(step))}")
        found = download_step(self._bucket, _at(step), final)
        if not found:
            identity.say(f"{self._bucket.at(_at(step))} is damaged; trying the one before it")
            return False
        for name in FILES:
            if not (self._folder / name).exists():
                with suppress(FileNotFoundError):
                    (self._folder / name).write_bytes(self._bucket.read(name))
        return True


def remote_steps(bucket: Bucket) -> list[int]:
    """The steps of the complete checkpoints of a run in a bucket, oldest first."""
    names = [name for name in bucket.names("checkpoints") if name.startswith("step-")]
    steps = [int(name[5:]) for name in names if name[5:].isdecimal()]
    return sorted(step for step in steps if bucket.exists(f"{_at(step)}/{_STATE}"))


def download_step(bucket: Bucket, name: str, final: Path) -> bool:
    """Download the checkpoint `name` to the folder `final`; returns whether it is intact."""
    aside = final.with_name(f"{final.name}.download.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        try:
            for _ in range(TRIES):  # a server may lie once
                (aside / _STATE).write_bytes(bucket.read(f"{name}/{_STATE}"))
                with suppress(RunError):
                    read_state(aside)
                    break
            files = read_state(aside)["files"]
            for file in bucket.names(name):
                if file == _STATE or not folders.is_plain(file):
                    continue
                for _ in range(TRIES if file in files else 1):
                    download(bucket, f"{name}/{file}", aside / file)
                    if file in files and checksum(aside / file) == files[file]["xxh3"]:
                        break
            if damage(aside):
                return False
        except (RunError, FileNotFoundError):
            return False
        shutil.rmtree(final, ignore_errors=True)  # damaged, or it would not be downloaded
        folders.commit_once(aside, final)
        return True
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def download(bucket: Bucket, name: str, path: Path) -> None:
    """Copy an object to a file, in pieces. Raises DataError or FileNotFoundError."""
    size = bucket.size(name)
    with path.open("wb") as file:
        for low in range(0, size, PIECE):
            file.write(bucket.read(name, low, min(low + PIECE, size)))


def _at(step: int) -> str:
    return f"checkpoints/{step_folder(Path(), step).name}"


def _link(source: str, goal: str) -> None:
    try:
        os.link(source, goal)
    except OSError:  # a file system without links
        shutil.copyfile(source, goal)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _json(content: bytes | None) -> dict:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
