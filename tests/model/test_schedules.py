"""Pipelines without processes: which stage has which layers, and whether every accepted schedule runs."""

from itertools import combinations

import pytest
import torch
import torch.distributed as dist
from torch.distributed.pipelining import PipelineStage
from torch.distributed.pipelining.schedules import (
    PipelineScheduleMulti,
    _PipelineScheduleRuntime,
    _simulate_comms_compute,
    get_schedule_class,
)
from torch.testing._internal.distributed.fake_pg import FakeStore

from model.config import LlamaConfig
from model.parallelize.schedules import SCHEDULES, costs, problem, rank_of, refuse_schedule, split

PLAIN = {
    "schedule": "1f1b",
    "stages_per_rank": None,
    "activation_checkpointing": "none",
    "compile": False,
    "reshard": "auto",
}


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_torch_schedules_run_every_accepted_combination_without_deadlock(ranks):
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    try:
        for name, kind in SCHEDULES.items():
            for per_rank in (kind.stages, kind.stages + 1) if kind.more_stages else (kind.stages,):
                for count in range(ranks, 3 * ranks + 2):
                    refused = problem(ranks, 100, count, name, per_rank)
                    assert bool(refused) != runs(name, ranks, per_rank, count), (
                        name,
                        per_rank,
                        count,
                        refused,
                    )
    finally:
        dist.destroy_process_group()


def runs(name: str, ranks: int, per_rank: int, micro_batches: int) -> bool:
    """Whether torch makes the schedule, and all its sends find their receives."""
    kind, total = SCHEDULES[name], ranks * per_rank
    stages = [
        PipelineStage(torch.nn.Identity(), number, total, torch.device("cpu"))
        for number in range(total)
        if rank_of(number, ranks, kind) == 0
    ]
    schedule = get_schedule_class(kind.torch_name)
    multi = issubclass(schedule, PipelineScheduleMulti)
    try:
        made = schedule(stages if multi else stages[0], micro_batches, loss_fn=lambda loss, _: loss)
    except ValueError:
        return False
    if multi:
        assert made.stage_index_to_group_rank == {n: rank_of(n, ranks, kind) for n in range(total)}
    if isinstance(made, _PipelineScheduleRuntime) and name != "dualpipe":  # torch cannot simulate its pairs
        order = {
            rank: [a for a in actions if a.computation_type.name not in ("UNSHARD", "RESHARD", "REDUCE_GRAD")]
            for rank, actions in made.pipeline_order_with_comms.items()
        }
        _simulate_comms_compute(order, made.stage_index_to_group_rank.__getitem__, total)
    return True


@pytest.mark.parametrize("stages", [1, 2, 3, 5])
@pytest.mark.parametrize("vocab_size", [16, 900, 5000])
def test_no_other_split_gives_the_busiest_stage_less_work(stages, vocab_size):
    config = LlamaConfig(dim=64, n_layers=9, n_heads=4, vocab_size=vocab_size, max_seq_len=64)
    layer, head, _, _ = costs(config)

    def busiest(sizes: list[int]) -> int:
        return max(*(layer * size for size in sizes), layer * sizes[-1] + head)

    chosen = split(config, stages)
    assert [number for part in chosen for number in part] == list(range(9))
    others = [
        [b - a for a, b in zip((0, *ends), (*ends, 9), strict=True)]
        for ends in combinations(range(1, 9), stages - 1)
    ]
    assert busiest([len(part) for part in chosen]) == min(map(busiest, others))


def test_the_papers_sizes_have_fewer_layers_where_the_head_is():
    config = LlamaConfig(dim=4096, n_layers=32, vocab_size=32000)
    assert [len(part) for part in split(config, 4)] == [8, 8, 8, 8]  # the head: 0.6 of a layer's work
    assert [len(part) for part in split(config, 6)] == [5, 6, 6, 5, 5, 5]  # more in stages without an end


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"schedule": "half"}, ["parallel.schedule=half", "zero_bubble"]),
        ({"stages_per_rank": 2}, ["parallel.stages_per_rank=2", "null or 1 ", "1f1b"]),
        ({"schedule": "interleaved", "stages_per_rank": 1}, ["parallel.stages_per_rank=1", "2 or more"]),
        ({"schedule": "zbv", "stages_per_rank": 3}, ["parallel.stages_per_rank=3", "null or 2 "]),
        ({"schedule": "zbv", "activation_checkpointing": "full"}, ["activation_checkpointing=full", "=none"]),
        ({"schedule": "zero_bubble", "compile": True}, ["parallel.compile=true", "zero_bubble", "1f1b"]),
        ({"schedule": "dualpipe", "reshard": "always"}, ["parallel.reshard=always", "parallel.reshard=auto"]),
    ],
)
def test_incompatible_settings_are_refused_by_key(given, words):
    with pytest.raises(ValueError) as caught:
        refuse_schedule(**PLAIN | given)
    assert len(str(caught.value).splitlines()) == 1
    for word in words:
        assert word in str(caught.value)


def test_compatible_settings_are_accepted():
    refuse_schedule(**PLAIN)
    refuse_schedule("interleaved", 3, activation_checkpointing="selective", compile=True, reshard="always")
    refuse_schedule("zero_bubble", None, activation_checkpointing="none", compile=False, reshard="never")
