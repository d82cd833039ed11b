"""Runs of several phases: what each step reads, at which length, batch and rate, and what is refused."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import cast

import pytest

from configs.load import ConfigError, load
from data.explain import explain
from data.order import Order
from data.phases.steps import Steps
from data.tokens.store import TokenStore
from model.parallelize.mesh import Layout
from tests.support.runs import learned, metrics, run, same_tensors, succeed
from train.config import RunError, TrainConfig
from train.optimizer import rate_of
from train.order import first_order, refuse_repeats
from train.ranks.layout import layout_of
from train.run.configuration import refuse_another_run
from train.run.horizon import moved, with_warmup_of

RUN = ("model=tiny", "data=sample", "steps=100", "model.vocab_size=4096")
THREE = (
    "phases.first.until_step=4",
    "phases.best.until_share=0.66",
    "phases.best.weights.python_docs=3",
    "phases.best.weights.python_code=1",
    "phases.long.seq_len=128",
    "phases.long.rope_theta=50000",
    "phases.long.global_batch=1024",
    "phases.long.schedule=linear",
    "phases.long.lr=0",
)


def config_of(*arguments: str) -> TrainConfig:
    return load("train", TrainConfig, [*RUN, *arguments])


def test_phases_end_at_a_step_at_tokens_or_after_a_share_of_the_run():
    config = config_of(
        "phases.a.until_step=10",
        "phases.b.until_tokens=50000",
        "phases.b.global_batch=8192",
        "phases.c.until_share=0.5",
    )
    found = [(phase.name, phase.start, phase.end) for phase in config.timeline.phases]
    assert found == [("a", 0, 10), ("b", 10, 12), ("c", 12, 50), ("rest", 50, 100)]
    tokens = 0
    for step in range(1, 101):
        phase = config.timeline.at(step)
        assert phase.start < step <= phase.end
        assert config.timeline.steps.sample(step - 1) == tokens // 256
        assert config.timeline.steps.step_of(tokens // 256) == step
        tokens += phase.global_batch
        assert config.timeline.tokens(step) == tokens
    assert Steps.of(json.loads(json.dumps(config.timeline.steps.to_json()))) == config.timeline.steps


def test_the_keys_of_a_phase_are_read_as_the_runs_own_are():
    typed = ("phases.a.sources=python_docs", "phases.a.until_step=30", "phases.b.schedule=1-sqrt")
    phases = config_of(*typed, "phases.b.lr=0", "phases.b.sources=python_docs, python_code").phases
    assert phases["a"].sources == ["python_docs"] and phases["b"].schedule == "1-sqrt"
    assert phases["b"].sources == ["python_docs", "python_code"]
    for wrong, words in (
        ("phases.a.until_step=3k", r"phases\.a\.until_step=3k: expected .* in digits: .*=3000"),
        ("phases.a.seqlen=64", r"did you mean phases\.a\.seq_len"),
    ):
        with pytest.raises(ConfigError, match=words):
            config_of(wrong)


def test_a_phase_sets_its_mixture_and_what_it_leaves_null_is_the_runs():
    config = config_of("phases=anneal")
    stable, anneal = config.timeline.phases
    assert (stable.end, stable.weights) == (80, {"python_code": 60.0, "python_docs": 40.0})
    assert anneal.weights == {"python_code": 20.0, "python_docs": 80.0}
    assert (anneal.seq_len, anneal.global_batch, anneal.rope_theta) == (256, 4096, 10000.0)
    only = config_of("phases.a.until_step=5", "phases.b.sources=[python_docs]").timeline.phases[1]
    assert only.weights == {"python_docs": 40.0}


def test_a_piece_of_the_schedule_leads_from_the_rate_before_the_phase_to_its_own():
    config = config_of(
        *("optim.schedule=constant", "optim.lr=0.01", "phases.a.until_step=40", "phases.b.until_step=60"),
        *("phases.b.schedule=linear", "phases.b.lr=0.002", "phases.c.until_step=80"),
        *("phases.c.schedule=constant", "phases.d.schedule=cosine"),
    )
    rates = [rate_of(step, config) for step in range(1, 101)]
    assert rates[9:40] == [0.01] * 31
    assert rates[40:60] == pytest.approx([0.01 - 0.008 * i / 20 for i in range(1, 21)])
    assert rates[60:80] == [rates[59]] * 20
    assert rates[99] == pytest.approx(0.001) and rates[89] == pytest.approx((0.002 + 0.001) / 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["phases.a.until_step=9", "phases.b.until_step=9"], "phases.b.until_step=9: ends with step 9, but"),
        (
            ["phases.a.until_step=200"],
            "phases.a.until_step=200: ends with step 200, but the run has steps=100",
        ),
        (["phases.a.until_tokens=819200"], "phases.a.until_tokens=819200: ends with step 200, but"),
        (["phases.a.seq_len=32", "phases.b.seq_len=64"], "phases.a: does not say where it ends"),
        (["phases.a.until_step=3", "phases.a.until_share=0.5"], "until_step and until_share both say"),
        (["phases.a.seq_len=512"], "phases.a.seq_len=512: expected at most model.max_seq_len=256"),
        (["phases.a.global_batch=1000"], "phases.a.global_batch=1000: expected a multiple of seq_len"),
        (["phases.a.sources=[poems]"], "phases.a.sources: 'poems' has no weight"),
        (["phases.a.weights.python_docs=-1"], "phases.a.weights.python_docs=-1.0: expected a weight above 0"),
        (["phases.a.schedule=linear"], "phases.a.schedule=linear: the first phase begins with the warm-up"),
        (["phases.a.until_step=3", "phases.b.lr=0.1"], "phases.b.lr=0.1: expected schedule= with it"),
        (
            ["phases.a.until_step=3", "phases.b.schedule=linear", "phases.b.lr=6"],
            "phases.b.lr=6.0: expected at",
        ),
        (["phases.a.rope_theta=0"], "phases.a.rope_theta=0.0: must be positive and finite"),
        (
            ["model.rope_type=yarn", "phases.a.until_step=3", "phases.b.rope_theta=0.5"],
            "phases.b.rope_theta=0.5: must be above 1 with model.rope_type=yarn",
        ),
        (["phases.a.until=3"], "phases.a.until: unknown key; did you mean phases.a.until_step"),
    ],
)
def test_impossible_phases_are_refused_in_one_line(arguments, words):
    with pytest.raises(ConfigError) as refused:
        config_of(*arguments)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_pipeline_takes_phases_whose_batches_have_a_smaller_common_divisor():
    phases = ("micro_batch=1", "global_batch=1024", "phases.a.until_step=3", "phases.a.global_batch=1536")
    config = config_of(*phases, "parallel.pp=4")  # 4 and 6 micro-batches
    assert layout_of(config, config.model, 4) == Layout(dp_replicate=1, dp_shard=1, pp=4)


def test_a_phase_longer_than_the_data_at_max_epochs_is_refused_with_its_last_step():
    stores = cast(  # of a store only its size counts
        "dict[str, TokenStore]",
        {name: SimpleNamespace(n_sequences=lambda length: 500) for name in ("python_code", "python_docs")},
    )
    phases = ("phases.a.until_step=50", "phases.b.weights.python_docs=1")
    enough = config_of("data.max_epochs=2.3", *phases)
    order = first_order(enough, stores)
    refuse_repeats(order, enough)
    words = "phase b would have read python_docs 2.24 times by step 100; end it by step 98, or set "
    words += "data.max_epochs=2.25"
    with pytest.raises(RunError, match=words) as refused:
        refuse_repeats(order, config_of("data.max_epochs=2.2", *phases))
    assert "\n" not in str(refused.value)
    allowed, more = (order.epochs(enough.timeline.steps.sample(step))["python_docs"] for step in (98, 99))
    assert allowed <= 2.2 < more
    limited = config_of(
        f"data.max_epochs={order.epochs(enough.timeline.steps.sample(100))['python_docs']}", *phases
    )
    for start in range(0, 700, 7):  # a rewind does not end a run that was accepted
        refuse_repeats(order.skip(start, start + 48), limited)
    with pytest.raises(ConfigError, match=r"data\.max_epochs=0.0: expected a number above 0"):
        config_of("data.max_epochs=0")


@pytest.mark.distributed
def test_a_run_of_three_phases_resumes_bitwise_and_is_explained(corpora, tmp_path):
    settings = (f"corpora={corpora}", "steps=9", "checkpoint.every=3", "recovery.window=4", *THREE)
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    out = succeed(f"run={whole}", *settings).stdout
    assert "phase best, to step 6" in out and "phase long, to step 9" in out
    for stop in ("stop_at=5", "stop_at=null"):
        succeed(f"run={halves}", *settings, stop)
    assert [row[:5] for row in learned(halves)] == [row[:5] for row in learned(whole)]
    same_tensors(halves / "checkpoints/step-000009", whole / "checkpoints/step-000009")
    lines = metrics(whole)
    assert [line["phase"] for line in lines] == ["first"] * 4 + ["best"] * 2 + ["long"] * 3
    assert [line["tokens"] for line in lines[5:]] == [3072, 4096, 5120, 6144]
    assert lines[-1]["lr"] == 0.0
    state = json.loads((whole / "checkpoints/step-000009/state.json").read_text())
    assert (state["model"]["rope_theta"], state["tokens"]) == (50000.0, 6144)

    order = Order.from_json(json.loads((whole / "order.json").read_text())["order"])
    assert [order.seq_len(n) for n in (0, 47, 48, 71)] == [64, 64, 128, 128]
    sources = [order.locate(n).source for n in range(32, 48)]
    assert sources.count("python_docs") == 12
    text = list(explain(whole, 7))
    assert text[0] == "step 7: samples 48 to 55" and "  128 tokens and the last label" in "\n".join(text)

    for name, layout in (("two", ()), ("pipeline", ("parallel.pp=2",))):
        succeed(f"run={tmp_path / name}", *settings, *layout, ranks=2)
        for one, other in zip(lines, metrics(tmp_path / name), strict=True):
            assert other["loss"] == pytest.approx(one["loss"], rel=2e-5)
    refused = run(f"run={whole}", *settings, "phases.best.weights.python_docs=5")
    assert "phases.best.weights.python_docs: 3.0 there, 5.0 requested" in refused.stdout + refused.stderr


def test_the_horizon_moves_only_if_every_trained_step_keeps_its_rate():
    def after(saved: TrainConfig, step: int, *arguments: str) -> int | None:
        config = with_warmup_of(saved, config_of(*arguments))
        found = moved(saved, config, step)
        return found.optim.warmup_steps if found else None

    wsd, constant = ("optim.schedule=wsd",), ("optim.schedule=constant",)
    assert after(config_of(*wsd), 90, *wsd, "steps=400") == 10  # not 40
    assert after(config_of(*wsd), 91, *wsd, "steps=400") is None  # its rate has decayed
    assert after(config_of(*wsd), 50, *wsd, "steps=60", "optim.decay_steps=10") == 10
    assert after(config_of(*constant), 100, *constant, "steps=400") == 10
    assert after(config_of(*constant), 100, *constant, "steps=99") is None
    assert after(config_of(), 10, "steps=400") is None
    phases = (*constant, "phases.a.until_share=0.5", "phases.b.seq_len=128")
    assert after(config_of(*phases), 40, *phases, "steps=400") == 10
    assert after(config_of(*phases), 51, *phases, "steps=400") is None  # step 51 would be in another phase


@pytest.mark.distributed
def test_a_run_is_lengthened_under_a_constant_rate_and_refused_under_cosine(corpora, tmp_path):
    settings = (f"corpora={corpora}", "checkpoint.every=10", "optim.schedule=constant")
    longer, whole = tmp_path / "longer", tmp_path / "whole"
    succeed(f"run={longer}", *settings, "steps=10")
    assert "optim.warmup_steps=1, as this run began" in succeed(f"run={longer}", *settings, "steps=20").stdout
    succeed(f"run={longer}", *settings, "steps=20")  # has finished
    succeed(f"run={whole}", *settings, "steps=20", "optim.warmup_steps=1")
    assert [row[:5] for row in learned(longer)] == [row[:5] for row in learned(whole)]
    same_tensors(longer / "checkpoints/step-000020", whole / "checkpoints/step-000020")
    cosine = tmp_path / "cosine"
    succeed(f"run={cosine}", *settings[:2], "steps=2")
    refused = run(f"run={cosine}", *settings[:2], "steps=4")
    assert refused.returncode and f"relama branch run={cosine} at=STEP to=NEW steps=4" in refused.stderr


def test_a_run_that_was_made_before_phases_resumes(tmp_path):
    config = load("train", TrainConfig, [*RUN])
    weights = dict(config.data.chosen())
    order = Order.start(
        seed=0, weights=weights, n_sequences=dict.fromkeys(weights, 9), seq_len=config.sequence_length
    )
    kept = asdict(config)
    del kept["phases"]
    refuse_another_run(tmp_path, config, {"config": kept, "order": order.to_json(), "step": 0})
    other = replace(config, seed=1)
    with pytest.raises(RunError, match="seed"):
        refuse_another_run(tmp_path, other, {"config": kept, "order": order.to_json(), "step": 0})
