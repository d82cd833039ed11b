"""Checkpoints: a model and its optimizer to a folder and back, whatever layout each is on.

A folder holds torch.distributed.checkpoint's files (model and AdamW state by parameter name, tensors only)
and state.json: the step, the order's cursor, the data's fingerprints, the model's shape. How a folder comes
to be whole, and is known to be, is in train/checkpoint/folder.py; here are the tensors. Nothing in the loop
draws random numbers, so there is no random state to keep.
"""

import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint import DefaultSavePlanner, FileSystemWriter, SavePlanner, StorageReader
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from model.llama import LlamaConfig
from train.checkpoint.folder import (
    commit,
    damage,
    describe,
    newest_whole,
    read_state,
    remove_leftovers,
    step_folder,
)
from train.checkpoint.reader import CheckpointReader
from train.config import RunError

__all__ = [
    "damage",
    "load",
    "newest_whole",
    "read_state",
    "refuse_other_shape",
    "remove_leftovers",
    "save",
    "save_weights",
    "step_folder",
    "tensors_of",
    "write",
]

T = TypeVar("T")
MEND = ": mend that and run the same command again"


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
                storage_writer=_Writer(aside),
                planner=planner or _Planner(),
                process_group=group,
                no_dist=alone,
            )
        parts = _together(lambda: describe(sorted(aside.glob(f"__{rank}_*.distcp"))), group)
        sums = {name: entry for part in parts for name, entry in part.items()}
        _together(lambda: rank == 0 and commit(aside, final, state, sums, keep), group)
    except (RunError, OSError, RuntimeError, CheckpointException) as error:
        if rank == 0:
            shutil.rmtree(aside, ignore_errors=True)
        raise RunError(
            f"{final}: could not be saved ({_cause(error)}); the checkpoints before it stay{MEND}"
        ) from None
    return final


def _together(work: Callable[[], T], group: dist.ProcessGroup | None) -> list[T]:
    """Each rank does `work`; all get all results, or RunError with what the first that failed says."""
    try:
        mine = (work(), None)
    except Exception as error:  # whatever it is: the others wait for this rank
        mine = (None, str(error) or type(error).__name__)
    outcomes: list = [mine]
    if dist.is_initialized():
        outcomes = [None] * dist.get_world_size(group)
        dist.all_gather_object(outcomes, mine, group=group)
    for _, error in outcomes:
        if error is not None:
            raise RunError(error)
    return [result for result, _ in outcomes]


class _Writer(FileSystemWriter):
    """torch's, without what differs between two saves of one state: a random id, the folder's path."""

    def storage_meta(self) -> None:
        return None


class _Planner(DefaultSavePlanner):
    """The tensors as they are, row by row: train/checkpoint/reader.py relies on that."""

    def resolve_data(self, write_item):
        return super().resolve_data(write_item).contiguous()


def _fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def save_weights(
    checkpoints: Path, shapes: dict[str, tuple[int, ...]], read: Callable[[str], torch.Tensor], state: dict
) -> None:
    """A checkpoint of weights alone, fp32, by one process; each tensor is read when it is written."""

    class Planner(DefaultSavePlanner):
        def resolve_data(self, item):
            return read(item.index.fqn.removeprefix("model.")).contiguous()

    final = step_folder(checkpoints, state["step"])
    aside = final.with_name(final.name + ".tmp")
    aside.mkdir(parents=True)
    # Stands for the tensors: their shapes without their memory.
    shells = {name: torch.empty(1).expand(shape) for name, shape in shapes.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # it means to be alone
        # A file for each tensor: a file's tensors are all held until it is closed.
        writer = _Writer(aside, single_file_per_rank=False)
        dcp.save({"model": shells}, storage_writer=writer, planner=Planner(), no_dist=True)
    commit(aside, final, state, describe(sorted(aside.glob("*.distcp"))), keep=1)


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
                tensors, storage_reader=reader or CheckpointReader(folder), no_dist=not dist.is_initialized()
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


def _cause(error: BaseException) -> str:
    """The first line of what really happened; DCP wraps each rank's failure."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    lines = str(error).splitlines()
    return lines[0].strip() if lines else type(error).__name__
