"""Layouts are chosen and refused without a process group."""

import math
from dataclasses import asdict, replace

import pytest

from model.config import LlamaConfig
from model.parallelize.mesh import Layout, LayoutError, Limits, choose, divisors, padding

MODEL = LlamaConfig(dim=64, n_layers=2, n_heads=4, vocab_size=128, multiple_of=64, max_seq_len=64)
LIMITS = Limits(model=MODEL, seq_len=64, micro_batches=8)


@pytest.mark.parametrize(
    ("wanted", "world_size", "chosen"),
    [
        (Layout(dp_shard=-1), 1, Layout()),
        (Layout(dp_shard=-1, tp=2), 8, Layout(dp_shard=4, tp=2)),
        (Layout(dp_shard=-1, dp_replicate=2, cp=2), 16, Layout(dp_shard=4, dp_replicate=2, cp=2)),
        (Layout(dp_shard=2, tp=-1), 8, Layout(dp_shard=2, tp=4)),
        (Layout(dp_shard=-1), 7, Layout(dp_shard=4)),  # 3 ranks idle: 8 micro-batches
        (Layout(dp_shard=-1, pp=2, tp=2), 8, Layout(dp_shard=2, pp=2, tp=2)),
        (Layout(dp_shard=-1, pp=2), 16, Layout(dp_shard=4, pp=2)),  # at least 2 micro-batches a pipeline
    ],
)
def test_minus_one_fills_the_world(wanted, world_size, chosen):
    assert choose(wanted, world_size, LIMITS) == chosen


def test_a_world_far_beyond_the_batch_is_not_searched_rank_by_rank():
    wanted = Layout(dp_replicate=1, dp_shard=-1)
    assert choose(wanted, 10**15, LIMITS) == Layout(dp_replicate=1, dp_shard=LIMITS.micro_batches)


@pytest.mark.parametrize(
    ("dim", "world_size", "tp", "copies"),
    [(4096, 8, 1, 1), (8192, 2048, 1, 1), (6656, 2048, 1, 4), (6656, 2048, 4, 2), (6656, 512, 1, 1)],
)
def test_unless_told_there_are_copies_where_fsdp_would_pad_the_rows(dim, world_size, tp, copies):
    model = LlamaConfig(dim=dim, n_heads=dim // 128, n_layers=2, vocab_size=32000)
    limits = Limits(model=model, seq_len=2048, micro_batches=2048)
    wanted = Layout(dp_replicate=None, dp_shard=-1, tp=tp)
    shards = world_size // tp // copies
    assert choose(wanted, world_size, limits) == Layout(dp_replicate=copies, dp_shard=shards, tp=tp)
    by_hand = choose(replace(wanted, dp_replicate=1), world_size, limits)
    assert by_hand == Layout(dp_shard=world_size // tp, tp=tp)
    if copies > 1:
        assert padding(model, by_hand) > 0.05 >= padding(model, choose(wanted, world_size, limits))


@pytest.mark.parametrize("wanted", [Layout(tp=4), Layout(dp_shard=2, tp=4), Layout(tp=4, pp=2)])
def test_fewer_key_heads_than_tp_ranks_are_refused_in_one_line(wanted):
    limits = replace(LIMITS, model=replace(MODEL, n_kv_heads=2))
    with pytest.raises(LayoutError, match=r"parallel\.tp=4: does not divide the model's n_kv_heads=2; these"):
        choose(wanted, wanted.world_size, limits)
    for fits in (
        Layout(tp=2),
        Layout(cp=4),
        Layout(cp=4, tp=2),
    ):  # cp gathers keys and values; heads are not cut
        assert choose(fits, fits.world_size, limits) == fits


@pytest.mark.parametrize(
    ("wanted", "world_size", "words"),
    [
        (Layout(tp=3), 3, ["parallel.tp=3", "n_heads=4"]),
        (Layout(tp=8), 8, ["parallel.tp=8", "n_heads=4"]),
        (Layout(cp=64), 64, ["parallel.cp=64", "seq_len=64", "multiple of 128"]),
        (Layout(dp_shard=16), 16, ["16", "8 micro-batches"]),
        (Layout(pp=4), 4, ["parallel.pp=4", "1f1b", "4 stages", "n_layers=2", "parallel.pp=2"]),
        (Layout(pp=2, dp_shard=8), 16, ["parallel.pp=2", "1 micro-batch", "takes 2"]),
        (Layout(dp_shard=3), 4, ["dp_shard 3 = 3", "world size is 4"]),
        (Layout(dp_shard=-1, tp=3), 4, ["tp 3", "world size is 4"]),
        (
            Layout(dp_shard=-1, tp=-1),
            4,
            ["parallel.dp_shard=-1", "parallel.tp=-1", "set parallel.dp_shard=1"],
        ),
        (Layout(), 4, ["every size 1 = 1, but the world size is 4"]),
    ],
)
def test_impossible_layouts_are_refused_with_possible_ones(wanted, world_size, words):
    with pytest.raises(LayoutError) as caught:
        choose(wanted, world_size, LIMITS)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message
    if "these would work: " in message:  # check that they do
        for suggestion in message.split("these would work: ")[1].split(", or "):
            sizes = (word.removeprefix("parallel.").split("=") for word in suggestion.split())
            layout = Layout(**{name: int(size) for name, size in sizes})
            assert choose(layout, world_size, LIMITS) == layout
            assert math.prod(asdict(layout).values()) == world_size


def test_no_pipeline_is_proposed_where_other_keys_take_none():
    wanted, why = Layout(dp_shard=3), "parallel.compile=true: not with it"
    with pytest.raises(LayoutError, match=r"these would work: .*parallel\.pp=2"):
        choose(replace(wanted, tp=2), 4, LIMITS)
    without = replace(LIMITS, no_pipeline=why)
    with pytest.raises(LayoutError, match="these would work: ") as refused:
        choose(wanted, 4, without)
    assert "parallel.pp" not in str(refused.value)
    with pytest.raises(LayoutError, match=f"^{why}; these would work: parallel.dp_replicate=2 "):
        choose(Layout(pp=2, dp_shard=2), 4, without)


def test_divisors_are_all_numbers_that_divide():
    for number in range(1, 300):
        assert divisors(number) == [n for n in range(1, number + 1) if number % n == 0]
