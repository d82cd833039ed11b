"""Any verb that writes, killed at a file operation and run again.

`python -m tests.support.verb_faults SCRATCH TRIALS SEED VERB ARGUMENT…` prints JSON: for each trial, the
operation, how the attempts ended, and the differences from an undisturbed result. The verb runs in
SCRATCH/work, a copy of SCRATCH/before; WORK in an argument becomes its path. Attempts are forked processes.
"""

import json
import os
import random
import shutil
import sys
from functools import partial
from pathlib import Path

import torch

import data.prepare.plan
from launch.cli import VERBS
from launch.cli import run as relama
from tests.support.prepare_faults import (
    KILLED,
    attempt,
    audit_native_reads,
    counter,
    fingerprint,
    operations,
    report_no_progress,
)


def campaign(scratch: Path, trials: int, seed: int, verb: str, arguments: list[str]) -> list[dict]:
    __import__(VERBS[verb][0])  # once, not in every attempt
    audit_native_reads()
    report_no_progress()
    torch.set_num_threads(1)
    data.prepare.plan.TASK_BYTES = 20_000
    before, work = scratch / "before", scratch / "work"
    arguments = [argument.replace("WORK", str(work)) for argument in arguments]
    run = partial(_relama, verb)
    draw, found = random.Random(seed), []

    def restore() -> None:
        os.chdir(scratch)
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(before, work, symlinks=True)
        os.chdir(work)

    restore()
    n = operations(arguments, work, scratch, verb=run)
    expected = fingerprint(work)
    assert expected != fingerprint(before), "the verb wrote nothing"
    for place in sorted(draw.sample(range(1, n + 1), min(trials, n))):
        restore()
        ends = [attempt(arguments, counter(work, place, lambda: os._exit(KILLED))[0], run)]
        ends.append(attempt(arguments, verb=run))
        made = fingerprint(work)
        differ = sorted(name for name in {*expected, *made} if expected.get(name) != made.get(name))
        found.append({"operation": place, "of": n, "ends": ends, "differ": differ})
    return found


def _relama(verb: str, arguments: list[str]) -> int:
    return relama([verb, *arguments])


if __name__ == "__main__":
    scratch, trials, seed, verb, *arguments = sys.argv[1:]
    print(json.dumps(campaign(Path(scratch), int(trials), int(seed), verb, arguments)))
