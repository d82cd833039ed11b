"""`relama prepare`, killed at a place of its work that does not depend on when anybody looks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

_CODE = """
import sys

import data.prepare.plan
from data.main import main
from tests.support.killed import end_at

made, pattern, task_bytes, *arguments = sys.argv[1:]
data.prepare.plan.TASK_BYTES = int(task_bytes) or data.prepare.plan.TASK_BYTES
if pattern:
    end_at(made, pattern)
sys.exit(main([*arguments, "engine.workers=1"]))
"""


def prepare(
    arguments: list[str], made: Path, until: str = "", task_bytes: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run it in one process, which is killed once `made` has a file of the pattern `until`."""
    command = [sys.executable, "-c", _CODE, str(made), until, str(task_bytes), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


def end_at(made: str, pattern: str) -> None:
    """This process ends at its first operation in `made` once that has a file of the pattern, as if killed
    from outside."""
    looks = False

    def hook(event: str, arguments: tuple) -> None:
        nonlocal looks
        if not looks and any(str(one).startswith(made) for one in arguments):
            looks = True
            if any(Path(made).glob(pattern)):
                os.kill(os.getpid(), signal.SIGKILL)
            looks = False

    sys.addaudithook(hook)
