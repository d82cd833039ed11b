"""Log-likelihoods with shared contexts: those of one plain forward pass per pair, with fewer tokens read."""

import random

import pytest
import torch

from model.config import LlamaConfig
from model.initialize import initialize
from model.llama import Llama
from model.shared_context import Row
from train.evaluation import likelihoods
from train.evaluation.likelihoods import clusters, log_likelihoods

CONFIG = LlamaConfig(dim=32, n_layers=2, n_heads=4, vocab_size=50, multiple_of=16, max_seq_len=128)


@pytest.fixture(scope="module")
def model() -> Llama:
    built = Llama(CONFIG)
    initialize(built, seed=3)
    return built.eval()


@torch.no_grad()
def plainly(model: Llama, context: list[int], tokens: list[int]) -> tuple[float, bool]:
    """As lm-eval defines it: the text's last max_seq_len + 1 tokens, in their own pass."""
    text = torch.tensor([[*context, *tokens][-(CONFIG.max_seq_len + 1) :]])
    log_p = torch.log_softmax(model(text[:, :-1])[0, -len(tokens) :], dim=-1)
    labels = text[0, -len(tokens) :]
    chosen = log_p.gather(-1, labels[:, None]).sum().item()
    return chosen, bool((log_p.argmax(-1) == labels).all())


def drawn(seed: int) -> list[tuple[list[int], list[int]]]:
    """Few-shot questions with one-token choices, endings of several tokens, lone pairs, and long ones."""
    rng = random.Random(seed)

    def some(count: int) -> list[int]:
        return [rng.randrange(50) for _ in range(count)]

    shots, article = some(60), some(45)
    pairs = []
    for _ in range(5):
        question = shots + some(rng.randrange(1, 12))
        pairs += [(question, [choice]) for choice in (1, 2, 3, 4)]
    for _ in range(3):
        question = article + some(rng.randrange(3, 9))
        pairs += [(question, some(rng.randrange(1, 9))) for _ in range(4)]
    pairs += [(some(rng.randrange(1, 20)), some(rng.randrange(1, 9))) for _ in range(6)]
    pairs += [([7], some(rng.randrange(1, 30))) for _ in range(12)]  # one context, more than a row holds
    pairs += [(some(150), some(10)), (shots + some(90), some(5)), (some(3), some(128)), (shots, [1])]
    rng.shuffle(pairs)
    return pairs


@pytest.mark.parametrize(("seed", "batch"), [(0, 1), (1, 3), (2, 16)])
def test_every_pair_scores_as_in_its_own_pass(model, seed, batch):
    pairs = drawn(seed)
    found = dict(log_likelihoods(model, pairs, batch))
    assert sorted(found) == list(range(len(pairs)))
    for number, (context, tokens) in enumerate(pairs):
        log_p, greedy = plainly(model, context, tokens)
        assert found[number][0] == pytest.approx(log_p, rel=1e-5, abs=1e-5), number
        assert found[number][1] == greedy, number
    short = [context for context, _ in pairs if len(context) < 100][:3]
    greedy = [(context, [int(model(torch.tensor([context]))[0, -1].argmax())]) for context in short]
    assert all(is_greedy for _, (_, is_greedy) in log_likelihoods(model, greedy, batch))
    assert "attend" not in vars(model.blocks[0].attention)  # the model is as it was


def test_what_contexts_share_is_read_once(model):
    shots = list(range(40)) * 2
    pairs = [([*shots, question], [choice]) for question in range(10) for choice in range(4)]
    read = []
    handle = model.tok_embeddings.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].numel()))
    try:
        dict(log_likelihoods(model, pairs, 8))
    finally:
        handle.remove()
    assert sum(read) == len(shots) + 10  # against 3,240 one by one


def test_contexts_cluster_by_what_they_share_and_each_is_in_one():
    rng = random.Random(5)
    shots = [[rng.randrange(9) for _ in range(200)] for _ in range(2)]
    header = [1] * 40
    contexts = [header + shots[i % 2] + [i, i] for i in range(8)] + [[8, i] for i in range(3)] + [[5]]
    found = list(clusters(contexts))
    assert sorted(number for _, cluster in found for number in cluster) == list(range(len(contexts)))
    shared = {length: sorted(cluster) for length, cluster in found}
    assert shared[0] == [8, 9, 10, 11]
    assert sorted(length for length, _ in found)[1:] == [240, 240]
    for length, cluster in found:
        assert len({tuple(contexts[number][:length]) for number in cluster}) == 1
        assert all(length < len(contexts[number]) for number in cluster)
    assert list(clusters([])) == []


def test_a_batch_ends_before_rows_that_would_be_mostly_padding():
    rows = [(Row([0] * length, []), []) for length in (600, 590, 300, 290, 280, 20, 10)]
    lengths = [[len(row) for row, _ in part] for part in likelihoods._batches(rows, 8)]
    assert lengths == [[600, 590], [300, 290, 280], [20, 10]]
    assert [len(part) for part in likelihoods._batches(rows[5:] * 9, 8)] == [8, 8, 2]
    assert list(likelihoods._batches([], 8)) == []


@pytest.mark.parametrize("enough", [1, 40])
def test_scores_do_not_depend_on_where_batches_end(model, enough, monkeypatch):
    draw = random.Random(5)
    pairs = [([draw.randrange(50) for _ in range(draw.randrange(1, 20))], [1, 2]) for _ in range(30)]
    expected = dict(log_likelihoods(model, pairs, 8))
    monkeypatch.setattr(likelihoods, "ENOUGH", enough)
    for number, (score, is_greedy) in log_likelihoods(model, pairs, 8):
        assert score == pytest.approx(expected[number][0], rel=1e-5) and is_greedy == expected[number][1]
