"""How a run ended, left in its folder for the job script that started it.

torchrun turns every exit code of a worker into 1, so a script cannot tell a preempted run, which must
go back into the queue, from a finished or a broken one. `preempted.json` or `finished.json` tells it;
each appears whole, and a run that starts or goes on removes both.
"""

import json
import os
import time
from pathlib import Path

PREEMPTED = "preempted.json"
FINISHED = "finished.json"


def leave(folder: Path, name: str, **what: object) -> None:
    """Write marker `name` with what is known; it is there whole or not at all."""
    aside = folder / f"{name}.tmp"
    with open(aside, "w") as file:
        json.dump({**what, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / name)


def clear(folder: Path) -> None:
    for name in (PREEMPTED, FINISHED):
        (folder / name).unlink(missing_ok=True)
