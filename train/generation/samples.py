"""samples.jsonl of a run: what its checkpoints say to a few fixed prompts, greedily, step by step.

`relama report` makes them from the checkpoints that lie in the run folder and keeps them, so they outlive
their checkpoints: reports made along the way gather the samples of the whole run. The trainer's own
ranks take no part in it.
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from data.tokens.tokenizer import Tokenizer
from train.checkpoint import tensors as checkpoint
from train.config import RunError
from train.generation.main import generate
from train.ranks.setup import device_type
from train.run import json_lines
from train.weights.open import load_model, open_weights

NAME = "samples.jsonl"
PROMPTS = ("The capital of France is", "The return value is", "def factorial(n):")
TOKENS = 48


def read_samples(path: Path) -> list[dict]:
    """The run's samples in order of step: {step, prompt, text}."""
    kept = [line for line in json_lines.read(path / NAME) if {"step", "prompt", "text"} <= line.keys()]
    return sorted(kept, key=lambda line: line["step"])


def make_samples(path: Path, prompts: tuple[str, ...] = PROMPTS, tokens: int = TOKENS) -> Iterator[str]:
    """Continue `prompts` at each checkpoint that has no sample yet; yields what could not be, in lines."""
    done = {(line["step"], line["prompt"]) for line in read_samples(path)}
    for folder in sorted((path / "checkpoints").glob("step-*[0-9]"), key=lambda f: (len(f.name), f.name)):
        try:
            step = checkpoint.read_state(folder)["step"]
            new = [prompt for prompt in prompts if (step, prompt) not in done]
            if not new:
                continue
            weights = open_weights(folder)
            tokenizer = Tokenizer(path / "tokenizer.model")
            model = load_model(weights, torch.device(device_type("auto")))
        except (RunError, OSError) as error:  # damaged, or dropped by a run that goes on meanwhile
            yield f"{folder.name}: no samples of it ({' '.join(str(error).split())})"
            continue
        texts = _continued(model, tokenizer, new, tokens)
        said = ({"step": step, "prompt": prompt, "text": text} for prompt, text in zip(new, texts))
        json_lines.append(path / NAME, *said)


def _continued(model, tokenizer: Tokenizer, prompts: list[str], tokens: int) -> list[str]:
    """What follows each prompt, the likeliest token at each place."""
    begun = [[tokenizer.bos_id, *map(int, tokenizer.encode(prompt))] for prompt in prompts]
    context = model.config.max_seq_len
    whole = [list(start[: context - 1]) for start in begun]
    stream = generate(
        model,
        [list(start) for start in whole],
        max_tokens=tokens,
        temperature=0.0,
        top_p=1.0,
        generator=torch.Generator(),
        eos_id=tokenizer.eos_id,
    )
    for which, token in stream:
        whole[which].append(token)
    return [tokenizer.decode(text[1:])[len(prompt) :] for text, prompt in zip(whole, prompts)]
