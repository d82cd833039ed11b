"""Small models of each shape of the family, and their weights in each format."""

from dataclasses import replace
from pathlib import Path

import torch

from model.config import LlamaConfig
from model.formats.huggingface import open_huggingface, write_huggingface
from model.formats.meta import open_meta, write_meta
from model.formats.weights import Weights
from model.initialize import initialize
from model.llama import Llama

CONFIG = LlamaConfig(
    dim=64, n_layers=2, n_heads=8, vocab_size=208, multiple_of=64, norm_eps=1e-5, max_seq_len=2048
)
LLAMA_3 = replace(CONFIG, n_kv_heads=4, rope_theta=500000.0, multiple_of=32, ffn_dim_multiplier=1.3)
SCALED = replace(LLAMA_3, rope_scaling=8.0)
YARN: dict = dict(rope_type="yarn", rope_scaling=4.0, rope_high_freq_factor=32.0, rope_original_seq_len=512)
FAMILY = {
    "llama": CONFIG,
    "llama 2 70b": replace(CONFIG, n_kv_heads=2, ffn_dim_multiplier=1.3, multiple_of=4096),
    "llama 3": LLAMA_3,
    "llama 3.1": SCALED,
    "llama 3.2": replace(SCALED, rope_scaling=32.0, tie_word_embeddings=True),
    "linear": replace(CONFIG, rope_scaling=4.0, rope_low_freq_factor=8192.0, rope_high_freq_factor=16384.0),
    "yarn": replace(CONFIG, **YARN),
    "yarn, its own factor": replace(CONFIG, **YARN, rope_attention_factor=1.5),
    "wide heads": replace(CONFIG, n_heads=4, n_kv_heads=2, head_size=24),
    "narrow feed-forward": replace(CONFIG, multiple_of=100, ffn_dim_multiplier=100 / 170),
}


def drawn(config: LlamaConfig) -> Llama:
    model = Llama(config)
    initialize(model, seed=3)
    with torch.no_grad():  # scales of 1 would hide exchanged norms
        for number, parameter in enumerate(model.parameters()):
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(number))
    return model.eval()


def weights_of(model: Llama) -> Weights:
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return Weights(Path("memory"), model.config, tensors.__getitem__)


def tokens() -> torch.Tensor:
    return torch.randint(0, CONFIG.vocab_size, (2, 40), generator=torch.Generator().manual_seed(0))


def filled(weights: Weights) -> Llama:
    model = Llama(weights.config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights.read(name))
    return model.eval()


def write(weights: Weights, folder: Path, way: str, dtype: torch.dtype = torch.float32) -> Weights:
    """`way`: hf, hf in small files, or meta in a number of files."""
    if way.startswith("hf"):
        write_huggingface(weights, folder, dtype=dtype, shard_bytes=10**9 if way == "hf" else 40_000)
        return open_huggingface(folder)
    write_meta(weights, folder, shards=int(way[-1]), dtype=dtype)
    return open_meta(folder)
