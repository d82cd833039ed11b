"""What this machine's GPUs do, checked and measured in under ten minutes: `python benchmarks/gpu.py`.

Needs torch 2.11 and no network. First numerics, each against something independent; then tokens/s, MFU and
memory of 1B- and 7B-shaped blocks, what data and checkpoints cost, and all GPUs together. Prints a table and
writes a JSON file that `relama plan measured=FILE` reads. Each part is its own process, so that one that
fails or hangs does not take the others with it. `--device cpu --tiny` tries all of it on a CPU.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import torch  # noqa: E402

LIMIT = 570  # seconds for everything
PARTS = ("checks", "speed", "runs", "all")  # the most useful first


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="shapes for a CPU")
    parser.add_argument("--ranks", type=int, help="processes of the parts on all devices; default: the GPUs")
    parser.add_argument("--output", default="gpu.json")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        return part(asked)
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu.py: no CUDA device is available; --device cpu --tiny tries it on a CPU")
    ranks = asked.ranks or (torch.cuda.device_count() if asked.device == "cuda" else 1)
    found = {"device": device_name(asked.device), "gpus": ranks, "torch": torch.__version__}
    found |= {"python": platform.python_version(), "tiny": asked.tiny}
    lines: dict[str, list[dict]] = {}
    end = time.monotonic() + LIMIT
    with tempfile.TemporaryDirectory() as folder:
        for name in PARTS:
            if name == "all" and ranks == 1:
                continue
            lines[name] = run_part(name, asked, ranks if name == "all" else 1, folder, end)
    found["checks"] = [line for part_ in lines.values() for line in part_ if "check" in line]
    found["speed"] = [line for line in lines["speed"] if "shape" in line]
    found["all"] = [line for line in lines.get("all", []) if "shape" in line]
    found["run"] = next((line for line in lines["runs"] if "data" in line), None)
    Path(asked.output).write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(table(found)))
    print(f"\nwritten to {asked.output}: relama plan measured={asked.output} model=7b world_size=…")
    return 0 if all(line["ok"] is not False for line in found["checks"]) else 1


def run_part(name: str, asked: argparse.Namespace, ranks: int, folder: str, end: float) -> list[dict]:
    """The lines of one part; one that fails or takes too long leaves those so far and says so."""
    arguments = [__file__, f"--part={name}", f"--device={asked.device}", f"--folder={folder}"]
    arguments += ["--tiny"] * asked.tiny
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)] * (ranks > 1)
    out, err = Path(folder) / f"{name}.jsonl", Path(folder) / f"{name}.err"
    print(f"{name} …", file=sys.stderr, flush=True)
    left = end - time.monotonic()
    why = None
    if left < 10:
        why = "not run: no time left"
    else:
        environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{os.environ.get('PYTHONPATH', '')}"}
        with open(out, "w") as output, open(err, "w") as errors:
            process = subprocess.Popen(
                [sys.executable, *launcher, *arguments], stdout=output, stderr=errors, env=environment
            )
            try:
                if code := process.wait(left):
                    last = (err.read_text(errors="replace").strip().splitlines() or ["no message"])[-1]
                    why = f"ended with exit code {code}: {last[:200]}"
            except subprocess.TimeoutExpired:
                process.terminate()  # torchrun ends its workers
                process.wait()
                why = f"stopped after {left:.0f} s"
    text = out.read_text() if out.exists() else ""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [*lines, {"check": f"the part {name}", "ok": False, "detail": why}] if why else lines


def part(asked: argparse.Namespace) -> int:
    """Do one part and print its lines, on the first rank."""
    for line in _lines(asked):
        if os.environ.get("RANK", "0") == "0":
            print(json.dumps(line), flush=True)
    return 0


def _lines(asked: argparse.Namespace) -> Iterator[dict]:
    from device import checks, runs, speed

    from model.parallelize.mesh import Layout
    from train.ranks import identity
    from train.ranks.allocator import raise_malloc_thresholds
    from train.ranks.setup import set_up, tear_down

    raise_malloc_thresholds()
    device = torch.device(asked.device, *([identity.local_rank()] if asked.device == "cuda" else []))
    if asked.part == "runs":  # the trainer makes its own process group
        yield from runs.on_one(device, asked.tiny, Path(asked.folder))
        return
    set_up(Layout(dp_shard=identity.world_size()), asked.device)
    torch.set_float32_matmul_precision("highest")
    try:
        if asked.part == "checks":
            yield from checks.on_one(device, asked.tiny)
        elif asked.part == "speed":
            yield from speed.on_one(device, asked.tiny)
        else:
            yield from checks.on_all(device, asked.tiny)
            yield from speed.on_all(device, asked.tiny)
    finally:
        tear_down()


def device_name(device: str) -> str:
    from train.metrics.hardware import cpu_name

    return torch.cuda.get_device_name() if device == "cuda" else cpu_name()


def table(found: dict) -> list[str]:
    """Everything, as Markdown."""
    lines = [f"# {found['device']}, {found['gpus']} of them, torch {found['torch']}", ""]
    lines += ["| check | | |", "|---|---|---|"]
    word = {True: "ok", False: "**differs**", None: "–"}
    lines += [f"| {line['check']} | {word[line['ok']]} | {line['detail']} |" for line in found["checks"]]
    lines += [
        "",
        "| step, bf16 | tokens/s at full depth | MFU | peak GiB | by estimate |",
        "|---|---|---|---|---|",
    ]
    for line in found["speed"]:
        name = f"{line['shape']}, {'compiled' if line['compiled'] else 'eager'}"
        if "error" in line:
            lines.append(f"| {name} | {line['error']} | | | |")
            continue
        mfu = "unknown" if line["mfu"] is None else f"{line['mfu']:.1%}"
        held = "–" if line["peak_gib"] is None else f"{line['peak_gib']:.1f}"
        rate = f"{line['tokens_per_second']:,.0f}"
        lines.append(f"| {name} | {rate} | {mfu} | {held} | {line['planned_gib']:.1f} |")
    for line in found["all"]:
        lines.append(
            f"\n{line['shape']}-shaped, {line['layers']} layers, sharded over {line['ranks']} ranks: "
            f"{line['sharded_tokens_per_second']:,.0f} tokens/s"
        )
    if run := found["run"]:
        lines.append(
            f"\nA run on the sample: {run['tokens_per_second']:,.0f} tokens/s; {run['data']:.2%} of the time "
            f"waiting for data, {run['checkpoint']:.2%} blocked by checkpoints"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
