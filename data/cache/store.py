"""A token store in a bucket, read by ranges through the cache; gives the same tokens as a local folder.

Every block is compared with its checksum each time it is read, from the bucket or from the cache. The
checksums come from the store's `.sums` files (data/tokens/sums.py). If a store has none, they are made by
reading each shard once in full and comparing it with the manifest's checksum.
"""

import json
import sys
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import xxhash

from configs.existence import exists
from data.bucket import Bucket, WrongContent
from data.cache import files
from data.cache.config import CacheConfig
from data.cache.disk import Disk, stretches
from data.errors import DataError
from data.remote import is_remote
from data.tokens import sums
from data.tokens.store import AGAIN, DOCUMENT, OPEN, Span, TokenStore
from data.tokens.sums import BLOCK, BlockSums

STRIPES = 16
PIECE = 8 << 20  # bytes per request when a shard is read in full


def open_store(place: str | Path, split: str = "train", cache: CacheConfig | None = None) -> TokenStore:
    """The store in a folder or at a URL. Raises DataError."""
    if not is_remote(place):
        return TokenStore.open(Path(place), split)
    return BucketStore.at(str(place), split, cache or CacheConfig())


class BucketStore(TokenStore):
    """One split of one source's tokens in a bucket. `folder` is its place in the cache."""

    disk: Disk
    bucket: Bucket

    @classmethod
    def at(cls, url: str, split: str, cache: CacheConfig) -> "BucketStore":
        """The store at `url`. Raises DataError if there is none or if it cannot be read."""
        bucket, disk = Bucket(url), _disk(cache.folder, cache.bytes)
        manifest = files.remote_manifest(bucket)
        if split not in manifest["splits"]:
            raise DataError(f"{bucket.at('manifest.json')}: no split {split}; {AGAIN}")
        folder = disk.store(manifest["xxh3"])
        files.keep(folder / "manifest.json", json.dumps(manifest, indent=1).encode())
        return cls(folder, split, manifest, bucket, disk)

    def __init__(self, folder: Path, split: str, manifest: dict, bucket: Bucket, disk: Disk) -> None:
        self.bucket, self.disk = bucket, disk
        self.unit = 1  # blocks per request
        self.fetched = self.hits = 0  # blocks from the bucket, and from the cache
        self._changing = threading.Lock()
        self._finding = [threading.Lock() for _ in range(STRIPES)]  # so that one thread reads a shard's sums
        self._all_sums: dict[int, BlockSums] = {}  # by shard, for at most OPEN of them
        super().__init__(folder, split, manifest)

    @property
    def place(self) -> str:
        return self.bucket.url

    @property
    def tokenizer(self) -> Path:
        """A copy in the cache, fetched from the bucket on first use, because batches do not need it."""
        return files.local_tokenizer(self.bucket, self.folder, self.tokenizer_fingerprint)

    def size_of(self, shard: int) -> int:
        """Bytes of a shard."""
        return self._shards[shard]["tokens"] * self.dtype.itemsize

    def path_of(self, shard: int) -> Path:
        """A shard's sparse copy in the cache."""
        return self.folder / self._shards[shard]["file"]

    def first_token(self, shard: int) -> int:
        """The place of a shard's first token in the stream."""
        return int(self._ends[shard]) - self._shards[shard]["tokens"]

    def units(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The (shard, unit) pairs that hold tokens [start, stop)."""
        shard = int(np.searchsorted(self._ends, start, side="right"))
        size = self.unit * BLOCK
        while start < stop:
            first, end = self.first_token(shard), min(stop, int(self._ends[shard]))
            low, high = (start - first) * self.dtype.itemsize, (end - first) * self.dtype.itemsize
            for unit in range(low // size, -(-high // size)):
                yield shard, unit
            start, shard = end, shard + 1

    def units_on_disk(self) -> Iterator[tuple[int, int]]:
        """The (shard, unit) pairs that the cache holds at least in part."""
        size = self.unit * BLOCK
        for shard in range(len(self._shards)):
            for low, high in stretches(self.path_of(shard)):
                for unit in range(low // size, -(-high // size)):
                    yield shard, unit

    def bring(self, shard: int, unit: int) -> int:
        """Bring a unit into the cache; return how many bytes came from the bucket. Raises DataError."""
        low = unit * self.unit
        high = min(low + self.unit, -(-self.size_of(shard) // BLOCK))
        if all(self._cached(shard, block) is not None for block in range(low, high)):
            return 0
        return self._fetch(shard, unit)[1]

    def bring_sums(self, shard: int) -> None:
        """Bring a shard's checksums into the cache. Raises DataError."""
        self._sums(shard)

    def verify(self) -> None:
        """Read every shard and the tokenizer from the bucket, and compare checksums. Raises DataError."""
        for shard in range(len(self._shards)):
            self._read_all(shard, keep=False)
        files.local_tokenizer(self.bucket, self.folder, self.tokenizer_fingerprint)

    def text_of(self, span: Span) -> Path:
        """A local copy of the file of cleaned text, if it is next to the tokens in the bucket."""
        return files.local_text(self.bucket, self.folder, span.text_file)

    def text_place(self, span: Span) -> str:
        return files.text_place(self.bucket, self.folder, span.text_file)

    def open_text(self, number: int) -> BinaryIO:
        return files.open_text(self.bucket, self.folder, self.text_files[number])

    def _slice(self, shard: int, start: int, stop: int) -> np.ndarray:
        size = self.dtype.itemsize
        low, high = start * size, stop * size
        first = low // BLOCK
        blocks = [self._block(shard, block) for block in range(first, -(-high // BLOCK))]
        content = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        return np.frombuffer(content, np.uint8)[low - first * BLOCK : high - first * BLOCK].view(self.dtype)

    def _block(self, shard: int, block: int) -> bytes | memoryview:
        """A block with the right checksum, from the cache or else from the bucket."""
        found = self._cached(shard, block)
        if found is not None:
            self.hits += 1
            return found
        unit, within = divmod(block, self.unit)
        return memoryview(self._fetch(shard, unit)[0])[within * BLOCK : (within + 1) * BLOCK]

    def _cached(self, shard: int, block: int) -> bytes | None:
        if not exists(self.path_of(shard)):  # the checksums may arrive after the first blocks
            return None
        known = self._sums(shard)
        found = self.disk.read(self.path_of(shard), block * BLOCK, known.size_of(block), known.size)
        return None if known.wrong(block, found) else found

    def _fetch(self, shard: int, unit: int) -> tuple[bytes, int]:
        """A unit's bytes, and how many came from the bucket; they stay in the cache if there is room."""
        name, size, path = self._shards[shard]["file"], self.size_of(shard), self.path_of(shard)
        low, high = unit * self.unit * BLOCK, min((unit + 1) * self.unit * BLOCK, size)
        first = unit * self.unit

        def check(content: bytes) -> str | None:
            known = self._sums(shard)
            wrong = [i for i, block in enumerate(sums.blocks_of(content)) if known.wrong(first + i, block)]
            return f"{len(wrong)} blocks differ from their checksums" if wrong else None

        with self.disk.claim(self.folder, f"{name} {unit}"):
            there = self.disk.read(path, low, high - low, size) if exists(path) else b""
            if len(there) == high - low and check(there) is None:
                return there, 0  # another process or thread has fetched it in the meantime
            try:
                content = self.bucket.read(name, low, high, check)
            except FileNotFoundError:
                raise DataError(f"{self.bucket.at(name)}: missing, though its manifest names it") from None
            except WrongContent as error:
                raise self._replaced() or error from None
            self.fetched += -(-len(content) // BLOCK)
            self.disk.write(path, low, content, size)
            return content, len(content)

    def _sums(self, shard: int) -> BlockSums:
        known = self._all_sums.get(shard)
        if known is not None:
            return known
        with self._finding[shard % STRIPES]:
            known = self._all_sums.get(shard)
            if known is None:
                known = self._find_sums(shard)
                with self._changing:
                    while len(self._all_sums) >= OPEN:
                        del self._all_sums[next(iter(self._all_sums))]
                    self._all_sums[shard] = known
        return known

    def _find_sums(self, shard: int) -> BlockSums:
        """A shard's checksums: from the cache, from the bucket, or made by reading the shard in full."""
        entry = self._shards[shard]
        name, size = sums.name_for(entry["file"]), self.size_of(shard)
        path = self.folder / name
        with self.disk.claim(self.folder, name, "sums-"):  # within the claim of a unit
            found = _parsed(path, size, entry["xxh3"])
            if found is None:
                content = self._remote_sums(name, size, entry["xxh3"]) or self._read_all(shard, keep=True)
                if not self.disk.keep(path, content):
                    return sums.parse(content, size, entry["xxh3"])
                found = _parsed(path, size, entry["xxh3"])
            if found is None:
                raise DataError(f"{path}: altered while it was written; check this machine's disk and memory")
            return found

    def _remote_sums(self, name: str, size: int, xxh3: str) -> bytes | None:
        def check(content: bytes) -> str | None:
            try:
                sums.parse(content, size, xxh3)
            except (ValueError, KeyError, TypeError) as error:
                return str(error)
            return None

        try:
            return self.bucket.read(name, 0, sums.length(size, xxh3), check)
        except FileNotFoundError:
            why = "no block checksums"
        except WrongContent:
            if replaced := self._replaced():
                raise replaced from None
            why = "block checksums of another shard"
        _note_no_sums(self.bucket.url, why)
        return None

    def _read_all(self, shard: int, keep: bool) -> bytes:
        """Read a shard from the bucket; return the content of its `.sums`. With `keep`, its blocks stay in
        the cache if there is room. Raises DataError if it is not the shard in the manifest."""
        entry, size = self._shards[shard], self.size_of(shard)
        keep = keep and self.disk.used() + size <= self.disk.capacity
        for is_last in (False, False, True):
            whole, found = xxhash.xxh3_128(), []
            for low in range(0, size, PIECE):
                try:
                    content = self.bucket.read(entry["file"], low, min(low + PIECE, size))
                except FileNotFoundError:
                    where = self.bucket.at(entry["file"])
                    raise DataError(f"{where}: missing, though its manifest names it; {AGAIN}") from None
                whole.update(content)
                found += [xxhash.xxh3_64_intdigest(block) for block in sums.blocks_of(content)]
                if keep:
                    self.disk.write(self.path_of(shard), low, content, size)
            if whole.hexdigest() == entry["xxh3"]:
                return sums.render(size, entry["xxh3"], found)
            if is_last:
                raise self._replaced() or DataError(
                    f"{self.bucket.at(entry['file'])}: altered since it was written (checksum); {AGAIN}"
                )
        raise AssertionError("unreachable")

    def _replaced(self) -> DataError | None:
        """The error to raise if another store is now at the URL."""
        try:
            now = files.remote_manifest(self.bucket)["xxh3"]
        except DataError:
            return None
        if now == self.fingerprint:
            return None
        return DataError(
            f"{self.bucket.url}: replaced by other tokens while it was read (fingerprint {now[:12]}…, was "
            f"{self.fingerprint[:12]}…); restore them, or start a new run=NAME on the new ones"
        )

    def _documents(self, shard: int) -> np.ndarray:
        entry = self._shards[shard]
        name, size = entry["documents_file"], entry["documents"] * DOCUMENT.itemsize
        path = self.folder / name
        with self.disk.claim(self.folder, name):
            if not exists(path) or path.stat().st_size != size:
                files.keep(path, files.whole(self.bucket, name, size, entry["documents_xxh3"]))
        return super()._documents(shard)

    def _check_files(self) -> None:
        for shard in self._shards:
            for name in (shard["file"], shard["documents_file"]):
                self._refuse_outside(name)


def _parsed(path: Path, size: int, xxh3: str) -> BlockSums | None:
    try:
        found = sums.parse(path.read_bytes(), size, xxh3)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


@lru_cache(maxsize=8)
def _disk(folder: Path, capacity: int) -> Disk:
    return Disk(folder, capacity)


@lru_cache(maxsize=64)
def _note_no_sums(url: str, why: str) -> None:
    print(
        f"relama: {url}: {why}; each shard is read once in full to make them (`relama prepare … output=URL` "
        "uploads a store with them)",
        file=sys.stderr,
        flush=True,
    )
