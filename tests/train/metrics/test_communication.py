"""Exposed communication is measured correctly on hand-made stretches and on real ranks."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import train.metrics.communication
from model.parallelize.mesh import Layout
from tests.support.runs import metrics, succeed
from train.metrics.clock import Clock
from train.metrics.communication import Communication, exposed
from train.metrics.profiler import recording


@pytest.mark.parametrize("seed", range(50))
def test_exposed_time_equals_a_count_of_every_moment(seed):
    draw = random.Random(seed)

    def stretches() -> list[tuple[int, int]]:
        begins = [draw.randrange(60) for _ in range(draw.randrange(9))]
        return [(begin, begin + draw.randrange(12)) for begin in begins]

    collectives, computing = stretches(), stretches()

    def under_way(which: list[tuple[int, int]], now: int) -> bool:
        return any(begin <= now < end for begin, end in which)

    counted = sum(under_way(collectives, now) and not under_way(computing, now) for now in range(80))
    assert exposed(collectives, computing) == counted


@pytest.mark.distributed
def test_a_watched_step_of_two_ranks_has_some_and_the_others_say_nothing(corpora, tmp_path):
    arguments = (f"corpora={corpora}", f"run={tmp_path}", "steps=5")
    output = succeed(*arguments, "watchdog.communication_every=2", ranks=2).stderr
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines if "communication" in line["seconds"]] == [2, 4]
    for line in lines[1::2]:
        assert 0 < line["seconds"]["communication"] < line["seconds"]["total"]
    assert output.count("communication not hidden by computation") == 2
    assert "profiler_st" not in output  # torch's own lines, which would break the progress line


@pytest.mark.parametrize(
    ("layout", "micro_batches", "n_layers", "watched"),
    [
        (Layout(dp_shard=2), 4, 2, 4),
        (Layout(dp_shard=2), 4096, 4, 32),  # all of them would take gigabytes, and far too long to read
        (Layout(dp_shard=2), 8, 300, 1),
        (Layout(pp=2), 64, 4, 64),
        (Layout(pp=2), 65, 4, 0),  # one schedule computes them all
        (Layout(), 4, 2, 0),  # alone
    ],
    ids=str,
)
def test_of_a_long_step_only_the_last_micro_batches_are_watched(
    layout, micro_batches, n_layers, watched, monkeypatch
):
    seen, records = [], []

    def record(device: torch.device):
        records.append(recording(device))
        return records[-1]

    monkeypatch.setattr(train.metrics.communication, "recording", record)
    ranks: Any = SimpleNamespace(
        world_size=layout.world_size, layout=layout, device=torch.device("cpu"), rank=0
    )
    communication, clock = Communication(2, ranks, n_layers), Clock()
    for step in (1, 2):
        with communication.watch(step, clock):
            for micro in range(micro_batches):
                communication.before(micro, micro_batches)
                if communication._recording is not None:
                    seen.append((step, micro))
            communication.after_last(micro_batches)
    assert seen == [(2, micro) for micro in range(micro_batches - watched, micro_batches)]
    assert len(records) == (watched > 0) and communication._recording is None
    assert clock.spent == ({"communication": 0.0} if watched else {})
