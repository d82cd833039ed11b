"""Copies of a run's checkpoints in a bucket: uploaded in the background, downloaded where a disk has none.

URL/  owner.json  config.yaml  metrics.jsonl  …  checkpoints/step-000123/…
A checkpoint's state.json, which vouches for its other files, is uploaded last, after those were read back and
compared: an upload that is killed anywhere leaves the one before. The first rank decides what is uploaded,
and the run's other machines help to send it (shared.py). Nothing here stops training once it has begun.
"""

import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from data import folders
from data.bucket import Bucket
from data.errors import DataError
from data.tokens.store import TOKENIZERS
from train.checkpoint import shared
from train.checkpoint.folder import complete_steps, read_state, step_folder
from train.checkpoint.transfer import STATE, Sender, begun_steps, download_step, place, remote_steps
from train.config import RunError
from train.ranks import identity

OWNER, OURS = "owner.json", "remote.json"  # at the URL: its run; in the run folder: its URL
METRICS, DECISIONS = "metrics.jsonl", "decisions.jsonl"
# Small files of the run folder. A run resumes without them too, but with a shorter history.
FILES = (
    "config.yaml",
    METRICS,
    DECISIONS,
    "order.json",
    "lineage.json",  # of a branch: where its past is
    *TOKENIZERS,
    "tokenizer_config.json",
)
AGAIN = 60.0  # seconds before a failed upload is made again


class Remote:
    """The copies of the run in `folder` at `url`. The first rank constructs one."""

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        keep: int,
        keep_every: int,
        upload_mbps: float | None = None,
        abandons: Callable[[bytes, dict], bool] = lambda log, state: False,
        refuse: Callable[[dict], None] = lambda state: None,
    ) -> None:
        """`upload_mbps`: most megabits per second, for an upload and for reading it back; None: no bound.
        `abandons`: whether a run's decisions went back past the checkpoint with this state. `refuse` raises
        RunError for a checkpoint of another run; it is asked before one is downloaded.

        Raises RunError if the URL cannot be opened or belongs to another run.
        """
        self.url, self._folder, self._checkpoints = url, folder, folder / "checkpoints"
        self._keep, self._keep_every = keep, keep_every
        self._abandons, self._refuse = abandons, refuse
        self._session = uuid.uuid4().hex
        self._wanted = threading.Event()  # something may be missing at the URL
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_warned = self._is_untidy = False
        try:
            self._bucket = Bucket(url)
            self._sender = Sender(self._bucket, upload_mbps, self._closing)
            untidy = Bucket(url)
            untidy.hurry = self._closing  # a run that ends does not wait until something can be removed
            self._remover = Sender(untidy, None, self._closing)
            self._id = self._refuse_another_run()
        except DataError as error:
            raise RunError(f"checkpoint.remote: {error}") from None

    def restore(self, restart: bool = False) -> None:
        """Download the newest checkpoint, if it is newer than what the run folder has. Raises RunError.

        If the run has none there and only damaged ones at the URL, it may begin again only with `restart`;
        its metrics and decisions are then kept under other names.
        """
        try:
            here = complete_steps(self._checkpoints)
            newer = (step for step in self.steps() if step > max(here, default=-1))
            if self._download_newest(newer) is not False or here:
                return
            if not restart:
                raise RunError(
                    f"checkpoint.remote={self.url}: no checkpoint there is intact; restore one, set "
                    "restart=true to train again from step 0, or choose another URL"
                )
            self._have_files()
            for name in (METRICS, DECISIONS):
                if note := folders.set_aside(self._folder / name):
                    identity.say(f"{name} starts again{note}")
        except DataError as error:
            raise RunError(f"checkpoint.remote: {error}") from None

    def fetch(self, last: int) -> None:
        """Download the newest checkpoint up to step `last`, if there is one. Raises RunError."""
        try:
            self._download_newest(step for step in self.steps() if step <= last)
        except DataError as error:
            raise RunError(f"checkpoint.remote: {error}") from None

    def begin(self) -> None:
        """Take the URL over for this process, and upload from now on. Raises RunError if it cannot."""
        try:
            owner = {"id": self._id, "session": self._session, "host": socket.gethostname()}
            self._sender.put_bytes(json.dumps(owner).encode(), OWNER)
            folders.write_whole(self._folder / OURS, json.dumps({"url": self.url, "id": self._id}))
        except FileNotFoundError:  # as Google's client says it of a bucket
            raise RunError(
                f"checkpoint.remote={self.url}: no such bucket; create it, or correct the name"
            ) from None
        except DataError as error:
            raise RunError(f"checkpoint.remote: {error}") from None
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
        self._wanted.set()
        self._thread.start()

    def upload(self, _checkpoint: Path) -> None:
        """A checkpoint was committed: upload it, in the background."""
        self._wanted.set()

    def close(self, seconds: float | None = None) -> bool:
        """Wait until the newest checkpoint is uploaded, or has failed again.

        At most so many seconds, if they are given; returns whether that was enough.
        """
        if self._thread is not None:
            if not self._closing.is_set():
                self._closing.set()
                self._wanted.set()
            self._thread.join(seconds)
            if self._thread.is_alive():
                return False
            self._thread = None
        return True

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints at the URL, oldest first."""
        return remote_steps(self._bucket)

    def _refuse_another_run(self) -> str:
        """This run's id: its own, or of the run at the URL if it is this run or this folder has none yet.

        The folder's note and the URL's are views. Where one is lost, an equal checkpoint shows the same run.
        """
        ours = _json(_content(self._folder / OURS))
        mine = ours.get("id") if str(ours.get("url")).rstrip("/") == self.url.rstrip("/") else None
        try:
            owner = _json(self._bucket.read(OWNER)).get("id")
        except FileNotFoundError:
            owner = None
        here = complete_steps(self._checkpoints)
        is_ours = owner in (mine, None) if mine else not here or (owner is None and not self.steps())
        if is_ours or any(self._is_same(step) for step in self.steps() if step in here):
            return str(owner or mine or uuid.uuid4().hex)
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
            if mark.is_file() and not self._bucket.exists(f"{place(step)}/{mark.name}"):
                self._sender.put_bytes(mark.read_bytes(), f"{place(step)}/{mark.name}")
        if here:
            self._tidy(here)
        return True

    def _tidy(self, here: list[int]) -> None:
        """Retention, whose failure leaves more than is kept: the next upload tries again."""
        try:
            self._retain(here)
            self._is_untidy = False
        except (DataError, FileNotFoundError) as error:
            if not self._is_untidy:
                identity.say(f"warning: {self.url}: older checkpoints are not removed ({error})")
            self._is_untidy = True

    def _is_ours(self) -> bool:
        return _json(self._bucket.read(OWNER)).get("session") == self._session

    def _is_same(self, step: int) -> bool:
        """Whether the checkpoint at the URL is the local one, not of the same step before a rewind."""
        local = (step_folder(self._checkpoints, step) / STATE).read_bytes()
        return self._bucket.read(f"{place(step)}/{STATE}") == local

    def _upload(self, step: int) -> None:
        with shared.linked(step_folder(self._checkpoints, step)) as files:
            state = read_state(files.copy)
            self._sender.remove(f"{place(step)}/{STATE}")  # of the same step before a rewind
            files.offer(self.url)
            for name in FILES:
                if (content := _content(self._folder / name)) is not None:
                    self._sender.put_bytes(content, name)
            files.send_all(self._sender, place(step), state["files"])
            self._sender.put_bytes((files.copy / STATE).read_bytes(), f"{place(step)}/{STATE}")

    def _retain(self, here: list[int]) -> None:
        """Remove what retention has removed here, but not older checkpoints, which a restored disk lacks.

        A later checkpoint is removed if the run has gone back past it.
        """
        there = self.steps()
        for step in [step for step in there if step > here[-1] and self._is_abandoned(step)]:
            self._remove(step)
            there.remove(step)
        kept = {*here, *there[-self._keep :]}
        verified = [step for step in there if self._bucket.exists(f"{place(step)}/verified.json")]
        for step in there:
            for_good = self._keep_every and step % self._keep_every == 0
            if step <= here[-1] and step not in kept and not for_good and step not in verified[-1:]:
                self._remove(step)
        left = [step for step in begun_steps(self._bucket) if step < here[-1] and step not in there]
        for step in left if left and self._is_ours() else ():  # by a killed upload, or a failed removal
            self._remover.remove(place(step))

    def _remove(self, step: int) -> None:
        self._remover.remove(f"{place(step)}/{STATE}")  # first, or the rest would pass for a checkpoint
        self._remover.remove(place(step))

    def _is_abandoned(self, step: int) -> bool:
        """Whether the run has gone back past a checkpoint at the URL, by its log here or there."""
        try:
            state = _json(self._bucket.read(f"{place(step)}/{STATE}"))
        except FileNotFoundError:
            return False
        logs = [_content(self._folder / DECISIONS)]
        with suppress(FileNotFoundError):
            logs.append(self._bucket.read(DECISIONS))  # another machine may have continued the run
        return "recovery" in state and any(self._abandons(log, state) for log in logs if log is not None)

    def _download_newest(self, steps: Iterable[int]) -> bool | None:
        """Download the newest of these checkpoints that is intact and part of the run.

        Returns whether there is one; None if none is part of the run.
        """
        found = None
        for step in sorted(steps, reverse=True):
            if not self._is_abandoned(step):
                found = self._download(step)
                if found:
                    break
        return found

    def _download(self, step: int) -> bool:
        """Have a checkpoint on the local disk; returns whether it is intact."""
        final = step_folder(self._checkpoints, step)

        def refuse(state: dict) -> None:
            self._refuse(state)
            identity.say(f"downloading {self._bucket.at(place(step))}")

        is_intact = download_step(self._bucket, place(step), final, refuse, self._have_files)
        if not is_intact:
            identity.say(f"{self._bucket.at(place(step))} is damaged; trying the one before it")
        return is_intact

    def _have_files(self) -> None:
        """Have the run's small files here, before the checkpoint: a start that finds that asks for no more.

        Another machine may have continued the run: of its log, what is there is part of the checkpoint's
        past, and metrics of a step that both have count as there.
        """
        note = {"url": self.url, "id": self._id}
        folders.write_whole(self._folder / OURS, json.dumps(note))
        for name in FILES:
            path = self._folder / name
            here = _content(path)
            if here is not None and (name not in (METRICS, DECISIONS) or self._thread is not None):
                continue  # while it trains, the run itself writes them
            try:
                there = self._bucket.read(name)
            except FileNotFoundError:
                continue
            if here is not None and here.startswith(there):
                continue
            if here and name == METRICS:
                there = here + b"\n" * (not here.endswith(b"\n")) + there
            elif here and not there.startswith(here):
                identity.say(f"{path}: replaced by that of {self.url}{folders.set_aside(path)}")
            with folders.replacing(path) as temporary:
                temporary.write_bytes(there)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _json(content: bytes | None) -> dict:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
