"""metrics.jsonl: read it, and bring it in line with the checkpoint that a run continues from."""

from collections.abc import Callable, Iterator
from pathlib import Path

from configs import regular_file
from data import folders
from train.config import RunError
from train.ranks import identity
from train.run import views
from train.run.schema import STEP


def read_metrics(path: Path) -> list[dict]:
    """The lines of a metrics.jsonl, without a torn last one. Raises RunError if damaged or empty."""
    lines = (views.content(path) or b"").split(b"\n")
    whole = []
    for number, line in enumerate(lines, 1):
        try:
            if line or number < len(lines):
                whole.append(STEP.parse(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise RunError(
                f"{path}: line {number} is damaged ({error}): expected a step's JSON; delete the line"
            ) from None
    if not whole:
        raise RunError(f"{path}: no metrics yet; train this run first (relama train run=…)")
    return whole


def lacks_losses(line: dict) -> bool:
    """Whether a step's line has no held-out losses."""
    return not line.get("validation")


def cut_back(
    path: Path,
    step: int,
    owed: dict | None = None,
    begun: int = 0,
    owes: Callable[[dict], bool] = lacks_losses,
) -> dict | None:
    """Keep one line for each step up to `step`, in order; later steps will be trained again.

    `owed`: the line of `step`, to be written with what is measured after it. Returns it unless the file has
    that line and it `owes` nothing; one that does is dropped. A branch has no lines up to step `begun`.

    Damaged lines are dropped and reported, with the file as it was kept under another name; a torn last
    line is not damage. Steps without a line are reported too. Raises RunError if the file cannot be read.
    """
    views.refuse_other_than_file(path)
    places, damaged = _places(path, step, None if owed is None else owes)
    if step in places:
        owed = None
    if path.exists():
        _write(path, [places[at] for at in sorted(places)], damaged)
    if (missing := step - begun - len(places) - (owed is not None)) > 0:
        identity.say(
            f"warning: {path}: no metrics for {missing:,} of {step:,} steps; the checkpoint is complete"
        )
    return owed


def _places(
    path: Path, step: int, owes: Callable[[dict], bool] | None
) -> tuple[dict[int, tuple[int, int]], int]:
    """Where each step's last line begins and its length without a newline; how many lines are damaged.

    A line of `step` that `owes` measurements does not count.
    """
    places: dict[int, tuple[int, int]] = {}
    damaged = begin = 0
    for line in _lines(path):
        try:
            values = STEP.parse(line)
        except ValueError:
            damaged += line.endswith(b"\n")
        else:
            at = values["step"]
            is_owing = owes is not None and at == step and owes(values)
            if 1 <= at <= step and not is_owing:
                places[at] = (begin, len(line.rstrip(b"\n")))
        begin += len(line)
    return places, damaged


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of the file, none if it is missing. Raises RunError if it cannot be read."""
    try:
        with regular_file.opened(path) as file:
            yield from regular_file.lines(file)
    except FileNotFoundError:
        pass
    except OSError:
        views.content(path)  # refuses it
        raise


def _write(path: Path, kept: list[tuple[int, int]], damaged: int) -> None:
    """Replace the file by these parts, a line each; if lines are `damaged`, keep it under another name."""
    with regular_file.named(path), folders.replacing(path) as temporary:
        with open(path, "rb") as old, open(temporary, "wb") as new:
            for begin, length in kept:
                old.seek(begin)
                new.write(old.read(length) + b"\n")
        if damaged:
            note = folders.set_aside(path)
            identity.say(f"warning: {path}: dropped {damaged:,} damaged line{'s' * (damaged > 1)}{note}")
