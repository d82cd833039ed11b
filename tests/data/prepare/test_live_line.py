"""The live line while inputs are read."""

from types import SimpleNamespace
from typing import Any

import pytest

from data.prepare import recipe


@pytest.mark.parametrize(
    ("sizes", "live", "shown"),
    [
        # a reader that reports no position in its only file: no "0.0 MB of 139.1 MB read (0.0 MB/s)"
        ([139_100_000], [(0, 7)], "reading 139 MB, 7 records"),
        ([139_100_000, 100_000], [(0, 7), (0, 0)], "reading 139 MB, 7 records"),
        ([900], [(0, 1_007)], "reading, 1,007 records"),
        ([100_000_000], [(50_000_000, 7)], "50 MB of 100 MB read (50 MB/s, about 1 s left), 7 records"),
        ([60_000_000, 40_000_000], [(60_000_000, 5), (40_000_000, 2)],
         "100 MB of 100 MB read (100 MB/s), 7 records"),
    ],
)  # fmt: skip
def test_the_live_line_says_what_is_known(sizes, live, shown, monkeypatch):
    plan: Any = SimpleNamespace(tasks=[*range(len(sizes))], size=sizes.__getitem__)
    now = iter([10.0, 11.0])
    monkeypatch.setattr(recipe, "time", SimpleNamespace(monotonic=lambda: next(now)))
    monkeypatch.setattr(recipe, "_live", lambda plan, task: live[task])
    lines: list[str] = []
    progress: Any = SimpleNamespace(show=lines.append)
    recipe._reading(plan, plan.tasks, progress)()
    assert lines == [shown]
