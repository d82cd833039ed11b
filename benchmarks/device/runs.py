"""Runs of the trainer on the embedded sample: bitwise resume, and what data and checkpoints cost a step."""

import json
from collections.abc import Iterator
from pathlib import Path

import torch

from train.main import main as train

WIDTH = ("model.dim=1024", "model.n_layers=8", "model.n_heads=16", "seq_len=256", "micro_batch=8")
STALLS = ("data", "checkpoint")
TINY_WIDTH = ("model.dim=32", "model.n_layers=2", "model.n_heads=2", "seq_len=64", "micro_batch=1")


def on_one(device: torch.device, tiny: bool, folder: Path) -> Iterator[dict]:
    """One line for the stalls, one for the resumed run."""
    steps, batch = (4, 512) if tiny else (20, 65536)
    arguments = (
        *("model=tiny", "data=sample", f"corpora={folder / 'corpora'}", f"device={device.type}"),
        *(TINY_WIDTH if tiny else WIDTH),
        *("precision=bf16", "deterministic=true", f"steps={steps}", f"global_batch={batch}"),
        *("validate.every=0", "validate.sequences=1", f"checkpoint.every={steps // 2}"),
    )
    whole, stopped = folder / "whole", folder / "stopped"
    for run, more in ((whole, ()), (stopped, (f"stop_at={steps // 2}",)), (stopped, ())):
        if code := train([*arguments, f"run={run}", *more]):
            yield {"check": "a run on the sample", "ok": False, "detail": f"relama train ended with {code}"}
            return
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()][1:]
    total = sum(line["seconds"]["total"] for line in lines)
    yield {
        "tokens_per_second": batch * len(lines) / total,
        **{
            name: sum(line["seconds"].get(name, 0.0) for line in lines) / total
            for name in ("data", "checkpoint")
        },
    }
    names = [path.name for path in (whole / "checkpoints" / f"step-{steps:06d}").glob("*.distcp")]
    differing = [name for name in names if _bytes(whole, steps, name) != _bytes(stopped, steps, name)]
    yield {
        "check": "a resumed run, bit for bit (deterministic=true)",
        "ok": bool(names) and not differing,
        "detail": f"{len(names)} files of the last checkpoint, {len(differing)} differ",
    }


def _bytes(run: Path, step: int, name: str) -> bytes:
    return (run / "checkpoints" / f"step-{step:06d}" / name).read_bytes()
