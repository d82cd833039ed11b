"""A finished run trained again in other ways: `python benchmarks/reproduction/again.py RUN_FOLDER`.

On two FSDP ranks, by two-way tensor parallelism, and killed at ten random steps and resumed. Prints how far
each training curve is from the run's own, writes again.svg and again.json into again/RUN beside the run,
and exits with 1 if a layout differs by more than rounding, or the killed run in any digit. Run it again to
resume.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from train.report.charts import COLOURS, Chart, Line  # noqa: E402
from train.run.record import RunRecord  # noqa: E402

# Of the loss at any step: sums in another order, accumulated over all steps.
TOLERANCES = {"fp32": 2e-3, "bf16": 2e-2}
LAYOUTS = {
    "FSDP, two ranks": ("parallel.dp_shard=2", "micro_batch=4"),
    "tensor parallel, two ranks": ("parallel.dp_shard=1", "parallel.tp=2"),
}
KILLED = "killed and resumed"


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("run", type=Path, help="the folder of a finished run of one process")
    asked.add_argument("--kills", type=int, default=10)
    asked.add_argument("--seed", type=int, default=0, help="of the steps at which the run is killed")
    arguments = asked.parse_args()
    run = arguments.run
    curves = {"one process": curve(run)}
    for name, keys in LAYOUTS.items():
        if "parallel.tp=2" in keys and (heads := RunRecord.read(run).config.model.n_heads) % 2:
            print(f"{name}: left out, {heads} heads cannot be divided by two", flush=True)
            continue
        goal = folder(run, name)
        if not (goal / "finished.json").exists():
            command_line = command(run, goal, "threads=1", *keys, ranks=2)
            subprocess.run(command_line, check=True, stdout=subprocess.DEVNULL)
        curves[name] = curve(goal)
    goal = folder(run, KILLED)
    if not (goal / "finished.json").exists():
        shutil.rmtree(goal, ignore_errors=True)
        print(f"killed {kill_and_resume(run, goal, arguments.kills, arguments.seed)} times", flush=True)
    curves[KILLED] = curve(goal)
    sys.exit(compared(run, curves))


def command(run: Path, goal: Path, *further: str, ranks: int = 1) -> list[str]:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks))
    command_line = (f"config={run / 'config.yaml'}", f"run={goal.resolve()}", *further)
    return [
        sys.executable,
        *(launcher if ranks > 1 else ()),
        str(REPOSITORY / "train" / "main.py"),
        *command_line,
    ]


def folder(run: Path, name: str) -> Path:
    return run.parent / "again" / run.name / name.partition(",")[0].replace(" ", "-").lower()


def kill_and_resume(run: Path, goal: Path, kills: int, seed: int) -> int:
    """Train to the end, with SIGKILL at `kills` random steps; returns how many hit a living process."""
    steps, hit = len(curve(run)), 0
    command_line = command(run, goal, f"checkpoint.every={max(1, steps // 40)}", "checkpoint.keep_every=0")
    for step in sorted(random.Random(seed).sample(range(1, steps), kills)):
        process = subprocess.Popen(command_line, stdout=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and reached(goal) < step:
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            hit += 1
        process.wait()
    subprocess.run(command_line, check=True, stdout=subprocess.DEVNULL)
    return hit


def reached(run: Path) -> int:
    """Steps in a run's metrics."""
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def curve(run: Path) -> list[float]:
    """The training loss of each step."""
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def compared(run: Path, curves: dict[str, list[float]]) -> int:
    """Print the table and write the files; returns the exit code."""
    (own, *_), first = curves, curves["one process"]
    rows, wrong = {}, False
    tolerance = TOLERANCES[RunRecord.read(run).config.precision]
    print(f"{'':28}{'last loss':>12}{'largest difference':>20}")
    for name, losses in curves.items():
        assert len(losses) == len(first), f"{name}: {len(losses)} steps of {len(first)}"
        largest = max(abs(loss / ours - 1) for loss, ours in zip(losses, first))
        wrong |= largest > (0 if name in (own, KILLED) else tolerance)
        rows[name] = {"last_loss": losses[-1], "largest_difference": largest, "steps": len(losses)}
        print(f"{name:28}{losses[-1]:12.6f}{largest:20.2e}")
    results = run.parent / "again" / run.name
    (results / "again.json").write_text(json.dumps(rows, indent=1) + "\n")
    lines = [
        Line(name, range(1, len(losses) + 1), losses, colour=colour, dashed=name != own)
        for (name, losses), colour in zip(curves.items(), COLOURS)
    ]
    (results / "again.svg").write_text(Chart("Training loss (nats per token)", lines).file())
    return int(wrong)


if __name__ == "__main__":
    main()
