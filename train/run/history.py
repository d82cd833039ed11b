"""metrics.jsonl: read it, and bring it in line with the checkpoint that a run continues from."""

from collections.abc import Iterator
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


def cut_back(path: Path, step: int, owed: dict | None = None, begun: int = 0) -> dict | None:
    """Keep one line for each step up to `step`, in order; later steps will be trained again.

    `owed`: the line of `step`, to be written with its held-out losses. Returns it unless the file has them;
    a line without them is dropped. A branch has no lines up to step `begun`.

    Damaged lines are dropped and reported, with the file as it was kept under another name; a torn last
    line is not damage. Steps without a line are reported too. Raises RunError if the file cannot be read.
    """
    views.refuse_other_than_file(path)
    places, damaged = _places(path, step, owed is not None)
    if step in places:
        owed = None
    if path.exists():
        _write(path, [places[at] for at in sorted(places)], damaged)
    if (missing := step - begun - len(places) - (owed is not None)) > 0:
        identity.say(
            f"warning: {path}: no metrics for {missing:,} of {step:,} steps; the checkpoint is complete"
        )
    return owed


def _places(path: Path, step: int, is_owed: bool) -> tuple[dict[int, tuple[int, int]], int]:
    """Where each step's last line begins and its length without a newline; how many lines are damaged.

    If `step` `is_owed` its held-out losses, a line without them does not count.
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
            lacks_losses = is_owed and at == step and not values.get("validation")
            if 1 <= at <= step and not lacks_losses:
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
