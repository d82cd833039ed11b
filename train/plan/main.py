"""`relama plan model=65b …`: what a run needs, before you have the machines for it.

By default: tokens, GPU-hours, days, energy and storage, by the paper's accounting (its Table 15;
docs/recipe.md §5). With `layout=true`: one rank's memory, collectives and FLOPs in the real layout, traced in
this process (layout.py).
"""

import sys
from pathlib import Path

from configs import terminal
from configs.load import entry, load
from configs.sizes import decimal
from model.flops import flops_per_token, n_params
from model.parallelize.mesh import DIMENSIONS, Layout, LayoutError, Limits, choose
from train.config import RunError
from train.metrics.hardware import GPU_NAMES
from train.plan.config import PlanConfig
from train.plan.measured import measured_rate
from train.recipe.facts import CARBON, COMMON, GPU_HOURS, MFU, PUE, SIZES, WATTS, size_of

A100 = GPU_NAMES["a100-80"]


def budget(config: PlanConfig) -> list[str]:
    """The run's needs by the paper's accounting, one line each."""
    size, tokens = n_params(config.model), config.steps * config.global_batch
    flops = flops_per_token(config.model, config.sequence_length)
    speed, basis = _speed(config, flops)
    hours = tokens / speed / 3600
    width = 2 if config.model.vocab_size <= 2**16 else 4  # bytes of a token in a store
    used, idle, chosen = _used(config)
    mwh = hours * WATTS * PUE / 1e6
    lines = [
        f"{size:,} parameters, {tokens:,} tokens in {config.steps:,} steps of {config.global_batch:,}",
        f"{tokens * flops:.3g} FLOPs at {flops:.4g} per token (6 per matrix weight, plus causal attention)",
        f"{hours:,.0f} GPU-hours at {speed:,.0f} tokens/s per GPU ({basis})",
        f"{hours / 24 / used:,.1f} days on {used:,} GPUs{idle}",
    ]
    if config.device == A100 and not config.measured:
        lines.append(
            f"{mwh:,.0f} MWh ({WATTS} W, PUE {PUE}), {mwh * CARBON:,.0f} t CO₂eq ({CARBON} kg per kWh)"
        )
    return [
        *lines,
        *chosen,
        f"storage: {decimal(tokens * width)} to keep each token once, as uint{8 * width}; "
        f"{decimal(size * 12)} per checkpoint (fp32 weights and AdamW's two moments); "
        f"{decimal(size * 2)} for the weights in 16 bits",
    ]


def _used(config: PlanConfig) -> tuple[int, str, list[str]]:
    """How many GPUs can share the batch by sequences, what that leaves idle, and the layout if it is auto's.

    Raises RunError for an impossible layout.
    """
    if config.parallel.auto:
        from train.plan.layout import settle_layout  # imports torch

        layout, _, reason = settle_layout(config)
        parts = f"{config.micro_batches:,} micro-batches"
        return layout.world_size, config.idle(layout.world_size, parts), [f"parallel=auto: {layout}{reason}"]
    wanted = Layout(**{name: getattr(config.parallel, name) for name in DIMENSIONS})
    sequences = config.global_batch // config.sequence_length
    limits = Limits(
        model=config.model,
        seq_len=config.sequence_length,
        micro_batches=sequences,
        schedule=config.parallel.schedule,
        stages_per_rank=config.parallel.stages_per_rank,
        no_pipeline=config.parallel.no_pipeline,
    )
    try:
        used = choose(wanted, config.world_size, limits).world_size
    except LayoutError as error:
        raise RunError(str(error)) from None
    return used, config.idle(used, f"{sequences:,} sequences"), []


def _speed(config: PlanConfig, flops: int) -> tuple[float, str]:
    """Tokens/s of one GPU, and what the figure is based on."""
    if config.measured:
        rate, basis = measured_rate(Path(config.measured), config.model.dim)
        return rate / flops, basis
    size = size_of(config.model)
    if size and config.device == A100 and config.model.vocab_size == COMMON["model.vocab_size"][0]:
        return SIZES[size]["tokens"] / GPU_HOURS[size] / 3600, "the paper's Table 15"
    if config.device is None:
        raise RunError(f"gpu={config.gpu}: its speed is not known; give one of {', '.join(GPU_NAMES)}")
    return config.device.peak * MFU / flops, f"the paper's {MFU:.0%} of the peak, which yours may not reach"


def run(argv: list[str]) -> None:
    config = load("plan", PlanConfig, argv)
    if config.layout:
        from train.plan.layout import plan_layout  # imports torch, which most budgets do not need

        lines = plan_layout(config)
    else:
        lines = budget(config)
    print("\n".join(terminal.wrapped(line, sys.stdout) for line in lines))


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError,))


if __name__ == "__main__":
    sys.exit(main())
