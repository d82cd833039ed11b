"""Evaluation requests against lm-eval's `hf` model on the exported weights: `python benchmarks/evaluate.py`.

MMLU-shaped requests (five shots of a subject, four one-letter choices) and HellaSwag-shaped ones (four
endings of a context), of random words, on random weights of dim 512. Both sides get the same requests, batch
size and threads and take turns; their scores are compared. Needs the extra `eval`.
"""

import argparse
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance

from data.prepare.sample import prepare_sample
from data.tokens.tokenizer import Tokenizer
from data.tokens.tokenizer_json import hugging_face_files
from model.config import LlamaConfig
from model.formats.huggingface import write_huggingface
from model.formats.weights import Weights
from model.initialize import initialize
from model.llama import Llama
from train.evaluation.harness import RelamaLM
from train.ranks.allocator import raise_malloc_thresholds
from train.ranks.products import as_relama_multiplies
from train.weights.open import load_model, open_weights, tokenizer_of

TEXT = "the river runs past an old mill where two children fish for trout every summer and the water is"
WORDS = TEXT.split()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--corpora", help="a prepared sample's folder; default: prepare one")
    asked = parser.parse_args()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    raise_malloc_thresholds()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        corpora = Path(asked.corpora or folder)
        if not asked.corpora:
            prepare_sample(corpora)
        weights = export(asked, corpora / "python_docs" / "tokens" / "tokenizer.model", Path(folder) / "hf")
        compare(asked, weights)


def export(asked: argparse.Namespace, tokenizer_path: Path, output: Path) -> Path:
    """Random weights in Hugging Face's format."""
    tokenizer = Tokenizer(tokenizer_path)
    config = LlamaConfig(asked.dim, asked.layers, asked.dim // 64, tokenizer.vocab_size, max_seq_len=2048)
    model = Llama(config)
    initialize(model, seed=0)
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    files = hugging_face_files(tokenizer, config.max_seq_len)
    weights = Weights(Path("memory"), config, tensors.__getitem__)
    write_huggingface(weights, output, dtype=torch.float32, shard_bytes=10**10, extra=files)
    return output


def compare(asked: argparse.Namespace, folder: Path) -> None:
    from lm_eval.models import huggingface

    HFLM: Any = huggingface.HFLM  # its type hides its arguments

    weights = open_weights(folder)
    cpu = torch.device("cpu")
    batch = asked.batch
    sides = {
        "lm-eval's hf, fp32": HFLM(
            pretrained=str(folder), batch_size=batch, add_bos_token=True, device="cpu", dtype="float32"
        ),
        "relama, fp32": RelamaLM(load_model(weights, cpu), tokenizer_of(weights), batch),
        "lm-eval's hf, bf16": HFLM(
            pretrained=str(folder), batch_size=batch, add_bos_token=True, device="cpu", dtype="bfloat16"
        ),
        "relama, bf16": RelamaLM(load_model(weights, cpu, torch.bfloat16), tokenizer_of(weights), batch),
    }
    for name, pairs in (("MMLU", mmlu(asked.questions)), ("HellaSwag", hellaswag(asked.questions))):
        requests = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        scores: dict[str, list[float]] = {}
        for turn in range(asked.turns):
            print(f"{name}: turn {turn + 1} of {asked.turns}", file=sys.stderr, flush=True)
            for side, lm in sides.items():
                with as_relama_multiplies() if side.startswith("relama") else nullcontext():
                    start = time.perf_counter()
                    found = lm.loglikelihood(requests, disable_tqdm=True)
                    seconds[side].append(time.perf_counter() - start)
                scores[side] = [score for score, _ in found]
        report(name, len(pairs), seconds, scores)


def report(name: str, count: int, seconds: dict[str, list[float]], scores: dict[str, list[float]]) -> None:
    exact = scores["lm-eval's hf, fp32"]
    print(f"\n{name}-shaped, {count} requests")
    print(f"{'':22}{'requests/s':>12}{'ratio':>8}{'largest difference of a score':>32}")
    for side, taken in seconds.items():
        theirs = statistics.median(seconds["lm-eval's hf, " + side[-4:]])
        median = statistics.median(taken)
        apart = max(abs(score - there) / abs(there) for score, there in zip(scores[side], exact))
        print(f"{side:22}{count / median:>12.1f}{theirs / median:>8.2f}{apart:>32.1e}")
    print(json.dumps({"shape": name, "seconds": seconds}), file=sys.stderr)


def mmlu(questions: int) -> list[tuple[str, str]]:
    rng = random.Random(0)

    def question() -> str:
        choices = "\n".join(f"{letter}. {words(rng, 4, 10)}" for letter in "ABCD")
        return f"{words(rng, 20, 40)}?\n{choices}\nAnswer:"

    shots = "\n\n".join(f"{question()} {rng.choice('ABCD')}" for _ in range(5))
    return [
        (context, f" {letter}") for context in asked_after(shots, question, questions) for letter in "ABCD"
    ]


def asked_after(shots: str, question, count: int) -> list[str]:
    return [f"{shots}\n\n{question()}" for _ in range(count)]


def hellaswag(questions: int) -> list[tuple[str, str]]:
    rng = random.Random(1)
    contexts = [words(rng, 30, 60) for _ in range(questions)]
    return [(context, f" {words(rng, 8, 24)}") for context in contexts for _ in range(4)]


def words(rng: random.Random, least: int, most: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randrange(least, most)))


if __name__ == "__main__":
    main()
