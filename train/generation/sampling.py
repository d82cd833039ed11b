"""Token by token after each prompt of a batch, as Meta's generation code samples: temperature and top-p."""

from collections.abc import Iterator

import torch
from torch import Tensor

from model.decode import Cache, next_logits
from model.llama import Llama

LEAST = 1e-5  # below this temperature: the likeliest token; dividing by it could overflow


def generate(
    model: Llama,
    prompts: list[list[int]],
    *,
    max_tokens: int,
    temperature: float,
    top_p: float,
    generator: torch.Generator,
    eos_id: int,
) -> Iterator[tuple[int, int]]:
    """(prompt's index, token) as they come, until each meets EOS, `max_tokens` or the end of the context."""
    device = next(model.parameters()).device
    context = model.config.max_seq_len
    left = [min(max_tokens, context - len(prompt)) for prompt in prompts]
    alive = [which for which, count in enumerate(left) if count > 0]
    counts = torch.tensor([len(prompts[which]) for which in alive])
    read = [prompts[which] for which in alive]
    cache = Cache(model, len(alive), max((len(prompts[i]) + left[i] for i in alive), default=0))
    while alive:
        padded = torch.zeros(len(alive), int(counts.max()), dtype=torch.long)
        for row, tokens in enumerate(read):
            padded[row, : len(tokens)] = torch.tensor(tokens)
        logits = next_logits(model, cache, padded.to(device), counts).float().cpu()
        drawn = sample(logits, temperature, top_p, generator)
        unfinished = []
        for row, (which, token) in enumerate(zip(alive, drawn)):
            if token == eos_id:
                continue
            yield which, token
            left[which] -= 1
            if left[which]:
                unfinished.append(row)
        if len(unfinished) < len(alive):
            cache.keep(torch.tensor(unfinished, dtype=torch.long))
        alive, read = [alive[row] for row in unfinished], [[drawn[row]] for row in unfinished]
        counts = torch.ones(len(alive), dtype=torch.long)


def sample(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> list[int]:
    """A token for each row of `logits` (batch, vocab); the likeliest one if `temperature` is 0."""
    if temperature < LEAST:
        return logits.argmax(-1).tolist()
    return [draw(row, temperature, top_p, generator) for row in logits]


def draw(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """One token of `logits` (vocab,): top-p keeps the token that crosses p, as in Meta's generation.py."""
    if temperature < LEAST:
        return int(logits.argmax())
    probabilities, order = torch.sort(torch.softmax(logits / temperature, dim=-1), descending=True)
    before = probabilities.cumsum(-1) - probabilities
    probabilities[before > top_p] = 0.0
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])
