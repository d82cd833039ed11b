"""Checkpoints of a run whose machines share no folder: the first rank's machine keeps them.

The ranks of the other machines write a save's files to their own disks and send them to the first rank. To
read a checkpoint, each of these machines gets a temporary copy of it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch
import torch.distributed as dist
from torch import Tensor

from configs.existence import is_file
from train.checkpoint.folder import damage, describe
from train.config import RunError
from train.ranks import identity, placement
from train.ranks.together import all_ranks_do, first_rank_does

PIECE = 32 << 20  # bytes that are sent at once
COPY = "step-copy.tmp"  # in a run's checkpoints/; what a kill leaves is removed at the next start


def collect(folder: Path, files: list[dict[str, dict]], group: dist.ProcessGroup | None) -> None:
    """Send the files that the ranks of other machines wrote to `folder` to the first rank's `folder`.

    `files`: each rank's, with sizes and checksums by name. All ranks of `group` call it. Raises OSError on
    the ranks where something failed, once all is sent.
    """
    problems: list[OSError] = []
    for rank in placement.away():
        for name, entry in files[rank].items():
            try:
                if identity.group_rank() == rank:
                    _send(folder / name, entry["bytes"], lambda piece: dist.send(piece, 0, group))
                elif identity.is_first():
                    _receive(
                        folder / name,
                        entry["bytes"],
                        lambda piece, rank=rank: dist.recv(piece, rank, group),
                    )
            except OSError as error:  # go on: the other side expects the remaining files
                problems.append(error)
    if problems:
        raise problems[0]


def refuse_changed(folder: Path, files: list[dict[str, dict]]) -> None:
    """Raise RunError if a file sent to the first rank did not arrive as written; only that rank calls it."""
    for rank in placement.away():
        if describe([folder / name for name in files[rank]]) != files[rank]:
            raise RunError(f"{', '.join(files[rank])}: changed on the way from rank {rank}")


@contextmanager
def at_hand(checkpoint: Path, checkpoints: Path) -> Iterator[Path]:
    """`checkpoint`, or its copy in `checkpoints` on a machine that does not see the first rank's.

    All ranks enter and leave it together. Raises RunError.
    """
    if not placement.away():
        yield checkpoint
        return
    copy = checkpoints / COPY
    try:
        with identity.waiting(f"sending {checkpoint} to the other machines"):
            sizes = first_rank_does(lambda: _sizes(checkpoint))
            all_ranks_do(lambda: _hand_out(checkpoint, sizes, copy))
        yield copy if placement.is_away() else checkpoint
    finally:
        if placement.leads():
            shutil.rmtree(copy, ignore_errors=True)


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if is_file(path)}


def _hand_out(checkpoint: Path, sizes: dict[str, int], copy: Path) -> None:
    """The first rank sends the files to the leaders of the other machines. Raises RunError or OSError."""
    group = placement.leaders_and_first()
    problems: list[OSError] = []
    try:
        if placement.leads():
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir()
    except OSError as error:  # the first rank sends the files all the same
        problems.append(error)
    for name, n_bytes in sizes.items():
        try:
            if identity.is_first():
                _send(checkpoint / name, n_bytes, lambda piece: dist.broadcast(piece, 0, group))
            elif placement.leads():
                _receive(copy / name, n_bytes, lambda piece: dist.broadcast(piece, 0, group))
        except OSError as error:
            problems.append(error)
    if problems:
        raise problems[0]
    if placement.leads() and (found := damage(copy)):
        raise RunError(f"{copy}: damaged on the way here ({found[0]}); run the same command again")


def _send(path: Path, n_bytes: int, send: Callable[[Tensor], object]) -> None:
    with _Patient(path, "rb") as file:
        for piece in _pieces(n_bytes):
            file.attempt(lambda file, piece=piece: _fill(piece, file))
            send(piece)


def _receive(path: Path, n_bytes: int, receive: Callable[[Tensor], object]) -> None:
    with _Patient(path, "wb") as file:
        for piece in _pieces(n_bytes):
            receive(piece)
            file.attempt(lambda file, piece=piece: file.write(piece.numpy()))
        file.attempt(_sync)


class _Patient:
    """A file that raises its error only when it is closed: the other side expects every piece."""

    def __init__(self, path: Path, mode: str) -> None:
        self._error: OSError | None = None
        self._file: IO | None = None
        try:
            self._file = path.open(mode)
        except OSError as error:
            self._error = error

    def __enter__(self) -> "_Patient":
        return self

    def attempt(self, work: Callable[[IO], object]) -> None:
        try:
            if self._file and not self._error:
                work(self._file)
        except OSError as error:
            self._error = error

    def __exit__(self, kind: object, *_: object) -> None:
        if self._file:
            self.attempt(lambda file: file.close())
        if self._error and kind is None:
            raise self._error


def _fill(piece: Tensor, file: IO) -> None:
    content = file.read(len(piece))
    if len(content) < len(piece):
        raise OSError(f"{file.name}: shorter than it was")
    piece.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))


def _sync(file: IO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _pieces(n_bytes: int) -> Iterator[Tensor]:
    """Room for each piece of a file, the same memory each time."""
    room = torch.empty(min(PIECE, n_bytes), dtype=torch.uint8)
    for low in range(0, n_bytes, PIECE):
        yield room[: min(PIECE, n_bytes - low)]
