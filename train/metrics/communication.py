"""How much of a step was communication that no computing hid: torch's profiler watches one step in many.

On a GPU communication runs beside computing, and on a CPU beside the main thread, so no stop-watch around a
call tells them apart. The profiler's record does: the time in which a collective was under way and nothing
was computed. Ranks wait for each other in collectives, so a straggler shows on the others here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from train.metrics.clock import Clock

Stretch = tuple[float, float]  # (begin, end)


class Communication:
    """Watches this rank's every `every`th step (0: none). On a CPU that step takes half as long again."""

    def __init__(self, every: int, device: torch.device) -> None:
        self._every, self._device = every, device

    @contextmanager
    def watch(self, step: int, clock: Clock) -> Iterator[None]:
        """Around a step: `clock.spent["communication"]`, seconds, of those that count as compute."""
        if not self._every or step % self._every:
            yield
            return
        on_gpu = self._device.type == "cuda"
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
        with profile(activities=activities) as record:
            yield
            if on_gpu:
                torch.cuda.synchronize(self._device)
        collectives, computing = (_on_gpu if on_gpu else _on_cpu)(record.events())
        clock.spent["communication"] = exposed(collectives, computing) / 1e6


def exposed(collectives: list[Stretch], computing: list[Stretch]) -> float:
    """How long at least one of `collectives` was under way and none of `computing`, in their unit.

    Both together less the computing alone: |A ∪ B| − |B|.
    """
    return _length(collectives + computing) - _length(computing)


def _length(stretches: list[Stretch]) -> float:
    """Of the union."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(stretches):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _on_gpu(events: list[FunctionEvent]) -> tuple[list[Stretch], list[Stretch]]:
    """NCCL's kernels, and all others (copies too)."""
    kernels = [event for event in events if event.device_type == DeviceType.CUDA]
    return (
        [_stretch(event) for event in kernels if "nccl" in event.name.lower()],
        [_stretch(event) for event in kernels if "nccl" not in event.name.lower()],
    )


def _on_cpu(events: list[FunctionEvent]) -> tuple[list[Stretch], list[Stretch]]:
    """Gloo's work on its threads, and torch's operations."""
    return (
        [_stretch(event) for event in events if event.name.startswith("gloo:")],
        [_stretch(event) for event in events if event.name.startswith("aten::")],
    )


def _stretch(event: FunctionEvent) -> Stretch:
    return event.time_range.start, event.time_range.end
