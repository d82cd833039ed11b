"""A run's folder of checkpoints: which are complete, which are verified, which are kept.

step-000123/ has the tensors' files, state.json (the state, and each file's size and checksum) and, once a
replay from it gave the same losses (certificate.py), verified.json. It is written under another name and
renamed once everything is on disk, so a folder with this name is complete or can be recognized as damaged.

A checkpoint is skipped or deleted only if it is provably damaged. A file that cannot be read at the moment (a
transient error of a network file system) may be intact: it is tried again, and then the command ends.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import xxhash

from configs import regular_file
from configs.existence import exists, is_dir, is_file
from data import folders
from data.tokens.store import checksum
from train.config import RunError
from train.ranks import identity, placement
from train.ranks.together import first_rank_does, gather_objects

VERSION = 1
BRANCHES = "branches.json"  # the runs that continue from a checkpoint
_FILE = re.compile(r"__\d+_\d+\.distcp|\.metadata")
_STEP = re.compile(r"step-([0-9]+)")
TRIES, PAUSE = 4, 2.0  # for a transient error; seconds between the first two tries, then twice as long
# Not a file: retrying cannot help.
PROOFS = (FileNotFoundError, NotADirectoryError, IsADirectoryError, regular_file.NotAFile)
T = TypeVar("T")


class Unreadable(RunError):
    """A file that exists cannot be read, which proves nothing about its contents."""


def step_folder(checkpoints: Path, step: int) -> Path:
    return checkpoints / f"step-{step:06d}"


def newest_complete(checkpoints: Path) -> tuple[Path, dict] | None:
    """The newest complete checkpoint and its state, or None; reports damaged ones. All ranks call it."""
    names = first_rank_does(lambda: [folder.name for folder in _steps(checkpoints)])
    for name in reversed(names):
        folder = checkpoints / name
        problems = damage_seen_by_all(folder)
        if not problems:
            state = first_rank_does(lambda folder=folder: read_state(folder))
            if state["step"] == step_of(folder):
                return folder, state
            problems = [f"holds step {state['step']}: a copy of another checkpoint"]
        identity.say(f"{folder} is damaged ({problems[0]}); trying the one before it")
    return None


def newest_state(checkpoints: Path) -> dict | None:
    """The state of the newest complete checkpoint, or None; checks only the sizes of its other files."""
    return next(
        (read_state(folder) for folder in reversed(_steps(checkpoints)) if _is_complete(folder)), None
    )


def had_checkpoints(checkpoints: Path) -> bool:
    """Whether there is or was a checkpoint, complete or not."""
    return bool(_steps(checkpoints)) or exists(checkpoints / "latest")


def complete_steps(checkpoints: Path) -> list[int]:
    """The steps of the complete checkpoints, oldest first; checks only the sizes of their tensor files."""
    return [step_of(folder) for folder in _steps(checkpoints) if _is_complete(folder)]


def damage_seen_by_all(folder: Path) -> list[str]:
    """`damage`, with the files divided among the ranks that see the first rank's folder.

    All ranks call it; if one raises Unreadable, all do.
    """
    share, unreadable = [], None
    try:
        if placed := placement.share_of_the_folder():
            share = damage(folder, *placed)
    except Unreadable as error:
        unreadable = str(error)
    outcomes = gather_objects((share, unreadable))
    for _, unreadable in outcomes:
        if unreadable:
            raise Unreadable(unreadable)
    return [line for share, _ in outcomes for line in share]


def damage(folder: Path, rank: int = 0, ranks: int = 1) -> list[str]:
    """What is provably wrong with a checkpoint, one line each; `rank` of `ranks` checks its share of files.

    Raises Unreadable if a file cannot be read.
    """
    try:
        files = read_state(folder)["files"]
    except Unreadable:
        raise
    except RunError as error:
        return [str(error)]
    share = sorted(files.items())[rank::ranks]
    found = (
        _file_damage(folder / name, entry, read=True)
        for name, entry in identity.counted(f"checking {folder}, files", share)
    )
    return [line for line in found if line]


def _file_damage(path: Path, entry: dict, read: bool) -> str | None:
    """What is wrong with a file, by its size and, with `read`, its checksum. Raises Unreadable."""
    return _patiently(path, lambda: _file_damage_now(path, entry, read))


def _file_damage_now(path: Path, entry: dict, read: bool) -> str | None:
    if path.is_symlink() or not is_file(path):
        return f"{path.name} is missing"
    if path.stat().st_size != entry["bytes"]:
        return f"{path.name} has {path.stat().st_size} bytes, but {entry['bytes']} were written"
    if read and checksum(path) != entry["xxh3"]:
        return f"{path.name} was altered (checksum)"
    return None


def _patiently(path: Path, read: Callable[[], T]) -> T:
    """`read()`, several times if it fails. Raises Unreadable, or one of PROOFS at once."""
    pause = PAUSE
    for left in reversed(range(TRIES)):
        try:
            return read()
        except PROOFS:
            raise
        except OSError as error:
            if not left:
                raise Unreadable(
                    f"{path}: cannot be read ({error.strerror or error}), but may be intact; restore "
                    "access and run the same command again, or move its checkpoint away to use the one before"
                ) from None
            time.sleep(pause)
            pause *= 2
    raise AssertionError("unreachable")


def read_state(folder: Path) -> dict:
    """A checkpoint's state.json. Raises RunError if it is missing, torn or altered by even a byte."""
    path = folder / "state.json"
    try:
        content = _patiently(path, lambda: regular_file.content(path))
        state = json.loads(content)
        claimed = state.pop("xxh3")
        rendered = render(state)
        version, files = state["version"], state["files"]
        names = [name for name in files if not _FILE.fullmatch(name)]
        sound = all({"bytes", "xxh3"} <= entry.keys() for entry in files.values())
    except PROOFS:
        raise RunError(f"{path} is missing: not a complete checkpoint") from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise RunError(f"{path} is not readable ({error})") from None
    # Compare the text itself: every byte must be what was written.
    if claimed != _sum(state) or content != rendered.encode() or not sound:
        raise RunError(f"{path} was altered (checksum)")
    if version != VERSION:
        raise RunError(f"{path} has version {version}, expected {VERSION}")
    if names:
        raise RunError(f"{path} names {names[0]!r}: not a Relama checkpoint")
    return state


def commit(
    aside: Path,
    final: Path,
    state: dict,
    sums: dict,
    keep: int,
    keep_every: int = 0,
    attached: Mapping[str, bytes] | None = None,
) -> None:
    """Turn the filled folder `aside` into the checkpoint `final`, then remove checkpoints no longer needed.

    `attached` are further small files (the tokenizer), with their checksums in `state`.
    """
    for name, content in (attached or {}).items():
        with folders.replacing(aside / name) as temporary:
            temporary.write_bytes(content)
    sums |= describe([aside / ".metadata"])
    state = json.loads(json.dumps({"version": VERSION, **state, "files": sums}))  # as it will be read
    folders.write_whole(aside / "state.json", render(state))
    if os.path.lexists(final):  # a damaged checkpoint of a step that was trained again, or a dead link
        remove(final)
    aside.rename(final)
    folders.sync(final.parent)
    name_latest(final)  # the checkpoint is committed: what follows may fail
    try:
        retain(final.parent, keep, newest=step_of(final), keep_every=keep_every)
    except (OSError, RunError) as error:
        identity.say(f"warning: {final} is saved, but older checkpoints could not be removed ({error})")


def name_latest(final: Path) -> None:
    """Write `latest`, which shows that the run had a checkpoint; a failure is only worth a warning."""
    try:
        folders.write_whole(final.parent / "latest", final.name + "\n")
    except OSError as error:
        identity.say(
            f"warning: {final} is saved, but {final.parent / 'latest'} could not be written ({error})"
        )


def fingerprint(state: dict) -> str:
    """The checksum of a checkpoint's state, which includes the checksums of its files."""
    return _sum(state)


def pin(folder: Path, branch: Path) -> None:
    """Record that the run at `branch` continues from this checkpoint, which is kept while that run exists."""
    known = [*_branches(folder), str(branch.resolve())]
    folders.write_whole(folder / BRANCHES, json.dumps({"branches": list(dict.fromkeys(known))}))


def is_needed(folder: Path) -> bool:
    """Whether an existing branch continues from this checkpoint."""
    runs = folder.absolute().parents[2]  # all runs may have been moved together
    places = (place for branch in _branches(folder) for place in (Path(branch), runs / Path(branch).name))
    return any(is_file(place / "lineage.json") for place in places)


def kept_folder(folder: Path, checksum: str) -> Path:
    """Where a checkpoint that a branch needs is kept once it is no longer part of its run."""
    return folder.with_name(f"branched-{folder.name}-{checksum[:8]}")


def _branches(folder: Path) -> list[str]:
    path = folder / BRANCHES
    try:
        known = json.loads(_patiently(path, lambda: regular_file.content(path)))["branches"]
        return [branch for branch in known if isinstance(branch, str)]
    except (*PROOFS, ValueError, KeyError, TypeError, RecursionError):
        return []


def remove_steps(checkpoints: Path, steps: list[int]) -> None:
    """Remove these checkpoints; `latest` then names the newest remaining one, or is removed with the last."""
    for step in steps:
        remove(step_folder(checkpoints, step))
    if left := complete_steps(checkpoints):
        folders.write_whole(checkpoints / "latest", step_folder(checkpoints, left[-1]).name + "\n")
    elif not _steps(checkpoints):
        (checkpoints / "latest").unlink(missing_ok=True)


def retain(checkpoints: Path, keep: int, newest: int, keep_every: int = 0) -> None:
    """Remove complete checkpoints up to step `newest` that are no longer needed.

    Needed are the newest `keep`, the newest verified one, the newest healthy one and any that a branch needs.
    Steps divisible by `keep_every` (0: none) are kept for good and do not count toward `keep`. Damaged
    checkpoints do not count either; they stay, as do later ones, which this run has not reached.
    """
    numbered = [(step_of(folder), folder) for folder in _steps(checkpoints)]
    counted = [
        folder
        for step, folder in numbered
        if step <= newest and (not keep_every or step % keep_every or step == newest)
    ]
    if len(counted) <= keep:
        return
    folders_of = [folder for folder in counted if _is_complete(folder)]
    verified = next((folder for folder in reversed(folders_of) if is_verified(folder)), None)
    healthy = next((folder for folder in reversed(folders_of) if is_healthy(folder)), None)
    for folder in folders_of[:-keep]:
        if folder not in (verified, healthy) and not is_needed(folder):
            remove(folder)


def is_healthy(folder: Path) -> bool:
    """Whether a complete checkpoint was saved without an unresolved problem (train/recovery.py)."""
    return not read_state(folder).get("recovery", {}).get("unresolved")


def mark_verified(folder: Path, losses: dict[int, float]) -> None:
    """Record, atomically, that replaying these steps from the checkpoint gave the same losses."""
    mark = {"state": _sum(read_state(folder)), "losses": {str(step): loss for step, loss in losses.items()}}
    folders.write_whole(folder / "verified.json", json.dumps(mark, indent=1))


def is_verified(folder: Path) -> bool:
    """Whether the checkpoint has a mark made for its current contents. Raises Unreadable."""
    mark = folder / "verified.json"
    try:
        content = _patiently(mark, lambda: regular_file.content(mark))
        return json.loads(content)["state"] == _sum(read_state(folder))
    except Unreadable:
        raise
    except (*PROOFS, ValueError, KeyError, TypeError, RecursionError, RunError):
        return False


def remove_leftovers(checkpoints: Path) -> None:
    """Remove what a killed save or clean-up left; the rank that holds the folder's lock calls it."""
    for path in checkpoints.glob("step-*.tmp"):
        delete(path)


def describe(paths: list[Path]) -> dict[str, dict]:
    """Each file's size and checksum, by name."""
    return {path.name: {"bytes": path.stat().st_size, "xxh3": checksum(path)} for path in paths}


def render(state: dict) -> str:
    """The text of state.json, including its own checksum."""
    return json.dumps({**state, "xxh3": _sum(state)}, indent=1)


def _sum(state: dict) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(state, sort_keys=True).encode())


def remove(folder: Path) -> None:
    """Remove a checkpoint; rename it first, so that a half-removed one does not look damaged.

    If a branch needs it, it is only moved out of its run's way.
    """
    if is_needed(folder):
        with suppress(RunError):  # a damaged one is useless to the branch too
            kept = kept_folder(folder, fingerprint(read_state(folder)))
            if not exists(kept):
                folder.rename(kept)
                return
            for branch in _branches(folder):  # the step was trained again, with the same result
                pin(kept, Path(branch))
    doomed = folder.with_name(folder.name + ".old.tmp")
    delete(doomed)
    folder.rename(doomed)
    delete(doomed)


def delete(path: Path) -> None:
    """Remove a folder as far as possible; if it is a link, remove only the link."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _is_complete(folder: Path) -> bool:
    try:
        state = read_state(folder)
    except Unreadable:
        raise
    except RunError:
        return False
    damaged = any(_file_damage(folder / name, entry, read=False) for name, entry in state["files"].items())
    return state["step"] == step_of(folder) and not damaged


def _steps(checkpoints: Path) -> list[Path]:
    """The checkpoints by their names, oldest first, damaged ones too."""
    try:
        names = _patiently(checkpoints, lambda: os.listdir(checkpoints))
    except FileNotFoundError:
        return []
    found = [checkpoints / name for name in names if _STEP.fullmatch(name)]
    ours = (path for path in found if path == step_folder(checkpoints, step_of(path)) and is_dir(path))
    return sorted(ours, key=step_of)


def step_of(folder: Path) -> int:
    found = _STEP.fullmatch(folder.name)
    assert found is not None  # a checkpoint's name
    return int(found[1])
