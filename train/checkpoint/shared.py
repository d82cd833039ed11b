"""A checkpoint's files, sent to the bucket by all machines of a run at the same time.

The first rank links the checkpoint into `step-000123.upload.tmp/`, in the run folder that all machines share,
and offers it there. One process of each machine takes a file, sends it, compares what arrived, marks it as
sent and takes the next. If a machine fails or goes away, the first rank sends its file again.
"""

import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from configs.existence import exists
from data import folders
from data.bucket import Bucket
from data.errors import DataError
from train.checkpoint.folder import delete, read_state
from train.checkpoint.transfer import STATE, Sender, place
from train.config import RunError

SUFFIX = ".upload.tmp"
OFFER = "offer.json"  # the URL and the names of the files; without it a folder is not offered
TAKEN, SENT = ".taken", ".sent"
LOOK = 0.5  # seconds between two looks at the run folder
IDLE = 5.0  # seconds without work after which a machine whose training has ended stops helping
PATIENCE, SLOWEST = 60.0, 1e6  # seconds to wait for another machine's file, plus its size at bytes/s


class Files:
    """The files of a checkpoint, linked into `copy`. Each is sent by the process that takes it first."""

    def __init__(self, copy: Path, names: list[str]) -> None:
        self.copy, self.names = copy, names
        self._taken: dict[tuple[str, int], float] = {}  # since when this process knows of each mark

    def offer(self, url: str) -> None:
        """Let the other machines send them, too."""
        folders.write_whole(self.copy / OFFER, json.dumps({"url": url, "files": self.names}))

    def send_all(self, sender: Sender, name: str, entries: dict[str, dict]) -> None:
        """Return once every file is sent, by anyone. Raises DataError or OSError for one sent here."""
        while waiting := self.unsent():
            if not any([self._send(path, sender, name, entries) for path in waiting]):
                self._give_up_on(waiting)
                time.sleep(LOOK / 5)

    def help(self, sender: Sender, name: str, entries: dict[str, dict]) -> bool:
        """Send each file that nobody has taken yet; returns whether there were any."""
        return any([self._send(path, sender, name, entries) for path in self.unsent()])

    def unsent(self) -> list[Path]:
        """The checkpoint's files that are not marked as sent, in the order of `names`."""
        marks = {*os.listdir(self.copy)}  # may be half removed, so it does not say which files there are
        return [self.copy / name for name in self.names if name + SENT not in marks]

    def _send(self, path: Path, sender: Sender, name: str, entries: dict[str, dict]) -> bool:
        """Send a file unless another process has taken it; returns whether it was sent."""
        mark = path.with_name(path.name + TAKEN)
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        try:
            if not exists(self.copy / OFFER):
                raise FileNotFoundError(f"{self.copy}: withdrawn")
            sender.put(path, f"{name}/{path.name}", entries.get(path.name))
        except BaseException:
            mark.unlink(missing_ok=True)  # for another machine
            raise
        path.with_name(path.name + SENT).touch()
        return True

    def _give_up_on(self, waiting: list[Path]) -> None:
        """Free what other machines took and should have sent by now."""
        for path in waiting:
            mark = path.with_name(path.name + TAKEN)
            with suppress(FileNotFoundError):
                # Not by the mark's age: a file server's clock may differ from this machine's.
                since = self._taken.setdefault((mark.name, mark.stat().st_mtime_ns), time.monotonic())
                if time.monotonic() - since > PATIENCE + path.stat().st_size / SLOWEST:
                    mark.unlink()


@contextmanager
def linked(source: Path) -> Iterator[Files]:
    """Links to the files of the checkpoint `source`, in case retention removes it during the block."""
    copy = source.with_name(source.name + SUFFIX)
    _withdraw(copy)
    try:
        shutil.copytree(source, copy, copy_function=lambda one, other: folders.link(Path(one), Path(other)))
        paths = sorted(copy.iterdir(), key=lambda path: (-path.stat().st_size, path.name))
        yield Files(copy, [path.name for path in paths if path.name != STATE])
    finally:
        _withdraw(copy)


def _withdraw(copy: Path) -> None:
    """Remove the folder, in which other machines may be at work.

    The offer goes first: a machine that takes a file after that sees that it is gone. Then the folder is
    renamed, so that no mark can be added to it.
    """
    doomed = copy.with_name(copy.name + ".old.tmp")
    delete(doomed)
    with suppress(OSError):
        (copy / OFFER).unlink(missing_ok=True)
        copy.rename(doomed)
    delete(doomed)
    delete(copy)  # if it could not be renamed


class Helper:
    """Sends files of the checkpoints that the first rank offers, in one process of each other machine."""

    def __init__(self, url: str, checkpoints: Path, upload_mbps: float | None = None) -> None:
        self._url, self._checkpoints, self._upload_mbps = url, checkpoints, upload_mbps
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Help until nothing more is offered."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            sender = Sender(Bucket(self._url), self._upload_mbps, self._closing)
        except DataError as error:
            host = socket.gethostname()
            print(f"relama: warning: {host} does not help to upload ({error})", file=sys.stderr, flush=True)
            return
        worked = time.monotonic()
        while not self._closing.is_set() or time.monotonic() - worked < IDLE:
            if self._look(sender):
                worked = time.monotonic()
            elif not self._closing.wait(LOOK):
                worked = time.monotonic()  # only idle time after training's end counts
            else:
                time.sleep(LOOK)

    def _look(self, sender: Sender) -> bool:
        """Whether something was offered and sent."""
        try:
            for copy in sorted(self._checkpoints.glob(f"*{SUFFIX}")):
                offer = json.loads((copy / OFFER).read_text())
                if offer["url"] != self._url:
                    continue
                state = read_state(copy)
                if Files(copy, offer["files"]).help(sender, place(state["step"]), state["files"]):
                    return True
        except (OSError, DataError, RunError, ValueError, KeyError):
            pass  # withdrawn meanwhile, or the bucket fails: the first rank reports that
        return False
