"""Cleaned text to a token store: encoded once, shuffled by a hash, written shard by shard.

Two file stages, each in bounded memory. Map: each text file is encoded and its documents written to one
run, sorted by a hash of (seed, id). Reduce: shard p gathers the p-th range of that hash from all runs.
So the store depends on the documents and the seed alone, not on how many processes wrote it. Documents
whose hash of the URL (or of the text, where there is none) is below `heldout` go to a split of their own.
"""

import json
import math
import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow.parquet as pq
import xxhash

from data import folders
from data.documents import text_files
from data.errors import DataError
from data.progress import Progress
from data.store import DOCUMENT, VERSION, checksum, manifest_checksum
from data.tokenizer import Tokenizer

SHARD_BYTES = 1 << 30  # of text a shard, about
SPLITS = ("train", "heldout")
# A document in a run: where its tokens are, how much text they stand for, and its row in the text file.
ENTRY = np.dtype([("start", "<u8"), ("tokens", "<u4"), ("bytes", "<u4"), ("row", "<u4")])
KEY = np.dtype("<u8")


@dataclass(frozen=True)
class _Plan:
    """What every process needs to know."""

    tokenizer: Path
    folder: Path
    files: tuple[Path, ...]
    dtype: np.dtype
    seed: int
    heldout: float
    shards: dict[str, int]

    def run(self, file: int, split: str, what: str) -> Path:
        """One of a run's three files: `keys` (sorted), `entries` and `tokens`, in the keys' order."""
        return self.folder / "runs" / f"{file:06d}-{split}.{what}"


def build_store(
    text_folder: Path,
    output: Path,
    tokenizer: Tokenizer,
    *,
    source: str,
    seed: int = 0,
    heldout: float = 0.001,
    workers: int = 1,
    shard_bytes: int = SHARD_BYTES,
) -> dict:
    """Make the store of `text_folder` in `output`, which appears whole or not at all; returns its manifest.

    Raises DataError if the text cannot be read.
    """
    files = tuple(text_files(text_folder))
    size = sum(_text_bytes(path) for path in files)
    folder = folders.aside(output)
    (folder / "runs").mkdir()
    plan = _Plan(
        tokenizer=tokenizer.path,
        folder=folder,
        files=files,
        dtype=np.dtype("<u2" if tokenizer.vocab_size <= 65536 else "<u4"),
        seed=seed,
        heldout=heldout,
        shards={
            "train": max(1, math.ceil(size / shard_bytes)),
            "heldout": max(1, math.ceil(size * heldout / shard_bytes)),
        },
    )
    progress = Progress(source)
    progress.say(f"tokenising with {tokenizer.backend_note}")
    done = 0
    for n_bytes in _each(partial(_encode_file, plan), range(len(files)), workers):
        done += n_bytes
        progress.show(f"{done / 1e6:,.0f} of {size / 1e6:,.0f} MB of text tokenised")
    jobs = [(split, shard) for split in SPLITS for shard in range(plan.shards[split])]
    shards = {}
    for made in _each(partial(_write_shard, plan), jobs, workers):
        shards[made["file"]] = made
        progress.show(f"{len(shards)} of {len(jobs)} shards written")
    shutil.rmtree(folder / "runs")
    shutil.copyfile(tokenizer.path, folder / "tokenizer.model")
    manifest = _manifest(plan, source, tokenizer, text_folder, output, shards)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    folders.commit(folder, output)
    train = manifest["splits"]["train"]
    progress.say(
        f"{train['tokens']:,} tokens in {train['documents']:,} documents "
        f"({train['bytes'] / max(1, train['tokens']):.2f} bytes a token), "
        f"{manifest['splits']['heldout']['tokens']:,} tokens held out"
    )
    return manifest


def is_heldout(url: str, text: str, share: float) -> bool:
    """Whether a document is set apart: by its normalised URL, the same in all sources, else by its text."""
    name = normalised(url) if url else text
    return xxhash.xxh3_64_intdigest(b"heldout\0" + name.encode()) < share * 2**64


def normalised(url: str) -> str:
    """A URL without what two crawls of one page differ in: scheme, www., case of the host, final slash, fragment."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url.strip()
    host = parts.netloc.lower().removeprefix("www.").removesuffix(":80").removesuffix(":443")
    query = f"?{parts.query}" if parts.query else ""
    return host + parts.path.rstrip("/") + query


def _each(work, items, workers: int) -> Iterator:
    """`work` of each item, here or in `workers` processes; in any order."""
    items = list(items)
    if min(workers, len(items)) <= 1:
        yield from map(work, items)
        return
    # Spawned: the parent may hold threads (torch's, gigatoken's) that a fork would lose.
    with ProcessPoolExecutor(min(workers, len(items)), mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(work, item) for item in items]):
            yield future.result()


def _encode_file(plan: _Plan, file: int) -> int:
    """Map: write one text file's run; returns its bytes of text."""
    tokenizer = _tokenizer(plan.tokenizer)
    bos, eos = np.array([tokenizer.bos_id], plan.dtype), np.array([tokenizer.eos_id], plan.dtype)
    documents: list[np.ndarray] = []
    keys, sizes, apart = [], [], []
    for name, url, text in _rows(plan.files[file], documents, tokenizer, bos, eos):
        keys.append(xxhash.xxh3_64_intdigest(name.encode(), seed=plan.seed % 2**64))
        sizes.append(len(text.encode()))
        apart.append(is_heldout(url, text, plan.heldout))
    keys, sizes, apart = np.array(keys, KEY), np.array(sizes, np.uint32), np.array(apart, bool)
    for split in SPLITS:
        rows = np.flatnonzero(apart == (split == "heldout"))
        rows = rows[np.argsort(keys[rows], kind="stable")]
        entries = np.zeros(len(rows), ENTRY)
        entries["tokens"] = [len(documents[row]) for row in rows]
        entries["start"] = np.cumsum(entries["tokens"], dtype=np.uint64) - entries["tokens"]
        entries["bytes"], entries["row"] = sizes[rows], rows
        keys[rows].tofile(plan.run(file, split, "keys"))
        entries.tofile(plan.run(file, split, "entries"))
        with open(plan.run(file, split, "tokens"), "wb") as tokens:
            for row in rows:
                tokens.write(documents[row])
    return int(sizes.sum())


def _rows(
    path: Path, documents: list[np.ndarray], tokenizer: Tokenizer, bos: np.ndarray, eos: np.ndarray
) -> Iterator[tuple[str, str, str]]:
    """(id, url, text) of each row of a text file; its tokens are appended to `documents`."""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024, columns=["id", "url", "text"]):
                texts = batch.column("text").to_pylist()
                documents += [np.concatenate([bos, ids.astype(bos.dtype), eos]) for ids in tokenizer.encode_batch(texts)]
                yield from zip(batch.column("id").to_pylist(), batch.column("url").to_pylist(), texts)
    except (OSError, ValueError) as error:  # pyarrow's errors are one or the other
        raise DataError(f"{path}: cannot be read ({error}); make it again with `relama prepare … stage=text`") from None


def _write_shard(plan: _Plan, job: tuple[str, int]) -> dict:
    """Reduce: write one shard of one split; returns its entry of the manifest."""
    split, shard = job
    # Whole numbers: the bounds must meet exactly.
    low, high = (-(-(2**64) * edge // plan.shards[split]) for edge in (shard, shard + 1))
    keys, entries, files = [np.empty(0, KEY)], [np.empty(0, ENTRY)], [np.empty(0, np.uint32)]
    runs = {}
    for file in range(len(plan.files)):
        in_run = _mapped(plan.run(file, split, "keys"), KEY)
        start = int(np.searchsorted(in_run, np.uint64(low)))
        stop = len(in_run) if high == 2**64 else int(np.searchsorted(in_run, np.uint64(high)))
        if start < stop:
            keys.append(in_run[start:stop])
            entries.append(_mapped(plan.run(file, split, "entries"), ENTRY)[start:stop])
            files.append(np.full(stop - start, file, np.uint32))
            runs[file] = _mapped(plan.run(file, split, "tokens"), plan.dtype)
    table, files = np.concatenate(entries), np.concatenate(files)
    order = np.lexsort((table["row"], files, np.concatenate(keys)))
    path = plan.folder / f"{split}-{shard:05d}.bin"
    with open(path, "wb") as out:
        for place in order:
            start = int(table["start"][place])
            out.write(runs[int(files[place])][start : start + int(table["tokens"][place])])
    documents = np.empty(len(table), DOCUMENT)
    documents["end"] = np.cumsum(table["tokens"][order], dtype=np.uint64)
    documents["file"], documents["row"] = files[order], table["row"][order]
    documents.tofile(path.with_suffix(".docs"))
    return {
        "file": path.name,
        "tokens": int(table["tokens"].sum()),
        "documents": len(table),
        "bytes": int(table["bytes"].sum()),
        "xxh3": checksum(path),
        "documents_file": path.with_suffix(".docs").name,
        "documents_xxh3": checksum(path.with_suffix(".docs")),
    }


def _mapped(path: Path, dtype: np.dtype) -> np.ndarray:
    """A file as an array, read in place; an empty file cannot be mapped."""
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)


def _text_bytes(path: Path) -> int:
    """Of the text column, uncompressed, by the file's own account."""
    try:
        with pq.ParquetFile(path) as file:
            column = file.schema_arrow.names.index("text")
            groups = (file.metadata.row_group(i) for i in range(file.num_row_groups))
            return sum(group.column(column).total_uncompressed_size for group in groups)
    except (OSError, ValueError) as error:  # pyarrow's errors are one or the other
        raise DataError(f"{path}: not cleaned text ({error}); make it again with `relama prepare … stage=text`") from None


@lru_cache(maxsize=1)
def _tokenizer(path: Path) -> Tokenizer:
    """One for each process."""
    return Tokenizer(path)


def _manifest(
    plan: _Plan, source: str, tokenizer: Tokenizer, text_folder: Path, output: Path, shards: dict[str, dict]
) -> dict:
    splits = {}
    for split in SPLITS:
        names = sorted(name for name in shards if name.startswith(split) and shards[name]["tokens"])
        part = [shards[name] for name in names]
        sums = {key: sum(shard[key] for shard in part) for key in ("tokens", "documents", "bytes")}
        splits[split] = {**sums, "shards": part}
    root = Path("../" + text_folder.name) if text_folder.parent == output.parent else text_folder.resolve()
    manifest = {
        "version": VERSION,
        "source": source,
        "dtype": plan.dtype.str,
        "tokenizer": {
            "fingerprint": tokenizer.fingerprint,
            "vocab_size": tokenizer.vocab_size,
            "bos_id": tokenizer.bos_id,
            "eos_id": tokenizer.eos_id,
        },
        "seed": plan.seed,
        "heldout": plan.heldout,
        "text_files": [str(root / path.name) for path in plan.files],
        "splits": splits,
    }
    return {**manifest, "xxh3": manifest_checksum(manifest)}
