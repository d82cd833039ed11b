"""What a line of metrics.jsonl counts."""

from train.metrics import journal as metrics


def test_a_stretch_within_another_counts_for_itself_alone(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: now[0])
    clock = metrics.Clock()
    with clock.stretch("compute"):
        now[0] += 1
        for _ in range(2):
            with clock.stretch("data"):
                now[0] += 5
    assert clock.spent == {"compute": 1, "data": 10}
    assert clock.total() == 11
