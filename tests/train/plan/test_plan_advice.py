"""What the plan verb and parallel=auto propose for a refused layout is accepted."""

import json
import re

import pytest

from configs.load import ConfigError, load
from model.config import LlamaConfig
from model.parallelize.auto import choose_auto
from model.parallelize.mesh import Layout, LayoutError, Limits, choose
from train.config import RunError, TrainConfig
from train.plan.auto import settle
from train.plan.config import PlanConfig
from train.plan.layout import settle_layout
from train.plan.main import main
from train.ranks import identity
from train.ranks.layout import choose_layout

ONLY_SAMPLES = ("parallel.cp=1", "parallel.tp=1")  # are shared by the ranks
SIZE_7B = LlamaConfig(dim=4096, n_layers=32, n_heads=32, vocab_size=32000)


@pytest.mark.parametrize(
    "words",
    [
        ["world_size=16", "parallel.dp_shard=3"],
        ["world_size=16", "parallel.dp_shard=8"],
        ["world_size=64", "parallel.tp=64"],
        ["world_size=16", "parallel.cp=3", "parallel.tp=2"],
        ["world_size=32", "parallel.pp=32", "parallel.schedule=zbv"],
    ],
    ids=" ".join,
)
def test_each_layout_that_a_refusal_names_is_accepted(words, capsys):
    assert main(["model=7b", *words]) == 1
    named = capsys.readouterr().err.strip().rpartition("these would work: ")[2].split(", or ")
    assert 1 <= len(named) <= 3
    kept = [word for word in words if not re.match(r"parallel\.(dp_|cp|tp|pp)", word)]
    for layout in named:
        assert main(["model=7b", *kept, *layout.split()]) == 0, layout


def test_a_number_of_ranks_without_a_layout_gives_way_to_another_or_to_another_batch(capsys):
    words = ["model=7b", "world_size=37", "parallel.dp_shard=37"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "no layout of 37 ranks would work: change that number, seq_len or global_batch" in said
    assert main([*words, f"global_batch={37 * 4096}"]) == 0
    assert main(["model=7b", "world_size=16", "parallel.dp_shard=16"]) == 0


@pytest.mark.parametrize(
    ("typed", "mend"),
    [
        (["parallel.pp=2"], "parallel.pp=1"),
        (["parallel.tensor=fairscale", "parallel.tp=2"], "parallel.tensor=dtensor"),
    ],
)
def test_a_layout_that_cannot_be_planned_can_with_the_value_that_is_named(typed, mend):
    words = ["model=tiny", "layout=true", "world_size=4", "global_batch=4096"]
    with pytest.raises(RunError, match=f"cannot be planned yet; use {mend}$"):
        settle_layout(load("plan", PlanConfig, [*words, *typed]))
    kept = [word for word in typed if word.partition("=")[0] != mend.partition("=")[0]]
    assert settle_layout(load("plan", PlanConfig, [*words, *kept, mend]))[0].world_size == 4


def test_a_gpu_that_is_not_known_gives_way_to_each_that_is_named_and_to_its_memory(tmp_path, capsys):
    """Its memory alone says nothing of its speed."""
    assert main(["model=7b", "gpu=h1000"]) == 1
    said = capsys.readouterr().err.strip()
    (names,) = re.findall("expected one of (.*); or, with layout=true or measured=, its memory in GiB$", said)
    for name in names.split(", "):
        assert main(["model=7b", f"gpu={name}"]) == 0
    layout, *_ = settle_layout(load("plan", PlanConfig, ["model=7b", "layout=true", "gpu=80"]))
    assert layout.world_size == 1024  # of 2,048 sequences, two at once
    speed = {"dim": 4096, "flops_per_second": 1e14, "mfu": None, "compiled": False, "shape": "7b"}
    (tmp_path / "speed.json").write_text(json.dumps({"device": "H1000", "speed": [speed]}))
    assert main(["model=7b", "gpu=80", f"measured={tmp_path / 'speed.json'}"]) == 0
    capsys.readouterr()
    assert main(["model=7b", "gpu=80"]) == 1
    assert f"its speed is not known; give one of {names}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("seq_len=4096", "seq_len=4096: expected at most 2048"),
        ("global_batch=1000", "global_batch=1000: expected a multiple of 4096 tokens"),
    ],
)
def test_a_batch_that_is_refused_gives_way_to_what_is_expected(typed, expected):
    with pytest.raises(ConfigError, match=expected) as refused:
        load("plan", PlanConfig, ["model=7b", typed])
    (number,) = re.findall(r"(?:at most|a multiple of) (\d+)", str(refused.value))
    load("plan", PlanConfig, ["model=7b", f"{typed.partition('=')[0]}={number}"])


@pytest.mark.parametrize(
    "typed",
    [
        ["parallel.tensor=fairscale", "parallel.tp=2"],
        ["parallel.pp=2", "parallel.schedule=interleaved", "parallel.stages_per_rank=2"],
        ["parallel.pp=2", "parallel.schedule=gpipe"],
    ],
    ids=" ".join,
)
def test_what_auto_cannot_estimate_is_set_by_hand_or_gives_way(typed, monkeypatch):
    monkeypatch.setattr(identity, "world_size", lambda: 2)
    monkeypatch.setattr(identity, "local_world_size", lambda: 2)
    words = ["model=tiny", "device=cpu", "precision=fp32", *typed]
    with pytest.raises(RunError, match="set the layout by hand, or use ") as refused:
        settle(load("train", TrainConfig, [*words, "parallel=auto"]))
    mends = str(refused.value).rpartition("or use ")[2].split()
    by_hand = settle(load("train", TrainConfig, words)).parallel
    limits = Limits(SIZE_7B, 2048, 16, by_hand.schedule, by_hand.stages_per_rank)
    wanted = Layout(by_hand.dp_replicate, by_hand.dp_shard, by_hand.cp, by_hand.tp, by_hand.pp)
    assert choose(wanted, 2, limits).world_size == 2
    keys = {mend.partition("=")[0] for mend in mends}
    kept = [word for word in words if word.partition("=")[0] not in keys]
    settled = settle(load("train", TrainConfig, [*kept, *mends, "parallel=auto"])).parallel
    assert not settled.auto and settled.tp * settled.pp * settled.dp_shard * (settled.dp_replicate or 1) == 2


@pytest.mark.parametrize(
    ("typed", "world", "used"),
    [
        (["global_batch=2304", *ONLY_SAMPLES], 2, 1),  # 9 micro-batches: one rank has nothing to do
        (["global_batch=1536", "parallel.dp_replicate=2", *ONLY_SAMPLES], 8, 6),
        (["global_batch=1536", "parallel.dp_replicate=2"], 5, None),
        (["global_batch=2048", "parallel.dp_shard=2", "parallel.dp_replicate=-1", *ONLY_SAMPLES], 4, 4),
        (["global_batch=2048", "parallel.dp_replicate=-1"], 4, 4),
        (["global_batch=1536", "parallel.pp=2", *ONLY_SAMPLES], 10, 6),  # each pipeline takes two
    ],
    ids=str,
)
def test_a_layout_that_auto_chooses_is_accepted_with_the_ranks_that_it_leaves_idle(
    typed, world, used, monkeypatch
):
    monkeypatch.setattr(identity, "world_size", lambda: world)
    monkeypatch.setattr(identity, "local_world_size", lambda: world)
    words = ["model=tiny", "device=cpu", "micro_batch=1", *typed, "parallel=auto"]
    if used is None:
        with pytest.raises(RunError, match=r"^parallel: dp_replicate 2 .* but the world size is 5"):
            settle(load("train", TrainConfig, words))
    else:
        assert choose_layout(settle(load("train", TrainConfig, words))).world_size == used


@pytest.mark.parametrize(
    "typed",
    [
        ["parallel.schedule=zero_bubble", "parallel.compile=true"],
        ["parallel.schedule=zbv", "parallel.reshard=always"],
        ["evaluate.every=2", "evaluate.tasks=piqa"],
    ],
    ids=" ".join,
)
def test_a_pipeline_is_not_proposed_to_a_run_that_takes_none(typed, monkeypatch):
    monkeypatch.setattr(identity, "world_size", lambda: 4)
    words = ["model=tiny", "device=cpu", "parallel.dp_shard=3"]
    with pytest.raises(RunError, match=r"these would work: .*parallel\.pp=2"):
        choose_layout(load("train", TrainConfig, [*words, "parallel.tp=2"]))
    with pytest.raises(RunError, match="these would work: ") as refused:
        choose_layout(load("train", TrainConfig, [*words, "parallel.tp=2", *typed]))
    assert "parallel.pp" not in str(refused.value)


def choice(model: LlamaConfig, world: int, gib: float, micro_batch: int, seq_len: int = 2048):
    limits = Limits(model=model, seq_len=seq_len, micro_batches=max(1, 2048 // micro_batch))
    return choose_auto(
        *(Layout(dp_replicate=-1, dp_shard=-1, cp=1, tp=1), "none", world, limits),
        memory=gib * 2**30,
        ranks_per_node=8,
        micro_batch=micro_batch,
    )


def test_auto_proposes_a_smaller_micro_batch_only_where_it_helps():
    with pytest.raises(LayoutError) as refused:
        choice(SIZE_7B, 64, 80, 32)
    (micro_batch,) = re.findall(r"or use micro_batch=(\d+), a smaller model or seq_len$", str(refused.value))
    assert choice(SIZE_7B, 64, 80, int(micro_batch)).layout.world_size == 64
    with pytest.raises(LayoutError):
        choice(SIZE_7B, 64, 80, int(micro_batch) * 2)
    assert choice(SIZE_7B, 64, 80, 32, seq_len=128).layout.world_size == 64
    with pytest.raises(LayoutError, match=r"ranks would be enough, or use a smaller model or seq_len$"):
        choice(SIZE_7B, 2, 40, 4)  # its state alone is larger


def test_auto_searches_a_huge_micro_batch_by_its_divisors_alone():
    with pytest.raises(LayoutError) as refused:
        choice(SIZE_7B, 1, 400, 3 << 40)  # one by one it would take days
    (micro_batch,) = re.findall(r"or use micro_batch=(\d+), a smaller model or seq_len$", str(refused.value))
    assert choice(SIZE_7B, 1, 400, int(micro_batch)).layout.world_size == 1
