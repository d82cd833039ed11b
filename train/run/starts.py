"""starts.jsonl of a run: a line for each time that it was started, with all that is needed to do it again.

The command, the ranks and their device, the versions of what computes and the commit of this clone. The
report reads it; nothing of it is needed to resume.
"""

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from configs.redact import redact_words
from train.ranks.setup import Ranks
from train.run import json_lines

NAME = "starts.jsonl"
PACKAGES = ("torch", "triton", "numpy", "sentencepiece", "datasets", "pyarrow", "fairscale", "safetensors")


def record_start(folder: Path, words: list[str], first_step: int, ranks: Ranks) -> None:
    """Append this start, of which `first_step` is the first that it will train."""
    line = {
        "time": time.time(),
        "first_step": first_step,
        "command": command(words),
        "in": str(Path.cwd()),
        "ranks": ranks.world_size,
        "device": _device_name(ranks.device),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": _versions(),
        "commit": _commit(),
    }
    json_lines.append(folder / NAME, line)


def read_starts(folder: Path) -> list[dict]:
    """The starts of the run at `folder`, oldest first; lines that are no starts are left out."""
    return [
        line for line in json_lines.read(folder / NAME) if {"first_step", "command", "ranks"} <= line.keys()
    ]


def command(words: list[str]) -> str:
    """What was typed, without secrets: under torchrun, as many processes on each of as many nodes."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return redact_words(["relama", "train", *words])
    local, world = (int(os.environ.get(key, 1)) for key in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    nodes = ["--nnodes", str(world // local)] if world > local else []
    return redact_words(["torchrun", *nodes, "--nproc_per_node", str(local), "train/main.py", *words])


def _device_name(device: torch.device) -> str:
    """Of one rank: as CUDA reports it, or the processor's with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or "CPU"
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads != 1)} of {name}"


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """Of the clone that this file is in, with + where files were changed since; None if it is not known."""
    here = Path(__file__).resolve().parent
    try:
        git = ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--dirty=+"]
        return subprocess.run(git, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
