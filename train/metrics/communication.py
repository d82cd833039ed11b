"""How much communication was exposed in a step: not hidden by computation. torch's profiler measures it.

Communication overlaps with computation on a GPU, and with the main thread on a CPU, so timing a call cannot
separate them. The profiler can: it records when a collective was in progress and nothing was being
computed. Ranks wait for each other in collectives, so a straggler shows up here on the other ranks.

What is recorded takes about 2.5 MB for each layer and micro-batch, so of a step with many micro-batches only
the last ones are watched, and their share is taken for the step's.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch._C._autograd import DeviceType, _KinetoEvent
from torch.profiler import profile

from train.metrics.clock import Clock
from train.metrics.profiler import recording
from train.ranks.setup import Ranks

Stretch = tuple[int, int]  # (begin, end), in nanoseconds
WATCHED = 128  # layers of micro-batches


class Communication:
    """Profiles one step in `every` (0: none) on this rank; none if it is the only one.

    Of a pipeline, whose micro-batches are computed together, only steps that can be watched from their begin.
    """

    def __init__(self, every: int, ranks: Ranks, n_layers: int) -> None:
        self._every = every if ranks.world_size > 1 else 0
        self._device, self._in_pipeline = ranks.device, ranks.layout.pp > 1
        self._most = max(1, WATCHED * ranks.layout.pp // n_layers)  # micro-batches
        self._is_due = False
        self._recording: profile | None = None
        self._begun = 0.0
        self._share: float | None = None  # of the time that was watched

    @contextmanager
    def watch(self, step: int, clock: Clock) -> Iterator[None]:
        """Wrap a step; sets `clock.spent["communication"]`, in seconds, which overlap the other stretches."""
        if not self._every or step % self._every:
            yield
            return
        self._is_due, self._share, begun = True, None, time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - begun
            self._is_due = False
            self._stop()
        if self._share is not None:
            clock.spent["communication"] = self._share * took

    def before(self, micro: int, count: int) -> None:
        """Micro-batch `micro` of `count` is about to be read."""
        first = max(0, count - self._most)
        if self._is_due and micro == first and not (first and self._in_pipeline):
            self._recording = recording(self._device)
            self._recording.start()
            self._begun = time.perf_counter()

    def after_last(self, count: int) -> None:
        """All `count` micro-batches have been computed, or read by a pipeline. What is computed again is not
        watched if it may be much."""
        if count > self._most:
            self._stop()

    def _stop(self) -> None:
        record, self._recording = self._recording, None
        if record is None:
            return
        on_gpu = self._device.type == "cuda"
        if on_gpu:
            torch.cuda.synchronize(self._device)
        watched = time.perf_counter() - self._begun
        record.stop()
        # record.events() would take minutes for what these take a second.
        events = record.profiler.kineto_results.events()  # pyright: ignore[reportOptionalMemberAccess]
        self._share = exposed(*(_on_gpu if on_gpu else _on_cpu)(events)) / 1e9 / watched


def exposed(collectives: list[Stretch], computing: list[Stretch]) -> int:
    """How long some collective ran while nothing was computed, in the inputs' unit: |A ∪ B| − |B|."""
    return _length(collectives + computing) - _length(computing)


def _length(stretches: list[Stretch]) -> int:
    """The length of the union."""
    total, reached = 0, 0
    for begin, end in sorted(stretches):
        total += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _on_gpu(events: list[_KinetoEvent]) -> tuple[list[Stretch], list[Stretch]]:
    """NCCL's kernels, and all others, copies included."""
    kernels = [event for event in events if event.device_type() == DeviceType.CUDA]
    return (
        [_stretch(event) for event in kernels if "nccl" in event.name().lower()],
        [_stretch(event) for event in kernels if "nccl" not in event.name().lower()],
    )


def _on_cpu(events: list[_KinetoEvent]) -> tuple[list[Stretch], list[Stretch]]:
    """Gloo's work on its own threads, and torch's operations."""
    return (
        [_stretch(event) for event in events if event.name().startswith("gloo:")],
        [_stretch(event) for event in events if event.name().startswith("aten::")],
    )


def _stretch(event: _KinetoEvent) -> Stretch:
    return event.start_ns(), event.end_ns()
