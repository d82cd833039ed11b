"""A run's uploads to `checkpoint.remote`: by its first rank, with help from its other machines."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from data.bucket import Bucket
from data.errors import DataError
from train.checkpoint.folder import newest_state
from train.checkpoint.remote import Remote
from train.checkpoint.saver import Saver
from train.checkpoint.shared import Helper
from train.checkpoint.transfer import newest_remote_state
from train.checkpoint.uploader import Uploader
from train.config import RunError
from train.config_groups import CheckpointConfig
from train.ranks import identity, placement
from train.ranks.together import first_rank_does

ROUND = 20.0  # seconds that the other ranks wait for an upload before they hear that it continues


def state_there(config: CheckpointConfig, folder: Path) -> dict | None:
    """The state of the newest checkpoint at `checkpoint.remote`, if the run in `folder` has none here.

    Raises RunError.
    """
    if config.remote is None or newest_state(folder / "checkpoints"):
        return None
    try:
        return newest_remote_state(Bucket(config.remote))
    except DataError as error:
        raise RunError(f"checkpoint.remote: {error}") from None


def restored(
    config: CheckpointConfig,
    folder: Path,
    abandons: Callable[[bytes, dict], bool],
    refuse: Callable[[dict], None],
    restart: bool,
) -> Remote | None:
    """What the run in `folder` has at `checkpoint.remote`, once its newest checkpoint is here too.

    All ranks call it; only the first gets it, and none does without a URL. `abandons` and `refuse` are
    those of `Remote`, `restart` that of its `restore`. Raises RunError.
    """
    opened: list[Remote] = []

    def restore() -> None:
        assert config.remote is not None
        remote = Remote(
            config.remote,
            folder,
            abandons=abandons,
            refuse=refuse,
        )
        remote.restore(restart)
        opened.append(remote)

    if config.remote is not None:
        first_rank_does(restore)
    return opened[0] if opened else None


class Uploads:
    """Uploads what is missing at the URL, and each save of `saver`. All ranks construct one."""

    def __init__(
        self, config: CheckpointConfig, checkpoints: Path, remote: Remote | None, saver: Saver
    ) -> None:
        """`remote` is what `restored` gave. Raises RunError if the URL cannot be written."""
        self._url = config.remote
        self._uploader: Uploader | None = None  # on the first rank
        self._helper: Helper | None = None  # on the first rank of each other machine

        def begin() -> None:
            if remote is not None:
                self._uploader = Uploader(
                    remote, keep=config.keep, keep_every=config.keep_every, upload_mbps=config.upload_mbps
                )
                saver.committed.append(self._uploader.upload)

        first_rank_does(begin)
        sees = not placement.is_away()  # the folder in which the first rank offers files
        if config.remote is not None and identity.local_rank() == 0 and remote is None and sees:
            self._helper = Helper(config.remote, checkpoints, config.upload_mbps)

    def finish(self, beat: Callable[[str], None]) -> None:
        """Return once the newest checkpoint is uploaded; a failure is reported. All ranks call it.

        The others wait for the first rank: if it dies, none has reported success yet, and all are restarted.
        `beat` is called after each ROUND.
        """
        if self._helper is not None:
            self._helper.close()
        if self._url is None:
            return
        with self._waiting():
            while not first_rank_does(lambda: self._uploader is None or self._uploader.close(ROUND)):
                beat("uploading")

    def finish_alone(self) -> None:
        """Like `finish`, after this rank's training has failed: the others may not call it."""
        if self._helper is not None:
            self._helper.close()
        if self._uploader is not None:
            with self._waiting():
                self._uploader.close()

    def _waiting(self) -> AbstractContextManager[None]:
        return identity.waiting(f"uploading to {self._url}")
