"""Greedy generation in tokens per second, against transformers' generate: `python benchmarks/generate.py`.

The same weights (fp32, CPU), prompts and number of new tokens, in one process. They take turns, and the best
time of each is shown. First, the tokens of both are compared.
"""

import argparse
import statistics
import time
from typing import Any

import torch
from transformers import LlamaConfig as TheirConfig
from transformers import LlamaForCausalLM

from model.formats.huggingface import their_name, to_halves
from model.initialize import initialize
from model.llama import Llama, LlamaConfig
from train.generation.sampling import generate

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
    parser.add_argument("--new", type=int, default=64, help="tokens")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    ours = Llama(CONFIG).eval()
    initialize(ours, seed=0)
    theirs: Any = transformers_model(ours)

    def relama(prompts: list[list[int]]) -> list[list[int]]:
        options = dict(max_tokens=words.new, temperature=0, top_p=1.0, generator=torch.Generator())
        new: list[list[int]] = [[] for _ in prompts]
        for which, token in generate(ours, prompts, **options, eos_id=-1):
            new[which].append(token)
        return new

    def transformers(prompts: list[list[int]]) -> list[list[int]]:
        tokens = torch.tensor(prompts)
        options = dict(do_sample=False, max_new_tokens=words.new, min_new_tokens=words.new, pad_token_id=0)
        out = theirs.generate(tokens, attention_mask=torch.ones_like(tokens), eos_token_id=None, **options)
        return out[:, words.prompt :].tolist()

    for batch in map(int, words.batches.split(",")):
        draw = torch.Generator().manual_seed(batch)
        prompts = torch.randint(3, CONFIG.vocab_size, (batch, words.prompt), generator=draw).tolist()
        assert relama(prompts) == transformers(prompts), "the two do not say the same"
        seconds: dict[str, list[float]] = {"relama": [], "transformers": []}
        for turn in range(words.turns):
            for side in (relama, transformers) if turn % 2 else (transformers, relama):
                start = time.perf_counter()
                side(prompts)
                seconds[side.__name__].append(time.perf_counter() - start)
        best = {side: batch * words.new / min(times) for side, times in seconds.items()}
        ratio = statistics.median(seconds["transformers"]) / statistics.median(seconds["relama"])
        print(
            f"batch {batch}: relama {best['relama']:.0f} tokens/s, transformers {best['transformers']:.0f}; "
            f"{best['relama'] / best['transformers']:.2f}× at best, {ratio:.2f}× by the medians",
            flush=True,
        )


if __name__ == "__main__":
    main()
