"""A problem is believed only if it returns when the step is computed again; its tensor is named."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.support.narrow import present
from tests.support.states import CONFIG, trained
from train.config_groups import RecoveryConfig
from train.integrity import computation
from train.metrics.clock import Clock
from train.recovery import Recovery

NAME = "layers.1.feed_forward.w2.weight"
SIGNALS: Any = SimpleNamespace(received=None, save=False)


@pytest.fixture
def gradients(monkeypatch):
    """Compute one step's gradients with NaN in those of one tensor the first `times` times."""
    monkeypatch.setattr(computation.dist, "all_reduce", lambda _: None)
    told: list[str] = []
    ranks: Any = SimpleNamespace(device=torch.device("cpu"), world_size=1)
    real = computation.forward_backward
    tokens = torch.randint(CONFIG.vocab_size, (2, 3, 17), generator=torch.Generator().manual_seed(5))

    def compute(times: int):
        model, _ = trained()
        left = [times]

        def faulty(*arguments):
            loss = real(*arguments)
            if left[0] > 0:
                left[0] -= 1
                present(dict(model.named_parameters())[NAME].grad)[0, 0] = math.nan
            return loss

        monkeypatch.setattr(computation, "forward_backward", faulty)
        batches = ((micro[:, :-1], micro[:, 1:]) for micro in tokens)
        judge = Recovery(RecoveryConfig()).problem
        told.clear()
        result = computation.Computation(model, 1.0, ranks, lambda: told.append("alive")).gradients(
            batches, 2, Clock(), judge, SIGNALS, lambda: torch.zeros(())
        )
        assert len(told) == (len(tokens) if times else 0)  # each batch that is not read but computed again
        return result, [parameter.grad for parameter in model.parameters()]

    return compute


def test_a_nan_that_does_not_return_is_discarded(gradients):
    undisturbed, usual = gradients(0)
    result, found = gradients(1)
    assert undisturbed.passed is None and undisturbed.where == ""
    assert (result.loss, result.norm) == (undisturbed.loss, undisturbed.norm)
    assert all(map(torch.equal, found, usual))
    decision = result.passed.recompute(7, result.where)
    assert (decision["step"], decision["action"], decision["kind"]) == (7, "recompute", "not_finite")
    assert f"gradient norm nan (not finite: {NAME} on rank 0" in decision["why"]


def test_a_nan_that_returns_is_the_steps_and_its_tensor_is_named(gradients):
    result, _ = gradients(2)
    assert result.passed is None and math.isnan(result.norm)
    assert f"not finite: {NAME} on rank 0" in result.where
