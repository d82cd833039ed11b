"""Checksums of a shard's blocks (`train-00000.sums`), with which readers of a bucket can check a small range.

The file holds a JSON line (version, bytes per block, the shard's size and checksum), a little-endian xxh3-64
of each block, and the xxh3-128 of all that. The shard's checksum ties the file to its shard in the manifest.
The manifest does not list these files, so stores with and without them have the same fingerprint.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from data import folders

BLOCK = 1 << 14  # bytes
VERSION = 1
SUM = np.dtype("<u8")
_SEAL = 16  # bytes of the xxh3-128 at the end


@dataclass(frozen=True)
class BlockSums:
    """The checksums of the blocks of a shard of `size` bytes."""

    size: int
    sums: np.ndarray

    def wrong(self, block: int, content: bytes | memoryview) -> bool:
        """Whether these are not the bytes of that block."""
        return len(content) != self.size_of(block) or xxhash.xxh3_64_intdigest(content) != int(
            self.sums[block]
        )

    def size_of(self, block: int) -> int:
        return min(BLOCK, self.size - block * BLOCK)


def name_for(shard: str) -> str:
    """The name of the file with the shard's block checksums."""
    return str(Path(shard).with_suffix(".sums"))


def blocks_of(content: bytes | memoryview) -> Iterator[memoryview]:
    """The blocks of a shard, or of a part of it that starts at a block's start."""
    view = memoryview(content)
    return (view[start : start + BLOCK] for start in range(0, len(view), BLOCK))


def render(size: int, xxh3: str, sums: list[int]) -> bytes:
    """The file's content for a shard of this size and checksum."""
    content = _head(size, xxh3) + np.array(sums, SUM).tobytes()
    return content + xxhash.xxh3_128_digest(content)


def length(size: int, xxh3: str) -> int:
    """How many bytes `render` makes for a shard of this size."""
    return len(_head(size, xxh3)) + -(-size // BLOCK) * SUM.itemsize + _SEAL


def _head(size: int, xxh3: str) -> bytes:
    head = {"version": VERSION, "block": BLOCK, "bytes": size, "xxh3": xxh3}
    return (json.dumps(head) + "\n").encode()


def parse(content: bytes, size: int, xxh3: str) -> BlockSums:
    """The checksums. Raises ValueError unless they are for a shard of this size and checksum."""
    if xxhash.xxh3_128_digest(content[:-_SEAL]) != content[-_SEAL:]:
        raise ValueError("altered since it was written (checksum)")
    head, _, sums = content[:-_SEAL].partition(b"\n")
    known = json.loads(head)
    if known["version"] != VERSION or known["block"] != BLOCK:
        raise ValueError(f"version {known['version']} with blocks of {known['block']} bytes")
    if known["xxh3"] != xxh3 or known["bytes"] != size or len(sums) != -(-size // BLOCK) * SUM.itemsize:
        raise ValueError("made for another shard of this name")
    return BlockSums(size, np.frombuffer(sums, SUM))


def add(shard: Path, xxh3: str) -> None:
    """Write the file for a shard whose checksum is known, unless it exists. Raises OSError."""
    path = shard.with_name(name_for(shard.name))
    try:
        parse(path.read_bytes(), shard.stat().st_size, xxh3)
        return
    except (OSError, ValueError, KeyError, TypeError):
        pass  # missing, or another shard's
    sums: list[int] = []
    with open(shard, "rb") as file:
        while piece := file.read(BLOCK << 8):
            sums += [xxhash.xxh3_64_intdigest(block) for block in blocks_of(piece)]
    with folders.replacing(path, folders.own(path)) as temporary:
        temporary.write_bytes(render(shard.stat().st_size, xxh3, sums))


def add_all(store: Path, manifest: dict) -> None:
    """Write the files that a complete store lacks."""
    for part in manifest["splits"].values():
        for shard in part["shards"]:
            add(store / shard["file"], shard["xxh3"])
