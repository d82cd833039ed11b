"""Markers: small files in the run folder that tell a job script how the run ended.

torchrun turns every exit code of a worker into 1, so a script cannot tell a preempted run, which it should
requeue, from a failed one. `preempted.json`, `finished.json` or `stopped.json` says which it was. Each is
written atomically, and a run that starts or resumes removes them.
"""

import json
import time
from pathlib import Path

from data import folders
from train.config import RunError
from train.ranks import identity
from train.run import schema, views

PREEMPTED = "preempted.json"
FINISHED = "finished.json"
STOPPED = "stopped.json"  # by recovery: restarting automatically would end the same way
ALL = (PREEMPTED, FINISHED, STOPPED)


def leave(folder: Path, name: str, **details: object) -> None:
    """Write the marker `name` with `details`; a failure is only worth a warning."""
    content = {**details, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    try:
        folders.write_whole(folder / name, json.dumps(content))
    except OSError as error:  # the run ends the same way without it
        identity.say(f"warning: {folder / name}: could not be written ({error.strerror})")


def clear(folder: Path) -> None:
    """Remove all markers."""
    for name in ALL:
        (folder / name).unlink(missing_ok=True)


def has_finished(folder: Path, last_step: int) -> bool:
    """Whether the run's marker says that it finished `last_step`; False if the marker is damaged."""
    try:
        return schema.FINISHED.parse(views.content(folder / FINISHED) or b"")["step"] >= last_step
    except (RunError, ValueError):
        return False


def refuse_stopped(folder: Path) -> None:
    """Raise RunError with the reason if recovery stopped the run and torchrun is restarting it."""
    path = folder / STOPPED
    if identity.restarts() == 0:
        path.unlink(missing_ok=True)
    elif (content := views.content(path)) is not None:
        try:
            why = schema.STOPPED.parse(content)["why"]
        except ValueError as error:
            why = (
                f"{path}: recovery stopped this run, and the reason is not readable ({error}); the run's log "
                "has it; run the same command to resume"
            )
        raise RunError(why)
