"""Several machines on this one: a torchrun for each, which meet as they would on a network."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

from launch.torchrun import ENVIRONMENT
from tests.support.fork_server import Forked, fork
from tests.support.ports import free_port
from tests.support.runs import REPOSITORY, end


def machines(
    *program: str,
    restarts: int = 0,
    outputs: list[IO],
    log: Path,
    folders: list[Path] | None = None,
    processes: int = 1,
    forked: bool = True,
) -> list[subprocess.Popen | Forked]:
    """Two of our torchruns with so many ranks each, in sessions of their own; they meet at the first.

    `folders`: where each runs (default: here). What they print to standard error is added to `log`. `forked`:
    not by Pythons of their own, which matters where a test looks at how one ends.
    """
    started: list[subprocess.Popen | Forked] = []
    port = free_port()
    env = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(REPOSITORY)}
    for output, folder in zip(outputs, folders or [Path()] * len(outputs), strict=True):
        conf = f"--rdzv-conf=is_host={'false' if started else 'true'}"
        command = [sys.executable, "-m", "launch.agent", "--nnodes=2", f"--nproc-per-node={processes}", conf]
        command += ["--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}", "--rdzv-id=ends"]
        command += [f"--max-restarts={restarts}", *program]
        with log.open("a") as errors:
            if forked:
                one = fork(*command[1:], out=output, err=errors, cwd=folder, env=env, new_session=True)
            else:
                one = subprocess.Popen(
                    command, stdout=output, stderr=errors, cwd=folder, env=env, start_new_session=True
                )
        started.append(one)
    return started


def codes(started: list[subprocess.Popen | Forked], log: Path) -> list[int]:
    """The machines' exit codes; fails if one waits for the other, as torchrun does for 300 s."""
    try:
        return [process.wait(timeout=600) for process in started]
    except subprocess.TimeoutExpired:
        raise AssertionError(log.read_text()[-3000:]) from None
    finally:
        for process in started:
            end(process)
