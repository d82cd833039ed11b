"""`relama plan layout=true`: one rank of a large run, traced on fake ranks and printed.

In: a model, its batch and a layout. Out: what the rank holds; its peak under each activation checkpointing
mode, and whether a GPU has that much; every collective; its FLOPs.
"""

import sys
from dataclasses import replace

from configs.table import table
from model.flops import flops_per_token
from model.parallelize.activation_checkpointing import MODES
from model.parallelize.auto import USABLE, choose_auto
from model.parallelize.mesh import DIMENSIONS, Layout, LayoutError, Limits, choose
from train.config import RunError
from train.plan.config import PlanConfig
from train.plan.extrapolate import SHALLOW, Step, extrapolate
from train.plan.fake_ranks import fake_world
from train.plan.trace_step import Work, trace_step

TRACED = 3  # micro-batches: the first, one for all in between, the last


def plan_layout(config: PlanConfig) -> list[str]:
    """The report, by line. Raises RunError for an impossible layout."""
    layout, mode, reason = settle_layout(config)
    steps = trace(config, layout, MODES)
    step = steps[mode]
    per_rank = config.micro_batches // layout.dp_size
    idle = config.idle(layout.world_size, f"{config.micro_batches:,} micro-batches")
    return [
        f"{step.n_params:,} parameters on {layout.world_size:,} ranks{idle}: {layout}{reason}",
        f"rank 0: sequences of {config.sequence_length:,} tokens, micro_batch={config.micro_batch}, "
        f"{per_rank:,} per step; fp32 weights and reduction, bf16 compute",
        "",
        *_held(step),
        "",
        *_peaks(steps, config),
        "",
        *_collectives(step, mode),
        "",
        *_operations(steps, mode, config, layout),
    ]


def settle_layout(config: PlanConfig) -> tuple[Layout, str, str]:
    """The layout, the activation checkpointing mode, and the reason if they were chosen here."""
    parallel = config.parallel
    wanted = Layout(**{name: getattr(parallel, name) for name in DIMENSIONS})
    limits = Limits(
        model=config.model,
        seq_len=config.sequence_length,
        micro_batches=config.micro_batches,
        schedule=parallel.schedule,
        stages_per_rank=parallel.stages_per_rank,
        no_pipeline=f"parallel.pp={wanted.pp}: cannot be planned yet; use parallel.pp=1",
    )
    if wanted.pp != 1:
        raise RunError(limits.no_pipeline)
    if parallel.tensor != "dtensor":
        raise RunError(
            f"parallel.tensor={parallel.tensor}: cannot be planned yet; use parallel.tensor=dtensor"
        )
    try:
        if not parallel.auto:
            return choose(wanted, config.world_size, limits), parallel.activation_checkpointing, ""
        choice = choose_auto(
            wanted,
            parallel.activation_checkpointing,
            config.world_size,
            limits,
            memory=config.memory,
            ranks_per_node=min(config.gpus_per_node, config.world_size),
            micro_batch=config.micro_batch,
            reshard=parallel.reshard,
        )
    except LayoutError as error:
        raise RunError(str(error)) from None
    return choice.layout, choice.mode, f", activation_checkpointing={choice.mode} ({choice.reason})"


def trace(config: PlanConfig, layout: Layout, modes: tuple[str, ...]) -> dict[str, Step]:
    """Rank 0's step under each activation checkpointing mode."""
    micro_batches = config.micro_batches // layout.dp_size
    traced = min(TRACED, micro_batches)
    steps = {}
    with fake_world(layout) as mesh:
        for mode in modes:
            print(f"relama: tracing activation_checkpointing={mode}", file=sys.stderr)
            work = Work(config.sequence_length, config.micro_batch, traced, mode, config.parallel.reshard)
            shallow = (replace(config.model, n_layers=depth) for depth in SHALLOW)
            three, four = (trace_step(model, mesh, work) for model in shallow)
            steps[mode] = extrapolate(three, four, config.model.n_layers, micro_batches, traced)
    return steps


def _held(step: Step) -> list[str]:
    names = {
        "parameters": "parameters, fp32",
        "gradients": "gradients, fp32",
        "optimizer": "optimizer (AdamW's two moments, fp32)",
        "buffers": "rotation table",
    }
    rows = [(name, step.held[kind]) for kind, name in names.items()]
    rows.append(("total", sum(size for _, size in rows)))
    return [f"{'held (exact)':<42}{'bytes':>20}{'GiB':>10}", *(_row(*row) for row in rows)]


def _row(name: str, size: float) -> str:
    return f"  {name:<40}{size:>20,}{size / 2**30:>10.3f}"


def _peaks(steps: dict[str, Step], config: PlanConfig) -> list[str]:
    usable = USABLE * config.memory
    head = (
        f"peak in GiB, of {usable / 2**30:.1f} usable on {config.gpu} "
        f"({config.memory / 2**30:.1f} minus {1 - USABLE:.0%} for CUDA, NCCL and the allocator)"
    )
    rows = []
    for mode, step in steps.items():
        total = sum(step.peak.values())
        parts = (step.most_activations, step.peak["gathered"], step.peak["gradients"], total)
        sizes = (f"{size / 2**30:.2f}" for size in parts)
        rows.append((mode, step.peak_stretch, *sizes, "yes" if total <= usable else "no"))
    heads = ("checkpointing", "where", "activations", "gathered", "gradients", "total", "fits")
    return [head, *(f"  {line}" for line in table(heads, rows, texts=2))]


def _collectives(step: Step, mode: str) -> list[str]:
    lines = [
        f"sent by this rank per step, with ring algorithms (activation_checkpointing={mode})",
        f"  {'operation':<16}{'over':<16}{'count':>10}{'GB':>14}",
    ]
    for (operation, ranks), (times, sent) in sorted(step.collectives.items(), key=lambda item: -item[1][1]):
        lines.append(f"  {operation:<16}{ranks:<16}{times:>10,}{sent / 1e9:>14,.3f}")
    return [*lines, f"  {'total':<42}{step.sent / 1e9:>14,.3f}"]


def _operations(steps: dict[str, Step], mode: str, config: PlanConfig, layout: Layout) -> list[str]:
    useful = flops_per_token(config.model, config.sequence_length) * config.global_batch / layout.world_size
    done = ", ".join(f"{step.flops / 1e12:,.1f} with {name}" for name, step in steps.items())
    line = f"TFLOPs of this rank per step: {useful / 1e12:,.1f} as MFU counts; computed: {done}"
    if config.device is None:
        return [line]
    peak = config.device.peak
    return [
        line,
        f"at the {config.gpu}'s peak of {peak / 1e12:,.0f} TFLOP/s: {steps[mode].flops / peak:.2f} s",
    ]
