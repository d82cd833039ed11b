"""Run Relama as a user does, in separate processes, and read its output."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict_loader import _load_state_dict

from tests.support.fork_server import Forked, fork, python

REPOSITORY = Path(__file__).resolve().parents[2]

# A model and batch so small that starting the process takes most of the time.
SMALL = [
    "model=tiny",
    "data=sample",
    "model.dim=32",
    "model.n_layers=2",
    "model.n_heads=2",
    "seq_len=64",
    "micro_batch=1",
    "global_batch=512",
    "optim.lr=0.003",
    "validate.sequences=4",
    "validate.every=0",
    "threads=1",
    "precision=fp32",  # the same numbers on every machine
]


def command(*overrides: str, ranks: int = 0) -> list[str]:
    """`relama train …`, or `torchrun --nproc_per_node ranks train/main.py …`."""
    if ranks == 0:
        return [sys.executable, str(REPOSITORY / "train" / "main.py"), *SMALL, *overrides]
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)),
        *(str(REPOSITORY / "train" / "main.py"), *SMALL, *overrides),
    ]


def relama(verb: str) -> list[str]:
    """`relama VERB` in its own Python, which prints no lines about waiting, however slow the machine is."""
    code = "import sys; from configs import waiting; waiting.AFTER = 600.0; from launch import relama; "
    return [sys.executable, "-c", f"{code}sys.exit(relama())", verb]


def run(*overrides: str, ranks: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, forked from a process that has imported torch (`python`'s options)."""
    return python(REPOSITORY / "train" / "main.py", *SMALL, *overrides, ranks=ranks, **options)


def succeed(*overrides: str, ranks: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    finished = run(*overrides, ranks=ranks, **options)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished


def not_a_number(*calls: int) -> str:
    """Code for `python -c`: the trainer, with a loss and gradients of nan in these computations of a step."""
    return _NOT_A_NUMBER.replace("CALLS", repr(calls))


_NOT_A_NUMBER = """
import sys
import train.integrity.computation
from train.main import main

real, calls = train.integrity.computation.forward_backward, iter(range(10**6))

def forward_backward(model, batches, count):
    loss = real(model, batches, count)
    if next(calls) in CALLS:
        for parameter in model.parameters():
            parameter.grad.fill_(float("nan"))
        return loss * float("nan")
    return loss

train.integrity.computation.forward_backward = forward_backward
sys.exit(main(sys.argv[1:]))
"""


def start(*overrides: str, ranks: int = 0) -> Forked:
    """Start a command in its own session, so that a signal reaches nothing else, as if not under nohup.

    With `ranks` it is torchrun itself, which starts a Python for each rank. Its output is shown if it does
    not do what is waited for.
    """
    printed = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the command
    return fork(*command(*overrides, ranks=ranks)[1:], new_session=True, out=printed, err=printed)


def wait_for_step(
    folder: Path,
    step: int,
    process: subprocess.Popen | Forked,
    timeout: float = 400,
    log: Path | None = None,
) -> None:
    """Until so many steps are logged. Raises AssertionError with the end of its output, or of `log`."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        is_over = process.poll() is not None  # before the look: it may log its last steps and end after that
        if steps_done(folder) >= step:
            return
        assert not is_over, f"ended with {process.returncode} before step {step}\n{_printed(process, log)}"
        time.sleep(0.02)
    raise AssertionError(f"no step {step} within {timeout} s\n{_printed(process, log)}")


def steps_done(folder: Path) -> int:
    """How many steps are logged; while a run trains, its last line may be half there."""
    path = folder / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def _printed(process: subprocess.Popen | Forked, log: Path | None) -> str:
    if log is not None:
        return log.read_text(errors="replace")[-3000:]
    return process.tail() if isinstance(process, Forked) else ""


def workers_of(process: subprocess.Popen | Forked) -> list[int]:
    """The worker processes of a torchrun, oldest first: its children with a session of their own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parent, session = int(fields[1]), int(fields[3])
            except (OSError, IndexError):
                continue
            if parent == process.pid and session == int(entry.name):
                found.append(session)
    return sorted(found)


def is_running(process_id: int) -> bool:
    """Whether there is such a process, other than one that has ended and is not waited for yet."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def end(process: subprocess.Popen | Forked) -> None:
    """End all processes of a command that are left."""
    if process.poll() is None:
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def metrics(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def learned(folder: Path) -> list[tuple]:
    """The values that two equal runs must share at every step, to the last digit."""
    keys = ("step", "loss", "grad_norm", "lr", "tokens", "validation")
    return [tuple(line.get(key) for key in keys) for line in metrics(folder)]


def tensors(step_folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint, model and optimizer, by name."""
    state: dict = {}
    _load_state_dict(
        state,
        storage_reader=FileSystemReader(step_folder),
        planner=_EmptyStateDictLoadPlanner(),
        no_dist=True,
    )
    return dict(_leaves(state))


def _leaves(tree: dict, prefix: str = ""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def same_tensors(one: Path, other: Path) -> None:
    """Raises AssertionError unless all tensors of two checkpoints are bitwise equal."""
    left, right = tensors(one), tensors(other)
    assert left.keys() == right.keys() and left
    for name in left:
        assert torch.equal(left[name], right[name]), f"{name} differs"
