"""Where a step's time is counted."""

from train.metrics import clock as clocks


def test_a_stretch_within_another_counts_only_for_itself(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: now[0])
    clock = clocks.Clock()
    with clock.stretch("compute"):
        now[0] += 1
        for _ in range(2):
            with clock.stretch("data"):
                now[0] += 5
    assert clock.spent == {"compute": 1, "data": 10}
    assert clock.total() == 11
