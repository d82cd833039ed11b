"""The folder of a run: one owner at a time, one config for ever, metrics that end where the weights do.

runs/<name>/  config.yaml  command.txt  order.json  tokenizer.model  metrics.jsonl  checkpoints/  report.html
             launch/ (job scripts, logs)  preempted.json, finished.json or stopped.json
"""

import fcntl
import json
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path

from configs.load import ConfigError, from_yaml, save
from configs.redact import redact_words
from train.config import RUN_IDENTITY, RunError, TrainConfig


def run_path(run: str) -> Path:
    """A bare name lies under runs/; anything with a slash is a path."""
    return Path(run) if os.sep in run or run in (".", "..") else Path("runs") / run


def as_key(key: str, words: list[str]) -> list[str]:
    """The words of a verb that takes one run: `run=` and `weights=` both name it, and become `key=`.

    Raises RunError if both are given.
    """
    naming = [word for word in words if word.startswith(("run=", "weights="))]
    if len({word.partition("=")[0] for word in naming}) > 1:
        raise RunError(f"{naming[0]} {naming[1]}: both name the run; give one of them")
    return [f"{key}={word.partition('=')[2]}" if word in naming else word for word in words]


def refuse_foreign(path: Path) -> None:
    """Raises RunError if what lies at `path` is no run's; `relama launch` may have been there first."""
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file, expected a run folder; choose another run=NAME")
    others = path.is_dir() and any(entry.name != "launch" for entry in path.iterdir())
    if others and not (path / ".lock").exists():
        raise RunError(f"{path}: is not a run folder and not empty; choose another run=NAME")


class RunFolder:
    """Rank 0's hold on the folder. Raises RunError if another process, or another run, has it."""

    def __init__(self, config: TrainConfig) -> None:
        self.path = run_path(config.run)
        refuse_foreign(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.path / ".lock")  # first of all: it marks the folder as a run's
        self.checkpoints.mkdir(exist_ok=True)
        self._refuse_another_run(config)

    def release(self) -> None:
        """Let another run have the folder."""
        self._lock.close()

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def write_config(self, config: TrainConfig) -> None:
        """Once all checks passed: what this run is, from now on."""
        aside = self.path / "config.yaml.tmp"
        save(config, aside)
        aside.replace(self.path / "config.yaml")

    def write_order(self, order: dict) -> None:
        aside = self.path / "order.json.tmp"
        aside.write_text(json.dumps(order, indent=1))
        aside.replace(self.path / "order.json")

    def write_command(self, words: list[str]) -> None:
        """What was typed, for the report's "run it again"."""
        (self.path / "command.txt").write_text(redact_words(["relama", "train", *words]) + "\n")

    def keep_tokenizer(self, model: Path) -> None:
        if not (self.path / "tokenizer.model").exists():
            shutil.copyfile(model, self.path / "tokenizer.model.tmp")
            (self.path / "tokenizer.model.tmp").replace(self.path / "tokenizer.model")

    def cut_metrics(self, step: int) -> None:
        """Drop what was logged after `step`, and damaged lines: those steps will be trained again."""
        if not self.metrics.exists():
            return
        aside = self.path / "metrics.jsonl.tmp"
        with open(self.metrics, encoding="utf-8", errors="replace") as lines, open(aside, "w") as kept:
            for line in lines:
                at = _step_of(line)
                if at is None:
                    print(f"relama: warning: {self.metrics}: a damaged line is dropped", flush=True)
                elif at > step:
                    break
                else:
                    kept.write(line)
            kept.flush()
            os.fsync(kept.fileno())
        aside.replace(self.metrics)

    def _refuse_another_run(self, config: TrainConfig) -> None:
        saved = self.path / "config.yaml"
        if not saved.exists():
            return
        try:
            before, now = asdict(from_yaml(saved, TrainConfig)), asdict(config)
        except ConfigError as error:
            raise RunError(f"{saved}: damaged ({error}); choose another run=NAME") from None
        changed = [
            line for key in RUN_IDENTITY for line in _differences(key, _at(before, key), _at(now, key))
        ]
        if changed:
            raise RunError(
                f"{self.path}: holds another run ({'; '.join(changed)}); give run=NAME for a new run, "
                "or the same values to go on"
            )


def _step_of(line: str) -> int | None:
    """The step of a line of metrics; None if it is torn or damaged."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else None
    except (ValueError, KeyError, TypeError):
        return None


def read_run_config(path: Path) -> TrainConfig:
    """The config of the run at `path`. Raises RunError if it is not a run folder."""
    if not (path / "config.yaml").exists():
        raise RunError(f"{path}: not a run folder (no config.yaml); expected runs/NAME of a training run")
    return from_yaml(path / "config.yaml", TrainConfig)


def _lock(path: Path, patience: float = 15.0) -> object:
    """Hold `path` while this process lives. A killed run's workers may take a moment to go."""
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
                raise RunError(f"{path.parent}: is being trained by another process ({owner})") from None
            time.sleep(0.2)
        except OSError as error:
            raise RunError(
                f"{path.parent}: this file system has no locks ({error.strerror}); mount it with flock, "
                "or give run=PATH on another"
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
    return [] if before == now else [f"{key}: {before} there, {now} asked"]
