"""Decoding with a KV cache against recomputing everything, and against transformers' generate."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch

from model import decode
from model.config import LlamaConfig
from model.decode import Cache, next_logits
from model.initialize import initialize
from model.llama import Llama
from tests.support.theirs import their_model
from train.generation.sampling import generate

CONFIG = LlamaConfig(dim=64, n_layers=3, n_heads=4, vocab_size=211, multiple_of=32, max_seq_len=48)
GROUPED = replace(CONFIG, n_kv_heads=2, rope_scaling=8.0, rope_original_seq_len=24)

YARN = replace(CONFIG, rope_type="yarn", rope_scaling=4.0, rope_original_seq_len=24)


@pytest.fixture(scope="module", params=[CONFIG, GROUPED, YARN], ids=["every head its own", "grouped", "yarn"])
def model(request) -> Llama:
    model = Llama(request.param)
    initialize(model, seed=5)
    with torch.no_grad():  # sharper logits, so that greedy tokens do not depend on rounding
        model.output.weight.mul_(10)
    return model.eval()


def prompts(*lengths: int) -> list[list[int]]:
    draw = torch.Generator().manual_seed(1)
    return [torch.randint(3, 211, (length,), generator=draw).tolist() for length in lengths]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
@pytest.mark.parametrize("lengths", [(9,), (9, 9), (1, 17, 6)])
def test_logits_equal_those_of_a_single_forward_pass(model, lengths, dtype, tolerance):
    exact, model = model, deepcopy(model).to(dtype)
    texts, cache = prompts(*lengths), Cache(model, len(lengths), 30)
    steps = torch.randint(3, 211, (len(lengths), 12), generator=torch.Generator().manual_seed(2))
    padded = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, text in enumerate(texts):
        padded[row, : len(text)] = torch.tensor(text)
    found = [next_logits(model, cache, padded, torch.tensor(lengths))]
    for begin, end in ((0, 1), (1, 2), (2, 7), (7, 8), (8, 12)):  # one token at a time, and several
        found.append(next_logits(model, cache, steps[:, begin:end]))
    for row, text in enumerate(texts):
        whole = torch.tensor([[*text, *steps[row].tolist()]])
        with torch.no_grad():
            expected = exact(whole)[0]
        for logits, read in zip(found, (0, 1, 2, 7, 8, 12)):
            correct = expected[len(text) + read - 1]
            assert logits.dtype == dtype and (logits[row] - correct).norm() < tolerance * correct.norm()


@pytest.mark.parametrize(("dim", "rows"), [(64, 2), (64, 8), (64, 9), (544, 3), (544, 4)])
def test_few_rows_are_multiplied_the_other_way_round_with_the_same_result(dim, rows, monkeypatch):
    model = Llama(replace(CONFIG, dim=dim, n_layers=1, multiple_of=600)).eval()
    initialize(model, seed=5)
    tokens, found, used = torch.tensor([*prompts(*[6] * rows)]), [], []
    monkeypatch.setattr(decode, "_called", lambda layer, x: used.append(layer) or layer(x))
    for few in (decode._has_few_rows, lambda *_: False):
        monkeypatch.setattr(decode, "_has_few_rows", few)
        cache = Cache(model, rows, 7)
        next_logits(model, cache, tokens[:, :5])
        used.clear()
        found.append(next_logits(model, cache, tokens[:, 5:]))
        assert (not used) == ((dim, rows) in ((64, 2), (64, 8), (544, 3)) and len(found) == 1)
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lengths", [(5,), (3, 12, 12, 1), (47, 20)])
def test_greedy_tokens_are_those_of_transformers(model, lengths):
    texts = prompts(*lengths)
    theirs = their_model(model.config, model).eval()
    ours: list[list[int]] = [[] for _ in texts]
    options: Any = dict(max_tokens=40, temperature=0, top_p=1.0, generator=torch.Generator(), eos_id=2)
    for which, token in generate(model, texts, **options):
        ours[which].append(token)
    for text, found in zip(texts, ours):
        expected = theirs.generate(
            torch.tensor([text]),
            do_sample=False,
            max_new_tokens=min(40, 48 - len(text)),
            eos_token_id=2,
            pad_token_id=0,
            use_cache=True,
        )[0, len(text) :].tolist()
        assert found == expected[: expected.index(2)] if 2 in expected else found == expected
        assert found


def test_a_batch_is_its_prompts_one_by_one_and_ends_each_at_its_eos(model):
    texts = prompts(4, 9, 2)
    options: Any = dict(max_tokens=20, temperature=0, top_p=1.0, generator=torch.Generator())
    alone = [[token for _, token in generate(model, [text], **options, eos_id=-1)] for text in texts]
    eos = alone[1][5]  # so that one of the texts ends early
    ends = [tokens[: tokens.index(eos)] if eos in tokens else tokens for tokens in alone]
    together: list[list[int]] = [[] for _ in texts]
    for which, token in generate(model, texts, **options, eos_id=eos):
        together[which].append(token)
    assert together == ends and len(ends[1]) < 20


def test_more_tokens_than_the_context_are_refused(model):
    with pytest.raises(ValueError, match="max_seq_len is 48"):
        Cache(model, 1, 49)
