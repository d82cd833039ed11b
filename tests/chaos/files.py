"""Faults of files: damaged, deleted, replaced or moved, in the run folder and its checkpoints.

Those that damage what only the next start reads also kill a rank.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.chaos.processes import kill_a_rank, kill_every_rank
from tests.chaos.run import STEPS, Run, kill

Fault = Callable[[Run, random.Random], None]


def flip_a_bit(run: Run, rng: random.Random) -> None:
    path = _file_of_newest(run, rng)
    if path:
        with suppress(FileNotFoundError), open(path, "r+b") as file:
            place = rng.randrange(path.stat().st_size)
            file.seek(place)
            byte = file.read(1)[0] ^ (1 << rng.randrange(8))
            file.seek(place)
            file.write(bytes([byte]))
    kill_a_rank(run, rng)


def truncate_a_file(run: Run, rng: random.Random) -> None:
    path = _file_of_newest(run, rng)
    if path:
        _tear(path, rng)
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


def delete_checkpoints(run: Run, rng: random.Random) -> None:
    """All of them, under a live run."""
    shutil.rmtree(run.checkpoints, ignore_errors=True)


def delete_checkpoints_and_kill(run: Run, rng: random.Random) -> None:
    """Nothing is left to resume from: `restart=true` begins again, and keeps what is known of the past."""
    for worker in run.workers:
        kill(worker, signal.SIGKILL)
    shutil.rmtree(run.checkpoints, ignore_errors=True)


def delete_the_newest(run: Run, rng: random.Random) -> None:
    """The newest checkpoint, under a live run."""
    newest = run.newest_checkpoint()
    if newest:
        shutil.rmtree(newest, ignore_errors=True)


def move_checkpoints_away_and_back(run: Run, rng: random.Random) -> None:
    """What is saved meanwhile is put where it belongs."""
    away = run.folder / "checkpoints-away"
    with suppress(OSError):
        run.checkpoints.rename(away)
        time.sleep(rng.uniform(0.2, 3))
        meanwhile = run.folder / "checkpoints-meanwhile"
        with suppress(FileNotFoundError):
            run.checkpoints.rename(meanwhile)
        away.rename(run.checkpoints)
        for saved in sorted(meanwhile.glob("step-*[0-9]")):
            with suppress(OSError):  # the run has just saved that step again
                saved.rename(run.checkpoints / saved.name)
        shutil.rmtree(meanwhile, ignore_errors=True)


def truncate_metrics(run: Run, rng: random.Random) -> None:
    """Cut anywhere under a live run: lines are gone for good, and that must be said."""
    with suppress(OSError, ValueError):
        os.truncate(run.metrics, rng.randrange(run.metrics.stat().st_size))
        run.lost_metrics = True


def delete_metrics(run: Run, rng: random.Random) -> None:
    with suppress(OSError):
        run.metrics.unlink()
        run.lost_metrics = True


def delete_all_views(run: Run, rng: random.Random) -> None:
    """Everything but the checkpoints and the metrics: a checkpoint has what it takes to resume."""
    for worker in run.workers:
        kill(worker, signal.SIGKILL)
    with suppress(FileNotFoundError):  # the run has not made its folder yet
        for path in run.folder.iterdir():
            if path.is_file() and path != run.metrics:
                path.unlink(missing_ok=True)


def lease_of_another_machine(run: Run, rng: random.Random) -> None:
    """As after a node is lost whose locks reached nobody: the next start waits for a sign of life."""
    with suppress(OSError):
        lock = run.folder / ".lock"
        machine = f"elsewhere:{rng.randrange(1 << 30):x}"
        lock.write_text(
            f"pid 1 on elsewhere\nid {rng.randbytes(16).hex()} of {machine} file {lock.stat().st_ino} "
            f"beat {rng.randrange(1000):012d}\n"
        )
    kill_every_rank(run, rng)


def garbage_mark(run: Run, rng: random.Random) -> None:
    """A checkpoint's certificate that certifies nothing."""
    newest = run.newest_checkpoint()
    if newest:
        with suppress(OSError):
            _garbage(newest / "verified.json", rng)
    kill_a_rank(run, rng)


def _garbage(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(300))


def _append_garbage(path: Path, rng: random.Random) -> None:
    with open(path, "ab") as file:
        file.write(rng.randbytes(100) + b"\n")


def _empty_object(path: Path, rng: random.Random) -> None:
    path.write_text("{}")


def _delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def _file_of_newest(run: Run, rng: random.Random) -> Path | None:
    newest, files = run.newest_checkpoint(), []
    with suppress(FileNotFoundError):  # it has just been replaced
        files = sorted(path for path in newest.iterdir() if path.stat().st_size) if newest else []
    return rng.choice(files) if files else None


def _tear(path: Path, rng: random.Random) -> None:
    with suppress(OSError, ValueError):  # missing or empty
        os.truncate(path, rng.randrange(path.stat().st_size))


def _steps_after(line: bytes, run: Run) -> bool:
    """Whether a line's step is later than every checkpoint; earlier lines are on disk before a save."""
    newest = run.newest_checkpoint()
    return newest is None or run.last_step() > int(newest.name[5:])


KINDS: dict[str, Fault] = {
    "checkpoint: a bit flipped": flip_a_bit,
    "checkpoint: a file truncated": truncate_a_file,
    "checkpoint: a file deleted": delete_a_file,
    "checkpoint: deleted": delete_a_checkpoint,
    "checkpoint: deleted under a live run": delete_the_newest,
    "checkpoint: verified.json garbage": garbage_mark,
    "state.json torn": tear_state,
    "latest torn": tear_latest,
    "latest is a folder": latest_is_a_folder,
    "all checkpoints but one damaged": damage_all_but_the_oldest,
    "checkpoints/ deleted under a live run": delete_checkpoints,
    "checkpoints/ deleted, ranks killed": delete_checkpoints_and_kill,
    "checkpoints/ moved away and back": move_checkpoints_away_and_back,
    "stray checkpoint folders": stray_folders,
    "an unfinished save is left": leave_an_unfinished_save,
    "metrics.jsonl torn": tear_metrics,
    "metrics.jsonl: a garbage line": damage("metrics.jsonl", _append_garbage),
    "metrics.jsonl saved by an editor": edit_metrics,
    "metrics.jsonl truncated under a live run": truncate_metrics,
    "metrics.jsonl deleted under a live run": delete_metrics,
    "config.yaml torn": damage("config.yaml", lambda path, rng: _tear(path, rng)),
    "config.yaml deleted": damage("config.yaml", _delete),
    "order.json garbage": damage("order.json", _garbage),
    "tokenizer.model torn": damage("tokenizer.model", lambda path, rng: _tear(path, rng)),
    "tokenizer.model deleted": damage("tokenizer.model", _delete),
    "starts.jsonl: a garbage line": damage("starts.jsonl", _append_garbage),
    "decisions.jsonl garbage": damage("decisions.jsonl", _garbage),
    "finished.json from before": damage("finished.json", _empty_object),
    "all files but checkpoints and metrics deleted": delete_all_views,
    ".lock garbage": damage(".lock", _garbage),
    ".lock removed": remove_the_lock,
    ".lock: a lease of another machine": lease_of_another_machine,
    "folder moved away and back": move_away_and_back,
}
