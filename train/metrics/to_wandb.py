"""`logger.wandb`: a run's metrics in wandb, which can never end the run.

Whatever wandb raises is reported once, and it is tried again after `PAUSE` seconds, then twice as long, and
so on. The metrics in between are only in metrics.jsonl.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from configs.redact import redact, redact_tree
from train.config import LoggerConfig
from train.ranks import identity

if TYPE_CHECKING:
    import wandb

PAUSE = 300.0


class Wandb:
    """One run in wandb; only rank 0 has one."""

    def __init__(self, logger: LoggerConfig, folder: Path, run_config: dict[str, Any]) -> None:
        self._logger, self._folder, self._config = logger, folder, run_config
        self._run: wandb.Run | None = None
        self._pause, self._not_before = PAUSE, 0.0
        self._warned = False
        self._try(self._connect)

    def log(self, line: dict) -> None:
        """Send one line of metrics."""

        def send() -> None:
            if self._run is None:
                self._connect()
            assert self._run is not None
            self._run.log(_flat(line), step=line["step"])

        self._try(send)

    def finish(self, failed: bool) -> None:
        """Send what is left."""
        if self._run is not None:
            self._not_before = 0.0
            run = self._run
            self._try(lambda: run.finish(exit_code=int(failed)))

    def _try(self, work: Callable[[], None]) -> None:
        if time.monotonic() < self._not_before:
            return
        try:
            work()
        except Exception as error:  # whatever wandb raises, training is worth more
            self._not_before = time.monotonic() + self._pause
            self._pause *= 2
            if not self._warned:
                self._warned = True
                reason = redact(" ".join(str(error).split())) or type(error).__name__
                identity.say(
                    f"warning: wandb: {reason}; training continues, wandb is tried again, "
                    "and metrics.jsonl has all metrics"
                )
        else:
            self._pause = PAUSE

    def _connect(self) -> None:
        import wandb  # takes a second to import

        self._run = wandb.init(
            project=self._logger.project,
            name=self._folder.name,
            id=self._folder.name,
            resume="allow",
            dir=self._folder,
            mode=cast(Literal["online", "offline"], self._logger.wandb),
            config=cast(dict[str, Any], redact_tree(self._config)),
            # wandb's metadata would include the command line, the host name and the clone's remote.
            settings=wandb.Settings(silent=True, console="off", x_disable_meta=True, disable_git=True),
        )


def _flat(tree: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}/") if isinstance(value, dict) else {prefix + key: value}
    return flat
