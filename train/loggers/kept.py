"""What a run folder remembers of its run in a service, in wandb.json or mlflow.json.

Services cannot take back steps. A run that rewinds continues as a new run of the same group, with the history
up to there; the rewound steps remain in the old one. A copied run folder is a new run.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from configs import regular_file
from data import folders
from train.loggers.follow import Position
from train.ranks import identity
from train.run import views
from train.run.schema import LOGGED_RUN


@dataclass(frozen=True)
class Kept:
    """One run in a service."""

    id: str
    group: str  # the id of the first one, before any rewind
    rewinds: int  # of the training run before this one began
    folder: str  # the run folder, to know a copy by
    step: int = 0  # the last step given to the service

    def follows(self, at: Position) -> bool:
        """Whether a run that continues at `at` is still this one: none of its steps was taken back."""
        return self.rewinds == at.rewinds


def read(path: Path) -> Kept | None:
    """What `path` records; None if it is missing, damaged (which is reported) or of a run copied here."""
    content = views.content(path)
    if content is None:
        return None
    try:
        found = LOGGED_RUN.parse(content)
    except ValueError as error:
        identity.say(f"warning: {path}: damaged ({error}); written again, for a new run")
        return None
    folder = found.get("folder", "")
    if folder and Path(folder) != path.parent.absolute() and _id(Path(folder) / path.name) == found["id"]:
        return None
    return Kept(
        found["id"],
        found.get("group", found["id"]),
        found.get("rewinds", 0),
        str(path.parent.absolute()),
        found.get("step", 0),
    )


def write(path: Path, kept: Kept) -> None:
    """Record `kept`. Raises OSError."""
    folders.write_whole(path, json.dumps(asdict(kept)))


def shown_name(folder: Path, rewinds: int) -> str:
    """What people call the run: its folder below runs/, and how often it has rewound."""
    parts = folder.parts
    name = "/".join(parts[1:]) if len(parts) > 1 and parts[0] == "runs" else folder.name
    return f"{name} (rewound {rewinds}×)" if rewinds else name


def _id(path: Path) -> str | None:
    try:
        return LOGGED_RUN.parse(regular_file.content(path))["id"]
    except (OSError, ValueError):
        return None
