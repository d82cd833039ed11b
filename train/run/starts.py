"""starts.jsonl, the ledger of a run's starts and ends. The report reads it; resuming does not need it.

A start has what is needed to reproduce it (command, ranks, device, versions, commit) and what the restart
cost: the step it resumed from, the last step that the previous start logged, and when. A rewind is an end
and a start without a command. A start that is killed has no end. Runs made before this ledger have their
ends, and their starts' costs, in attempts.jsonl.
"""

import platform
import re
import subprocess
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from configs.existence import exists
from configs.redact import redact_command
from train.metrics.hardware import cpu_name
from train.ranks import identity
from train.run import json_lines
from train.run.schema import EVENT, STEP

if TYPE_CHECKING:
    import torch

    from train.ranks.setup import Ranks

NAME = "starts.jsonl"
OLDER_NAME = "attempts.jsonl"
COSTS = ("event", "time", "step", "reached", "last_seen", "ranks", "how")  # what a start costs
PACKAGES = ("torch", "triton", "numpy", "sentencepiece", "datasets", "pyarrow", "fairscale", "safetensors")


def started(folder: Path, arguments: list[str] | None, step: int, ranks: "Ranks") -> None:
    """Record a start that continues after `step`, before metrics.jsonl is cut back to it.

    `arguments` are the command's, None for a rewind within a start.
    """
    metrics = folder / "metrics.jsonl"
    seen = metrics.stat().st_mtime if exists(metrics) else None
    reached = max(step, _last_step(metrics))
    line = {"event": "start", "step": step, "reached": reached, "last_seen": seen, "ranks": ranks.world_size}
    if arguments is not None:
        line |= {
            "first_step": step + 1,
            "command": command(arguments),
            "in": str(Path.cwd()),
            "device": _device_name(ranks.device),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "versions": _versions(),
            "commit": _commit(),
        }
    _append(folder, line)


def saved(folder: Path, step: int) -> None:
    """Record this process's first checkpoint: if the folder later has none, they were lost."""
    _append(folder, {"event": "saved", "step": step})


def had_checkpoints(folder: Path, begun: int) -> bool:
    """Whether the run once had a checkpoint, not counting those that it rewound past on purpose.

    `begun`: how many steps a parent run trained.
    """
    for event in reversed(json_lines.read(folder / NAME, EVENT)):
        if event.get("event") == "saved":
            return True
        if event.get("how") == "rewound":
            return False
        if event.get("event") == "start":
            return event.get("step", 0) > begun
    return False


def ended(folder: Path, step: int, how: str) -> None:
    """Record an end that the run itself saw: `how` is finished, failed, rewound or a signal's name."""
    _append(folder, {"event": "end", "step": step, "how": how})


def read_starts(folder: Path) -> list[dict]:
    """The starts with their commands, oldest first."""
    lines = json_lines.read(folder / NAME, EVENT)
    return [line for line in lines if {"first_step", "command", "ranks"} <= line.keys()]


def other_device(folder: Path, device: "torch.device") -> str | None:
    """What the last start computed on, and what this one does; None if they are the same, or unknown.

    The last bits of a result depend on the GPU, or on the processor and the number of threads.
    """
    devices = [line["device"] for line in read_starts(folder) if line.get("device")]
    now = _device_name(device)
    if not devices or devices[-1] == now:
        return None
    threads = re.match(r"(\d+) threads? of ", devices[-1])
    hint = f"; threads={threads[1]} for the same number" if threads and device.type == "cpu" else ""
    return f"the last start computed on {devices[-1]}, this one on {now}{hint}"


def on_gpu(folder: Path) -> bool:
    """Whether the last recorded start was on GPUs."""
    devices = [line["device"] for line in read_starts(folder) if line.get("device")]
    return bool(devices) and not re.match(r"\d+ threads? of ", devices[-1])


def read_events(folder: Path) -> list[dict]:
    """All starts, rewinds and ends, oldest first."""
    lines = [*json_lines.read(folder / OLDER_NAME, EVENT), *json_lines.read(folder / NAME, EVENT)]
    events = [line for line in lines if {"event", "step"} <= line.keys()]
    whole = [line for line in events if line["event"] == "end" or {"reached", "last_seen"} <= line.keys()]
    return [{key: line[key] for key in COSTS if key in line} for line in whole]


def command(arguments: list[str]) -> str:
    """What was typed, without secrets; under torchrun, with the same numbers of nodes and processes."""
    if not identity.under_torchrun():
        return redact_command(["relama", "train", *arguments])
    local, world = identity.local_world_size(), identity.world_size()
    nodes = ["--nnodes", str(world // local)] if world > local else []
    return redact_command(["torchrun", *nodes, "--nproc_per_node", str(local), "train/main.py", *arguments])


def _device_name(device: "torch.device") -> str:
    """One rank's device: as CUDA reports it, or the processor with the number of threads."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads != 1)} of {cpu_name()}"


@cache
def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit of this file's clone, with + if files changed since; None if unknown."""
    here = Path(__file__).resolve().parent
    try:
        git = ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--dirty=+"]
        return subprocess.run(git, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _last_step(metrics: Path) -> int:
    try:
        lines = json_lines.split(metrics)
    except OSError:
        return 0
    for line in reversed(lines):
        try:
            return STEP.parse(line)["step"]
        except ValueError:
            continue
    return 0


def _append(folder: Path, event: dict) -> None:
    try:
        json_lines.append(folder / NAME, {**event, "time": time.time()})
    except OSError as error:  # a failing ledger must not end a run
        identity.say(f"warning: {folder / NAME}: {error}; this {event['event']} is not recorded")
