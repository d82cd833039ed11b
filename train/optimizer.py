"""AdamW and its schedule, as in the paper (§2.2; docs/recipe.md §4)."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from train.config import TrainConfig
from train.config_groups import OptimConfig
from train.phases.timeline import Timeline

if TYPE_CHECKING:
    import torch
    from torch import nn

# From 1 to 0 as progress goes from 0 to 1.
SHAPES: dict[str, Callable[[float], float]] = {
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "linear": lambda progress: 1 - progress,
    "1-sqrt": lambda progress: 1 - math.sqrt(progress),
}


def learning_rate(step: int, steps: int, config: OptimConfig) -> float:
    """The rate of `step` (1 … steps): linear warm-up to the peak, then by `schedule` to min_lr_ratio of it.

    The schedules are those of transformers: cosine (the paper's), linear, constant, and warmup-stable-decay
    (wsd; Hu et al., arXiv 2404.06395), which stays at the peak until its last `decay_steps`.
    """
    assert config.warmup_steps is not None  # TrainConfig fills it in
    if step <= config.warmup_steps:
        return config.lr * step / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    first = config.warmup_steps  # the last step at the peak
    if config.schedule == "wsd":
        assert config.decay_steps is not None
        first = steps - config.decay_steps
    progress = (step - first) / max(1, steps - first)
    shape = config.decay_shape if config.schedule == "wsd" else config.schedule
    height = SHAPES[shape](min(1.0, max(0.0, progress)))
    return config.lr * (config.min_lr_ratio + (1 - config.min_lr_ratio) * height)


def rate_of(step: int, config: TrainConfig, timeline: Timeline | None = None) -> float:
    """The rate of `step`: its phase's piece of the schedule, or optim's if the phase has none.

    A piece goes from the rate before the phase to `lr` at its last step. `timeline`: the config's.
    """
    timeline = timeline or config.timeline
    phase = timeline.at(step)
    if phase.schedule is None:
        return learning_rate(step, config.steps, config.optim)
    before = rate_of(phase.start, config, timeline)
    if phase.schedule == "constant":
        return before if phase.lr is None else phase.lr
    last = config.optim.lr * config.optim.min_lr_ratio if phase.lr is None else phase.lr
    return last + (before - last) * SHAPES[phase.schedule]((step - phase.start) / (phase.end - phase.start))


def build_optimizer(model: "nn.Module", config: OptimConfig) -> "torch.optim.AdamW":
    """AdamW in which matrices decay and norm scales do not (not published; as in most reproductions)."""
    import torch  # here: `relama runs` needs a rate, and would wait for it

    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    scales = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": scales, "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=(config.betas[0], config.betas[1]),
        eps=config.eps,
        fused=True,
    )


def set_learning_rate(optimizer: "torch.optim.Optimizer", rate: float) -> None:
    """Set the rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
