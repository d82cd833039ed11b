"""How long a save keeps training waiting: ours, and torch.distributed.checkpoint's own async_save.

    nice -n 10 python tests/benchmarks/saving.py [gigabytes=1.1] [saves=4] [folder=FOLDER] [threads=1]

One process trains a small LLaMA whose weights and AdamW state are that large and saves every few steps, each
save of the one before being done. What a save keeps training waiting is the time in its call and, of ours,
in the wait before the weights change. The time of the write is from the call to the committed folder (ours:
checksums, and everything on the disk, too). A second figure is how much slower the steps beside a write are
than those without: on a CPU copying and writing take cores from training, on a GPU they do not.
"""

import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict_saver import AsyncCheckpointerType

from model.llama import Llama, LlamaConfig
from train.allocator import raise_malloc_thresholds
from train.checkpoint import step_folder, tensors_of
from train.config import OptimConfig
from train.optimizer import build_optimizer
from train.saver import Saver
from train.staging import local_parts

SEQ_LEN, MICRO_BATCHES = 128, 2


class Ours:
    name = "relama"

    def __init__(self, folder: Path, asynchronous: bool = True) -> None:
        self._saver = Saver(folder, keep=1, asynchronous=asynchronous)
        self.name = "relama, asynchronous" if asynchronous else "relama, checkpoint.asynchronous=false"

    def save(self, model: Llama, optimizer: torch.optim.Optimizer, number: int) -> None:
        self._saver.save(model, optimizer, {"step": number})

    def before_update(self) -> None:
        self._saver.before_update()

    def is_done(self) -> bool:
        thread = self._saver._thread
        return thread is None or not thread.is_alive()

    def close(self) -> None:
        assert self._saver.wait()


class Theirs:
    def __init__(self, folder: Path, how: AsyncCheckpointerType) -> None:
        self._folder, self._how = folder, how
        self._pending: Future | None = None
        self.name = f"dcp.async_save, {how.value}"

    def save(self, model: Llama, optimizer: torch.optim.Optimizer, number: int) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._pending = dcp.async_save(
            tensors_of(model, optimizer),
            storage_writer=dcp.FileSystemWriter(step_folder(self._folder, number)),
            async_checkpointer_type=self._how,
        )

    def before_update(self) -> None:
        pass

    def is_done(self) -> bool:
        return self._pending is None or self._pending.done()

    def close(self) -> None:
        self._pending.result()


def measure(how: Ours | Theirs, step: Callable, saves: int) -> dict:
    """Saves and steps in turn; the blocked and the write's seconds of each save, and the steps'."""
    blocked, writes, beside, memory = [], [], [], _memory()
    alone = [step(None)[0] for _ in range(4)]
    for number in range(1, saves + 1):
        begin = time.perf_counter()
        how.save(step.model, step.optimizer, number)
        blocked.append(time.perf_counter() - begin)
        first = True
        while first or not how.is_done():
            seconds, waited = step(how if first else None)
            blocked[-1] += waited
            if not how.is_done():
                beside.append(seconds - waited)
            first = False
        writes.append(_done_at(how) - begin)
        memory = max(memory, _memory())
        alone.append(step(None)[0])
    how.close()
    return {"blocked": blocked, "writes": writes, "alone": alone, "beside": beside, "memory": memory}


def _done_at(how: Ours | Theirs) -> float:
    return time.perf_counter() if how.ended is None else how.ended


def _memory() -> int:
    """Bytes that this process holds now, files' pages left out."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return sum(int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssShmem"))
