"""Parameters and FLOPs of the published sizes."""

from dataclasses import replace

import pytest
import torch

from configs.load import load
from model.config import LlamaConfig
from model.flops import flops_per_token, n_params
from model.llama import Llama
from train.config import TrainConfig

# docs/recipe.md §4 and §5.
PUBLISHED = {
    "7b": (6_738_415_616, 11008, "4.125e+10"),
    "13b": (13_015_864_320, 13824, "7.963e+10"),
    "33b": (32_528_943_616, 17920, "1.988e+11"),
    "65b": (65_285_660_672, 22016, "3.982e+11"),
}


# Parameters and hidden dims of Hugging Face's checkpoints, as their model cards and config.json have them.
FAMILY = {
    "llama2-7b": (6_738_415_616, 11008),
    "llama2-13b": (13_015_864_320, 13824),
    "llama2-70b": (68_976_648_192, 28672),
    "llama3-8b": (8_030_261_248, 14336),
    "llama3.2-1b": (1_235_814_400, 8192),
    "tinyllama-1.1b": (1_100_048_384, 5632),
}


@pytest.mark.parametrize("size", FAMILY)
def test_the_later_models_count_exactly(size):
    config = load("train", TrainConfig, [f"model={size}"]).model
    with torch.device("meta"):
        counted = sum(parameter.numel() for parameter in Llama(config).parameters())
    assert (counted, config.hidden_dim) == FAMILY[size] and counted == n_params(config)


def test_shared_keys_and_values_save_their_projections_but_not_attention():
    plain = LlamaConfig(dim=8, n_layers=3, n_heads=4, vocab_size=10, multiple_of=4)
    grouped = replace(plain, n_kv_heads=1)
    assert n_params(plain) - n_params(grouped) == 3 * 2 * 8 * 6
    assert flops_per_token(plain, 100) - flops_per_token(grouped, 100) == 6 * 3 * 2 * 8 * 6
    wide = replace(plain, head_size=6)
    assert n_params(wide) - n_params(plain) == 3 * 4 * 8 * 16
    assert flops_per_token(wide, 100) - flops_per_token(plain, 100) == 3 * (6 * 4 * 8 * 16 + 6 * 100 * 16)


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_published_sizes_count_exactly(size):
    config = load("train", TrainConfig, [f"model={size}"]).model
    parameters, hidden, flops = PUBLISHED[size]
    with torch.device("meta"):
        model = Llama(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters == n_params(config)
    assert config.hidden_dim == hidden
    assert f"{flops_per_token(config, 2048):.3e}" == flops


def test_flops_are_six_per_weight_of_a_product_and_half_of_the_attention_square():
    config = LlamaConfig(dim=8, n_layers=3, n_heads=2, vocab_size=10, multiple_of=4)
    assert config.hidden_dim == 24
    weights = 3 * (4 * 8 * 8 + 3 * 8 * 24) + 8 * 10
    # Forward and backward of the scores and of the values, each 2·seq·dim a token, halved by causality.
    assert flops_per_token(config, 100) == 6 * weights + 3 * (3 * 2 * 2 * 100 * 8) // 2


@pytest.mark.parametrize(
    ("size", "rate", "steps", "eps"),
    [
        ("7b", 3.0e-4, 238_419, 1e-6),
        ("13b", 3.0e-4, 238_419, 1e-6),
        ("33b", 1.5e-4, 333_786, 1e-6),
        ("65b", 1.5e-4, 333_786, 1e-5),
    ],
)
def test_a_published_size_brings_the_papers_schedule(size, rate, steps, eps):
    config = load("train", TrainConfig, [f"model={size}"])
    assert (config.optim.lr, config.steps, config.global_batch) == (rate, steps, 2**22)
    assert (config.optim.warmup_steps, config.seq_len) == (2000, 2048)
    assert (config.model.norm_eps, config.model.vocab_size) == (eps, 32000)


def test_the_small_sizes_take_the_tokenizers_vocabulary():
    for size, shape in {"tiny": (128, 4, 4, 256), "small": (512, 8, 8, 512)}.items():
        model = load("train", TrainConfig, [f"model={size}"]).model
        assert (model.dim, model.n_layers, model.n_heads, model.max_seq_len) == shape
        assert model.vocab_size == -1
