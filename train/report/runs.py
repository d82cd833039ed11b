"""`relama runs`: every run in a folder with its state, step, tokens, held-out figure, speed and age.

In: run folders, with their configs, markers and metrics. A run that cannot be read has a row that says why.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from configs import regular_file, terminal
from configs.load import ConfigError, entry, load
from configs.table import table as aligned
from data.page import count
from train.config import RunError
from train.report.curves import mixed_bits
from train.run import configuration, lease, lock, markers
from train.run.configuration import read_run_config
from train.run.lineage import Lineage
from train.run.schema import STEP, finite, heldout_of

DEEPEST = 3  # run=a/b is two folders below runs/, and a run of its sweep three
ENDS = {markers.FINISHED: "finished", markers.STOPPED: "stopped", markers.PREEMPTED: "preempted"}


@dataclass
class RunsConfig:
    """Where the runs are, and how they are listed."""

    folder: str = "runs"  # where the runs are
    json: bool = False  # a JSON object per line instead of the table


@dataclass
class Row:
    """One run; what is unknown is None."""

    run: str
    state: str  # running | finished | stopped | preempted | unfinished | unreadable
    step: int | None = None
    steps: int | None = None
    tokens: int | None = None
    bits_per_byte: float | None = None  # held-out, the sources weighted as in the mixture
    tokens_per_second: float | None = None
    age: float | None = None  # seconds since its last step
    problem: str | None = None
    parent: str | None = None  # of a branch: RUN@STEP


def rows(folder: Path) -> Iterator[Row]:
    """A row for each run in `folder`, by name. Raises RunError if there is no such folder."""
    if not folder.is_dir():
        raise RunError(f"folder={folder}: no such folder; expected one with runs, such as runs/")
    if _is_run(folder):
        raise RunError(f"folder={folder}: itself a run; give the folder that it is in: {folder.parent}")
    for path in sorted(_run_folders(folder, DEEPEST)):
        name = str(path.relative_to(folder))
        try:
            yield _row(name, path)
        except (RunError, ConfigError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            yield Row(name, "unreadable", problem=" ".join(str(error).split()))


def table(found: list[Row]) -> list[str]:
    """The lines to print."""
    if not found:
        return ["no runs yet; start one: relama train run=NAME"]
    heads = ("run", "state", "step", "tokens", "bits/byte", "tokens/s", "last step")
    lines = aligned(heads, [_cells(row) for row in found], texts=2)
    return lines + [f"! {row.run}: {row.problem}" for row in found if row.problem]


def _is_run(path: Path) -> bool:
    """Whether it has a config, or the lock of a start that was killed; a corpus's source has a lock, too."""
    if (path / configuration.NAME).is_file():
        return True
    is_locked = (path / lock.NAME).is_file()
    return is_locked and not any(name.partition(".")[0] in ("text", "tokens") for name in os.listdir(path))


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    for path in folder.iterdir():
        if _is_run(path):
            yield path
        elif depth > 1 and path.is_dir() and not path.is_symlink():
            yield from _run_folders(path, depth - 1)


def _row(name: str, path: Path) -> Row:
    config = read_run_config(path)
    metrics = path / "metrics.jsonl"
    last, measured = _last_lines(metrics)
    row = Row(name, _state(path), steps=config.steps)
    if lineage := Lineage.read(path):
        row.parent = f"{lineage.parent.name}@{lineage.step}"
    if last:
        row.step, row.tokens = last["step"], last.get("tokens")
        row.tokens_per_second, row.age = last.get("tokens_per_second"), time.time() - metrics.stat().st_mtime
    if measured:
        row.bits_per_byte = finite(mixed_bits(config.data.weights, heldout_of(measured)))
    return row


def _last_lines(metrics: Path) -> tuple[dict | None, dict | None]:
    """The last line of metrics, and the last one with a held-out loss."""
    last = measured = None
    try:
        with regular_file.opened(metrics) as file:
            for line in (line for line in regular_file.lines(file) if line.endswith(b"\n")):
                last = line
                measured = line if b'"validation"' in line else measured
        return STEP.parse(last) if last else None, STEP.parse(measured) if measured else None
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise RunError(f"{metrics}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise RunError(f"{metrics}: a damaged line ({error})") from None


def _state(path: Path) -> str:
    if _is_locked(path / ".lock"):
        return "running"
    return next((state for name, state in ENDS.items() if (path / name).exists()), "unfinished")


def _is_locked(lock: Path) -> bool:
    """Whether a trainer holds the run's folder: by its lock, or by its lease where locks do not reach."""
    try:
        with regular_file.opened(lock) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            owner = lease.read(handle)
            return owner is not None and owner.may_live(lock, handle, within=lease.PATIENCE)
    except BlockingIOError:
        return True
    except OSError:
        return False


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.run + (f" (from {row.parent})" if row.parent else ""),
        row.state,
        "–" if row.step is None else f"{row.step:,} of {row.steps:,}",
        count(row.tokens),
        "–" if row.bits_per_byte is None else f"{row.bits_per_byte:.4f}",
        count(row.tokens_per_second),
        "–" if row.age is None else _ago(row.age),
    )


def _ago(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name} ago"
    return "now"


def run(argv: list[str]) -> None:
    config = load("runs", RunsConfig, argv)
    found = list(rows(Path(config.folder)))
    for line in map(json.dumps, map(asdict, found)) if config.json else table(found):
        terminal.write(line, wrap=not config.json)


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError,))
