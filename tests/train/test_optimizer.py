"""The schedule and AdamW's groups are the paper's."""

import pytest
import torch
from torch import nn
from transformers import get_cosine_with_min_lr_schedule_with_warmup

from train.config import OptimConfig
from train.optimizer import build_optimizer, learning_rate


@pytest.mark.parametrize(("steps", "warmup"), [(1000, 100), (37, 3), (10, 0)])
def test_the_schedule_equals_transformers(steps, warmup):
    config = OptimConfig(lr=0.01, warmup_steps=warmup)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=config.lr)
    theirs = get_cosine_with_min_lr_schedule_with_warmup(optimizer, warmup, steps, min_lr_rate=0.1)
    for step in range(steps + 1):  # theirs is at 0 before the first step
        if step:
            assert learning_rate(step, steps, config) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        theirs.step()


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
