"""`relama generate weights=PATH prompt="…"`: continue a prompt, token by token, as Meta's code samples."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from configs.load import entry, load
from data.errors import DataError
from model.formats.weights import FormatError
from model.llama import Llama
from train.config import RunError
from train.distributed import device_type
from train.weights import load_model, open_weights, tokenizer_of


@dataclass
class GenerateConfig:
    """What to continue, and how freely."""

    weights: str  # a run folder, its name, or a step folder
    prompt: str = ""
    max_tokens: int = 128
    temperature: float = 0.8  # 0: always the likeliest token
    top_p: float = 0.95
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens={self.max_tokens}: expected at least 1")
        if self.temperature < 0:
            raise ValueError(f"temperature={self.temperature}: expected 0 or above")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p}: expected above 0 and at most 1")


@torch.no_grad()
def generate(
    model: Llama,
    tokens: list[int],
    *,
    max_tokens: int,
    temperature: float,
    top_p: float,
    generator: torch.Generator,
    eos_id: int,
) -> Iterator[int]:
    """The tokens that follow `tokens`, until EOS, `max_tokens` or the end of the context."""
    device = next(model.parameters()).device
    tokens = list(tokens)
    for _ in range(min(max_tokens, model.config.max_seq_len - len(tokens))):
        logits = model(torch.tensor([tokens], device=device))[0, -1].float().cpu()  # (vocab,)
        token = sample(logits, temperature, top_p, generator)
        if token == eos_id:
            return
        tokens.append(token)
        yield token


def sample(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """One token of `logits` (vocab,): top-p keeps the token that crosses p, as in Meta's generation.py."""
    if temperature == 0:
        return int(logits.argmax())
    probabilities, order = torch.sort(torch.softmax(logits / temperature, dim=-1), descending=True)
    before = probabilities.cumsum(-1) - probabilities
    probabilities[before > top_p] = 0.0
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])


def run(argv: list[str]) -> None:
    config = load("generate", GenerateConfig, argv)
    weights = open_weights(Path(config.weights))
    tokenizer = tokenizer_of(weights)
    model = load_model(weights, torch.device(device_type(config.device)))
    tokens = [tokenizer.bos_id, *map(int, tokenizer.encode(config.prompt))]
    if len(tokens) >= model.config.max_seq_len:
        raise RunError(
            f"prompt: {len(tokens)} tokens with BOS, and the model's context is {model.config.max_seq_len}; "
            "give a shorter one"
        )
    print(config.prompt, end="", flush=True)
    new: list[int] = []
    shown = tokenizer.decode(tokens[1:])
    for token in generate(
        model,
        tokens,
        max_tokens=config.max_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        generator=torch.Generator().manual_seed(config.seed),
        eos_id=tokenizer.eos_id,
    ):
        new.append(token)
        text = tokenizer.decode([*tokens[1:], *new])
        if not text.endswith("\ufffd"):  # a character's bytes are not all there yet
            print(text[len(shown) :], end="", flush=True)
            shown = text
    print()


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))
