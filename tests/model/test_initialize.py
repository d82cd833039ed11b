"""Initial weights: their distribution, and what they depend on. Layouts: test_parallelize.py."""

import math

import pytest
import torch

import model.initialize
from model.config import LlamaConfig
from model.initialize import BLOCK, initialize, truncated_normal
from model.llama import Llama

CONFIG = LlamaConfig(dim=96, n_layers=2, n_heads=4, vocab_size=500, multiple_of=32, max_seq_len=16)


def drawn(seed: int, config: LlamaConfig = CONFIG) -> dict[str, torch.Tensor]:
    model = Llama(config)
    initialize(model, seed)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def test_matrices_are_truncated_normals_by_fan_in_and_norms_are_one():
    for name, weight in drawn(0).items():
        if weight.ndim == 1:
            assert (weight == 1).all(), name
            continue
        deviation = weight.shape[1] ** -0.5
        assert weight.abs().max() <= 3 * deviation * 1.0001, name
        assert weight.abs().max() > 2.5 * deviation, name
        # A normal cut at three deviations keeps 0.9866 of its deviation.
        assert weight.std().item() == pytest.approx(0.9866 * deviation, rel=0.03), name
        assert abs(weight.mean().item()) < 4 * deviation / math.sqrt(weight.numel()), name


def test_the_values_are_distributed_as_a_cut_normal():
    values = truncated_normal("any", 1000, 1000).flatten().mul_(1000**0.5).double().sort().values
    normal = torch.special.ndtr(values)
    low, high = torch.special.ndtr(torch.tensor([-3.0, 3.0], dtype=torch.float64))
    expected = (normal - low) / (high - low)
    steps = torch.arange(1, len(values) + 1, dtype=torch.float64) / len(values)
    assert (expected - steps).abs().max() < 1.63 / len(values) ** 0.5  # Kolmogorov–Smirnov, 1 %


def test_seed_and_name_decide_each_matrix():
    first, again, other = drawn(1), drawn(1), drawn(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    matrices = [
        weight.flatten()[:96] for weights in (first, other) for weight in weights.values() if weight.ndim == 2
    ]
    assert len({tuple(row.tolist()) for row in matrices}) == len(matrices)


def test_neither_the_depth_nor_the_number_of_threads_changes_a_matrix():
    deep = LlamaConfig(dim=96, n_layers=4, n_heads=4, vocab_size=500, multiple_of=32, max_seq_len=16)
    shallow, deeper = drawn(0), drawn(0, deep)
    assert all(torch.equal(deeper[name], weight) for name, weight in shallow.items())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    single = truncated_normal("k", 300, 1000)
    torch.set_num_threads(2)
    assert torch.equal(truncated_normal("k", 300, 1000), single)
    torch.set_num_threads(threads)


def test_each_block_of_rows_is_drawn_separately(monkeypatch):
    monkeypatch.setattr(model.initialize, "BLOCK", 96 * 70)
    blocks = drawn(0)["tok_embeddings.weight"].split(70)
    assert [len(block) for block in blocks] == [70] * 7 + [10]
    assert len({tuple(block[0].tolist()) for block in blocks}) == len(blocks)
    assert BLOCK >= 32000  # a row of the widest published table fits
