"""`relama prepare`, killed at a place of its work that does not depend on when anybody looks."""

import subprocess
import sys
from pathlib import Path

from tests.support.runs import REPOSITORY

# Ends at its first operation in a folder once a file of a pattern is there, as if killed from outside.
_CODE = """
import os, signal, sys
from pathlib import Path

import data.prepare.plan
from data.main import main

made, pattern, looks = sys.argv[1], sys.argv[2], [False]
data.prepare.plan.TASK_BYTES = int(sys.argv[3]) or data.prepare.plan.TASK_BYTES

def hook(event, arguments):
    if pattern and not looks[0] and any(str(one).startswith(made) for one in arguments):
        looks[0] = True
        if any(Path(made).glob(pattern)):
            os.kill(os.getpid(), signal.SIGKILL)
        looks[0] = False

sys.addaudithook(hook)
sys.exit(main([*sys.argv[4:], "engine.workers=1"]))
"""


def prepare(
    arguments: list[str], made: Path, until: str = "", task_bytes: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run it in one process, which is killed once `made` has a file of the pattern `until`."""
    command = [sys.executable, "-c", _CODE, str(made), until, str(task_bytes), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
