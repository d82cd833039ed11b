"""The trainer's overhead on top of the model: `python benchmarks/overhead.py`.

The share of a step of the small model that is not forward, backward and optimizer (waiting for data,
summing over ranks, metrics, logging), and the time from the command to the first step of the tiny model.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RELAMA = [sys.executable, "-m", "launch.cli"]
STEPS = 8
STARTS = 3


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        subprocess.run([*RELAMA, "prepare", "recipe=sample", f"corpora={work}"], check=True)
        rows = [("share of a small step outside the model", f"{overhead(work):.2%}", "under 2 %")]
        for name, command in (("relama train", [*RELAMA, "train"]), ("torchrun", torchrun())):
            seconds = [time_to_first_step(work, command, start) for start in range(STARTS)]
            rows.append(
                (f"{name}: command to first tiny step done", f"{statistics.median(seconds):.1f} s", "10 s")
            )
    print(f"\n{'':44}{'measured':>10}  target")
    for name, figure, target in rows:
        print(f"{name:44}{figure:>10}  {target}")


def overhead(work: Path) -> float:
    settings = (
        f"steps={STEPS}",
        "global_batch=4096",
        "micro_batch=4",
        "validate.every=0",
        "model.vocab_size=-1",
    )
    run = work / "small"
    subprocess.run([*RELAMA, "train", "model=small", f"corpora={work}", f"run={run}", *settings], check=True)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()][1:]
    total = sum(line["seconds"]["total"] for line in lines)
    return 1 - sum(line["seconds"]["compute"] for line in lines) / total


def torchrun() -> list[str]:
    script = Path(__file__).resolve().parents[1] / "train" / "main.py"
    return [sys.executable, "-m", "torch.distributed.run", str(script)]


def time_to_first_step(work: Path, command: list[str], start: int) -> float:
    run = work / f"tiny-{command[-1].replace('/', '_')}-{start}"
    begin = time.perf_counter()
    process = subprocess.Popen([*command, "model=tiny", f"corpora={work}", f"run={run}", "stop_at=1"])
    metrics = run / "metrics.jsonl"
    while not (metrics.exists() and "\n" in metrics.read_text()):
        if process.poll() is not None and not metrics.exists():
            sys.exit(f"{' '.join(command)}: ended with {process.returncode} before its first step")
        time.sleep(0.01)
    seconds = time.perf_counter() - begin
    process.wait()
    return seconds


if __name__ == "__main__":
    main()
