"""What benchmarks/gpu.py builds: models of a few real-sized blocks, and one step of training them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from model.config import LlamaConfig
from model.initialize import initialize
from model.llama import Llama
from model.parallelize.apply import parallelize
from train.config_groups import OptimConfig
from train.optimizer import build_optimizer


@dataclass(frozen=True)
class Shape:
    """A model of full depth and its micro-batch; two shallow ones are measured in its place."""

    name: str
    model: LlamaConfig
    batch: int  # sequences

    @property
    def tokens(self) -> int:
        return self.batch * self.model.max_seq_len

    def with_layers(self, layers: int) -> LlamaConfig:
        return replace(self.model, n_layers=layers)


SHAPES = (
    Shape("1b", LlamaConfig(2048, 16, 16, 32000, max_seq_len=2048), 4),
    Shape("7b", LlamaConfig(4096, 32, 32, 32000, max_seq_len=2048), 2),
)
TINY = (Shape("tiny", LlamaConfig(64, 8, 4, 256, multiple_of=32, max_seq_len=64), 2),)
DEPTHS = 2, 4  # layers; every further one adds the same
CHECKED = LlamaConfig(512, 2, 8, 4096, max_seq_len=512)
CHECKED_TINY = LlamaConfig(64, 2, 4, 256, multiple_of=32, max_seq_len=64)


def built(config: LlamaConfig, mesh: DeviceMesh, device: torch.device, dtype: torch.dtype, **ways) -> Llama:
    """The model in its layout, computing in `dtype`, with the initial weights of seed 0."""
    with torch.device("meta"):
        model = Llama(config)
    model = parallelize(model, mesh, param_dtype=dtype, **ways)
    assert isinstance(model, Llama)
    model.to_empty(device=device)
    initialize(model, seed=0)
    return model


def optimizer_of(model: nn.Module) -> torch.optim.AdamW:
    return build_optimizer(model, OptimConfig(warmup_steps=0))


def batch(config: LlamaConfig, sequences: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The same random inputs and labels on every rank, (sequences, max_seq_len)."""
    generator = torch.Generator().manual_seed(1)
    shape = (sequences, config.max_seq_len + 1)
    tokens = torch.randint(0, config.vocab_size, shape, generator=generator).to(device)
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
