"""What a run needs of this machine, and what there is: memory by model/parallelize/estimate.py, and disk.

Reported before step 1. A run whose weights, micro-batch or first checkpoint cannot fit is refused.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from configs.sizes import binary, decimal
from data.page import count, plural
from model.flops import n_params
from model.parallelize.estimate import FP32, estimate
from model.parallelize.mesh import Layout, divisors
from train.config import RunError, TrainConfig
from train.ranks import identity
from train.ranks.setup import device_type
from train.recipe.facts import with_vocabulary

GIB = 2**30
STATE = 4 * FP32  # bytes per parameter: weights, gradients and AdamW's two moments
SAVED = 3 * FP32  # of them, what a checkpoint holds
PROCESS = 0.5 * GIB  # what Python and torch take on a CPU, measured
CGROUP = Path("/sys/fs/cgroup")


def weights_problem(config: TrainConfig, layout: Layout) -> list[str]:
    """One line if this machine's ranks cannot hold their share of the training state."""
    assert layout.dp_replicate is not None  # `choose_layout` has picked a number
    shares = layout.world_size // layout.dp_replicate  # of one replica
    total = n_params(with_vocabulary(config.model)) * STATE
    free, place, ranks = _room(config, layout)
    share = total * ranks / shares
    if free is None or share <= free:
        return []
    copies = f" (parallel.dp_replicate={layout.dp_replicate} replicas)" if layout.dp_replicate > 1 else ""
    return [
        f"the model needs {binary(share)} on {place} for fp32 weights, gradients and AdamW state "
        f"over {plural(shares, 'rank')}{copies}, but only {binary(free)} are available: "
        "use more ranks (relama launch nodes=N processes=N) or a smaller model=tiny|small|7b|…"
    ]


def refuse_what_cannot_fit(config: TrainConfig, layout: Layout, run: Path) -> None:
    """Raise RunError for a micro-batch without memory, or a new run without disk for one checkpoint."""
    free, place, _ = _room(config, layout)
    if config.precision == "auto":  # chosen later: refuse only what fits in neither precision
        config = replace(config, precision="bf16")
    need = memory(config, layout)
    if free is not None and need is not None and need - PROCESS > free:
        raise RunError(
            f"micro_batch={config.micro_batch}: sequences of {config.timeline.longest:,} tokens need about "
            f"{binary(need)} on {place}, but only {binary(free)} are available: "
            f"{_advice(config, layout, free)}"
        )
    saved, free = n_params(config.model) * SAVED, disk_free(run)
    if free < saved and not (run / "checkpoints").exists():
        raise RunError(
            f"{run}: a checkpoint needs {decimal(saved)}, but its disk has {decimal(free)} free; "
            "make room, or choose run=PATH on another disk"
        )


def _advice(config: TrainConfig, layout: Layout, free: float) -> str:
    """What would fit."""
    rows = config.batch_sequences // layout.dp_size
    for size in (size for size in reversed(divisors(rows)) if size < config.micro_batch):
        need = memory(replace(config, micro_batch=size), layout)
        if need is not None and need - PROCESS <= free:
            return f"micro_batch={size} fits, with the same result"
    saving = replace(config.parallel, activation_checkpointing="full")
    need = memory(replace(config, micro_batch=1, parallel=saving), layout)
    if need is not None and need - PROCESS <= free:
        return "use micro_batch=1 parallel.activation_checkpointing=full"
    return "use more ranks, a shorter seq_len or a smaller model"


def memory(config: TrainConfig, layout: Layout) -> float | None:
    """Bytes at the peak: of one GPU, or of this machine for all its CPU ranks. None for what is unknown."""
    parallel, on_gpu = config.parallel, device_type(config.device) == "cuda"
    if parallel.tensor != "dtensor" or (layout.pp > 1 and parallel.schedule != "1f1b"):
        return None
    rank = estimate(
        config.model,
        layout,
        seq_len=config.timeline.longest,
        micro_batch=config.micro_batch,
        micro_batches=max(1, config.batch_sequences // config.micro_batch // layout.dp_size),
        mode=parallel.activation_checkpointing,
        reshard=parallel.reshard,
        width=2 if on_gpu or config.precision == "bf16" else FP32,
    )
    if on_gpu:
        return rank.peak
    copy = rank.state if config.checkpoint.asynchronous else 0.0  # of the state, while it is written
    return (rank.peak + copy + PROCESS) * _room(config, layout)[2]


def _room(config: TrainConfig, layout: Layout) -> tuple[float | None, str, int]:
    """(bytes available, where, how many ranks share them)."""
    if device_type(config.device) == "cuda":
        return torch.cuda.get_device_properties(0).total_memory, "each GPU", 1
    return available_memory(), "this machine", min(identity.local_world_size(), layout.world_size)


def available_memory() -> int | None:
    """Bytes that this machine or container has free; None if unknown."""
    try:
        with open("/proc/meminfo") as lines:
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    try:
        most, used = ((CGROUP / f"memory.{name}").read_text() for name in ("max", "current"))
        kept = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return min(free, int(most) - int(used) + int(kept["inactive_file"]))
    except (OSError, ValueError, KeyError):  # no limit
        return free


@contextmanager
def memory_named() -> Iterator[None]:
    """Turn running out of memory within the block into a RunError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch has one of its own for GPUs, and none for CPUs
        is_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not is_of_memory and "can't allocate memory" not in str(error):
            raise
        wanted = re.search(r"tried to allocate [\d.]+ \w+", str(error), re.IGNORECASE)
        raise RunError(
            f"rank {identity.rank()} ({identity.node()}): out of memory"
            f"{f', when it {wanted[0].lower()}' if wanted else ''}; lower micro_batch, or use "
            "parallel.activation_checkpointing=full, more ranks or a smaller model"
        ) from None


def disk_free(folder: Path) -> int:
    """Bytes free on the disk of `folder`, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def sentences(config: TrainConfig, layout: Layout, run: Path) -> Iterator[str]:
    """The run in two or three lines: size, tokens and batch; memory and disk, needed and available."""
    each = config.batch_sequences // layout.dp_size
    ranks = plural(layout.dp_size, "rank")
    rows = f"{config.micro_batch} × {each // config.micro_batch} accumulated × {ranks}"
    yield (
        f"{n_params(config.model):,} parameters, {count(config.timeline.tokens(config.steps))} tokens in "
        f"{plural(config.steps, 'step')} of {config.global_batch:,} "
        f"({config.batch_sequences:,} sequences of {config.sequence_length:,}: {rows})"
    )
    (free, place, _), undecided = _room(config, layout), config.precision == "auto"
    needs = [
        memory(replace(config, precision=name) if undecided else config, layout) for name in ("bf16", "fp32")
    ]
    least, most = ("unknown" if need is None else binary(need) for need in needs)
    need = most if least == most else f"{least} (bf16) to {most} (fp32)"
    amounts = [need, "unknown" if free is None else binary(free)]
    saves = -(-config.last_step // config.checkpoint.every)
    kept = min(config.checkpoint.keep, saves)
    saved = n_params(config.model) * SAVED
    written = min(kept + 1, saves)  # one more while it is written
    there = sum(path.stat().st_size for path in run.glob("checkpoints/step-*/*") if path.is_file())
    room = disk_free(run)
    yield (
        f"memory: about {amounts[0]} of {amounts[1]} on {place}; disk: {decimal(saved * written)} for "
        f"{plural(kept, 'checkpoint')}, {decimal(room)} free for {run}"
    )
    if saved * written - there > room:
        fewer = (f for f in range(kept - 1, 0, -1) if saved * min(f + 1, saves) - there <= room)
        keep = "".join(f", or keep fewer checkpoints (checkpoint.keep={f})" for f in islice(fewer, 1))
        yield f"warning: {run}: its disk will be full before the run ends; make room{keep}"
