"""Greedy generation in tokens per second, against transformers' generate: `python benchmarks/generate.py`.

The same weights, prompts and number of new tokens, on the CPU in one process; transformers has its dynamic
and its static cache. They take turns, and the best time of each is shown. First, their tokens are compared
in fp32; in bf16, where near ties differ, their logits after the prompt are.
"""

import argparse
import statistics
import time
from functools import partial
from typing import Any

import torch
from transformers import LlamaConfig as TheirConfig
from transformers import LlamaForCausalLM

from model.config import LlamaConfig
from model.formats.huggingface import their_name, to_halves
from model.initialize import initialize
from model.llama import Llama
from train.generation.sampling import generate
from train.precision import DTYPES
from train.ranks.products import as_relama_multiplies

CONFIG = LlamaConfig(dim=512, n_layers=8, n_heads=8, vocab_size=32000, max_seq_len=512)


def transformers_model(ours: Llama) -> LlamaForCausalLM:
    theirs = LlamaForCausalLM(
        TheirConfig(
            vocab_size=CONFIG.vocab_size,
            hidden_size=CONFIG.dim,
            intermediate_size=CONFIG.hidden_dim,
            num_hidden_layers=CONFIG.n_layers,
            num_attention_heads=CONFIG.n_heads,
            max_position_embeddings=CONFIG.max_seq_len,
            rms_norm_eps=CONFIG.norm_eps,
            tie_word_embeddings=False,
        )
    )
    tensors = {their_name(name): to_halves(name, p.detach(), CONFIG) for name, p in ours.named_parameters()}
    theirs.load_state_dict(tensors)
    return theirs.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--prompt", type=int, default=64, help="tokens")
    parser.add_argument("--new", type=int, default=256, help="tokens")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--dtypes", default="fp32,bf16")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        f"{'':8}{'prompts':>8}{'relama':>12}{'dynamic':>12}{'static':>12}   tokens/s; ratios by the medians"
    )
    for dtype in arguments.dtypes.split(","):
        compare(arguments, dtype)


def compare(arguments: argparse.Namespace, dtype: str) -> None:
    ours = Llama(CONFIG).eval()
    initialize(ours, seed=0)
    theirs: Any = transformers_model(ours)
    theirs.to(DTYPES[dtype])
    ours.to(DTYPES[dtype])

    def relama(prompts: list[list[int]]) -> list[list[int]]:
        options = dict(max_tokens=arguments.new, temperature=0, top_p=1.0, generator=torch.Generator())
        new: list[list[int]] = [[] for _ in prompts]
        with as_relama_multiplies():
            for which, token in generate(ours, prompts, **options, eos_id=-1):
                new[which].append(token)
        return new

    def transformers(prompts: list[list[int]], cache: str) -> list[list[int]]:
        tokens = torch.tensor(prompts)
        options = dict(
            do_sample=False, max_new_tokens=arguments.new, min_new_tokens=arguments.new, pad_token_id=0
        )
        options |= dict(cache_implementation=cache, disable_compile=True)
        out = theirs.generate(tokens, attention_mask=torch.ones_like(tokens), eos_token_id=None, **options)
        return out[:, arguments.prompt :].tolist()

    sides = {
        "relama": relama,
        "dynamic": partial(transformers, cache="dynamic"),
        "static": partial(transformers, cache="static"),
    }
    for batch in map(int, arguments.batches.split(",")):
        draw = torch.Generator().manual_seed(batch)
        prompts = torch.randint(3, CONFIG.vocab_size, (batch, arguments.prompt), generator=draw).tolist()
        if dtype == "fp32":
            assert relama(prompts) == sides["static"](prompts), "the two generate different tokens"
        else:
            with torch.no_grad():
                logits = [model(torch.tensor(prompts)) for model in (ours, theirs)]
            error = (logits[0] - logits[1].logits).float().norm() / logits[0].float().norm()
            assert error < 0.03, f"the two differ by {error:.1%}"
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for turn in range(arguments.turns):
            for side in sides if turn % 2 else reversed(sides):
                start = time.perf_counter()
                sides[side](prompts)
                seconds[side].append(time.perf_counter() - start)
        best = "".join(f"{batch * arguments.new / min(times):12.0f}" for times in seconds.values())
        medians = {side: statistics.median(times) for side, times in seconds.items()}
        ratios = (f"{medians[side] / medians['relama']:.2f}× {side}" for side in ("dynamic", "static"))
        print(f"{dtype:8}{batch:8}{best}   {', '.join(ratios)}", flush=True)


if __name__ == "__main__":
    main()
