"""Copies of a run's checkpoints in a bucket, downloaded where a disk has none; uploader.py makes them.

URL/  owner.json  config.yaml  metrics.jsonl  …  checkpoints/step-000123/…
"""

import json
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from configs.existence import is_file
from data import folders
from data.bucket import Bucket
from data.errors import DataError
from data.tokens.store import TOKENIZERS
from train.checkpoint.folder import complete_steps, step_folder
from train.checkpoint.transfer import STATE, download_step, place, remote_steps
from train.config import RunError
from train.ranks import identity

OWNER, OURS = "owner.json", "remote.json"  # at the URL: its run; in the run folder: its URL
METRICS, DECISIONS = "metrics.jsonl", "decisions.jsonl"
LINEAGE = "lineage.json"  # of a branch: where its past is
# Small files of the run folder. A run resumes without them too, but with a shorter history.
FILES = (
    "config.yaml",
    METRICS,
    DECISIONS,
    "order.json",
    LINEAGE,
    *TOKENIZERS,
    "tokenizer_config.json",
)


class Remote:
    """The copies of the run in `folder` at `url`. The first rank constructs one."""

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        abandons: Callable[[bytes, dict], bool] = lambda log, state: False,
        refuse: Callable[[dict], None] = lambda state: None,
    ) -> None:
        """`abandons(decisions, state)`: whether the run rewound past the checkpoint with this state.
        `refuse(state)` raises RunError for another run's checkpoint; it is called before each download.

        Raises RunError if the URL cannot be opened or belongs to another run.
        """
        self.url, self.folder, self.checkpoints = url, folder, folder / "checkpoints"
        self._abandons, self._refuse = abandons, refuse
        try:
            self.bucket = Bucket(url)
            self.id = self._refuse_another_run()
        except DataError as error:
            raise RunError(f"checkpoint.remote: {error}") from None

    def restore(self, restart: bool = False) -> None:
        """Download the newest checkpoint, if it is newer than what the run folder has. Raises RunError.

        If the run has none there and only damaged ones at the URL, it may begin again only with `restart`;
        its metrics and decisions are then kept under other names.
        """
        try:
            here = complete_steps(self.checkpoints)
            newer = (step for step in self.steps() if step > max(here, default=-1))
            if self._download_newest(newer, trains=False) is not False or here:
                return
            if not restart:
                raise RunError(
                    f"checkpoint.remote={self.url}: no checkpoint there is intact; restore one, set "
                    "restart=true to train again from step 0, or choose another URL"
                )
            self._have_files(trains=False)
            for name in (METRICS, DECISIONS):
                if note := folders.set_aside(self.folder / name):
                    identity.say(f"{name} starts again{note}")
        except DataError as error:
            raise RunError(f"checkpoint.remote: {error}") from None

    def fetch(self, last: int) -> None:
        """Download the newest checkpoint up to step `last`, if there is one, while the run trains.

        Raises RunError.
        """
        try:
            self._download_newest((step for step in self.steps() if step <= last), trains=True)
        except DataError as error:
            raise RunError(f"checkpoint.remote: {error}") from None

    def write_note(self) -> None:
        """Record in the run folder where its copies are."""
        folders.write_whole(self.folder / OURS, json.dumps({"url": self.url, "id": self.id}))

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints at the URL, oldest first."""
        return remote_steps(self.bucket)

    def _refuse_another_run(self) -> str:
        """This run's id: the one at the URL, else the one in its folder, else a new one.

        Raises RunError if the URL is another run's. Either side's note may be lost; then an equal checkpoint
        on both sides shows that it is the same run.
        """
        ours = json_of(content_of(self.folder / OURS))
        mine = ours.get("id") if str(ours.get("url")).rstrip("/") == self.url.rstrip("/") else None
        try:
            owner = json_of(self.bucket.read_agreed(OWNER)).get("id")
        except FileNotFoundError:
            owner = None
        if not mine and owner is None and not self.steps():
            self._refuse_to_replace()
        here = complete_steps(self.checkpoints)
        is_ours = owner in (mine, None) if mine else not here or (owner is None and not self.steps())
        if not mine and self.steps() and not self._has_our_past():
            is_ours = False  # the run here is a branch that has not begun
        if is_ours or any(self.is_same(step) for step in self.steps() if step in here):
            return str(owner or mine or uuid.uuid4().hex)
        raise RunError(
            f"checkpoint.remote={self.url}: has the checkpoints of another run; choose another URL for "
            f"{self.folder}, or move what is there away"
        )

    def _has_our_past(self) -> bool:
        """Whether the run at the URL is a branch of the same checkpoint, if the run here is one."""
        if not (ours := content_of(self.folder / LINEAGE)):
            return True
        try:
            return self.bucket.read_agreed(LINEAGE) == ours
        except FileNotFoundError:
            return False

    def _refuse_to_replace(self) -> None:
        """Raise RunError if an upload would replace files of something else: tokens, or weights."""
        for name in sorted({*FILES} & {*self.bucket.names()}):
            raise RunError(
                f"checkpoint.remote={self.url}: has a {name}, but no run is there, and an upload would "
                "replace it; choose another URL, or move what is there away"
            )

    def is_same(self, step: int) -> bool:
        """Whether the checkpoint at the URL is the local one, not one that a rewind replaced."""
        local = (step_folder(self.checkpoints, step) / STATE).read_bytes()
        return self.bucket.read_agreed(f"{place(step)}/{STATE}") == local

    def is_abandoned(self, step: int) -> bool:
        """Whether the run has rewound past a checkpoint at the URL, by its decisions here or there."""
        try:
            state = json_of(self.bucket.read_agreed(f"{place(step)}/{STATE}"))
        except FileNotFoundError:
            return False
        logs = [content_of(self.folder / DECISIONS)]
        with suppress(FileNotFoundError):
            logs.append(self.bucket.read_agreed(DECISIONS))  # another machine may have continued the run
        return "recovery" in state and any(self._abandons(log, state) for log in logs if log is not None)

    def _download_newest(self, steps: Iterable[int], *, trains: bool) -> bool | None:
        """Download the newest of these checkpoints that is intact and part of the run.

        Returns whether there is one; None if none is part of the run.
        """
        found = None
        for step in sorted(steps, reverse=True):
            if not self.is_abandoned(step):
                found = self._download(step, trains)
                if found:
                    break
        return found

    def _download(self, step: int, trains: bool) -> bool:
        """Have a checkpoint on the local disk; returns whether it is intact."""
        final = step_folder(self.checkpoints, step)

        def refuse(state: dict) -> None:
            self._refuse(state)
            identity.say(f"downloading {self.bucket.at(place(step))}")

        is_intact = download_step(self.bucket, place(step), final, refuse, partial(self._have_files, trains))
        if not is_intact:
            identity.say(f"{self.bucket.at(place(step))} is damaged; trying the one before it")
        return is_intact

    def _have_files(self, trains: bool) -> None:
        """Fetch the run's small files before the checkpoint: a start that finds one fetches nothing more.

        Another machine may have continued the run: the decisions and metrics at the URL are the checkpoint's
        past, and win where a step has both. A run that `trains` writes its own.
        """
        self.write_note()
        for name in FILES:
            path = self.folder / name
            here = content_of(path)
            if here is not None and (trains or name not in (METRICS, DECISIONS)):
                continue
            try:
                there = self.bucket.read_agreed(name)
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


def content_of(path: Path) -> bytes | None:
    with suppress(FileNotFoundError):  # removed meanwhile
        return path.read_bytes() if is_file(path) else None


def json_of(content: bytes | None) -> dict:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
