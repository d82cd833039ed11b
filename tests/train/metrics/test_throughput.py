"""Impossible rates are reported as unknown."""

from types import SimpleNamespace
from typing import Any

import pytest

from configs.load import load
from model.flops import flops_per_token
from train.config import TrainConfig
from train.metrics import throughput
from train.metrics.throughput import Throughput


@pytest.mark.parametrize(("share", "shown"), [(0.5, True), (1.5, False)])
def test_a_speed_above_the_measured_peak_makes_mfu_unknown_from_then_on(monkeypatch, share, shown):
    config = load(
        "train", TrainConfig, ["model=tiny", "data=sample", "model.vocab_size=4096", "precision=fp32"]
    )
    per_second = flops_per_token(config.model, config.sequence_length) * config.global_batch
    monkeypatch.setattr(throughput, "peak_flops", lambda _device, _dtype: per_second / share)
    monkeypatch.setattr(throughput, "peak_memory_gib", lambda _device: 1.0)
    ranks: Any = SimpleNamespace(device=None)
    rates = Throughput(config, ranks)
    order: Any = SimpleNamespace(epochs=lambda _n: {})
    for seconds in (1.0, 10.0):
        clock: Any = SimpleNamespace(total=lambda seconds=seconds: seconds, spent={})
        mfu = rates.of(config.timeline.at(1), 0, order, clock)["mfu"]
        assert mfu == (pytest.approx(share / seconds) if shown else None)
