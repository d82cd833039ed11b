"""The cost of the guards per step of the small model: `python benchmarks/guards.py`.

One run with all of them on: recovery=skip, the watchdog, rank comparison, background saves with checksums.
Each call that the loop makes for a guard is timed in place, and compared with the steps' time: comparing with
a run without guards would be lost in noise. Saves and comparisons of ranks are frequent here, and counted as
often as the default settings make them. The sum excludes the CPU time that the threads of the watchdog and of
a save take from the steps; `benchmarks/saving.py` measures that for a save.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from data.prepare.sample import prepare_sample
from train import main as entry
from train.checkpoint.saver import Saver
from train.config_groups import CheckpointConfig, WatchdogConfig
from train.integrity.judge import Judge
from train.integrity.sentinel import Sentinel
from train.loggers.journal import Journal
from train.metrics.communication import Communication
from train.metrics.stragglers import Stragglers
from train.ranks.watchdog import Watchdog

SETTINGS = [
    "model=small",
    "global_batch=2048",
    "micro_batch=4",
    "validate.every=0",
    "validate.sequences=1",
    "recovery=skip",
]
OFTEN = 10  # steps between two saves, and between two comparisons of ranks
SAVE, COMPARISON = CheckpointConfig().every, WatchdogConfig().compare_every
GUARDS = {  # by name: the method, and the steps between two calls that do work, with the default settings
    "judging each step's loss and norm": (Judge, "step", 1),
    "checksums and ranges after the update": (Sentinel, "record", 1),
    "checksums before the update": (Sentinel, "changes", 1),
    "telling the watchdog": (Watchdog, "beat", 1),
    "asking whether to watch communication": (Communication, "watch", 1),
    "comparing ranks": (Stragglers, "after_step", COMPARISON),
    "the complete state before a save": (Judge, "is_sound", SAVE),
    "forcing metrics to the disk before a save": (Journal, "settle", SAVE),
    "beginning a save": (Saver, "save", SAVE),
    "waiting for the copy of the state": (Saver, "before_update", 1),
}
WHOLE = "checksums of the complete state at a save's step"  # otherwise they read a piece
WARM_UP = 3  # first steps of the run, excluded from the steps' median
GOAL = 0.01


def timed(spent: dict[str, list[float]], name: str, owner: type, method: str) -> None:
    """Time the calls of a method."""
    plain = getattr(owner, method)

    def with_watch(*args, **kwargs):
        record = getattr(args[0], "_record", None)
        is_whole = kwargs.get("whole") or (method == "changes" and record is not None and record.pieces == 1)
        begin = time.perf_counter()
        try:
            return plain(*args, **kwargs)
        finally:
            if not kwargs.get("wait"):  # the save at the run's end does not belong to a step
                spent[WHOLE if is_whole else name].append(time.perf_counter() - begin)

    setattr(owner, method, with_watch)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/guards.py")
    parser.add_argument("--steps", type=int, default=41)
    parser.add_argument("settings", nargs="*", help="keys of the run, such as global_batch=8192")
    options = parser.parse_args()
    spent: dict[str, list[float]] = defaultdict(list)
    for name, (owner, method, _) in GUARDS.items():
        timed(spent, name, owner, method)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare_sample(work / "corpora")
        often = [f"checkpoint.every={OFTEN}", f"watchdog.compare_every={OFTEN}"]
        steps = [f"steps={options.steps * 10}", f"stop_at={options.steps}"]
        entry.run(
            [
                *SETTINGS,
                *often,
                *steps,
                *options.settings,
                f"corpora={work / 'corpora'}",
                f"run={work / 'run'}",
            ]
        )
        lines = (work / "run" / "metrics.jsonl").read_text().splitlines()
    seconds = [json.loads(line)["seconds"]["compute"] for line in lines]
    step = statistics.median(seconds[WARM_UP:])
    print(f"a step computes for {step:.3f} s (median)")
    total = 0.0
    print("| guard | ms | every … steps | µs per step | share of a step |\n|---|---|---|---|---|")
    for name, calls in spent.items():
        every = SAVE if name == WHOLE else GUARDS[name][2]
        # The first call after a start reads everything; comparing does nothing at most steps.
        each = statistics.median(calls) if every == 1 else sum(calls) / (options.steps // OFTEN)
        share = each / every
        total += share
        print(f"| {name} | {each * 1e3:.2f} | {every:,} | {share * 1e6:,.0f} | {share / step:.3%} |")
    print(f"| **total** (goal: under {GOAL:.0%}) | | | {total * 1e6:,.0f} | **{total / step:.3%}** |")


if __name__ == "__main__":
    main()
