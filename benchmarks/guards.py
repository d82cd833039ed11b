"""The cost of the guards per step of the small model: `python benchmarks/guards.py`.

One run with all of them on: recovery=skip, the watchdog, rank comparison, background saves with checksums.
Each call that the loop makes for a guard is timed in place, and the sum is compared with the steps' time:
comparing with a run without guards would be lost in noise. The sum excludes the CPU time that the threads of
the watchdog and of a save take from the steps; `benchmarks/saving.py` measures that for a save.
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
from train.integrity.judge import Judge
from train.integrity.sentinel import Sentinel
from train.metrics.communication import Communication
from train.metrics.journal import Journal
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
GUARDS = {
    "judging each step's loss and norm": (Judge, "step"),
    "checksums and ranges after the update": (Sentinel, "record"),
    "checksums before the update": (Sentinel, "changes"),
    "the complete state before a save": (Judge, "is_sound"),
    "telling the watchdog": (Watchdog, "beat"),
    "comparing ranks, every 10 steps here": (Stragglers, "after_step"),
    "asking whether to watch communication": (Communication, "watch"),
    "forcing metrics to the disk before a save": (Journal, "settle"),
    "beginning a save, every 10 steps here": (Saver, "save"),
    "waiting for the copy of the state": (Saver, "before_update"),
}
WARM_UP = 3  # first steps of the run, excluded from the steps' median
GOAL = 0.01


def timed(spent: dict[str, float], name: str, owner: type, method: str) -> None:
    """Time the calls of a method."""
    plain = getattr(owner, method)

    def with_watch(*args, **kwargs):
        begin = time.perf_counter()
        try:
            return plain(*args, **kwargs)
        finally:
            if not kwargs.get("wait"):  # the save at the run's end does not belong to a step
                spent[name] += time.perf_counter() - begin

    setattr(owner, method, with_watch)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/guards.py")
    parser.add_argument("--steps", type=int, default=41)
    options = parser.parse_args()
    spent: dict[str, float] = defaultdict(float)
    for name, (owner, method) in GUARDS.items():
        timed(spent, name, owner, method)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare_sample(work / "corpora")
        often = ["checkpoint.every=10", "watchdog.compare_every=10"]
        steps = [f"steps={options.steps * 10}", f"stop_at={options.steps}"]
        entry.run([*SETTINGS, *often, *steps, f"corpora={work / 'corpora'}", f"run={work / 'run'}"])
        lines = (work / "run" / "metrics.jsonl").read_text().splitlines()
    seconds = [json.loads(line)["seconds"]["compute"] for line in lines]
    step = statistics.median(seconds[WARM_UP:])
    print(f"a step computes for {step:.3f} s (median)")
    for name, total in [*spent.items(), (f"together (goal: under {GOAL:.0%})", sum(spent.values()))]:
        each = total / options.steps
        print(f"{name:<42} {each * 1e6:>9,.0f} µs a step  {each / step:.4%}")


if __name__ == "__main__":
    main()
