"""lineage.json of a branch: which checkpoint of which run it continues from.

A branch does not copy its past: until it saves a checkpoint, it starts from its parent's. That checkpoint's
folder lists the branches that need it (branches.json), so the parent keeps it.
"""

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from configs.existence import is_dir
from data import folders
from data.phases.kept import Ranges, merged
from train.checkpoint.folder import fingerprint, kept_folder, read_state, step_folder
from train.config import RunError
from train.run import json_lines, schema, views

NAME = "lineage.json"


@dataclass(frozen=True)
class Stretch:
    """Updates up to `last` with these settings of AdamW."""

    last: int
    betas: list[float]
    clip: float


@dataclass(frozen=True)
class Lineage:
    """The parent's folder, the last step that both runs share, and the checksum of its checkpoint."""

    parent: Path
    step: int
    checksum: str
    fingerprints: dict[str, str] = field(default_factory=dict)  # of the token stores it was made for
    without: dict[str, Ranges] = field(default_factory=dict)  # token ranges left out, by source
    updates: tuple[Stretch, ...] = ()  # of AdamW by the ancestors, the first one's first

    @classmethod
    def read(cls, run: Path) -> "Lineage | None":
        """The lineage of the run at `run`, None if it is not a branch. Raises RunError if it is damaged."""
        path = run / NAME
        if (content := views.content(path)) is None:
            return None
        try:
            found = schema.LINEAGE.parse(content)
            without = {source: merged(ranges) for source, ranges in found.get("without", {}).items()}
            updates = tuple(
                Stretch(each["last"], each["betas"], math.inf if each["clip"] is None else each["clip"])
                for each in found.get("updates", [])
            )
        except (ValueError, TypeError) as error:
            raise RunError(
                f"{path}: not readable ({error}); restore it: it says where this run's past is"
            ) from None
        parent = (run / found["parent"]).resolve()
        return cls(parent, found["step"], found["checksum"], found.get("fingerprints", {}), without, updates)

    def write(self, folder: Path, run: Path) -> None:
        """Write it into `folder`, which becomes `run`; a parent next to `run` is named by a relative path."""
        parent = self.parent.resolve()
        near = parent.parent == run.resolve().parent
        updates = [
            asdict(each) | ({} if math.isfinite(each.clip) else {"clip": None})  # JSON has no infinity
            for each in self.updates
        ]
        place = f"../{parent.name}" if near else str(parent)
        known = asdict(self) | {"parent": place, "updates": updates}
        folders.write_whole(folder / NAME, json.dumps(known, indent=1))

    def checkpoint(self) -> tuple[Path, dict]:
        """The parent's checkpoint and its state. Raises RunError if it is deleted or altered."""
        folder = self._folder()
        remedy = "this run continues from it; restore it, or make the branch again from another step"
        if not is_dir(folder):
            raise RunError(f"{folder}: missing, and {remedy}")
        try:
            state = read_state(folder)
        except RunError as error:
            raise RunError(f"{error}, and {remedy}") from None
        if fingerprint(state) != self.checksum:
            raise RunError(
                f"{folder}: altered: not the checkpoint that this run was branched from; restore that one, "
                "or make the branch again with relama branch"
            )
        return folder, state

    def shared(self) -> int:
        """The last step that both runs still share: the parent may have rewound and trained others since.

        Without the checkpoint, which knows the rewinds before the branch, each one counts.
        """
        known = 0
        with suppress(RunError):
            state = read_state(self._folder())
            if fingerprint(state) != self.checksum:
                return 0  # of another run
            known = len(_rewinds((state.get("recovery") or {}).get("decisions", [])))
        later = _rewinds(json_lines.read(self.parent / "decisions.jsonl", schema.DECISION))[known:]
        return min([self.step, *(decision.get("to_step", 0) for decision in later)])

    def _folder(self) -> Path:
        """The parent's checkpoint, or where it is kept since the parent went back behind it."""
        folder = step_folder(self.parent / "checkpoints", self.step)
        kept = kept_folder(folder, self.checksum)
        return kept if is_dir(kept) else folder


def _rewinds(decisions: list[dict]) -> list[dict]:
    return [decision for decision in decisions if decision["action"] == "rewind"]


def inherited(run: Path) -> int:
    """How many of the run's steps its parent trained; 0 if the run is not a branch."""
    lineage = Lineage.read(run)
    return lineage.step if lineage else 0


def ancestors(run: Path) -> list[tuple[Path, int]]:
    """The run's parent, its parent and so on, each with the step that its child begins after.

    Raises RunError for a circle, which only edited files can have.
    """
    return [(lineage.parent, lineage.step) for lineage in _line(run)]


def shared(run: Path) -> list[tuple[Path, int]]:
    """The ancestors, each with the last step that it still shares with the run. Raises RunError as above."""
    found: list[tuple[Path, int]] = []
    for lineage in _line(run):
        found.append((lineage.parent, min([lineage.shared(), *(last for _, last in found)])))
    return found


def _line(run: Path) -> list[Lineage]:
    found: list[Lineage] = []
    seen = {run.resolve()}
    while (lineage := Lineage.read(run)) is not None:
        if lineage.parent in seen:
            raise RunError(f"{run / NAME}: names {lineage.parent}, which is a branch of this run: a circle")
        seen.add(lineage.parent)
        run = lineage.parent
        found.append(lineage)
    return found
