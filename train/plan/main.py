"""`relama plan model=65b …`: what a run needs, before there is a machine for it.

Without more: tokens, GPU-hours, days, energy and storage by the paper's accounting (its Table 15; RECIPE
section 5). With `layout=true`: memory, collectives and operations of one rank of the real model in the
real layout, traced in this process (`train/plan/layout.py`).
"""

import re
import sys
from dataclasses import dataclass, field, replace

from configs.load import entry, load
from model.flops import flops_per_token, n_params
from model.llama import LlamaConfig
from train.config import CheckpointConfig, OptimConfig, ParallelConfig, RunError, ValidateConfig
from train.metrics.journal import device_peak

# Memory in GiB as CUDA reports it, and the name that DEVICE_PEAKS knows. Data sheets count in GB.
GPUS = {
    "a100-40": (39.4, "NVIDIA A100"),
    "a100-80": (79.2, "NVIDIA A100"),
    "h100": (79.2, "NVIDIA H100 80GB HBM3"),
    "h200": (139.8, "NVIDIA H200"),
    "b200": (178.4, "NVIDIA B200"),
    "l40s": (44.4, "NVIDIA L40S"),
    "4090": (23.5, "NVIDIA GeForce RTX 4090"),
    "3090": (23.6, "NVIDIA GeForce RTX 3090"),
}
# The paper's §6: watts of an A100-80GB, data centre overhead, kg CO₂eq a kWh.
WATTS, PUE, CARBON = 400, 1.1, 0.385
# Table 15's GPU-hours by parameters, to the nearest size; tokens/s/GPU follow.
PAPER_HOURS = {6738415616: 82432, 13015864320: 135168, 32528943616: 530432, 65285660672: 1022362}
PAPER_MFU = 0.48  # of the four sizes' 44.6 to 52.4 %, for a size that the paper does not have
A100 = "NVIDIA A100"


@dataclass
class PlanConfig:
    """What to plan: a size with its batch and steps, on how many of which GPU."""

    model: LlamaConfig
    parallel: ParallelConfig
    optim: OptimConfig = field(default_factory=OptimConfig)
    world_size: int = 2048  # GPUs
    gpus_per_node: int = 8
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)  # a size sets it; not planned
    validate: ValidateConfig = field(default_factory=ValidateConfig)  # the same
    gpu: str = "a100-80"  # a name, or its memory in GiB
    layout: bool = False  # trace one rank
    steps: int = 1000
    seq_len: int | None = None  # null: model.max_seq_len
    micro_batch: int = 1  # sequences
    global_batch: int = 4194304  # tokens

    def __post_init__(self) -> None:
        if self.model.vocab_size < 1:
            self.model = replace(self.model, vocab_size=32000)
        self.seq_len = self.model.max_seq_len if self.seq_len is None else self.seq_len
        for key in ("world_size", "gpus_per_node", "steps", "seq_len", "micro_batch"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected at least 1")
        if self.seq_len > self.model.max_seq_len:
            raise ValueError(f"seq_len={self.seq_len}: expected at most {self.model.max_seq_len}")
        step = self.seq_len * self.micro_batch
        if self.global_batch < step or self.global_batch % step:
            raise ValueError(f"global_batch={self.global_batch}: expected a multiple of {step} tokens")
        self.memory, self.device = _gpu(self.gpu)

    @property
    def micro_batches(self) -> int:
        """Of one global batch."""
        return self.global_batch // (self.seq_len * self.micro_batch)


def _gpu(word: str) -> tuple[float, str | None]:
    """Bytes of memory, and the device's name if it has one."""
    if word in GPUS:
        gib, name = GPUS[word]
        return gib * 2**30, name
    if re.fullmatch(r"\d+(\.\d+)?", word) and float(word) > 0:
        return float(word) * 2**30, None
    raise ValueError(f"gpu={word}: expected one of {', '.join(GPUS)}, or its memory in GiB")


def budget(config: PlanConfig) -> list[str]:
    """The run's needs by the paper's accounting, line by line."""
    size, tokens = n_params(config.model), config.steps * config.global_batch
    flops = flops_per_token(config.model, config.seq_len)
    speed, source = _speed(config, size, flops)
    hours = tokens / speed / 3600
    mwh = hours * WATTS * PUE / 1e6
    lines = [
        f"{size:,} parameters, {tokens:,} tokens in {config.steps:,} steps of {config.global_batch:,}",
        f"{tokens * flops:.3g} FLOPs at {flops:.4g} a token (6 a matrix weight, and causal attention)",
        f"{hours:,.0f} GPU-hours at {speed:,.0f} tokens/s a GPU ({source})",
        f"{hours / 24 / config.world_size:,.1f} days on {config.world_size:,} GPUs",
    ]
    if config.device == A100:
        lines.append(
            f"{mwh:,.0f} MWh ({WATTS} W, PUE {PUE}), {mwh * CARBON:,.0f} t CO₂eq ({CARBON} kg a kWh)"
        )
    return [
        *lines,
        f"storage: {tokens * 2 / 1e12:.2f} TB for each token once, as uint16; {size * 12 / 1e9:,.0f} GB a "
        f"checkpoint (fp32 weights and AdamW's two moments); {size * 2 / 1e9:,.0f} GB the weights in 16 bits",
    ]


def _speed(config: PlanConfig, size: int, flops: int) -> tuple[float, str]:
    """Tokens/s of a GPU, and where that is from."""
    if size in PAPER_HOURS and config.device == A100:
        tokens = 1.0e12 if size < 2e10 else 1.4e12
        return tokens / PAPER_HOURS[size] / 3600, "the paper's Table 15"
    peak = device_peak(config.device) if config.device else None
    if peak is None:
        raise RunError(f"gpu={config.gpu}: its speed is not known; name one of {', '.join(GPUS)}")
    return peak * PAPER_MFU / flops, f"the paper's {PAPER_MFU:.0%} of the peak, which yours may not reach"


def run(argv: list[str]) -> None:
    config = load("plan", PlanConfig, argv)
    if config.layout:
        from train.plan.layout import plan_layout  # seconds of imports that a sum does not wait for

        lines = plan_layout(config)
    else:
        lines = budget(config)
    print("\n".join(lines))


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError,))


if __name__ == "__main__":
    sys.exit(main())
