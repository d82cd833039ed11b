"""Uploads a run's checkpoints in the background.

A checkpoint's state.json, which vouches for its other files, is uploaded last, after those were read back and
compared: an upload that is killed anywhere leaves the one before. The first rank decides what is uploaded,
and the run's other machines help to send it (shared.py). Nothing here stops training once it has begun.
"""

import json
import socket
import threading
import uuid
from pathlib import Path

from configs.existence import exists
from data.bucket import Bucket
from data.errors import DataError
from train.checkpoint import shared
from train.checkpoint.folder import complete_steps, read_state, step_folder
from train.checkpoint.remote import FILES, OWNER, Remote, content_of, json_of
from train.checkpoint.transfer import STATE, Sender, begun_steps, place
from train.config import RunError
from train.ranks import identity

AGAIN = 60.0  # seconds before a failed upload is tried again


class Uploader:
    """Uploads to the URL of `remote`, which belongs to this process from now on."""

    def __init__(
        self, remote: Remote, *, keep: int, keep_every: int, upload_mbps: float | None = None
    ) -> None:
        """`upload_mbps`: most megabits per second, for an upload and for reading it back; None: no bound.

        Raises RunError if the URL cannot be written.
        """
        self._remote, self._keep, self._keep_every = remote, keep, keep_every
        self._session = uuid.uuid4().hex
        self._wanted = threading.Event()  # something may be missing at the URL
        self._wanted.set()
        self._closing = threading.Event()
        self._is_warned = self._is_untidy = False
        self._sender = Sender(remote.bucket, upload_mbps, self._closing)
        owner = {"id": remote.id, "session": self._session, "host": socket.gethostname()}
        try:
            # At its end, a run does not wait for removals that fail.
            self._remover = Sender(Bucket(remote.url, hurry=self._closing), None, self._closing)
            self._sender.put_bytes(json.dumps(owner).encode(), OWNER)
        except FileNotFoundError:  # Google's client raises this for a missing bucket
            raise RunError(
                f"checkpoint.remote={remote.url}: no such bucket; create it, or correct the name"
            ) from None
        except DataError as error:
            raise RunError(f"checkpoint.remote: {error}") from None
        remote.write_note()
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
        self._thread.start()

    def upload(self, _checkpoint: Path) -> None:
        """A checkpoint was committed: upload it, in the background."""
        self._wanted.set()

    def close(self, seconds: float | None = None) -> bool:
        """Wait until the newest checkpoint is uploaded or its last try has failed.

        Waits at most `seconds`, if given; returns whether that was enough.
        """
        if not self._closing.is_set():
            self._closing.set()
            self._wanted.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

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
                        f"warning: {self._remote.url}: the newest checkpoint is not uploaded ({error}); "
                        + ("run the same command again to upload it" if is_last else "trying again")
                    )
                self._is_warned = True
                if not is_last and not self._closing.wait(AGAIN):
                    self._wanted.set()
            if is_last:
                return

    def _sync(self) -> bool:
        """Upload what is missing; returns False if another process has taken the URL over."""
        here, there = complete_steps(self._remote.checkpoints), self._remote.steps()
        kept = [step for step in here if self._keep_every and step % self._keep_every == 0]
        for step in [*here[-1:], *(step for step in kept if step not in there)]:
            if step in there and self._remote.is_same(step):
                continue
            if not self._is_ours():
                url = self._remote.url
                identity.say(f"warning: {url}: another process uploads there now; this one stops uploading")
                return False
            try:
                self._upload(step)
            except OSError:
                if exists(step_folder(self._remote.checkpoints, step)):
                    raise
                return self._sync()  # retention removed it meanwhile, for newer ones
            self._is_warned = False
            there.append(step)
        for step in {*here} & {*there}:
            mark = step_folder(self._remote.checkpoints, step) / "verified.json"
            if (content := content_of(mark)) and not self._remote.bucket.exists(f"{place(step)}/{mark.name}"):
                self._sender.put_bytes(content, f"{place(step)}/{mark.name}")
        if here:
            self._tidy(here)
        return True

    def _tidy(self, here: list[int]) -> None:
        """Remove old checkpoints; if that fails, the next upload tries again."""
        try:
            self._retain(here)
            self._is_untidy = False
        except (DataError, FileNotFoundError) as error:
            if not self._is_untidy:
                identity.say(f"warning: {self._remote.url}: older checkpoints are not removed ({error})")
            self._is_untidy = True

    def _is_ours(self) -> bool:
        return json_of(self._remote.bucket.read_agreed(OWNER)).get("session") == self._session

    def _upload(self, step: int) -> None:
        with shared.linked(step_folder(self._remote.checkpoints, step)) as files:
            state = read_state(files.copy)
            self._sender.remove(f"{place(step)}/{STATE}")  # of the same step before a rewind
            files.offer(self._remote.url)
            for name in FILES:
                if (content := content_of(self._remote.folder / name)) is not None:
                    self._sender.put_bytes(content, name)
            files.send_all(self._sender, place(step), state["files"])
            self._sender.put_bytes((files.copy / STATE).read_bytes(), f"{place(step)}/{STATE}")

    def _retain(self, here: list[int]) -> None:
        """Remove from the URL what retention has removed here, and later checkpoints from before a rewind.

        The newest `keep` at the URL stay even if they are not here: a restored disk lacks them.
        """
        there = self._remote.steps()
        for step in [step for step in there if step > here[-1] and self._remote.is_abandoned(step)]:
            self._remove(step)
            there.remove(step)
        kept = {*here, *there[-self._keep :]}
        verified = [step for step in there if self._remote.bucket.exists(f"{place(step)}/verified.json")]
        for step in there:
            for_good = self._keep_every and step % self._keep_every == 0
            if step <= here[-1] and step not in kept and not for_good and step not in verified[-1:]:
                self._remove(step)
        left = [step for step in begun_steps(self._remote.bucket) if step < here[-1] and step not in there]
        for step in left if left and self._is_ours() else ():  # by a killed upload, or a failed removal
            self._remover.remove(place(step))

    def _remove(self, step: int) -> None:
        self._remover.remove(f"{place(step)}/{STATE}")  # first, or the rest would pass for a checkpoint
        self._remover.remove(place(step))
