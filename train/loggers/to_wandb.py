"""`logger=wandb`: a run's metrics in Weights & Biases.

The run's id is made once and kept in wandb.json. A run resumed online continues after the server's last step;
resumed offline, it adds another folder with the same id, which `wandb sync` puts into one run.
"""

import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from configs.redact import redact_tree
from train.config_groups import LoggerConfig
from train.loggers import kept
from train.loggers.follow import Position, Values
from train.loggers.kept import Kept

if TYPE_CHECKING:
    import wandb

TIMEOUT = 20  # seconds to reach the server, and to send the rest at the end (`wandb sync` can do that later)


class Wandb:
    """One run in wandb, or one for each stretch between rewinds."""

    def __init__(self, config: LoggerConfig, folder: Path, run_config: dict[str, Any]) -> None:
        self._config, self._folder, self._run_config = config, folder, run_config
        self._path = folder / "wandb.json"
        self._run: wandb.Run | None = None
        self._kept: Kept | None = None

    def open(self, at: Position) -> int:
        if self._run is not None and self._kept is not None:
            if self._kept.follows(at):
                return self._kept.step
            self._finish(exit_code=0)  # the run has rewound
        before = self._kept or kept.read(self._path)
        if before is None or not before.follows(at):
            fresh = uuid.uuid4().hex[:12]
            group = before.group if before else fresh
            before = Kept(fresh, group, at.rewinds, str(self._folder.absolute()))
        kept.write(self._path, before)
        run = self._connect(before)
        if self._config.wandb == "online":  # the server knows
            before = replace(before, step=run.step - 1 if run.resumed else 0)
        self._run, self._kept = run, before
        return before.step

    def log(self, lines: list[tuple[int, Values]]) -> None:
        assert self._run is not None and self._kept is not None
        given = self._kept
        for step, values in lines:
            self._run.log(values, step=step)
            self._kept = given = replace(given, step=step)
        kept.write(self._path, given)

    def close(self, failed: bool) -> None:
        self._finish(exit_code=int(failed))

    def _finish(self, exit_code: int) -> None:
        if self._run is not None:
            run, self._run = self._run, None
            run.finish(exit_code=exit_code)

    def _connect(self, which: Kept) -> "wandb.Run":
        os.environ.setdefault("WANDB_SILENT", "true")  # it prints before its settings apply
        import wandb  # takes a second to import

        # wandb's metadata would include the command line, the host name and the clone's remote.
        settings = wandb.Settings(
            silent=True,
            console="off",
            x_disable_meta=True,
            disable_git=True,
            init_timeout=TIMEOUT,
            finish_timeout=TIMEOUT,
        )
        return wandb.init(
            project=self._config.project,
            name=kept.shown_name(self._folder, which.rewinds),
            id=which.id,
            group=which.group,
            resume="allow",
            dir=self._folder,
            mode=cast(Literal["online", "offline"], self._config.wandb),
            config=cast(dict[str, Any], redact_tree(self._run_config)),
            settings=settings,
        )
