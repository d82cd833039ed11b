"""Read checkpoints safely: execute nothing, open no file outside the folder, read no more than requested.

torch.distributed.checkpoint's own reader unpickles `.metadata` without limits, unpickles whatever that file
says is not a tensor, follows its paths anywhere, and reads an entire saved chunk for any piece of it. Here,
names that are not on the list below are refused before they are looked up, all entries must be tensors in
files of this folder, and only the bytes of a piece are read.
"""

import io
import math
import os
import pickle
import re
import zipfile
from collections.abc import Iterator
from itertools import groupby, product
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import metadata as dcp_metadata
from torch.distributed.checkpoint.filesystem import FileSystemReader, _StorageInfo
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex, TensorStorageMetadata
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner
from torch.futures import Future

from train.config import RunError

_METADATA = "torch.distributed.checkpoint.metadata"


def _member(kind: object, name: str) -> object:
    """`getattr`, by which Python 3.11.0 to 3.11.3 pickle a member of an enum; refuses all else."""
    formats = dcp_metadata._MEM_FORMAT_ENCODING
    if kind is not formats or name not in formats.__members__:
        raise pickle.UnpicklingError(f"its pickle asks for builtins.getattr of {name!r}")
    return formats[name]


# Everything that the metadata of tensors needs. BytesStorageMetadata is left out on purpose: torch unpickles
# what it describes without limits.
_ALLOWED = {
    (_METADATA, name): getattr(dcp_metadata, name)
    for name in (
        "Metadata",
        "MetadataIndex",
        "TensorStorageMetadata",
        "TensorProperties",
        "ChunkStorageMetadata",
        "StorageMeta",
        "_MEM_FORMAT_ENCODING",
    )
} | {
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"): _StorageInfo,
    ("builtins", "getattr"): _member,
    ("torch", "Size"): torch.Size,
    ("torch.serialization", "_get_layout"): {"torch.strided": torch.strided}.__getitem__,
    ("pathlib", "PosixPath"): PurePosixPath,  # the folder's path when it was written; never opened
    **{
        ("torch", str(dtype).removeprefix("torch.")): dtype
        for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64)
    },
}
_DATA_FILE = re.compile(r"__\d+_\d+\.distcp")


class CheckpointReader(FileSystemReader):
    """For `torch.distributed.checkpoint.load`. Raises RunError for anything that Relama does not write."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._metadata = read_metadata(folder)  # read now: torch logs a later error at length

    def read_metadata(self, *args: object, **kwargs: object) -> Metadata:
        return self._metadata

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        def file_of(item) -> str:
            return self.storage_data[item.storage_index].relative_path

        for name, items in groupby(sorted(plan.items, key=file_of), key=file_of):
            with open(Path(self.path) / name, "rb", buffering=0) as file:
                for item in items:
                    dtype, sizes = self._chunks[item.storage_index]
                    begin = _data_offset(file, self.storage_data[item.storage_index], dtype, sizes)
                    piece = _read_piece(file, begin, dtype, sizes, item.storage_offsets, item.lengths)
                    target = planner.resolve_tensor(item).detach()
                    target.copy_(piece)
                    planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def set_up_storage_reader(self, metadata: Metadata, *args: Any, **kwargs: Any) -> None:
        super().set_up_storage_reader(metadata, *args, **kwargs)
        # Each saved chunk's dtype and sizes, by storage index.
        self._chunks = {
            MetadataIndex(name, chunk.offsets): (entry.properties.dtype, chunk.sizes)
            for name, entry in metadata.state_dict_metadata.items()
            if isinstance(entry, TensorStorageMetadata)
            for chunk in entry.chunks
        }


def read_metadata(folder: Path) -> Metadata:
    """A checkpoint's `.metadata`. Raises RunError if it refers to anything that it should not."""
    path = folder / ".metadata"
    try:
        metadata = _Unpickler(io.BytesIO(path.read_bytes())).load()
        for entry in metadata.state_dict_metadata.values():
            _require(isinstance(entry, TensorStorageMetadata), "an entry is not a tensor")
        for info in metadata.storage_data.values():
            name = info.relative_path
            _require(bool(_DATA_FILE.fullmatch(name)), f"it points to {name!r}, not a file of this folder")
            _require(not info.transform_descriptors, f"{name} is transformed ({info.transform_descriptors})")
    except Exception as error:  # unpicklers may raise anything
        raise RunError(
            f"{path}: not a Relama checkpoint's metadata ({error}); nothing was executed"
        ) from None
    return metadata


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"its pickle asks for {module}.{name}") from None

    def persistent_load(self, pid: object) -> object:
        raise pickle.UnpicklingError("its pickle has a persistent id")


def _data_offset(file: io.FileIO, info: _StorageInfo, dtype: torch.dtype, sizes: torch.Size) -> int:
    """Where in `file` a tensor's data starts: torch.save stores it raw, in one entry of a zip."""
    try:
        entry = zipfile.ZipFile(_Slice(file, info.offset, info.length)).getinfo("archive/data/0")
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise RunError(f"{file.name}: no tensor at byte {info.offset} ({error})") from None
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != math.prod(sizes) * dtype.itemsize:
        raise RunError(
            f"{file.name}: {entry.file_size} bytes at byte {info.offset}, expected {tuple(sizes)} of {dtype}"
        )
    header = info.offset + entry.header_offset
    name, extra = (int.from_bytes(os.pread(file.fileno(), 2, header + at), "little") for at in (26, 28))
    return header + 30 + name + extra


def _read_piece(
    file: io.FileIO,
    begin: int,
    dtype: torch.dtype,
    sizes: torch.Size,
    offsets: torch.Size,
    lengths: torch.Size,
) -> Tensor:
    """The piece at `offsets` of `lengths` of a row-major tensor of `sizes` that begins at byte `begin`."""
    piece = torch.empty(lengths, dtype=dtype)
    if piece.numel() == 0:
        return piece
    room = memoryview(piece.reshape(-1).view(torch.uint8).numpy())  # pyright: ignore[reportArgumentType] - numpy's buffers are not typed as such before Python 3.12
    place = 0
    for first, count in _runs(sizes, offsets, lengths):
        stop = place + count * dtype.itemsize
        _read_exactly(file, begin + first * dtype.itemsize, room[place:stop])
        place = stop
    return piece


def _runs(sizes: torch.Size, offsets: torch.Size, lengths: torch.Size) -> Iterator[tuple[int, int]]:
    """The stretches of consecutive elements (first, count) that make up a piece, in order."""
    cut = len(sizes)  # from here on, dimensions are complete
    while cut > 0 and lengths[cut - 1] == sizes[cut - 1]:
        cut -= 1
    strides = [math.prod(sizes[dim + 1 :]) for dim in range(len(sizes))]
    start = sum(offset * stride for offset, stride in zip(offsets, strides, strict=True))
    count = math.prod(lengths[max(0, cut - 1) :])
    for row in product(*(range(length) for length in lengths[: max(0, cut - 1)])):
        yield start + sum(place * stride for place, stride in zip(row, strides, strict=False)), count


def _read_exactly(file: io.FileIO, begin: int, room: memoryview) -> None:
    while room:
        count = os.preadv(file.fileno(), [room], begin)
        if count == 0:
            raise RunError(f"{file.name}: ends at byte {begin}, expected {len(room)} bytes more")
        begin, room = begin + count, room[count:]


class _Slice(io.RawIOBase):
    """`length` bytes of a file from `begin` on, as a file."""

    def __init__(self, file: io.FileIO, begin: int, length: int) -> None:
        self._file, self._begin, self._length, self._place = file, begin, length, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._length}[whence]
        if place < 0:
            raise OSError("before the beginning")
        self._place = place
        return place

    def readinto(self, buffer) -> int:
        count = max(0, min(len(buffer), self._length - self._place))
        content = os.pread(self._file.fileno(), count, self._begin + self._place)
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
