"""What all guards together cost a step of the small model: `python tests/benchmarks/guards.py`.

On: the judge of each step (recovery=skip), the watchdog, the comparison of ranks, metrics forced to the disk
before a save, asynchronous saves. Off: none of these (saves wait, and come at the end alone). Runs on and off
take turns, so that what else the machine does falls on both; the medians of their steps are compared.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from data.sample import prepare_sample

RELAMA = [sys.executable, "-m", "launch.cli", "train", "model=small", "model.vocab_size=-1"]
SETTINGS = ["global_batch=2048", "micro_batch=4", "validate.every=0", "checkpoint.every=100000"]
ON = ["recovery=skip", "watchdog.timeout=600", "watchdog.compare_every=10"]
OFF = ["recovery=warn", "recovery.window=1000000", "watchdog.timeout=0", "watchdog.compare_every=0"]
WARM_UP = 3  # first steps of a run, left out
GOAL = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks/guards.py")
    parser.add_argument("--rounds", type=int, default=4, help="runs with and without, in turn")
    parser.add_argument("--steps", type=int, default=14, help="of each run")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {"off": [], "on": []}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare_sample(work / "corpora")
        for number in range(options.rounds):
            for name, guards in (("off", OFF), ("on", ON)) if number % 2 else (("on", ON), ("off", OFF)):
                run = work / f"{name}-{number}"
                where = [f"corpora={work / 'corpora'}", f"run={run}", f"steps={options.steps}"]
                subprocess.run([*RELAMA, *SETTINGS, *guards, *where], check=True)
                lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
                seconds[name] += [line["seconds"]["total"] for line in lines[WARM_UP:]]
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, times in seconds.items():
        quarters = statistics.quantiles(times, n=4)
        print(
            f"guards {name:4} {medians[name]:.4f} s a step (quartiles {quarters[0]:.4f} … {quarters[2]:.4f})"
        )
    print(f"overhead {medians['on'] / medians['off'] - 1:+.2%} (goal: under {GOAL:.0%})")


if __name__ == "__main__":
    main()
