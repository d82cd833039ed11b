"""Checkpoints: written aside, checksummed, renamed; recognised when damaged; free of layout.

checkpoints/step-000123/ holds torch.distributed.checkpoint's files (model and AdamW state by parameter
name, tensors only) and state.json: the step, the order's cursor, the data's fingerprints, the model's
shape, and each file's size and checksum. A folder with that name is whole, or says that it is not.
Nothing in the loop draws random numbers, so there is no random state to keep.
"""

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import xxhash
from torch import nn
from torch.distributed.checkpoint import (
    DefaultSavePlanner,
    FileSystemReader,
    FileSystemWriter,
    SavePlanner,
    StorageReader,
)
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from data import folders
from data.store import checksum
from model.llama import LlamaConfig
from train.config import RunError
from train.distributed import first_rank_does, gather_objects

T = TypeVar("T")
VERSION = 1


def step_folder(checkpoints: Path, step: int) -> Path:
    return checkpoints / f"step-{step:06d}"


def save(
    checkpoints: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict, *, keep: int
) -> Path:
    """Commit one checkpoint at once; all ranks call it. `state` needs "step" and is JSON.

    Raises RunError if it cannot be written (a full disk): what was there before stays.
    """
    return write(checkpoints, tensors_of(model, optimizer), state, keep=keep)


def tensors_of(model: nn.Module, optimizer: torch.optim.Optimizer | None) -> dict:
    """All that a checkpoint holds, by parameter name: the live tensors, on whatever layout they are."""
    tensors: dict = {"model": get_model_state_dict(model)}
    if optimizer is not None:
        tensors["optimizer"] = get_optimizer_state_dict(model, optimizer)["state"]
    return tensors


def write(
    checkpoints: Path,
    tensors: dict,
    state: dict,
    *,
    keep: int,
    planner: SavePlanner | None = None,
    first: Callable[[], None] | None = None,
    group: dist.ProcessGroup | None = None,
) -> Path:
    """Commit one checkpoint of `tensors`; all ranks of `group` (None: the default one) call it.

    `first` is done before all else; `planner` may write copies in place of the tensors. Raises RunError, on
    all ranks, if any of them cannot: what was there before stays.
    """
    final = step_folder(checkpoints, state["step"])
    aside = final.with_name(final.name + ".tmp")
    rank = dist.get_rank() if dist.is_initialized() else 0
    alone = not dist.is_initialized()
    try:
        if first:
            _together(first, group)
        _together(lambda: rank == 0 and _fresh(aside), group)
        with warnings.catch_warnings():
            if alone:
                warnings.filterwarnings("ignore", "torch.distributed is disabled")  # it means to be alone
            dcp.save(
                tensors,
                storage_writer=FileSystemWriter(aside, sync_files=True),
                planner=planner,
                process_group=group,
                no_dist=alone,
            )
        parts = _together(lambda: _describe(sorted(aside.glob(f"__{rank}_*.distcp"))), group)
        sums = {name: entry for part in parts for name, entry in part.items()}
        _together(lambda: rank == 0 and _commit(aside, final, state, sums, keep), group)
    except (RunError, OSError, RuntimeError, CheckpointException) as error:
        if rank == 0:
            shutil.rmtree(aside, ignore_errors=True)
        raise RunError(
            f"{final}: could not be saved ({_cause(error)}); the checkpoints before it stay: "
            "mend that and run the same command again"
        ) from None
    return final


def _together(work: Callable[[], T], group: dist.ProcessGroup | None) -> list[T]:
    """Each rank does `work`; all get all results, or RunError with what the first that failed says."""
    try:
        mine = (work(), None)
    except (RunError, OSError, RuntimeError, MemoryError, TypeError) as error:
        mine = (None, str(error) or type(error).__name__)
    outcomes: list = [mine]
    if dist.is_initialized():
        outcomes = [None] * dist.get_world_size(group)
        dist.all_gather_object(outcomes, mine, group=group)
    for _, error in outcomes:
        if error is not None:
            raise RunError(error)
    return [result for result, _ in outcomes]


def _fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def save_weights(
    checkpoints: Path, shapes: dict[str, tuple[int, ...]], read: Callable[[str], torch.Tensor], state: dict
) -> None:
    """A checkpoint of weights alone, fp32, by one process; each tensor is read when it is written."""

    class Planner(DefaultSavePlanner):
        def resolve_data(self, item):
            return read(item.index.fqn.removeprefix("model."))

    final = step_folder(checkpoints, state["step"])
    aside = final.with_name(final.name + ".tmp")
    aside.mkdir(parents=True)
    # Stands for the tensors: their shapes without their memory.
    shells = {name: torch.empty(1).expand(shape) for name, shape in shapes.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # it means to be alone
        # A file for each tensor: a file's tensors are all held until it is closed.
        writer = FileSystemWriter(aside, single_file_per_rank=False, sync_files=True)
        dcp.save({"model": shells}, storage_writer=writer, planner=Planner(), no_dist=True)
    _commit(aside, final, state, _describe(sorted(aside.glob("*.distcp"))), keep=1)


def newest_whole(checkpoints: Path) -> tuple[Path, dict] | None:
    """The newest whole checkpoint and its state, or None; names the damaged ones. All ranks call it."""
    found = first_rank_does(
        lambda: sorted((path.name for path in checkpoints.glob("step-*") if _is_step(path)), key=_step_of)
    )
    for name in reversed(found):
        folder = checkpoints / name
        part = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        problems = [line for found in gather_objects(damage(folder, *part)) for line in found]
        if not problems:
            return folder, first_rank_does(lambda folder=folder: read_state(folder))
        if part[0] == 0:
            print(f"relama: {folder} is damaged ({problems[0]}); skipped for the one before it", flush=True)
    return None


def damage(folder: Path, part: int = 0, parts: int = 1) -> list[str]:
    """What is wrong with a checkpoint, a line each; `part` of `parts` ranks checks its share of the files."""
    try:
        files = read_state(folder)["files"]
    except RunError as error:
        return [str(error)]
    problems = []
    for name, entry in sorted(files.items())[part::parts]:
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != entry["bytes"]:
            problems.append(f"{name} has {path.stat().st_size} bytes, {entry['bytes']} were written")
        elif checksum(path) != entry["xxh3"]:
            problems.append(f"{name} was altered (checksum)")
    return problems


def read_state(folder: Path) -> dict:
    """state.json of a checkpoint. Raises RunError if it is missing, torn or altered."""
    path = folder / "state.json"
    try:
        state = json.loads(path.read_text())
        claimed = state.pop("xxh3")
    except FileNotFoundError:
        raise RunError(f"{path} is missing: not a whole checkpoint") from None
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise RunError(f"{path} is not readable ({error})") from None
    if claimed != xxhash.xxh3_128_hexdigest(_canonical(state).encode()):
        raise RunError(f"{path} was altered (checksum)")
    if state["version"] != VERSION:
        raise RunError(f"{path} has version {state['version']}, expected {VERSION}")
    return state


def load(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    reader: StorageReader | None = None,
) -> None:
    """Fill model and optimizer (None: weights alone) in place, on whatever layout they are.

    `reader` gives tensors of another format than our own.
    """
    tensors: dict = {"model": get_model_state_dict(model)}
    if optimizer is not None:
        full = get_optimizer_state_dict(model, optimizer)
        tensors["optimizer"] = full["state"]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # `generate` means to be alone
            dcp.load(
                tensors, storage_reader=reader or FileSystemReader(folder), no_dist=not dist.is_initialized()
            )
    except (OSError, RuntimeError, ValueError, CheckpointException) as error:
        raise RunError(f"{folder}: could not be loaded ({_cause(error)})") from None
    set_model_state_dict(model, tensors["model"])
    if optimizer is not None:
        set_optimizer_state_dict(model, optimizer, {**full, "state": tensors["optimizer"]})


def refuse_other_shape(folder: Path, state: dict, model: LlamaConfig) -> None:
    """Raises RunError, naming each difference, if the checkpoint's model is not `model`."""
    there, here = dict(state["model"]), asdict(model)
    differences = [
        f"model.{key}: {there.get(key)} there, {value} here"
        for key, value in here.items()
        if there.get(key) != value and key != "max_seq_len"  # holds no weights
    ]
    if differences:
        raise RunError(
            f"{folder}: a checkpoint of another model ({'; '.join(differences)}); give that model's values"
        )


def remove_leftovers(checkpoints: Path) -> None:
    """What a killed save or clean-up left; rank 0 calls it under the run's lock."""
    for path in checkpoints.glob("step-*.tmp"):
        shutil.rmtree(path, ignore_errors=True)


def _commit(aside: Path, final: Path, state: dict, sums: dict, keep: int) -> None:
    sums |= _describe([aside / ".metadata"])
    state = {"version": VERSION, **state, "files": sums}
    state["xxh3"] = xxhash.xxh3_128_hexdigest(_canonical(state).encode())
    folders.write_whole(aside / "state.json", json.dumps(state, indent=1))
    if final.exists():  # a damaged one of the same step, trained again
        _remove(final)
    aside.rename(final)
    folders.sync(final.parent)
    folders.write_whole(final.parent / "latest", final.name + "\n")
    whole = sorted(filter(_is_step, final.parent.glob("step-*")), key=lambda path: _step_of(path.name))
    for old in whole[:-keep]:
        _remove(old)


def _remove(folder: Path) -> None:
    """Renamed first: a half-removed checkpoint must not look like a damaged one."""
    doomed = folder.with_name(folder.name + ".old.tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _describe(paths: list[Path]) -> dict[str, dict]:
    return {path.name: {"bytes": path.stat().st_size, "xxh3": checksum(path)} for path in paths}


def _canonical(state: dict) -> str:
    return json.dumps(state, sort_keys=True)


def _is_step(path: Path) -> bool:
    return path.is_dir() and path.name.removeprefix("step-").isdigit()


def _step_of(name: str) -> int:
    return int(name.removeprefix("step-"))


def _cause(error: BaseException) -> str:
    """The first line of what really happened; DCP wraps each rank's failure."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    lines = str(error).splitlines()
    return lines[0].strip() if lines else type(error).__name__
