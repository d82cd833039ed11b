"""How a run ended, left in its folder for the job script that started it.

torchrun turns every exit code of a worker into 1, so a script cannot tell a preempted run, which must
go back into the queue, from a finished or a broken one. `preempted.json`, `finished.json` or `stopped.json`
tells it; each appears whole, and a run that starts or goes on removes them.
"""

import json
import os
import time
from pathlib import Path

from train.config import RunError

PREEMPTED = "preempted.json"
FINISHED = "finished.json"
STOPPED = "stopped.json"  # by recovery: to start again by itself would only come to the same stop


def leave(folder: Path, name: str, **what: object) -> None:
    """Write marker `name` with what is known; it is there whole or not at all, which is said."""
    aside = folder / f"{name}.tmp"
    try:
        with open(aside, "w") as file:
            json.dump({**what, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(folder / name)
    except OSError as error:  # the run ends as it does all the same
        print(f"relama: warning: {folder / name}: could not be written ({error.strerror})", flush=True)


def clear(folder: Path) -> None:
    for name in (PREEMPTED, FINISHED, STOPPED):
        (folder / name).unlink(missing_ok=True)


def refuse_stopped(folder: Path) -> None:
    """Raises RunError with recovery's reason, if that ended the run and torchrun starts it again."""
    path = folder / STOPPED
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        path.unlink(missing_ok=True)
    elif path.exists():
        raise RunError(json.loads(path.read_text())["why"])
