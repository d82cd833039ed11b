"""Faults of the machine: what it refuses for a moment, a clock that jumps, a logger that raises.

Some are switched on within the ranks (worker.py).
"""

import random
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.chaos.processes import kill_every_rank, wait_for_a_save
from tests.chaos.run import Run
from tests.chaos.worker import CLOCK, LOGGER, UNREADABLE


def fill_the_disk(run: Run, rng: random.Random) -> None:
    """Fill the disk to the last byte for a moment; only if the run's folder is on its own file system."""
    ballast = run.folder.parent / "ballast"
    try:
        with open(ballast, "wb", buffering=0) as file:
            while file.write(b"\0" * 65536):
                pass
    except OSError:
        pass  # full
    try:
        _pass_time(run, rng)
    finally:
        ballast.unlink(missing_ok=True)


def fill_the_disk_during_a_save(run: Run, rng: random.Random) -> None:
    wait_for_a_save(run, rng)
    fill_the_disk(run, rng)


def no_descriptors(run: Run, rng: random.Random) -> None:
    """The ranks can open nothing for a moment (EMFILE)."""
    with _limited(run, resource.RLIMIT_NOFILE, 3):
        _pass_time(run, rng)


def no_growth(run: Run, rng: random.Random) -> None:
    """No file may grow for a moment (EFBIG), as with an exhausted quota."""
    with _limited(run, resource.RLIMIT_FSIZE, 1):
        _pass_time(run, rng)


def no_memory(run: Run, rng: random.Random) -> None:
    """No rank gets another page for a moment: whatever allocates one fails."""
    with _limited(run, resource.RLIMIT_AS, 1 << 20):
        _pass_time(run, rng)


def unreadable_checkpoints(run: Run, rng: random.Random) -> None:
    """The next starts cannot read any checkpoint for some seconds (ESTALE)."""
    kill_every_rank(run, rng)
    with run.switched(UNREADABLE):
        deadline = time.monotonic() + rng.uniform(5, 20)
        while time.monotonic() < deadline:
            run.keep_alive()
            time.sleep(0.05)


def jumping_clock(run: Run, rng: random.Random) -> None:
    """The time of day jumps by up to a day, either way, and back."""
    with run.switched(CLOCK, f"{rng.uniform(-86400, 86400):.0f}"):
        _pass_time(run, rng)


def raising_logger(run: Run, rng: random.Random) -> None:
    """wandb raises, also in the start that follows."""
    with run.switched(LOGGER):
        if rng.random() < 0.5:
            kill_every_rank(run, rng)
        deadline = time.monotonic() + rng.uniform(1, 12)
        while time.monotonic() < deadline:
            run.keep_alive()
            time.sleep(0.05)


KINDS: dict[str, Callable[[Run, random.Random], None]] = {
    "disk full": fill_the_disk,
    "disk full during a save": fill_the_disk_during_a_save,
    "no file descriptors": no_descriptors,
    "files may not grow (EFBIG)": no_growth,
    "no memory": no_memory,
    "checkpoints unreadable at starts (ESTALE)": unreadable_checkpoints,
    "the clock jumps": jumping_clock,
    "wandb raises": raising_logger,
}


@contextmanager
def _limited(run: Run, limit: int, soft: int) -> Iterator[None]:
    """The soft limit of each rank that lives now."""
    before = {}
    for worker in run.workers:
        with suppress(ProcessLookupError):
            before[worker] = resource.prlimit(worker, limit)
            resource.prlimit(worker, limit, (soft, before[worker][1]))
    try:
        yield
    finally:
        for worker, limits in before.items():
            with suppress(ProcessLookupError):
                resource.prlimit(worker, limit, limits)


def _pass_time(run: Run, rng: random.Random) -> None:
    deadline = time.monotonic() + rng.uniform(0.3, 2)
    while time.monotonic() < deadline:
        run.keep_alive()
        time.sleep(0.05)
