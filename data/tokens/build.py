"""Cleaned text to a token store: encoded once, shuffled by a hash, written shard by shard.

Two file stages, each in bounded memory. Map: each text file is encoded and its documents written to one
run, sorted by a hash of (seed, id). Reduce: shard p gathers the p-th range of that hash from all runs.
So the store depends on the documents and the seed alone, not on how many processes wrote it. Documents
whose hash of the URL (or of the text, where there is none) is below `heldout` go to a split of their own.
"""

import json
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from data import engine, folders, remote
from data.documents import text_files
from data.engine import EngineConfig
from data.errors import DataError
from data.progress import Progress
from data.tokens.store import DOCUMENT, TOKENIZER, VERSION, checksum, manifest_checksum
from data.tokens.tokenizer import Tokenizer

SHARD_BYTES = 1 << 30  # of text a shard, about; its tokens are held in memory twice while it is written
TEXT_AGAIN = "make it again with `relama prepare … stage=text`"
SPLITS = ("train", "heldout")
COLUMNS = ("id", "url", "text")  # of a document: what a store is made from
# A document in a run: how many tokens, of how much text, and its row in the text file.
ENTRY = np.dtype([("tokens", "<u4"), ("bytes", "<u4"), ("row", "<u4")])
KEY = np.dtype("<u8")


@dataclass(frozen=True)
class _Plan:
    """What every process needs to know."""

    tokenizer: Tokenizer
    folder: Path
    files: tuple[Path, ...]
    dtype: np.dtype
    seed: int
    heldout: float
    shards: dict[str, int]

    def run(self, file: int, split: str, what: str) -> Path:
        """One of a run's three files: `keys` (sorted), `entries` and `tokens`, in the keys' order."""
        return self.folder / "runs" / f"{file:06d}-{split}.{what}"

    def encoded(self, file: int) -> Path:
        """Says that a file's run is whole, and how many bytes of text it holds."""
        return self.folder / "runs" / f"{file:06d}.json"

    def written(self, split: str, shard: int) -> Path:
        """Says that a shard is whole: its entry of the manifest, null if it is empty."""
        return self.folder / "runs" / f"{split}-{shard:05d}.json"


def build_store(
    text_folder: Path,
    output: Path,
    tokenizer: Tokenizer,
    *,
    source: str,
    seed: int = 0,
    heldout: float = 0.001,
    on: EngineConfig = engine.INLINE,
    shard_bytes: int = SHARD_BYTES,
) -> dict:
    """Make the store of `text_folder` in `output`, which appears whole or not at all; returns its manifest.

    One that was killed goes on where it was. Raises DataError if the text cannot be read.
    """
    files = tuple(text_files(text_folder))
    sizes = [_text_bytes(path) for path in files]
    stamps = [[path.name, *remote.stamp(path)] for path in files]
    settings = {"tokenizer": tokenizer.fingerprint, "seed": seed, "heldout": heldout}
    folder = _work_folder(output, settings | {"shard_bytes": shard_bytes, "text": stamps})
    plan = _Plan(
        tokenizer=tokenizer,
        folder=folder,
        files=files,
        dtype=np.dtype("<u2" if tokenizer.vocab_size <= 65536 else "<u4"),
        seed=seed,
        heldout=heldout,
        shards={
            "train": max(1, math.ceil(sum(sizes) / shard_bytes)),
            "heldout": max(1, math.ceil(sum(sizes) * heldout / shard_bytes)),
        },
    )
    progress = Progress(source)
    progress.say(f"tokenising with {tokenizer.backend_note}")
    logs = output.parent / "logs"
    todo = [file for file in range(len(files)) if not plan.encoded(file).exists()]
    before, started = sum(sizes) - sum(sizes[file] for file in todo), time.monotonic()

    def encoding() -> None:
        done = before + sum(sizes[file] for file in todo if plan.encoded(file).exists())
        rate = (done - before) / (time.monotonic() - started) / 1e6
        progress.show(f"{done / 1e6:,.0f} of {sum(sizes) / 1e6:,.0f} MB of text tokenised ({rate:.1f} MB/s)")

    engine.run(on, "encode", partial(_encode_file, plan), todo, logs, encoding)
    jobs = [(split, shard) for split in SPLITS for shard in range(plan.shards[split])]
    todo = [place for place, job in enumerate(jobs) if not plan.written(*job).exists()]

    def writing() -> None:
        progress.show(f"{sum(plan.written(*job).exists() for job in jobs)} of {len(jobs)} shards written")

    engine.run(on, "shards", partial(_write_shard, plan, jobs), todo, logs, writing)
    made = [json.loads(plan.written(*job).read_text()) for job in jobs]
    shards = {entry["file"]: entry for entry in made if entry is not None}
    shutil.rmtree(folder / "runs")
    (folder / "settings.json").unlink()
    shutil.copyfile(tokenizer.path, folder / TOKENIZER)
    manifest = _manifest(plan, source, text_folder, output, shards)
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
    """A URL without what two crawls of a page differ in: scheme, www., case of host, last slash, fragment."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url.strip()
    host = parts.netloc.lower().removeprefix("www.").removesuffix(":80").removesuffix(":443")
    query = f"?{parts.query}" if parts.query else ""
    return host + parts.path.rstrip("/") + query


def _work_folder(output: Path, settings: dict) -> Path:
    """Where a store is made: one that was begun with the same settings goes on, another is thrown away."""
    folder = output.with_name(output.name + ".tmp")
    try:
        begun = json.loads((folder / "settings.json").read_text())
    except (OSError, ValueError):
        begun = None
    if begun != settings:
        folders.aside(output)
        (folder / "runs").mkdir()
        folders.write_whole(folder / "settings.json", json.dumps(settings))
    return folder


def _encode_file(plan: _Plan, file: int) -> None:
    """Map: write one text file's run."""
    tokenizer = plan.tokenizer
    bos, eos = np.array([tokenizer.bos_id], plan.dtype), np.array([tokenizer.eos_id], plan.dtype)
    documents: list[np.ndarray] = []
    keys, sizes, apart = [], [], []
    for names, urls, texts in _row_groups(plan.files[file]):
        documents += [
            np.concatenate([bos, ids.astype(plan.dtype), eos]) for ids in tokenizer.encode_batch(texts)
        ]
        keys += [xxhash.xxh3_64_intdigest(name.encode(), seed=plan.seed % 2**64) for name in names]
        sizes += [len(text.encode()) for text in texts]
        apart += [is_heldout(url, text, plan.heldout) for url, text in zip(urls, texts)]
    keys, sizes, apart = np.array(keys, KEY), np.array(sizes, np.uint32), np.array(apart, bool)
    for split in SPLITS:
        rows = np.flatnonzero(apart == (split == "heldout"))
        rows = rows[np.argsort(keys[rows], kind="stable")]
        entries = np.zeros(len(rows), ENTRY)
        entries["tokens"] = [len(documents[row]) for row in rows]
        entries["bytes"], entries["row"] = sizes[rows], rows
        keys[rows].tofile(plan.run(file, split, "keys"))
        entries.tofile(plan.run(file, split, "entries"))
        with open(plan.run(file, split, "tokens"), "wb") as tokens:
            for row in rows:
                tokens.write(documents[row])
    for path in plan.folder.glob(f"runs/{file:06d}-*"):
        folders.sync(path)
    _say_whole(plan.encoded(file), int(sizes.sum()))


def _say_whole(path: Path, what: object) -> None:
    """Said last, once what it speaks of is on the disk."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(what))
    temporary.replace(path)


def _row_groups(path: Path) -> Iterator[tuple[list[str], list[str], list[str]]]:
    """The ids, URLs and texts of a text file, a row group at a time."""
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(COLUMNS))
                if any(table.column(name).null_count for name in COLUMNS):
                    raise DataError(f"{path}: a document without {' or '.join(COLUMNS)}; {TEXT_AGAIN}")
                yield tuple(table.column(name).to_pylist() for name in COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read ({error}); {TEXT_AGAIN}") from None


def _write_shard(plan: _Plan, jobs: list[tuple[str, int]], place: int) -> None:
    """Reduce: write one shard of one split, unless it would be empty, and its entry of the manifest."""
    split, shard = jobs[place]
    runs = [(file, *_part_of_run(plan, file, split, shard)) for file in range(len(plan.files))]
    runs = [run for run in runs if len(run[1])]
    if not runs:
        _say_whole(plan.written(split, shard), None)
        return
    keys, entries = np.concatenate([run[1] for run in runs]), np.concatenate([run[2] for run in runs])
    tokens = np.concatenate([run[3] for run in runs])
    files = np.repeat([run[0] for run in runs], [len(run[1]) for run in runs])
    stops = np.cumsum(entries["tokens"], dtype=np.int64)
    order = np.lexsort((entries["row"], files, keys))
    path = plan.folder / f"{split}-{shard:05d}.bin"
    with open(path, "wb") as out:
        for place in order:
            out.write(tokens[stops[place] - entries["tokens"][place] : stops[place]])
    documents = np.empty(len(entries), DOCUMENT)
    documents["end"] = np.cumsum(entries["tokens"][order], dtype=np.uint64)
    documents["file"], documents["row"] = files[order], entries["row"][order]
    documents.tofile(path.with_suffix(".docs"))
    entry = {
        "file": path.name,
        "tokens": len(tokens),
        "documents": len(documents),
        "bytes": int(entries["bytes"].sum(dtype=np.int64)),
        "xxh3": checksum(path),
        "documents_file": path.with_suffix(".docs").name,
        "documents_xxh3": checksum(path.with_suffix(".docs")),
    }
    folders.sync(path)
    folders.sync(path.with_suffix(".docs"))
    _say_whole(plan.written(split, shard), entry)


def _part_of_run(plan: _Plan, file: int, split: str, shard: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys, entries and tokens of a run's documents that fall to `shard`: one stretch of each file."""
    # Whole numbers: the bounds of neighbours must meet exactly.
    low, high = (-(-(2**64) * edge // plan.shards[split]) for edge in (shard, shard + 1))
    keys = np.fromfile(plan.run(file, split, "keys"), KEY)
    start = int(np.searchsorted(keys, np.uint64(low)))
    stop = len(keys) if high == 2**64 else int(np.searchsorted(keys, np.uint64(high)))
    entries = np.fromfile(plan.run(file, split, "entries"), ENTRY, stop)
    first = int(entries["tokens"][:start].sum(dtype=np.int64))
    count = int(entries["tokens"][start:].sum(dtype=np.int64))
    path = plan.run(file, split, "tokens")
    tokens = np.fromfile(path, plan.dtype, count, offset=first * plan.dtype.itemsize)
    return keys[start:stop], entries[start:], tokens


def _text_bytes(path: Path) -> int:
    """Of the text column, uncompressed, by the file's own account."""
    try:
        with pq.ParquetFile(path) as file:
            absent = [name for name in COLUMNS if name not in file.schema_arrow.names]
            if absent:
                raise DataError(
                    f"{path}: not cleaned text, it has no column {', '.join(absent)}; {TEXT_AGAIN}"
                )
            column = file.schema_arrow.names.index("text")
            groups = (file.metadata.row_group(i) for i in range(file.num_row_groups))
            return sum(group.column(column).total_uncompressed_size for group in groups)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not cleaned text ({error}); {TEXT_AGAIN}") from None


def _manifest(plan: _Plan, source: str, text_folder: Path, output: Path, shards: dict[str, dict]) -> dict:
    splits = {}
    for split in SPLITS:
        names = sorted(name for name in shards if name.startswith(split))
        part = [shards[name] for name in names]
        sums = {key: sum(shard[key] for shard in part) for key in ("tokens", "documents", "bytes")}
        splits[split] = {**sums, "shards": part}
    root = Path("../" + text_folder.name) if text_folder.parent == output.parent else text_folder.resolve()
    manifest = {
        "version": VERSION,
        "source": source,
        "dtype": plan.dtype.str,
        "tokenizer": {
            key: getattr(plan.tokenizer, key) for key in ("fingerprint", "vocab_size", "bos_id", "eos_id")
        },
        "seed": plan.seed,
        "heldout": plan.heldout,
        "text_files": [str(root / path.name) for path in plan.files],
        "splits": splits,
    }
    return {**manifest, "xxh3": manifest_checksum(manifest)}
