"""samples.jsonl of a run: how its checkpoints continue a few fixed prompts, greedily.

`relama report` makes samples from the checkpoints in the run folder and keeps them, so they outlive their
checkpoints: reports made during a run collect samples of all of it. The trainer's ranks take no part.
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from data.tokens.tokenizer import Tokenizer
from model.llama import Llama
from train.checkpoint.folder import read_state
from train.config import RunError
from train.generation.sampling import generate
from train.ranks import identity
from train.ranks.setup import device_type
from train.run import json_lines
from train.run.history import SAMPLES, read_samples
from train.weights.open import load_model, open_weights, tokenizer_of

PROMPTS = ("The capital of France is", "The return value is", "def factorial(n):")
TOKENS = 48


def make_samples(path: Path, prompts: tuple[str, ...] = PROMPTS, tokens: int = TOKENS) -> Iterator[str]:
    """Continue `prompts` at each checkpoint without samples; yields a line for each that cannot be read."""
    done = {(line["step"], line["prompt"]) for line in read_samples(path)}
    for folder in sorted((path / "checkpoints").glob("step-*[0-9]"), key=lambda f: (len(f.name), f.name)):
        try:
            step = read_state(folder)["step"]
            new = [prompt for prompt in prompts if (step, prompt) not in done]
            if not new:
                continue
            weights = open_weights(folder)
            tokenizer = tokenizer_of(weights)
            model = load_model(weights, torch.device(device_type("auto")))
        except (RunError, OSError) as error:  # damaged, or deleted meanwhile by a live run
            yield f"{folder.name}: skipping its samples ({' '.join(str(error).split())})"
            continue
        with identity.waiting(f"sampling from {folder.name}"):
            texts = _continued(model, tokenizer, new, tokens)
        lines = ({"step": step, "prompt": prompt, "text": text} for prompt, text in zip(new, texts))
        json_lines.append(path / SAMPLES, *lines)


def _continued(model: Llama, tokenizer: Tokenizer, prompts: list[str], tokens: int) -> list[str]:
    """What follows each prompt, the likeliest token at each position."""
    longest = model.config.max_seq_len - 1
    starts = [[tokenizer.bos_id, *map(int, tokenizer.encode(prompt))][:longest] for prompt in prompts]
    finished = [list(start) for start in starts]
    stream = generate(
        model,
        starts,
        max_tokens=tokens,
        temperature=0.0,
        top_p=1.0,
        generator=torch.Generator(),
        eos_id=tokenizer.eos_id,
    )
    for which, token in stream:
        finished[which].append(token)
    return [tokenizer.decode(text[1:])[len(prompt) :] for text, prompt in zip(finished, prompts)]
