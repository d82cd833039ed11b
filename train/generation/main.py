"""`relama generate weights=PATH prompt="…"`: continue prompts, token by token, as Meta's code samples.

Weights of any format. One prompt streams to the terminal; a file of them (prompts=FILE, a line each) is
continued in batches, and each text is printed when its batch is done. With parallel.tp the model lies over
several ranks: torchrun --nproc_per_node 2 -m launch.cli generate parallel.tp=2 …
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from configs.load import entry, load
from data.errors import DataError
from data.tokens.tokenizer import Tokenizer
from model.decode import Cache, next_logits
from model.formats.weights import FormatError
from model.llama import Llama
from train.config import RunError
from train.generation.inference import InferenceParallel, load_over, started
from train.ranks.setup import Ranks
from train.weights.open import open_weights, tokenizer_of

BETWEEN = "-" * 40  # printed between the texts of a file of prompts


@dataclass
class GenerateConfig:
    """What to continue, and how freely."""

    weights: str  # a run folder, its name, a step folder, a Hugging Face folder or a Meta folder
    prompt: str = ""
    prompts: str | None = None  # a file of prompts, a line each, in the place of prompt=
    batch: int = 8  # of prompts continued at once
    max_tokens: int = 128
    temperature: float = 0.8  # 0: always the likeliest token
    top_p: float = 0.95
    seed: int = 0
    tokenizer: str | None = None  # null: the one that came with the weights
    device: str = "auto"
    parallel: InferenceParallel = field(default_factory=InferenceParallel)

    def __post_init__(self) -> None:
        if bool(self.prompt) == bool(self.prompts):
            raise ValueError(
                'prompt: empty; give prompt="…", or prompts=FILE with one a line'
                if not self.prompt
                else "prompts: give prompt= or prompts=, not both"
            )
        for key in ("max_tokens", "batch"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected at least 1")
        if self.temperature < 0:
            raise ValueError(f"temperature={self.temperature}: expected 0 or above")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p}: expected above 0 and at most 1")


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
    """(which prompt, token) as they come, until each has its EOS, `max_tokens` or the end of the context."""
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
        going_on = []
        for row, (which, token) in enumerate(zip(alive, drawn)):
            if token == eos_id:
                continue
            yield which, token
            left[which] -= 1
            if left[which]:
                going_on.append(row)
        if len(going_on) < len(alive):
            cache.keep(torch.tensor(going_on, dtype=torch.long))
        alive, read = [alive[row] for row in going_on], [[drawn[row]] for row in going_on]
        counts = torch.ones(len(alive), dtype=torch.long)


def sample(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> list[int]:
    """A token for each row of `logits` (batch, vocab)."""
    if temperature == 0:
        return logits.argmax(-1).tolist()
    return [_draw(row, temperature, top_p, generator) for row in logits]


def _draw(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """One token of `logits` (vocab,): top-p keeps the token that crosses p, as in Meta's generation.py."""
    probabilities, order = torch.sort(torch.softmax(logits / temperature, dim=-1), descending=True)
    before = probabilities.cumsum(-1) - probabilities
    probabilities[before > top_p] = 0.0
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])


def run(argv: list[str]) -> None:
    config = load("generate", GenerateConfig, argv)
    texts = [config.prompt] if config.prompt else _lines(Path(config.prompts))
    with started(config.parallel, config.device, copies=False) as ranks:
        _continue(config, texts, ranks)


def _continue(config: GenerateConfig, texts: list[str], ranks: Ranks) -> None:
    weights = open_weights(Path(config.weights))
    tokenizer = tokenizer_of(weights, config.tokenizer)
    prompts = [_tokens(tokenizer, text, weights.config.max_seq_len) for text in texts]
    model = load_over(weights, ranks, config.parallel)
    generator = torch.Generator().manual_seed(config.seed)
    for begin in range(0, len(prompts), config.batch):
        part = prompts[begin : begin + config.batch]
        stream = generate(
            model,
            part,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            generator=generator,
            eos_id=tokenizer.eos_id,
        )
        if len(texts) == 1:
            _show(tokenizer, texts[0], prompts[0], (token for _, token in stream))
            continue
        finished = [list(prompt) for prompt in part]
        for which, token in stream:
            finished[which].append(token)
        for place, tokens in enumerate(finished):
            if begin or place:
                print(BETWEEN)
            print(tokenizer.decode(tokens[1:]), flush=True)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"prompts={path}: not readable as UTF-8 text ({error})") from None
    if not lines or not all(line.strip() for line in lines):
        number = next((n for n, line in enumerate(lines, 1) if not line.strip()), 1)
        raise RunError(f"prompts={path}: line {number} is empty; expected a prompt on every line")
    return lines


def _tokens(tokenizer: Tokenizer, text: str, context: int) -> list[int]:
    tokens = [tokenizer.bos_id, *map(int, tokenizer.encode(text))]
    if len(tokens) >= context:
        raise RunError(
            f"prompt: {len(tokens)} tokens with BOS ({text[:30]!r}…), and the model's context is {context}; "
            "give a shorter one"
        )
    return tokens


def _show(tokenizer: Tokenizer, text: str, prompt: list[int], stream: Iterator[int]) -> None:
    """Print `text` and what follows as it comes."""
    print(text, end="", flush=True)
    new: list[int] = []
    shown = tokenizer.decode(prompt[1:])
    for token in stream:
        new.append(token)
        whole = tokenizer.decode([*prompt[1:], *new])
        if not whole.endswith("\ufffd"):  # a character's bytes are not all there yet
            print(whole[len(shown) :], end="", flush=True)
            shown = whole
    print()


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))
