"""A run's folder of checkpoints: which are complete, which are verified, which are kept.

step-000123/ holds the tensors' files, state.json (the state, and each file's size and checksum) and, once a
replay from it gave the same losses (certificate.py), verified.json. It is written under another name and
renamed once everything is on disk, so a folder with this name is complete or can be recognized as damaged.
"""

import json
import re
import shutil
from pathlib import Path

import xxhash

from data import folders
from data.tokens.store import checksum
from train.config import RunError
from train.ranks import identity
from train.ranks.setup import first_rank_does, gather_objects

VERSION = 1
_FILE = re.compile(r"__\d+_\d+\.distcp|\.metadata")


def step_folder(checkpoints: Path, step: int) -> Path:
    return checkpoints / f"step-{step:06d}"


def newest_complete(checkpoints: Path) -> tuple[Path, dict] | None:
    """The newest complete checkpoint and its state, or None; reports damaged ones. All ranks call it."""
    names = first_rank_does(lambda: [folder.name for folder in _steps(checkpoints)])
    for name in reversed(names):
        folder = checkpoints / name
        problems = damage_seen_by_all(folder)
        if not problems:
            return folder, first_rank_does(lambda folder=folder: read_state(folder))
        identity.say(f"{folder} is damaged ({problems[0]}); trying the one before it")
    return None


def complete_steps(checkpoints: Path) -> list[int]:
    """The steps of the checkpoints with a readable state, oldest first. Tensors are not checked."""
    return [int(_number(folder)) for folder in _steps(checkpoints) if _is_readable(folder)]


def damage_seen_by_all(folder: Path) -> list[str]:
    """`damage` with the files shared out among the ranks; all ranks call it."""
    share = damage(folder, identity.group_rank() if identity.has_group() else 0, identity.group_size())
    return [line for found in gather_objects(share) for line in found]


def damage(folder: Path, rank: int = 0, ranks: int = 1) -> list[str]:
    """What is wrong with a checkpoint, one line each. Of `ranks`, `rank` checks its share of the files."""
    try:
        files = read_state(folder)["files"]
    except RunError as error:
        return [str(error)]
    problems = []
    for name, entry in sorted(files.items())[rank::ranks]:
        path = folder / name
        try:
            if path.is_symlink() or not path.is_file():
                problems.append(f"{name} is missing")
            elif path.stat().st_size != entry["bytes"]:
                problems.append(f"{name} has {path.stat().st_size} bytes, but {entry['bytes']} were written")
            elif checksum(path) != entry["xxh3"]:
                problems.append(f"{name} was altered (checksum)")
        except OSError as error:
            problems.append(f"{name} is not readable ({error})")
    return problems


def read_state(folder: Path) -> dict:
    """A checkpoint's state.json. Raises RunError if it is missing, torn or altered by even a byte."""
    path = folder / "state.json"
    try:
        content = path.read_bytes()
        state = json.loads(content)
        claimed = state.pop("xxh3")
        rendered = render(state)
        version, files = state["version"], state["files"]
        names = [name for name in files if not _FILE.fullmatch(name)]
        sound = all({"bytes", "xxh3"} <= entry.keys() for entry in files.values())
    except FileNotFoundError:
        raise RunError(f"{path} is missing: not a complete checkpoint") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise RunError(f"{path} is not readable ({error})") from None
    # Compare the text itself: every byte must be what was written.
    if claimed != _sum(state) or content != rendered.encode() or not sound:
        raise RunError(f"{path} was altered (checksum)")
    if version != VERSION:
        raise RunError(f"{path} has version {version}, expected {VERSION}")
    if names:
        raise RunError(f"{path} names {names[0]!r}: not a Relama checkpoint")
    return state


def commit(aside: Path, final: Path, state: dict, sums: dict, keep: int) -> None:
    """Turn the filled folder `aside` into the checkpoint `final`, then remove those no longer needed."""
    sums |= describe([aside / ".metadata"])
    state = json.loads(
        json.dumps({"version": VERSION, **state, "files": sums})
    )  # normalized as it will be read
    folders.write_whole(aside / "state.json", render(state))
    if final.exists():  # a damaged checkpoint of a step that was trained again
        remove(final)
    aside.rename(final)
    folders.sync(final.parent)
    folders.write_whole(final.parent / "latest", final.name + "\n")
    retain(final.parent, keep)


def retain(checkpoints: Path, keep: int) -> None:
    """Remove all checkpoints but the newest `keep` and the newest verified one."""
    steps = _steps(checkpoints)
    verified = next((folder for folder in reversed(steps) if is_verified(folder)), None)
    for folder in steps[:-keep]:
        if folder != verified:
            remove(folder)


def mark_verified(folder: Path, losses: dict[int, float]) -> None:
    """Record, atomically, that replaying these steps from the checkpoint gave the same losses."""
    mark = {"state": _sum(read_state(folder)), "losses": {str(step): loss for step, loss in losses.items()}}
    folders.write_whole(folder / "verified.json", json.dumps(mark, indent=1))


def is_verified(folder: Path) -> bool:
    """Whether the checkpoint has a mark, and the mark is for its current contents."""
    try:
        return json.loads((folder / "verified.json").read_bytes())["state"] == _sum(read_state(folder))
    except (OSError, ValueError, KeyError, TypeError, RunError):
        return False


def remove_leftovers(checkpoints: Path) -> None:
    """Remove what a killed save or clean-up left; rank 0 calls it under the run's lock."""
    for path in checkpoints.glob("step-*.tmp"):
        shutil.rmtree(path, ignore_errors=True)


def describe(paths: list[Path]) -> dict[str, dict]:
    """Each file's size and checksum, by name."""
    return {path.name: {"bytes": path.stat().st_size, "xxh3": checksum(path)} for path in paths}


def render(state: dict) -> str:
    """The text of state.json, including its own checksum."""
    return json.dumps({**state, "xxh3": _sum(state)}, indent=1)


def _sum(state: dict) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(state, sort_keys=True).encode())


def remove(folder: Path) -> None:
    """Remove a checkpoint; rename it first, so that a half-removed one does not look damaged."""
    doomed = folder.with_name(folder.name + ".old.tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _is_readable(folder: Path) -> bool:
    try:
        read_state(folder)
    except RunError:
        return False
    return True


def _steps(checkpoints: Path) -> list[Path]:
    """The checkpoints by their names, oldest first, damaged ones too."""
    found = (path for path in checkpoints.glob("step-*") if path.is_dir() and _number(path).isdigit())
    return sorted(found, key=lambda path: int(_number(path)))


def _number(path: Path) -> str:
    return path.name.removeprefix("step-")
