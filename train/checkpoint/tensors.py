"""A model and its optimizer to a checkpoint and back, under any layout on either side.

A checkpoint holds torch.distributed.checkpoint's files (model and AdamW state by parameter name, tensors
only) and state.json: the step, the order's cursor, the data's fingerprints, the model's shape. This file
handles the tensors; folder.py makes a checkpoint complete and recognizes one. The training loop draws no
random numbers, so there is no random state to keep.
"""

import errno
import io
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystem, FileSystemWriter
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner, WriteItem
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save
from torch.distributed.checkpoint.storage import StorageReader, WriteResult
from torch.futures import Future

from configs.sizes import decimal
from data import folders
from model.config import LlamaConfig
from train.checkpoint import apart
from train.checkpoint.folder import commit, describe, name_latest, step_folder
from train.checkpoint.reader import CheckpointReader
from train.config import RunError
from train.ranks import identity, placement

T = TypeVar("T")
RETRY = "; fix the cause and run the same command again"


def save(
    checkpoints: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict, *, keep: int
) -> Path:
    """Commit a checkpoint synchronously; all ranks call it. `state` is JSON and has "step".

    Raises RunError if it cannot be written (a full disk); earlier checkpoints are untouched.
    """
    return write(checkpoints, tensors_of(model, optimizer), state, keep=keep)


def tensors_of(model: nn.Module, optimizer: torch.optim.Optimizer | None) -> dict:
    """Everything that a checkpoint holds, by parameter name: the live tensors, in their layout."""
    tensors: dict = {"model": _by_parameter(model, get_model_state_dict(model))}
    if optimizer is not None:
        tensors["optimizer"] = get_optimizer_state_dict(model, optimizer)["state"]
    return tensors


def _by_parameter(model: nn.Module, state: dict[str, Any]) -> dict[str, Any]:
    """`state` with each tensor once: tied ones have two names in it."""
    return {name: state[name] for name, _ in model.named_parameters()}


def write(
    checkpoints: Path,
    tensors: dict,
    state: dict,
    *,
    keep: int,
    keep_every: int = 0,
    attached: Mapping[str, bytes] | None = None,
    planner: SavePlanner | None = None,
    first: Callable[[], None] | None = None,
    check: Callable[[], None] | None = None,
    group: dist.ProcessGroup | None = None,
) -> Path:
    """Commit a checkpoint of `tensors`; all ranks of `group` (None: the default one) call it.

    `keep`, `keep_every` and `attached` are `commit`'s. `first` runs before everything else, `check` after the
    tensors are written; `planner` may write copies in place of the tensors. If any rank fails, raises
    RunError on all of them; earlier checkpoints are untouched.
    """
    final = step_folder(checkpoints, state["step"])
    aside = final.with_name(final.name + ".tmp")
    rank, alone = identity.group_rank(), not identity.has_group()
    try:
        if first:
            _together(first, group)
        _together(lambda: (rank == 0 or placement.leads()) and _fresh(aside), group)
        with warnings.catch_warnings():
            if alone:
                warnings.filterwarnings("ignore", "torch.distributed is disabled")  # intended
            dcp_save(
                tensors,
                storage_writer=_Writer(aside),
                planner=planner or _Planner(),
                process_group=group,
                no_dist=alone,
            )
        if check:
            _together(check, group)
        parts = _together(lambda: describe(folders.matching(aside, f"__{rank}_*.distcp")), group)
        if placement.away():
            _together(lambda: apart.collect(aside, parts, group), group)
            _together(lambda: rank == 0 and apart.refuse_changed(aside, parts), group)
        sums = {name: entry for part in parts for name, entry in part.items()}
        _together(lambda: rank == 0 and commit(aside, final, state, sums, keep, keep_every, attached), group)
        if placement.leads():
            name_latest(final)
    except (RunError, OSError, RuntimeError, CheckpointException) as error:
        if rank == 0:
            shutil.rmtree(aside, ignore_errors=True)
        cause = _cause(error)
        if os.strerror(errno.ENOSPC) in cause:
            cause += f", {decimal(shutil.disk_usage(checkpoints).free)} free"
        raise RunError(
            f"{final}: could not be saved ({cause}); earlier checkpoints are kept{RETRY}"
        ) from None
    finally:
        if placement.leads():  # the first rank has these files now
            shutil.rmtree(aside, ignore_errors=True)
    return final


def _together(work: Callable[[], T], group: dist.ProcessGroup | None) -> list[T]:
    """Each rank does `work`; all get all results, or a RunError with the first failure's message."""
    try:
        mine = (work(), None)
    except Exception as error:  # any error: the other ranks are waiting for this one
        mine = (None, _cause(error))
    outcomes: list = [mine]
    if identity.has_group():
        outcomes = [None] * identity.group_size(group)
        dist.all_gather_object(outcomes, mine, group=group)
    for _, error in outcomes:
        if error is not None:
            raise RunError(error)
    return [result for result, _ in outcomes]


class _Writer(FileSystemWriter):
    """torch's writer, without the random id and the path that would make two saves of one state differ."""

    def __init__(self, folder: Path, **how: Any) -> None:
        # When torch copies ahead, it waits every 10 MB for everything queued on the GPU.
        super().__init__(folder, per_thread_copy_ahead=0, **how)
        self.fs = _Files()

    def storage_meta(self) -> None:
        return None

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        try:
            return super().write_data(plan, planner)
        except RuntimeError as error:  # torch.save hides what the system said
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


class _Files(FileSystem):
    def mkdir(self, path: str | os.PathLike) -> None:
        """Do nothing: if the save's folder was moved away, a new one would look like the run's."""

    @contextmanager
    def create_stream(self, path: str | os.PathLike, mode: str) -> Iterator[io.IOBase]:
        with _Stream(io.FileIO(path, mode)) as stream:
            yield stream


class _Stream(io.BufferedWriter):
    """torch flushes a file once more after writing failed and closed it; Python 3.14 prints that error."""

    def flush(self) -> None:
        if not self.closed:
            super().flush()


class _Planner(DefaultSavePlanner):
    """Writes tensors in row-major order, on which reader.py relies."""

    def resolve_data(self, write_item: WriteItem) -> torch.Tensor:
        data = super().resolve_data(write_item)
        assert isinstance(data, torch.Tensor)  # a checkpoint holds nothing else
        return data.contiguous()


def _fresh(folder: Path) -> None:
    """Make an empty folder and its parent, but never the run's folder: that may have been moved away."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(exist_ok=True)
    folder.mkdir()


def save_weights(
    checkpoints: Path, shapes: dict[str, tuple[int, ...]], read: Callable[[str], torch.Tensor], state: dict
) -> None:
    """Write a checkpoint of fp32 weights only, in one process; each tensor is read when it is written."""

    class Planner(DefaultSavePlanner):
        def resolve_data(self, write_item: WriteItem) -> torch.Tensor:
            return read(write_item.index.fqn.removeprefix("model.")).contiguous()

    final = step_folder(checkpoints, state["step"])
    aside = final.with_name(final.name + ".tmp")
    aside.mkdir(parents=True)
    # Placeholders with the shapes of the tensors but without their memory.
    shells = {name: torch.empty(1).expand(shape) for name, shape in shapes.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # intended
        # One file per tensor: all tensors of a file are held until it is closed.
        writer = _Writer(aside, single_file_per_rank=False)
        try:
            dcp_save({"model": shells}, storage_writer=writer, planner=Planner(), no_dist=True)
        except CheckpointException as error:  # what `read` raised says which tensor of which file
            raise next(iter(error.failures.values()))[0] from None
    commit(aside, final, state, describe(folders.matching(aside, "*.distcp")), keep=1)


def load(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    reader: StorageReader | None = None,
) -> None:
    """Fill the model and the optimizer (None: weights only) in place, in their layout.

    `reader` supplies tensors of another format. Raises RunError if they cannot be read.
    """
    whole = get_model_state_dict(model)
    tensors: dict = {"model": _by_parameter(model, whole)}
    full = None if optimizer is None else get_optimizer_state_dict(model, optimizer)
    if full is not None:
        tensors["optimizer"] = full["state"]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # intended
            dcp_load(
                tensors, storage_reader=reader or CheckpointReader(folder), no_dist=not identity.has_group()
            )
    except (OSError, RuntimeError, ValueError, CheckpointException) as error:
        raise RunError(f"{folder}: could not be loaded ({_cause(error)})") from None
    set_model_state_dict(model, whole)  # whose tensors were filled in place
    if optimizer is not None and full is not None:
        set_optimizer_state_dict(model, optimizer, {**full, "state": tensors["optimizer"]})


def refuse_other_shape(folder: Path | str, state: dict, model: LlamaConfig, *, give: str = "") -> None:
    """Raise RunError, naming each difference, if the checkpoint's model has another shape than `model`.

    `give` says what to type instead of the keys, if there is something shorter.
    """
    saved = LlamaConfig(**state["model"])
    there, here = _compared(saved), _compared(model)
    others = [key for key, value in here.items() if there[key] != value]
    if others:
        listed = "; ".join(f"model.{key}: {there[key]} there, {here[key]} here" for key in others)
        shape = " or ".join(filter(None, (give, _values(saved, model)))) if others != ["vocab_size"] else ""
        tokens = _tokens(saved, model) if "vocab_size" in others else ""
        needed = ", and ".join(filter(None, (shape, tokens)))
        raise RunError(f"{folder}: a checkpoint of another model ({listed}); give {needed}")


def _values(saved: LlamaConfig, model: LlamaConfig) -> str:
    """What to type to get the shape of `saved` instead of that of `model`, but for the vocabulary."""
    unused = ["vocab_size", "max_seq_len", *_unused(saved)]
    values, ours = asdict(saved), asdict(model)
    return " ".join(
        f"model.{key}={'null' if value is None else value}"
        for key, value in values.items()
        if key not in unused and value != ours[key]
    )


def _tokens(saved: LlamaConfig, model: LlamaConfig) -> str:
    """What to do about the vocabulary, which the tokens decide."""
    rows = ", after relama import if it has rows without a piece" * (saved.vocab_size > model.vocab_size)
    return f"tokens made with its tokenizer (relama prepare … stage=tokens tokenizer=PATH{rows})"


def _compared(model: LlamaConfig) -> dict:
    """What two models must share to share weights. Different keys can give the same hidden dim or heads."""
    values = asdict(model) | {"n_kv_heads": model.kv_heads, "head_size": model.head_dim}
    values |= {"hidden_dim (multiple_of, ffn_dim_multiplier)": model.hidden_dim}
    values |= {"rope_attention_factor": model.attention_factor}
    unused = ["max_seq_len", "multiple_of", "ffn_dim_multiplier", *_unused(model)]
    return {key: None if key in unused else value for key, value in values.items()}


def _unused(model: LlamaConfig) -> list[str]:
    """The keys of rotations that change nothing in a model without scaling."""
    if model.rope_scaling != 1:
        return []
    return ["rope_type", "rope_low_freq_factor", "rope_high_freq_factor", "rope_original_seq_len"]


def _cause(error: BaseException) -> str:
    """The first line of the original error; DCP wraps each rank's failure."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    if isinstance(error, KeyboardInterrupt):
        raise error
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    lines = str(error).splitlines()
    return lines[0].strip() if lines else type(error).__name__
