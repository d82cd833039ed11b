"""A run's folder: one owner at a time, one configuration forever, metrics that end where the weights do.

runs/<name>/  config.yaml  command.txt  order.json  tokenizer.model  metrics.jsonl  checkpoints/  report.html
             starts.jsonl  decisions.jsonl  launch/ (job scripts, logs)
             preempted.json, finished.json or stopped.json
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from configs.load import ConfigError, from_yaml, to_yaml
from configs.redact import redact_command
from data import folders
from train.checkpoint.folder import remove_leftovers
from train.config import RUN_IDENTITY, RunError, TrainConfig
from train.ranks import identity
from train.ranks.setup import first_rank_does
from train.run import markers, starts


def as_key(key: str, arguments: list[str]) -> list[str]:
    """The arguments of a verb that takes one run: `run=` and `weights=` both name it, and become `key=`.

    Raises RunError if both are given.
    """
    naming = [arg for arg in arguments if arg.startswith(("run=", "weights="))]
    if len({arg.partition("=")[0] for arg in naming}) > 1:
        raise RunError(f"{naming[0]} {naming[1]}: both name the run; give one of them")
    return [f"{key}={arg.partition('=')[2]}" if arg in naming else arg for arg in arguments]


def refuse_foreign(path: Path) -> None:
    """Raise RunError if `path` holds something other than a run; `relama launch` may have created it."""
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: a file, expected a run folder; choose another run=NAME")
    others = path.is_dir() and any(entry.name != "launch" for entry in path.iterdir())
    if others and not (path / ".lock").exists():
        raise RunError(f"{path}: not empty and not a run folder; choose another run=NAME")


@contextmanager
def claimed(config: TrainConfig, arguments: list[str]) -> Iterator["RunFolder"]:
    """The run's folder, held by the first rank until the block ends; all ranks call it.

    `arguments` are the command's. Raises RunError if another process or another run has the folder.
    """
    folder = RunFolder(folders.run_path(config.run), arguments)
    held: list[IO[str]] = []

    def claim() -> None:
        refuse_foreign(folder.path)
        folder.path.mkdir(parents=True, exist_ok=True)
        held.append(_lock(folder.path / ".lock"))  # first: it marks the folder as a run's
        folder.checkpoints.mkdir(exist_ok=True)
        folder.refuse_another_run(config)
        markers.refuse_stopped(folder.path)
        remove_leftovers(folder.checkpoints)

    try:
        first_rank_does(claim)
        yield folder
    finally:
        for lock in held:
            lock.close()


class RunFolder:
    """Paths of a run's files, and how the first rank writes them."""

    def __init__(self, path: Path, arguments: list[str]) -> None:
        self.path, self.words = path, arguments

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer.model"

    def write_config(self, config: TrainConfig) -> None:
        """Record what this run is from now on; called once all checks have passed."""
        folders.write_whole(self.path / "config.yaml", to_yaml(config))

    def write_order(self, order: dict) -> None:
        """Record the order of the data and where its token stores are."""
        folders.write_whole(self.path / "order.json", json.dumps(order, indent=1))

    def write_command(self) -> None:
        """Record what was typed, without secrets, for the report; a failure is only worth a warning."""
        try:
            command = redact_command(["relama", "train", *self.words])
            folders.write_whole(self.path / "command.txt", command + "\n")
        except OSError as error:
            identity.say(f"warning: {self.path / 'command.txt'}: {error}; the command is not recorded")

    def keep_tokenizer(self, model: Path) -> None:
        """Copy the tokenizer into the folder, once."""
        if not self.tokenizer.exists():
            temporary = self.path / "tokenizer.model.tmp"
            shutil.copyfile(model, temporary)
            folders.sync(temporary)
            temporary.replace(self.tokenizer)

    def set_aside(self, *paths: Path) -> None:
        """Keep files of a run that starts again under other names."""
        for path in filter(Path.exists, paths):
            number = 1
            while (kept := path.with_stem(f"{path.stem}-{number}")).exists():
                number += 1
            path.rename(kept)
            identity.say(f"{path.name} so far is kept as {kept}")

    def cut_metrics(self, step: int) -> None:
        """Drop damaged lines and those after `step`, whose steps will be trained again."""
        if not self.metrics.exists():
            return
        aside = self.path / "metrics.jsonl.tmp"
        with open(self.metrics, encoding="utf-8", errors="replace") as lines, open(aside, "w") as kept:
            for line in lines:
                at = _step_of(line)
                if at is None:
                    identity.say(f"warning: {self.metrics}: dropped a damaged line")
                elif at > step:
                    break
                else:
                    kept.write(line)
            kept.flush()
            os.fsync(kept.fileno())
        aside.replace(self.metrics)

    def refuse_another_run(self, config: TrainConfig) -> None:
        """Raise RunError, naming each key, if the folder holds a run with another identity."""
        saved = self.path / "config.yaml"
        if not saved.exists():
            return
        try:
            before, now = asdict(read_run_config(self.path)), asdict(config)
        except ConfigError as error:
            raise RunError(f"{saved}: damaged ({error}); choose another run=NAME") from None
        changed = [
            line for key in RUN_IDENTITY for line in _differences(key, _at(before, key), _at(now, key))
        ]
        if changed:
            raise RunError(
                f"{self.path}: holds another run ({'; '.join(changed)}); choose a new run=NAME, "
                "or rerun with the original values to resume"
            )


def _step_of(line: str) -> int | None:
    """The step of a line of metrics, or None if the line is torn or damaged."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else None
    except (ValueError, KeyError, TypeError):
        return None


def read_run_config(path: Path) -> TrainConfig:
    """The configuration of the run at `path`, `precision` as it trained. Raises RunError if it is not one."""
    if not (path / "config.yaml").exists():
        raise RunError(f"{path}: not a run folder (no config.yaml); expected runs/NAME of a training run")
    config = from_yaml(path / "config.yaml", TrainConfig)
    if config.precision == "auto":  # made before precision was a key
        config.precision = "bf16" if starts.on_gpu(path) else "fp32"
    return config


def _lock(path: Path, patience: float = 15.0) -> IO[str]:
    """Hold `path` until the file is closed. A killed run's workers may take a moment to exit."""
    handle = open(path, "a+")  # noqa: SIM115 - the lock lives as long as the file is open
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                handle.seek(0)
                owner = handle.read().strip() or "unknown"
                raise RunError(f"{path.parent}: being trained by another process ({owner})") from None
            time.sleep(0.2)
        except OSError as error:
            raise RunError(
                f"{path.parent}: this file system has no locks ({error.strerror}); mount it with flock, "
                "or choose a run=PATH on another"
            ) from None
    handle.truncate(0)
    handle.write(f"pid {os.getpid()} on {os.uname().nodename}\n")
    handle.flush()
    return handle


def _at(tree: dict, key: str) -> object:
    for part in key.split("."):
        tree = tree[part]
    return tree


def _differences(key: str, before: object, now: object) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = list(before) + [name for name in now if name not in before]
        return [
            line for name in keys for line in _differences(f"{key}.{name}", before.get(name), now.get(name))
        ]
    return [] if before == now else [f"{key}: {before} there, {now} requested"]
