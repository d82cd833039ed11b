"""A small model with a stateful optimizer, and a training step, for tests of checkpoints."""

import torch

from model.config import LlamaConfig
from model.llama import Llama
from train.config_groups import OptimConfig
from train.optimizer import build_optimizer

CONFIG = LlamaConfig(dim=24, n_layers=2, n_heads=4, vocab_size=68, multiple_of=12, max_seq_len=16)


def trained(config: LlamaConfig = CONFIG) -> tuple[Llama, torch.optim.AdamW]:
    """A model and its optimizer after one step."""
    torch.manual_seed(0)
    model = Llama(config)
    optimizer = build_optimizer(model, OptimConfig(warmup_steps=0))
    step(model, optimizer, 1)
    return model, optimizer


def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, number: int) -> float:
    """Train on the batch with this number; returns the loss."""
    batch = torch.randint(0, CONFIG.vocab_size, (2, 17), generator=torch.Generator().manual_seed(number))
    loss = model(batch[:, :-1], batch[:, 1:])
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()
