"""`profile=true`: a torch profile and a memory snapshot of chosen steps, written to the run folder."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from configs import terminal


def recording(device: torch.device, details: bool = False) -> profile:
    """torch's profiler for what runs on `device`, without the lines that it prints at each start and end.

    On a GPU they are printed: the setting that hides them would also hide CUPTI's errors.
    `details`: memory and shapes.
    """
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    else:
        os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # above its highest level
    return profile(activities=activities, profile_memory=details, record_shapes=details)


class Profiler:
    """Records the first to the last of `steps`, counted from this process's start; nothing without steps."""

    def __init__(self, folder: Path, steps: list[int], rank: int, device: torch.device) -> None:
        self._folder = folder / "profile"
        self._first, self._last = steps or (0, 0)
        self._rank, self._device = rank, device
        self._step = 0
        self._recording: ExitStack | None = None

    @contextmanager
    def step(self) -> Iterator[None]:
        """Wrap a step."""
        self._begin_step()
        yield
        if self._recording is not None and self._step == self._last:
            self.close()

    def _begin_step(self) -> None:
        self._step += 1
        if self._step != self._first:
            return
        self._recording = ExitStack()
        if self._device.type == "cuda":
            torch.cuda.memory._record_memory_history()
        self._profile = self._recording.enter_context(recording(self._device, details=True))

    def close(self) -> None:
        """Write what was recorded, even if the run ends before the last chosen step."""
        if self._recording is None:
            return
        self._recording.close()
        self._recording = None
        try:
            self._write()
        except OSError as error:  # a full disk on one machine must not end training on all
            warning = f"relama: warning: rank {self._rank}: the profile is not written ({error})"
            terminal.say(f"{warning}; training continues")

    def _write(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"rank{self._rank}"
        self._profile.export_chrome_trace(str(self._folder / f"{name}.trace.json.gz"))
        by_time, by_memory = (
            ("self_cuda_time_total", "self_cuda_memory_usage")
            if self._device.type == "cuda"
            else ("self_cpu_time_total", "self_cpu_memory_usage")
        )
        table = self._profile.key_averages()
        (self._folder / f"{name}.time.txt").write_text(table.table(sort_by=by_time, row_limit=40))
        (self._folder / f"{name}.memory.txt").write_text(table.table(sort_by=by_memory, row_limit=40))
        if self._device.type == "cuda":
            torch.cuda.memory._dump_snapshot(str(self._folder / f"{name}.memory.pickle"))
            torch.cuda.memory._record_memory_history(enabled=None)
        if self._rank == 0:
            terminal.say(
                f"relama: wrote the profile: {self._folder}/{name}.time.txt, {name}.trace.json.gz, …"
            )
