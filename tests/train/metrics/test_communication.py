"""Exposed communication is measured correctly on hand-made stretches and on real ranks."""

import random

import pytest

from tests.support.runs import metrics, succeed
from train.metrics.communication import exposed


@pytest.mark.parametrize("seed", range(50))
def test_exposed_time_equals_a_count_of_every_moment(seed):
    draw = random.Random(seed)

    def stretches() -> list[tuple[float, float]]:
        begins = [draw.randrange(60) for _ in range(draw.randrange(9))]
        return [(begin, begin + draw.randrange(12)) for begin in begins]

    collectives, computing = stretches(), stretches()

    def under_way(which: list[tuple[float, float]], now: int) -> bool:
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
