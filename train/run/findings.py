"""What was found out about a run's checkpoints: generated samples, and scores of benchmarks.

Reports show them by step, so those of steps that were undone must not stay under the same names.
"""

import json
from pathlib import Path

from data import folders
from train.ranks import identity
from train.run import json_lines
from train.run.schema import SAMPLE

SAMPLES = "samples.jsonl"
SCORES = "evaluation"  # a folder for each checkpoint that was evaluated


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
