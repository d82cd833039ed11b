"""Run a function on several real processes joined by gloo, for distributed tests."""

import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch._C._distributed_c10d import FileStore


def run_ranks(fn: Callable, world_size: int, *args: Any, timeout: float = 400) -> list:
    """Run `fn(*args)` on each rank; returns the results in order of rank.

    `fn` is a module-level function (it is pickled) that returns plain values. The ranks are forked from a
    process that has imported torch and the model. Fails with the first traceback if a rank raises, dies or
    takes longer than `timeout` seconds; no process outlives the call.
    """
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.preloaded"])
    answers = context.SimpleQueue()
    with TemporaryDirectory() as folder:
        ranks = [
            context.Process(target=_rank, args=(fn, rank, world_size, folder, answers, args), daemon=True)
            for rank in range(world_size)
        ]
        for process in ranks:
            process.start()
        try:
            return _collect(ranks, answers, time.monotonic() + timeout)
        finally:
            for process in ranks:
                process.kill()
                process.join()


def _collect(ranks: list, answers: Any, deadline: float) -> list:
    results: dict[int, Any] = {}
    while len(results) < len(ranks):
        dead = [(r, p.exitcode) for r, p in enumerate(ranks) if r not in results and p.exitcode is not None]
        if not answers.empty():
            rank, value, error = answers.get()
            if error:
                raise AssertionError(f"rank {rank} of {len(ranks)} failed:\n{error}")
            results[rank] = value
        elif dead:
            raise AssertionError(f"rank {dead[0][0]} of {len(ranks)} died with exit code {dead[0][1]}")
        elif time.monotonic() > deadline:
            raise AssertionError(f"ranks {sorted(set(range(len(ranks))) - set(results))} took too long")
        else:
            time.sleep(0.01)
    return [results[rank] for rank in range(len(ranks))]


def _rank(fn: Callable, rank: int, world_size: int, folder: str, answers: Any, args: tuple) -> None:
    torch.set_num_threads(1)
    try:
        store = FileStore(str(Path(folder) / "store"), world_size)
        dist.init_process_group(
            "gloo", store=store, rank=rank, world_size=world_size, timeout=timedelta(seconds=300)
        )
        answers.put((rank, fn(*args), None))
        dist.barrier()  # a rank that ends early would break another's last collective
        dist.destroy_process_group()
    except BaseException:
        answers.put((rank, None, traceback.format_exc()))
        raise
