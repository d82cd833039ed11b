"""Runs the tasks of a stage on this machine's cores, or on a Slurm or Ray cluster.

A stage is a function of one integer, called once for each unfinished item. Each call's output appears
complete or not at all, so a task may be killed or run twice, and nothing depends on how the items are
divided. Slurm and Ray run through datatrove's executors; they need the `data` extra (Ray also needs `ray`)
and a file system that all nodes share.
"""

import gc
import multiprocessing
import multiprocessing.connection
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.interrupts import held
from data.errors import DataError

if TYPE_CHECKING:
    from datatrove.executor.base import PipelineExecutor

KINDS = ("local", "slurm", "ray")
Work = Callable[[int], None]
_kept: "_Workers | None" = None
STATUS_SECONDS, STATUS_SHARE = 0.5, 0.02  # seconds between statuses; the largest share of time they may take


@dataclass
class EngineConfig:
    """Where to run a stage's tasks; `configs/engine/` fills it."""

    name: str = "local"  # local | slurm | ray
    workers: int | None = None  # tasks at the same time; null: one per core, on a cluster no limit
    tasks: int = 1000  # on a cluster: the most tasks that a stage is divided into
    cpus: int = 1  # per task
    memory_gb: int = 4  # per task
    partition: str | None = None  # the Slurm partition; required with Slurm
    time: str = "24:00:00"  # the time limit of a Slurm task
    setup: str | None = None  # a shell line to run before each Slurm task; null: activate this environment
    sbatch: dict[str, str] = field(default_factory=dict)  # further options of sbatch, such as account
    address: str | None = None  # of the Ray cluster; null: start a local one

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise ValueError(f"engine={self.name}: expected one of {', '.join(KINDS)}")
        for key in ("workers", "tasks", "cpus", "memory_gb"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ValueError(f"engine.{key}={value}: expected at least 1")
        if self.name == "slurm" and not self.partition:
            raise ValueError("engine.partition: Slurm needs a partition (`sinfo` lists them)")

    def check(self) -> None:
        """Raises DataError if a program or package the engine needs is not installed."""
        if self.name == "slurm" and shutil.which("sbatch") is None:
            raise DataError("engine=slurm: sbatch not found; run this on a login node of the cluster")
        for package, extra in {
            "slurm": (("datatrove", "data"),),
            "ray": (("datatrove", "data"), ("ray", "ray")),
        }.get(self.name, ()):
            try:
                __import__(package)
            except ImportError:
                raise DataError(
                    f"engine={self.name}: needs {package} (pip install -e '.[{extra}]')"
                ) from None


INLINE = EngineConfig(workers=1)


def run(
    config: EngineConfig, name: str, work: Work, items: list[int], logs: Path, status: Callable[[], None]
) -> None:
    """Call `work(item)` for each item, in any order, and call `status` now and then meanwhile.

    `work` must be picklable. `logs` is a folder for the cluster's own files. On this machine, raises whatever
    `work` raises, or DataError if a worker is killed; on a cluster, a DataError that names the failed tasks'
    logs.
    """
    if not items:
        return
    with _calling(status):
        if config.name == "local":
            _run_local(work, items, min(config.workers or os.cpu_count() or 1, len(items)))
        else:
            _run_cluster(config, name, work, items, logs)


@contextmanager
def kept_workers() -> Iterator[None]:
    """Let all stages in the block share their worker processes, so each imports everything only once."""
    global _kept
    if _kept is not None:  # nested: the outer block's workers serve
        yield
        return
    _kept = _Workers()
    try:
        yield
    finally:
        kept, _kept = _kept, None
        kept.end()


class _Workers:
    """Worker processes on this machine that outlive a stage; started when first needed."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._size = 0

    def run(self, work: Work, items: list[int], workers: int) -> None:
        """Call `work` for each item, on at most `workers` processes at once."""
        if self._pool is None or self._size < workers:
            self.end()
            # Spawn, because a fork would lose any threads the parent has (torch's, gigatoken's).
            context = multiprocessing.get_context("spawn")
            self._pool, self._size = ProcessPoolExecutor(workers, context, initializer=_begin), workers
        with tempfile.TemporaryDirectory(prefix="relama-") as folder:
            sent = Path(folder, "work.pickle")  # a stage's plan may be too large to send with each item
            sent.write_bytes(pickle.dumps(work))
            try:
                try:
                    with held():  # or each worker would print its own traceback
                        futures = [self._pool.submit(_do, sent, item) for item in items]
                except (BrokenPipeError, ConnectionResetError, EOFError) as error:  # of what starts them
                    raise BrokenProcessPool from error
                for future in as_completed(futures):
                    future.result()
            except KeyboardInterrupt:
                for worker in multiprocessing.active_children():  # safe: a task may be killed at any time
                    worker.kill()
                self.end()
                raise
            except BaseException as error:
                self.end()  # no more tasks
                if not isinstance(error, BrokenProcessPool):
                    raise
                raise DataError(
                    "a worker process was killed, perhaps for lack of memory; finished tasks are kept: run "
                    f"the same command again with fewer workers than {workers} (engine.workers=…)"
                ) from None

    def end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None


def _run_local(work: Work, items: list[int], workers: int) -> None:
    if workers == 1:
        gc.freeze()  # or each collection scans everything loaded, a tenth of some recipes' time
        try:
            for item in items:
                work(item)
        finally:
            gc.unfreeze()
        return
    with kept_workers():
        assert _kept is not None
        _kept.run(work, items, workers)


def _begin() -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this worker when its parent process ends, for whatever reason."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _do(sent: Path, item: int) -> None:
    _received(sent)(item)


@lru_cache(maxsize=1)
def _received(sent: Path) -> Work:
    """A stage's function, read once by each worker."""
    work = pickle.loads(sent.read_bytes())
    gc.freeze()  # as above
    return work


class _Share:
    """One cluster task of a stage, as a datatrove step: it takes every `world_size`-th item."""

    def __init__(self, work: Work, items: list[int]) -> None:
        self.work, self.items = work, items

    def __call__(self, data: object, rank: int = 0, world_size: int = 1) -> None:
        gc.freeze()  # as above
        for item in self.items[rank::world_size]:
            self.work(item)


def _run_cluster(config: EngineConfig, name: str, work: Work, items: list[int], logs: Path) -> None:
    from loguru import logger

    logs = logs.resolve() / f"{name}-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
    logs.mkdir(parents=True, mode=0o700)  # its scripts may hold secrets from engine.setup and engine.sbatch
    logger.disable("datatrove")  # in this process; the tasks write their own logs
    executor = (
        _slurm(config, name, work, items, logs) if config.name == "slurm" else _ray(config, work, items, logs)
    )
    try:
        executor.run()
    except subprocess.CalledProcessError as error:
        raise DataError(
            f"engine=slurm: sbatch refused the job ({(error.stderr or str(error)).strip()})"
        ) from None
    if config.name == "slurm":
        _wait(executor, logs)
    left = executor.get_incomplete_ranks(skip_completed=True)
    if left:
        raise DataError(
            f"{name}: {len(left)} of {executor.world_size} tasks failed; finished ones are kept. The logs "
            f"are in {logs} (first: task {left[0]}); fix the cause and run the same command again"
        )


def _slurm(config: EngineConfig, name: str, work: Work, items: list[int], logs: Path) -> "PipelineExecutor":
    from datatrove.executor import SlurmPipelineExecutor

    return SlurmPipelineExecutor(
        [_Share(work, items)],
        tasks=min(config.tasks, len(items)),
        workers=config.workers or -1,
        time=config.time,
        partition=config.partition or "",  # EngineConfig requires it
        cpus_per_task=config.cpus,
        mem_per_cpu_gb=max(1, config.memory_gb // config.cpus),
        job_name=f"relama-{name}",
        qos=config.sbatch.get("qos"),  # pyright: ignore[reportArgumentType]  # None: the cluster's default
        env_command=config.setup or f"export PATH={_environment()}:$PATH",
        sbatch_args={key: value for key, value in config.sbatch.items() if key != "qos"},
        logging_dir=str(logs),
    )


def _ray(config: EngineConfig, work: Work, items: list[int], logs: Path) -> "PipelineExecutor":
    import ray
    from datatrove.executor import RayPipelineExecutor

    if not ray.is_initialized():
        # No dashboard, so one less service listens. Ray refuses this argument together with an address.
        own: dict[str, Any] = {} if config.address else {"include_dashboard": False}
        ray.init(address=config.address, log_to_driver=False, **own)
    return RayPipelineExecutor(
        [_Share(work, items)],
        tasks=min(config.tasks, len(items)),
        workers=config.workers or -1,
        cpus_per_task=config.cpus,
        mem_per_cpu_gb=max(1, config.memory_gb // config.cpus),
        logging_dir=str(logs),
    )


def _environment() -> str:
    """This environment's folder of commands, datatrove's `launch_pickled_pipeline` among them."""
    return str(Path(sys.executable).parent)


def _wait(executor: Any, logs: Path) -> None:
    """Wait until the job has left Slurm's queue: a task that is done still writes its log."""
    is_silent = False
    while True:
        queue = subprocess.run(
            ["squeue", "--noheader", f"--jobs={executor.job_id}"], capture_output=True, text=True
        )
        answers = queue.returncode == 0 or "Invalid job id" in queue.stderr  # ended long ago
        is_done = not executor.get_incomplete_ranks(skip_completed=True)
        if answers and not queue.stdout.strip():
            if not is_done:
                time.sleep(5)  # a shared file system may show the last task's marker a little later
            return
        if is_done and not answers:
            return
        if not answers and not is_silent:  # tasks keep running while the controller is busy or restarting
            why = " ".join(queue.stderr.split())
            print(f"relama: squeue does not answer ({why}); still waiting", file=sys.stderr, flush=True)
        is_silent = not answers
        time.sleep(1)


@contextmanager
def _calling(status: Callable[[], None]) -> Iterator[None]:
    """During the block, call `status` from a thread: twice a second, or less often if it is slow."""
    done = threading.Event()

    def loop() -> None:
        pause = STATUS_SECONDS
        while not done.wait(pause):
            begin = time.monotonic()
            status()
            pause = max(STATUS_SECONDS, (time.monotonic() - begin) / STATUS_SHARE)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
