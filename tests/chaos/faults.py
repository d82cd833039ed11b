"""The faults: each is inflicted on a live `Run` at once, with random places drawn from `rng`.

Faults that damage files also kill a rank, because only the next start reads the files. `KINDS` names them
all.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.chaos.run import STEPS, Run, kill

Fault = Callable[[Run, random.Random], None]


def kill_a_rank(run: Run, rng: random.Random) -> None:
    for worker in _some(run, rng):
        kill(worker, signal.SIGKILL)


def crash_a_rank(run: Run, rng: random.Random) -> None:
    for worker in _some(run, rng):
        kill(worker, signal.SIGSEGV)


def kill_every_rank(run: Run, rng: random.Random) -> None:
    for worker in run.workers:
        kill(worker, signal.SIGKILL)


def kill_while_starting(run: Run, rng: random.Random) -> None:
    """Kill twice: the second time at any point between the imports and the first steps."""
    kill_every_rank(run, rng)
    again = time.monotonic() + rng.uniform(1, 12)
    while time.monotonic() < again:
        run.keep_alive()
        time.sleep(0.05)
    kill_a_rank(run, rng)


def kill_the_agent(run: Run, rng: random.Random) -> None:
    """The loss of a node, as far as one machine can simulate it: nothing is left to restart the workers."""
    kill(run.agent.pid, signal.SIGKILL)


def preempt(run: Run, rng: random.Random) -> None:
    kill(run.agent.pid, signal.SIGTERM)


def interrupt(run: Run, rng: random.Random) -> None:
    """Ctrl-C in a terminal, which reaches both torchrun and its workers."""
    os.killpg(run.agent.pid, signal.SIGINT)


def stop_a_rank(run: Run, rng: random.Random) -> None:
    """A hang: the other ranks wait in a collective forever unless the watchdog ends them."""
    for worker in _some(run, rng):
        kill(worker, signal.SIGSTOP)


def pause(run: Run, rng: random.Random) -> None:
    """Everything pauses for a moment (a suspended machine, a stalled file system)."""
    workers = run.workers
    for worker in workers:
        kill(worker, signal.SIGSTOP)
    time.sleep(rng.uniform(0.2, 1.5))
    for worker in workers:
        kill(worker, signal.SIGCONT)


def kill_during_a_save(run: Run, rng: random.Random) -> None:
    deadline = time.monotonic() + 20
    while not run.is_saving() and run.agent.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.05))
    kill_every_rank(run, rng)


def flip_a_bit(run: Run, rng: random.Random) -> None:
    path = _file_of_newest(run, rng)
    if path:
        with open(path, "r+b") as file:
            place = rng.randrange(path.stat().st_size)
            file.seek(place)
            byte = file.read(1)[0] ^ (1 << rng.randrange(8))
            file.seek(place)
            file.write(bytes([byte]))
    kill_a_rank(run, rng)


def truncate_a_file(run: Run, rng: random.Random) -> None:
    path = _file_of_newest(run, rng)
    if path:
        os.truncate(path, rng.randrange(path.stat().st_size))
    kill_a_rank(run, rng)


def delete_a_file(run: Run, rng: random.Random) -> None:
    path = _file_of_newest(run, rng)
    if path:
        path.unlink(missing_ok=True)
    kill_a_rank(run, rng)


def delete_a_checkpoint(run: Run, rng: random.Random) -> None:
    newest = run.newest_checkpoint()
    if newest:
        shutil.rmtree(newest, ignore_errors=True)
    kill_a_rank(run, rng)


def tear_state(run: Run, rng: random.Random) -> None:
    newest = run.newest_checkpoint()
    if newest:
        _tear(newest / "state.json", rng)
    kill_a_rank(run, rng)


def tear_latest(run: Run, rng: random.Random) -> None:
    _tear(run.checkpoints / "latest", rng)
    kill_a_rank(run, rng)


def tear_metrics(run: Run, rng: random.Random) -> None:
    """Leave the last line half-written, as a dying node does, sometimes with zeros after it."""
    for worker in run.workers:  # nothing may write meanwhile
        kill(worker, signal.SIGSTOP)
    try:
        with open(run.metrics, "r+b") as file:
            content = file.read()
            last_line = content.rfind(b"\n", 0, max(0, len(content) - 1)) + 1
            if _steps_after(content[last_line:], run):
                file.truncate(rng.randrange(last_line, max(last_line + 1, len(content))))
            file.seek(0, os.SEEK_END)
            file.write(b"\0" * rng.choice((0, 0, 100)))
    except OSError:
        pass  # the run has not written the file yet
    kill_every_rank(run, rng)


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
        deadline = time.monotonic() + rng.uniform(0.3, 2)
        while time.monotonic() < deadline:
            run.keep_alive()
            time.sleep(0.05)
    finally:
        ballast.unlink(missing_ok=True)


def damage_all_but_the_oldest(run: Run, rng: random.Random) -> None:
    """Damaged checkpoints must neither count as kept nor displace the last complete one."""
    found = sorted(path for path in run.checkpoints.glob("step-0*") if path.name[5:].isdigit())
    for folder in found[1:]:
        _tear(folder / "state.json", rng)
    kill_every_rank(run, rng)


def stray_folders(run: Run, rng: random.Random) -> None:
    """Add an empty checkpoint folder, and a copy of a checkpoint under a later step's name."""
    newest = run.newest_checkpoint()
    with suppress(OSError, shutil.Error):  # a save may be cleaning up
        (run.checkpoints / "step-999999").mkdir(parents=True, exist_ok=True)
        if newest:
            shutil.copytree(newest, run.checkpoints / "step-999998", dirs_exist_ok=True)
    kill_a_rank(run, rng)


def latest_is_a_folder(run: Run, rng: random.Random) -> None:
    with suppress(OSError):
        (run.checkpoints / "latest").unlink(missing_ok=True)
        (run.checkpoints / "latest").mkdir()
    kill_a_rank(run, rng)


def lose_the_terminal(run: Run, rng: random.Random) -> None:
    kill(run.agent.pid, signal.SIGHUP)


def bus_error(run: Run, rng: random.Random) -> None:
    """As when a page of a mapped token file cannot be read."""
    for worker in _some(run, rng):
        kill(worker, signal.SIGBUS)


def damage(name: str, how: Callable[[Path, random.Random], None]) -> Fault:
    """Damage one file of the run folder, which the next start reads or writes again."""

    def inflict(run: Run, rng: random.Random) -> None:
        with suppress(OSError):  # the run has not written it yet
            how(run.folder / name, rng)
        kill_every_rank(run, rng)

    return inflict


def leave_an_unfinished_save(run: Run, rng: random.Random) -> None:
    with suppress(OSError):
        folder = run.checkpoints / f"step-{rng.randrange(STEPS):06d}.tmp"
        folder.mkdir(parents=True)
        (folder / "__0_0.distcp").write_bytes(rng.randbytes(1000))
    kill_every_rank(run, rng)


def remove_the_lock(run: Run, rng: random.Random) -> None:
    (run.folder / ".lock").unlink(missing_ok=True)


def move_away_and_back(run: Run, rng: random.Random) -> None:
    away = run.folder.with_name(run.folder.name + "-away")
    with suppress(OSError):
        run.folder.rename(away)
        time.sleep(rng.uniform(0.2, 8))
        away.rename(run.folder)


def edit_metrics(run: Run, rng: random.Random) -> None:
    """As an editor saves: another file in its place, with the same lines."""
    workers = run.workers
    for worker in workers:  # nothing may write meanwhile
        kill(worker, signal.SIGSTOP)
    with suppress(OSError):
        copy = run.metrics.with_suffix(".swp")
        shutil.copy(run.metrics, copy)
        copy.replace(run.metrics)
    for worker in workers:
        kill(worker, signal.SIGCONT)


def _garbage(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(300))


def _append_garbage(path: Path, rng: random.Random) -> None:
    with open(path, "ab") as file:
        file.write(rng.randbytes(100) + b"\n")


def _delete(path: Path, rng: random.Random) -> None:
    path.unlink()


KINDS: dict[str, Fault] = {
    "a rank killed (SIGKILL)": kill_a_rank,
    "a rank crashed (SIGSEGV)": crash_a_rank,
    "every rank killed": kill_every_rank,
    "killed again while starting": kill_while_starting,
    "torchrun killed": kill_the_agent,
    "preempted (SIGTERM)": preempt,
    "Ctrl-C": interrupt,
    "a rank hangs (SIGSTOP)": stop_a_rank,
    "all ranks pause, then continue": pause,
    "killed during a save": kill_during_a_save,
    "checkpoint: a bit flipped": flip_a_bit,
    "checkpoint: a file truncated": truncate_a_file,
    "checkpoint: a file deleted": delete_a_file,
    "checkpoint: deleted": delete_a_checkpoint,
    "state.json torn": tear_state,
    "latest torn": tear_latest,
    "metrics.jsonl torn": tear_metrics,
    "all checkpoints but one damaged": damage_all_but_the_oldest,
    "stray checkpoint folders": stray_folders,
    "latest is a folder": latest_is_a_folder,
    "terminal lost (SIGHUP)": lose_the_terminal,
    "a rank gets SIGBUS": bus_error,
    "config.yaml torn": damage("config.yaml", lambda path, rng: _tear(path, rng)),
    "config.yaml deleted": damage("config.yaml", _delete),
    "order.json garbage": damage("order.json", _garbage),
    "tokenizer.model torn": damage("tokenizer.model", lambda path, rng: _tear(path, rng)),
    "tokenizer.model deleted": damage("tokenizer.model", _delete),
    "starts.jsonl: a garbage line": damage("starts.jsonl", _append_garbage),
    "decisions.jsonl garbage": damage("decisions.jsonl", _garbage),
    "metrics.jsonl: a garbage line": damage("metrics.jsonl", _append_garbage),
    ".lock garbage": damage(".lock", _garbage),
    "finished.json from before": damage("finished.json", lambda path, rng: path.write_text("{}")),
    "an unfinished save is left": leave_an_unfinished_save,
    ".lock removed": remove_the_lock,
    "folder moved away and back": move_away_and_back,
    "metrics.jsonl saved by an editor": edit_metrics,
    "disk full": fill_the_disk,
}
# Only another rank ends such a run: for a watchdog, time in which its process is stopped does not count.
NEED_ANOTHER_RANK = {"a rank hangs (SIGSTOP)"}
# After these a run may continue without a restart.
NEED_NO_RESTART = {
    "all ranks pause, then continue",
    "disk full",
    ".lock removed",
    "folder moved away and back",
    "metrics.jsonl saved by an editor",
}


def _some(run: Run, rng: random.Random) -> list[int]:
    workers = run.workers
    return [rng.choice(workers)] if workers else []


def _file_of_newest(run: Run, rng: random.Random) -> Path | None:
    newest = run.newest_checkpoint()
    files = sorted(path for path in newest.iterdir() if path.stat().st_size) if newest else []
    return rng.choice(files) if files else None


def _tear(path: Path, rng: random.Random) -> None:
    with suppress(OSError, ValueError):  # missing or empty
        os.truncate(path, rng.randrange(path.stat().st_size))


def _steps_after(line: bytes, run: Run) -> bool:
    """Whether a line's step is later than every checkpoint; earlier lines are on disk before a save."""
    newest = run.newest_checkpoint()
    return newest is None or run.last_step() > int(newest.name[5:])
