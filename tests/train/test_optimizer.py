"""The schedule and AdamW's groups are the paper's."""

import pytest
import torch
from torch import nn
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
    get_linear_schedule_with_warmup,
    get_wsd_schedule,
)

from train.config_groups import OptimConfig
from train.optimizer import build_optimizer, learning_rate


@pytest.mark.parametrize(("steps", "warmup"), [(1000, 100), (37, 3), (10, 0)])
def test_the_schedule_equals_transformers(steps, warmup):
    config = OptimConfig(lr=0.01, warmup_steps=warmup)
    optimizer = sgd(config.lr)
    theirs = get_cosine_with_min_lr_schedule_with_warmup(optimizer, warmup, steps, min_lr_rate=0.1)
    assert ours(config, steps) == pytest.approx(rates_of(theirs, optimizer, steps), rel=1e-9)


@pytest.mark.parametrize("shape", ["linear", "cosine", "1-sqrt"])
@pytest.mark.parametrize(("steps", "warmup", "decay"), [(1000, 100, 100), (37, 3, 34), (10, 0, 1)])
def test_warmup_stable_decay_equals_transformers(steps, warmup, decay, shape):
    config = OptimConfig(
        lr=0.01, schedule="wsd", warmup_steps=warmup, decay_steps=decay, decay_shape=shape, min_lr_ratio=0.05
    )
    optimizer = sgd(config.lr)
    theirs = get_wsd_schedule(
        optimizer, warmup, decay, num_training_steps=steps, decay_type=shape, min_lr_ratio=0.05
    )
    rates = rates_of(theirs, optimizer, steps)[warmup:]  # their warm-up starts at min_lr_ratio
    assert ours(config, steps)[warmup:] == pytest.approx(rates, rel=1e-9)


@pytest.mark.parametrize(("steps", "warmup"), [(1000, 100), (37, 3), (10, 0)])
def test_the_linear_and_the_constant_schedule_equal_transformers(steps, warmup):
    linear = OptimConfig(lr=0.01, schedule="linear", warmup_steps=warmup, min_lr_ratio=0)
    optimizer = sgd(linear.lr)
    theirs = get_linear_schedule_with_warmup(optimizer, warmup, steps)
    assert ours(linear, steps) == pytest.approx(rates_of(theirs, optimizer, steps), rel=1e-9, abs=1e-15)
    constant = OptimConfig(lr=0.01, schedule="constant", warmup_steps=warmup)
    optimizer = sgd(constant.lr)
    theirs = get_constant_schedule_with_warmup(optimizer, warmup)
    assert ours(constant, steps) == pytest.approx(rates_of(theirs, optimizer, steps), rel=1e-9)


def sgd(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def ours(config: OptimConfig, steps: int) -> list[float]:
    return [learning_rate(step, steps, config) for step in range(1, steps + 1)]


def rates_of(
    schedule: torch.optim.lr_scheduler.LambdaLR, optimizer: torch.optim.Optimizer, steps: int
) -> list[float]:
    """Theirs for steps 1 to `steps`: they are at 0 before the first."""
    rates = []
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    return rates


def test_the_papers_7b_schedule():
    config = OptimConfig(lr=3.0e-4, warmup_steps=2000)
    assert learning_rate(2000, 238419, config) == 3.0e-4
    assert learning_rate(1, 238419, config) == pytest.approx(1.5e-7)
    assert learning_rate(238419, 238419, config) == pytest.approx(3.0e-5)


def test_only_matrices_decay():
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.RMSNorm(4))
    matrices, scales = build_optimizer(model, OptimConfig()).param_groups
    assert [p.ndim for p in matrices["params"]] == [2]
    assert matrices["weight_decay"] == 0.1
    assert [p.ndim for p in scales["params"]] == [1]
    assert scales["weight_decay"] == 0.0
