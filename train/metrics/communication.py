"""How much communication was exposed in a step: not hidden by computation. torch's profiler measures it.

Communication overlaps with computation on a GPU, and with the main thread on a CPU, so timing a call cannot
separate them. The profiler can: it records when a collective was in progress and nothing was being
computed. Ranks wait for each other in collectives, so a straggler shows up here on the other ranks.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch._C._autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent

from train.metrics.clock import Clock
from train.metrics.profiler import recording

Stretch = tuple[float, float]  # (begin, end)


class Communication:
    """Profiles one step in `every` (0: none) on this rank. On a CPU, such a step takes 1.5 times as long."""

    def __init__(self, every: int, device: torch.device) -> None:
        self._every, self._device = every, device

    @contextmanager
    def watch(self, step: int, clock: Clock) -> Iterator[None]:
        """Wrap a step; sets `clock.spent["communication"]`, in seconds, which overlap the other stretches."""
        if not self._every or step % self._every:
            yield
            return
        on_gpu = self._device.type == "cuda"
        with recording(self._device) as record:
            yield
            if on_gpu:
                torch.cuda.synchronize(self._device)
        collectives, computing = (_on_gpu if on_gpu else _on_cpu)(record.events() or [])
        clock.spent["communication"] = exposed(collectives, computing) / 1e6


def exposed(collectives: list[Stretch], computing: list[Stretch]) -> float:
    """How long some collective ran while nothing was computed, in the inputs' unit: |A ∪ B| − |B|."""
    return _length(collectives + computing) - _length(computing)


def _length(stretches: list[Stretch]) -> float:
    """The length of the union."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(stretches):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _on_gpu(events: list[FunctionEvent]) -> tuple[list[Stretch], list[Stretch]]:
    """NCCL's kernels, and all others, copies included."""
    kernels = [event for event in events if event.device_type == DeviceType.CUDA]
    return (
        [_stretch(event) for event in kernels if "nccl" in event.name.lower()],
        [_stretch(event) for event in kernels if "nccl" not in event.name.lower()],
    )


def _on_cpu(events: list[FunctionEvent]) -> tuple[list[Stretch], list[Stretch]]:
    """Gloo's work on its own threads, and torch's operations."""
    return (
        [_stretch(event) for event in events if event.name.startswith("gloo:")],
        [_stretch(event) for event in events if event.name.startswith("aten::")],
    )


def _stretch(event: FunctionEvent) -> Stretch:
    return event.time_range.start, event.time_range.end
