"""`relama generate weights=PATH prompt="…"`: continue prompts, token by token, as Meta's code samples.

Weights of any format. One prompt streams to the terminal. A file of prompts, one per line, is continued in
batches, whose texts are printed when the batch is done. parallel.tp spreads the model over ranks:
relama launch generate processes=2 parallel.tp=2 …
"""

import json
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from configs import terminal
from configs.load import entry, load
from configs.overrides import as_key
from data.errors import DataError
from model.formats.errors import FormatError
from train.config import RunError
from train.generation.inference import InferenceParallel, load_over, started
from train.generation.prompts import encode, read_prompts, stream
from train.generation.sampling import generate
from train.precision import inference_dtype, refuse_unknown_dtype
from train.ranks.output import has_reader
from train.ranks.setup import Ranks
from train.ranks.together import first_rank_does
from train.weights.open import open_weights, tokenizer_of

BETWEEN = "-" * 40  # printed between the texts of a file of prompts


@dataclass
class GenerateConfig:
    """What to continue, and how freely."""

    weights: str  # a run's folder or name, RUN@STEP, a Hugging Face folder or a Meta folder
    prompt: str = ""  # the text to continue
    prompts: str | None = None  # instead of prompt=: a file with one per line, or - (standard input)
    json: bool = False  # JSON lines out ("prompt", "completion"), and in from prompts= ("prompt")
    batch: int = 8  # prompts continued at once
    max_tokens: int = 128  # added to each prompt, at most
    temperature: float = 0.8  # 0: always the likeliest token
    top_p: float = 0.95  # draw among the likeliest tokens of this total probability
    seed: int = 0  # of the draws
    tokenizer: str | None = None  # null: the one that came with the weights
    device: str = "auto"  # auto | cpu | cuda
    dtype: str = "auto"  # for the weights and computation: auto (bf16 where it is faster) | fp32 | bf16
    parallel: InferenceParallel = field(default_factory=InferenceParallel)

    def __post_init__(self) -> None:
        if bool(self.prompt) == bool(self.prompts):
            raise ValueError(
                'prompt: empty; give prompt="…", or prompts=FILE with one per line'
                if not self.prompt
                else "prompts: give prompt= or prompts=, not both"
            )
        refuse_unknown_dtype(self.dtype)
        for key in ("max_tokens", "batch"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected at least 1")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature={self.temperature}: expected a number of at least 0")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p}: expected above 0 and at most 1")


def run(argv: list[str]) -> None:
    config = load("generate", GenerateConfig, as_key("weights", argv))
    texts = read_prompts(config.prompts, config.json) if config.prompts else [config.prompt]
    with started(config.parallel, config.device, copies=False) as ranks:
        _continue(config, texts, ranks)


def _continue(config: GenerateConfig, texts: list[str], ranks: Ranks) -> None:
    weights = open_weights(Path(config.weights))
    tokenizer = tokenizer_of(weights, config.tokenizer)
    context = weights.config.max_seq_len
    prompts = [encode(tokenizer, text, context) for text in texts]
    room = context - max(map(len, prompts))
    if ranks.is_first and config.max_tokens > room:
        print(
            f"relama: max_tokens={config.max_tokens}: the model's context of {context} tokens has room for "
            f"{room} after the {'prompt' if len(prompts) == 1 else 'longest prompt'}",
            file=sys.stderr,
        )
    rows = min(config.batch, len(texts))  # computed at once, but for the prompts
    dtype = inference_dtype(config.dtype, ranks, weights.config, rows)
    model = load_over(weights, ranks, config.parallel, dtype)
    draw = partial(
        generate,
        model,
        max_tokens=config.max_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        generator=torch.Generator().manual_seed(config.seed),
        eos_id=tokenizer.eos_id,
    )
    if len(texts) == 1 and not config.json:
        return stream(tokenizer, texts[0], prompts[0], (token for _, token in draw(prompts)))
    for begin in range(0, len(prompts), config.batch):
        if not first_rank_does(has_reader):  # `| head`: all ranks end
            return
        batch = prompts[begin : begin + config.batch]
        finished = [list(prompt) for prompt in batch]
        for which, token in draw(batch):
            finished[which].append(token)
        for number, (prompt, tokens) in enumerate(zip(batch, finished), begin):
            text = tokenizer.decode(tokens[1:])
            if config.json:
                completion = text[len(tokenizer.decode(prompt[1:])) :]
                print(json.dumps({"prompt": texts[number], "completion": completion}), flush=True)
            else:
                terminal.write((f"{BETWEEN}\n" if number else "") + text, exact=True)


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))
