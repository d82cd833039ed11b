"""What was recorded of a run's steps: read it, and bring it in line with where the run continues.

metrics.jsonl has a line per step. Samples and scores are made of checkpoints, by other commands.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from configs import regular_file
from configs.existence import exists
from data import folders
from train.config import RunError
from train.ranks import identity
from train.run import json_lines, views
from train.run.schema import SAMPLE, STEP

SAMPLES = "samples.jsonl"
SCORES = "evaluation"  # a folder for each checkpoint that was evaluated


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
    if exists(path):
        _write(path, [places[at] for at in sorted(places)], damaged)
    if (missing := step - begun - len(places) - (owed is not None)) > 0:
        identity.say(
            f"warning: {path}: no metrics for {missing:,} of {step:,} steps; the checkpoint is complete"
        )
    return owed


def read_samples(path: Path) -> list[dict]:
    """The samples of the run at `path` in order of step: {step, prompt, text}."""
    return sorted(json_lines.read(path / SAMPLES, SAMPLE), key=lambda line: line["step"])


def scored(path: Path) -> list[tuple[int, Path]]:
    """The evaluated steps of the run at `path` in order, each with the folder of its scores."""
    found = [(folder.name.removeprefix("step-"), folder) for folder in (path / SCORES).glob("step-*")]
    return sorted((int(step), folder) for step, folder in found if step.isdecimal())


def set_aside_after(path: Path, step: int) -> None:
    """Keep those of the steps after `step`, which will be trained again, under other names."""
    try:
        samples = read_samples(path)
        if any(line["step"] > step for line in samples):
            note = folders.set_aside(path / SAMPLES)
            kept = [line for line in samples if line["step"] <= step]
            folders.write_whole(path / SAMPLES, "".join(json.dumps(line) + "\n" for line in kept))
            identity.say(f"{path / SAMPLES}: without the samples after step {step}{note}")
        for _, folder in (found for found in scored(path) if found[0] > step):
            identity.say(f"{folder}: of a checkpoint that is trained again{folders.set_aside(folder)}")
    except OSError as error:  # training does not need them
        identity.say(f"warning: {error}; reports show samples and scores of steps that were undone")


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
