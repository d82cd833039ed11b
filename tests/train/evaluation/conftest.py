"""One small model in Hugging Face's format, and local benchmarks."""

import json
from pathlib import Path

import pytest
import torch

from data.tokens.tokenizer import Tokenizer
from data.tokens.tokenizer_json import hugging_face_files
from model.config import LlamaConfig
from model.formats.huggingface import write_huggingface
from model.formats.weights import Weights
from model.initialize import initialize
from model.llama import Llama
from tests.support.evaluation import SUBJECTS, documents, questions


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("benchmarks")
    for name, rows in documents().items():
        (root / name).mkdir()
        for split in ("train", "validation", "test"):
            (root / name / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


@pytest.fixture(scope="module")
def mmlu(tmp_path_factory) -> Path:
    """Two subjects, of unequal size."""
    root = tmp_path_factory.mktemp("mmlu")
    for count, subject in zip((3, 9), SUBJECTS):
        (root / "mmlu" / subject).mkdir(parents=True)
        for split, rows in (("dev", questions(subject, 5)), ("test", questions(subject, count))):
            path = root / "mmlu" / subject / f"{split}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


@pytest.fixture(scope="module")
def folder(corpora, tmp_path_factory) -> Path:
    """Random weights and the sample's tokenizer, exported as `relama export format=hf` does."""
    tokenizer = Tokenizer(corpora / "python_docs" / "tokens" / "tokenizer.model")
    config = LlamaConfig(
        dim=32, n_layers=2, n_heads=2, vocab_size=tokenizer.vocab_size, multiple_of=64, max_seq_len=640
    )
    model = Llama(config)
    initialize(model, seed=1)
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    tensors["output.weight"] = tensors["output.weight"] * 20  # so that no greedy token depends on rounding
    output = tmp_path_factory.mktemp("evaluate") / "hf"
    write_huggingface(
        Weights(Path("memory"), config, tensors.__getitem__),
        output,
        dtype=torch.float32,
        shard_bytes=10**9,
        extra=hugging_face_files(tokenizer, config.max_seq_len),
    )
    return output
