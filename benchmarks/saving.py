"""How long a save keeps training waiting: ours, and torch.distributed.checkpoint's own async_save.

    nice -n 10 python benchmarks/saving.py [gigabytes=1.1] [saves=4] [threads=1] [folder=FOLDER]

One process trains a LLaMA whose weights and AdamW state are that large, and saves again as soon as a save is
done. Blocked time is how long a save holds up training: in its call and, for ours, in the wait before the
weights change. Write time runs from the call to the committed folder; both are fsynced, and ours also has
checksums. On a CPU, copying and writing also take time from concurrent steps, so those are shown as well.
"""

import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import AsyncCheckpointerType, async_save

from model.config import LlamaConfig
from model.llama import Llama
from train.checkpoint.saver import Saver
from train.checkpoint.staging import local_parts
from train.checkpoint.tensors import step_folder, tensors_of
from train.config_groups import OptimConfig
from train.optimizer import build_optimizer
from train.ranks.allocator import raise_malloc_thresholds

SEQ_LEN, MICRO_BATCHES = 128, 1
LAYER = 12 * 768 * 768  # about how many parameters per layer


class Ours:
    def __init__(self, folder: Path, asynchronous: bool) -> None:
        self._saver = Saver(folder, keep=1, asynchronous=asynchronous)
        self.before_update = self._saver.before_update

    def save(self, run: "Run", number: int) -> None:
        self._saver.save(run.model, run.optimizer, {"step": number})

    def is_done(self) -> bool:
        return self._saver._thread is None or not self._saver._thread.is_alive()

    def close(self) -> None:
        assert self._saver.wait()


class Theirs:
    def __init__(self, folder: Path, how: AsyncCheckpointerType) -> None:
        self._folder, self._how = folder, how
        self.before_update = lambda: None

    def save(self, run: "Run", number: int) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._pending: Any = async_save(
            tensors_of(run.model, run.optimizer),
            storage_writer=FileSystemWriter(step_folder(self._folder, number)),
            async_checkpointer_type=self._how,
        )

    def is_done(self) -> bool:
        return self._pending.done()

    def close(self) -> None:
        self._pending.result()


class Run:
    """A model in training, with some gigabytes of state."""

    def __init__(self, gigabytes: float) -> None:
        layers = max(1, round((gigabytes * 1e9 / 12 - 2 * 4096 * 768) / LAYER))
        config = LlamaConfig(dim=768, n_layers=layers, n_heads=12, vocab_size=4096, max_seq_len=SEQ_LEN)
        torch.manual_seed(0)
        self.model = Llama(config)
        self.optimizer = build_optimizer(self.model, OptimConfig(warmup_steps=0))
        self.step(lambda: None)
        parts = local_parts(tensors_of(self.model, self.optimizer))
        self.bytes = sum(part.nbytes for _, part in parts)

    def step(self, before_update: Callable[[], None]) -> tuple[float, float]:
        """Train a step; returns its seconds, and those spent in `before_update`."""
        begin = time.perf_counter()
        for _ in range(MICRO_BATCHES):
            tokens = torch.randint(0, 4096, (1, SEQ_LEN + 1))
            self.model(tokens[:, :-1], tokens[:, 1:]).backward()
        at = time.perf_counter()
        before_update()
        waited = time.perf_counter() - at
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)  # so that no step allocates
        return time.perf_counter() - begin, waited


class Watch(threading.Thread):
    """Watches when a save is done, and the most memory that this process holds until then."""

    def __init__(self, is_done: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self._is_done, self.memory, self.ended = is_done, 0, 0.0
        self.start()

    def run(self) -> None:
        while not self._is_done():
            self.memory = max(self.memory, held())
            time.sleep(0.01)
        self.ended = time.perf_counter()


def held() -> int:
    """Bytes of memory that this process holds, without file pages."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return sum(int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssShmem"))


def measure(how: Ours | Theirs, run: Run, saves: int) -> dict:
    """Save repeatedly, stepping until each save is done."""
    before = held()
    alone = [run.step(lambda: None)[0] for _ in range(4)][1:]
    blocked, writes, beside, memory = [], [], [], 0
    for number in range(1, saves + 1):
        begin = time.perf_counter()
        how.save(run, number)
        blocked.append(time.perf_counter() - begin)
        watch = Watch(how.is_done)
        while True:
            seconds, waited = run.step(how.before_update)
            blocked[-1] += waited
            if how.is_done():
                break
            beside.append(seconds - waited)
        watch.join()
        writes.append(watch.ended - begin)
        memory = max(memory, watch.memory, held())
    how.close()
    return {
        "write": mean(writes[1:]),
        "first": blocked[0],
        "later": mean(blocked[1:]),
        "worst": max(blocked[1:]),
        "alone": mean(alone),
        "beside": mean(beside) if beside else None,
        "memory": memory - before,
    }


def main(argv: list[str]) -> None:
    given = {"gigabytes": "1.1", "saves": "4", "threads": "1", "folder": tempfile.gettempdir()}
    given |= dict(word.split("=", 1) for word in argv)
    torch.set_num_threads(int(given["threads"]))
    raise_malloc_thresholds()
    warnings.filterwarnings("ignore")
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    run = Run(float(given["gigabytes"]))
    print(f"state: {run.bytes / 1e9:.2f} GB of weights and AdamW's moments; {given['threads']} thread(s)\n")
    print(
        "| | write s | blocked, first s | blocked, later s (worst) | share of the write "
        "| step alone s | step during a save s | extra memory, copies of the state |"
    )
    print("|---|---|---|---|---|---|---|---|")
    rivals = {
        "relama, asynchronous": lambda folder: Ours(folder, asynchronous=True),
        "relama, checkpoint.asynchronous=false": lambda folder: Ours(folder, asynchronous=False),
        "async_save, thread": lambda folder: Theirs(folder, AsyncCheckpointerType.THREAD),
        "async_save, process": lambda folder: Theirs(folder, AsyncCheckpointerType.PROCESS),
    }
    for name, make in rivals.items():
        with tempfile.TemporaryDirectory(dir=given["folder"]) as folder:
            found = measure(make(Path(folder) / "checkpoints"), run, int(given["saves"]))
        beside = "–" if found["beside"] is None else f"{found['beside']:.2f}"
        print(
            f"| {name} | {found['write']:.2f} | {found['first']:.3f} | {found['later']:.3f} "
            f"({found['worst']:.3f}) | {found['later'] / found['write']:.1%} | {found['alone']:.2f} "
            f"| {beside} | {found['memory'] / run.bytes:.2f} |",
            flush=True,
        )
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])
