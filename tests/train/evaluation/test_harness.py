"""Our model in lm-eval, compared with lm-eval's own `hf` model on the exported weights."""

import pytest
import torch

from tests.support.evaluation import TEXT, WORDS, Kind, hf_model
from train.config import RunError
from train.weights.open import load_model, open_weights, tokenizer_of

lm_eval = pytest.importorskip("lm_eval")


@pytest.fixture(scope="module")
def both(folder):
    """Our adapter and lm-eval's `hf` on the same folder."""
    from train.evaluation.harness import RelamaLM

    weights = open_weights(folder)
    ours = RelamaLM(load_model(weights, torch.device("cpu")), tokenizer_of(weights), batch=3)
    return ours, hf_model(folder)


def requests(kind: Kind, arguments: list[tuple]) -> list:
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, each, i) for i, each in enumerate(arguments)]


def test_log_likelihoods_are_those_of_lm_evals_hf_model(both):
    text = " ".join(WORDS)
    pairs = [
        (text, " and more"),
        ("", " and more"),
        ("Answer:", " yes"),
        ("trailing  ", "spaces é"),
        (text * 30, " too long for the context"),
        ("a literal <s> or </s>", " is text"),
        *((f"{text} {text} {word}? Answer:", f" {letter}") for word in WORDS[:4] for letter in "ABCD"),
        *((f"{WORDS[0]} {WORDS[1]}", f" {ending}") for ending in (text, text[:20], "runs")),
    ]
    ours, theirs = (lm.loglikelihood(requests("loglikelihood", pairs), disable_tqdm=True) for lm in both)
    for (log_p, greedy), (their_log_p, their_greedy) in zip(ours, theirs):
        assert log_p == pytest.approx(their_log_p, rel=1e-4) and greedy == their_greedy
    own = both[0].generate_until(requests("generate_until", [("Answer:", {"max_gen_toks": 1})]))[0]
    (answer,) = both[0].loglikelihood(requests("loglikelihood", [("Answer:", own)]))
    assert answer[0] < 0


def test_rolling_log_likelihoods_are_those_of_lm_evals_hf_model(both):
    texts = [("a short one",), (" ".join(WORDS) * 60,), ("é\n\n  two",)]
    ours, theirs = (lm.loglikelihood_rolling(requests("loglikelihood_rolling", texts), True) for lm in both)
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_generation_is_that_of_lm_evals_hf_model(both):
    arguments = [
        ("the river", {"until": ["\n", "zzz"], "do_sample": False, "max_gen_toks": 24}),
        (" ".join(WORDS), {"until": ["e"], "do_sample": False, "max_gen_toks": 24}),
        ("two  children", {"until": [], "do_sample": False, "max_gen_toks": 5}),
        (" ".join(WORDS) * 40, {"until": ["\n"], "do_sample": False, "max_gen_toks": 24}),
        *((f"{word} and", {"until": ["\n"], "do_sample": False, "max_gen_toks": 6}) for word in WORDS),
    ]
    ours, theirs = (
        lm.generate_until(requests("generate_until", arguments), disable_tqdm=True) for lm in both
    )
    # SentencePiece decodes byte pieces that are not UTF-8 one by one, the tokenizers library all or none.
    pairs = [pair for pair in zip(ours, theirs, strict=True) if "\ufffd" not in pair[1]]
    assert all(one == other for one, other in pairs) and len(pairs) >= 3 and any(ours)


def test_a_completion_that_cannot_be_scored_is_refused_as_in_lm_evals_own_model(folder):
    from lm_eval.api.instance import Instance

    from train.evaluation.harness import RelamaLM

    weights = open_weights(folder)
    lm = RelamaLM(load_model(weights, torch.device("cpu")), tokenizer_of(weights), batch=2)
    long = Instance("loglikelihood", {}, ("a", f" {TEXT}" * 100), 0)
    with pytest.raises(RunError, match="longer than the model's context"):
        lm.loglikelihood([long], disable_tqdm=True)
    lm._encode_pair = lambda context, continuation: ([1, 5], [])  # merged into the context's last token
    with pytest.raises(RunError, match="has no token of its own"):
        lm.loglikelihood([Instance("loglikelihood", {}, ("a", "b"), 0)], disable_tqdm=True)
