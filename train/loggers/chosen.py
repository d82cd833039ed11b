"""The loggers that `logger=wandb,tensorboard,…` chooses, each followed by a thread."""

import time
from pathlib import Path
from typing import Any

from train.config_groups import LoggerConfig
from train.loggers.follow import PATIENCE, Follower, Logger, Position
from train.loggers.to_mlflow import Mlflow
from train.loggers.to_prometheus import Prometheus
from train.loggers.to_tensorboard import TensorBoard
from train.loggers.to_wandb import Wandb


class Loggers:
    """All loggers of a run; only the first rank has them. No method fails or takes long."""

    def __init__(self, config: LoggerConfig, metrics: Path, run_config: dict[str, Any], at: Position) -> None:
        self._followers = [
            Follower(name, logger, metrics, at)
            for name, logger in chosen(config, metrics.parent, run_config).items()
        ]

    def wrote(self) -> None:
        """metrics.jsonl has a new line."""
        for follower in self._followers:
            follower.wrote()

    def moved(self, at: Position) -> None:
        """The run has rewound."""
        for follower in self._followers:
            follower.moved(at)

    def close(self, failed: bool) -> None:
        """Let all of them send what is left at the same time, for `PATIENCE` seconds at most."""
        for follower in self._followers:
            follower.closing(failed)
        deadline = time.monotonic() + PATIENCE
        for follower in self._followers:
            follower.wait(max(0.0, deadline - time.monotonic()))


def chosen(config: LoggerConfig, folder: Path, run_config: dict[str, Any]) -> dict[str, Logger]:
    """The loggers that are on, by name."""
    found: dict[str, Logger] = {}
    if config.wandb != "off":
        found["wandb"] = Wandb(config, folder, run_config)
    if config.tensorboard:
        found["tensorboard"] = TensorBoard(folder)
    if config.mlflow != "off":
        found["mlflow"] = Mlflow(config, folder, run_config)
    if config.prometheus != "off":
        found["prometheus"] = Prometheus(config.prometheus, folder)
    return found
