"""A branch killed at a file operation: while `relama branch` makes it, and while it is trained.

`python -m tests.support.branch_faults SCRATCH CORPORA PARENT AT MAKES TRAINS SEED` prints JSON: for each
trial the operation, how the attempts ended, and what is wrong afterwards. Attempts are forked processes.
"""

import hashlib
import json
import os
import random
import shutil
import sys
from pathlib import Path

import torch

import train.main
from tests.support.prepare_faults import EVENTS, KILLED, attempt, counter, operations
from tests.support.runs import learned, tensors
from train.branch import main as branch
from train.checkpoint.folder import complete_steps, is_needed, step_folder
from train.run import configuration, lease

FILES = (configuration.NAME, "lineage.json", "order.json")


def making(scratch: Path, parent: Path, at: int, trials: int, draw: random.Random) -> list[dict]:
    """Kill `relama branch`; then run it again."""
    child, checkpoint = scratch / "child", step_folder(parent / "checkpoints", at)
    arguments = [f"run={parent}", f"at={at}", f"to={child}", "optim.lr=0.001", "data.weights.python_docs=90"]
    events = (*EVENTS, "os.utime", "os.truncate")
    n = operations(arguments, scratch, scratch, events, branch.main)
    expected, found = _files(child), []
    last = set(range(max(1, n - 4), n + 1))  # commit and what follows it
    for place in sorted({*draw.sample(range(1, n + 1), min(trials, n)), *last}):
        shutil.rmtree(child)
        (checkpoint / "branches.json").unlink(missing_ok=True)
        fault = counter(scratch, place, lambda: os._exit(KILLED), events)[0]
        ends = [attempt(arguments, fault, branch.main)]
        wrong = []
        if child.exists() and _files(child) != expected:
            wrong.append("a branch is half-made")
        if child.exists() and not is_needed(checkpoint):
            wrong.append("its parent may drop the checkpoint that it needs")
        if at not in complete_steps(parent / "checkpoints"):
            wrong.append("its parent lost a checkpoint")
        if not child.exists():
            ends.append(attempt(arguments, verb=branch.main))
        if _files(child) != expected or not is_needed(checkpoint):
            wrong.append("another attempt does not complete it")
        left = [path.name for path in scratch.iterdir() if path.name.endswith((".tmp", ".old"))]
        found.append({"operation": place, "of": n, "ends": ends, "wrong": wrong + left})
    return found


def training(scratch: Path, child: Path, corpora: Path, trials: int, draw: random.Random) -> list[dict]:
    """Kill the branch's training at an operation in its folder, from its first start to its end; then kill
    the attempt that resumes it at the same one, and run it again."""
    torch.set_num_threads(1)
    lease.BEAT = 3600.0  # neither it nor the watchdog opens a file whenever some seconds have passed
    arguments = [f"config={child / configuration.NAME}", f"corpora={corpora}", "watchdog.timeout=0"]
    fresh = scratch / "fresh"
    shutil.copytree(child, fresh)
    n = operations(arguments, child, scratch, EVENTS, train.main.main)
    expected, found = _trained(child), []
    trials = min(trials, n)
    for place in [draw.randint(1 + i * n // trials, (i + 1) * n // trials) for i in range(trials)]:
        shutil.rmtree(child)
        shutil.copytree(fresh, child)
        faults = [counter(child, place, lambda: os._exit(KILLED))[0] for _ in range(2)]
        ends = [attempt(arguments, fault, train.main.main) for fault in (*faults, None)]
        same = _trained(child) == expected
        found.append(
            {"operation": place, "of": n, "ends": ends, "wrong": [] if same else ["it ends otherwise"]}
        )
    return found


def _files(run: Path) -> dict[str, str]:
    return {name: (run / name).read_text() for name in FILES if (run / name).exists()}


def _trained(run: Path) -> tuple:
    """What each step learned, and the last checkpoint's tensors."""
    last = complete_steps(run / "checkpoints")[-1]
    content = hashlib.sha256()
    for name, tensor in sorted(tensors(step_folder(run / "checkpoints", last)).items()):
        content.update(name.encode() + tensor.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return [row[:5] for row in learned(run)], last, content.hexdigest()


if __name__ == "__main__":
    scratch, corpora, parent, at, makes, trains, seed = sys.argv[1:]
    draw = random.Random(int(seed))
    trials = {
        "making": making(Path(scratch), Path(parent), int(at), int(makes), draw),
        "training": training(Path(scratch), Path(scratch, "child"), Path(corpora), int(trains), draw),
    }
    print(json.dumps(trials))
