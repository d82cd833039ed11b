"""How starting, saving and preparing grow with their sizes: `python benchmarks/scale.py`.

Each operation runs on synthetic input of n, 2n and 4n, in a separate process. Its CPU time and the memory
that it adds give their laws: time grows as n^exponent. `--full` takes the sizes of the largest run that is
planned for, and `--only NAME` one row.
"""

import argparse
import json
import math
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import xxhash
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorProperties
from torch.distributed.checkpoint.planner import SavePlan, TensorWriteData, WriteItem, WriteItemType

from data.prepare import recipe as preparing
from data.prepare.plan import Plan as TextPlan
from data.prepare.plan import Recipe, Slice
from data.progress import Progress
from data.tokens import sorted_lists, stages
from data.tokens.store import DOCUMENT, TOKENIZERS, TokenStore, manifest_checksum
from train.checkpoint import folder as checkpoints
from train.checkpoint.reader import read_metadata
from train.checkpoint.staging import Staging
from train.run.folder import RunFolder

GOAL_SECONDS, GOAL_BYTES, GOAL_LAW = 60.0, 1 << 30, 1.25  # n·log n measures up to 1.15
FILES = 20_000  # most shards with files of their own
Work = Callable[[], dict | None]


def metrics_lines(folder: Path, n: int) -> Work:
    line = {"loss": 2.5, "grad_norm": 0.5, "lr": 3e-4, "tokens": 1, "epochs": {"c4": 0.1, "books": 1.2}}
    line |= {"tokens_per_second": 1e6, "mfu": 0.5, "seconds": {"total": 1.0, "compute": 0.9, "data": 0.01}}
    with (folder / "metrics.jsonl").open("w") as out:
        out.writelines(json.dumps({"step": step} | line) + "\n" for step in range(1, n + 1))
    return lambda: RunFolder(folder, []).cut_metrics(n - 1)


def many_checkpoints(folder: Path, n: int) -> Work:
    for step in range(1, n + 1):
        one = checkpoints.step_folder(folder, step)
        one.mkdir()
        name = "__0_0.distcp"
        (one / name).write_bytes(b"x" * 100)
        sums = {name: {"bytes": 100, "xxh3": xxhash.xxh3_128_hexdigest(b"x" * 100)}}
        (one / "state.json").write_text(
            checkpoints.render({"version": checkpoints.VERSION, "step": step, "files": sums})
        )
    return lambda: print(checkpoints.newest_complete(folder), file=sys.stderr)


def shards_of_a_store(folder: Path, n: int) -> Work:
    """Beyond FILES, shards share their files: each is looked up, but the folder has no millions of them."""
    if child := os.fork():  # what it leaves in its heap would hide what opening takes
        os.waitpid(child, 0)
        return lambda: print(TokenStore.open(folder).n_tokens, file=sys.stderr)
    shards = []
    for number in range(n):
        name, table = f"train-{number % FILES:07d}.bin", f"train-{number % FILES:07d}.docs"
        if number < FILES:
            (folder / name).write_bytes(b"\1\0" * 4)
            (folder / table).write_bytes(b"\0" * DOCUMENT.itemsize)
        sums = {"xxh3": f"{number:032x}", "documents_xxh3": f"{number:032x}"}
        shards.append(
            {"file": name, "tokens": 4, "documents": 1, "bytes": 8, "documents_file": table, **sums}
        )
    (folder / TOKENIZERS[0]).write_bytes(b"")
    split = {"tokens": 4 * n, "documents": n, "bytes": 8 * n, "shards": shards}
    tokenizer = {"fingerprint": "", "vocab_size": 8, "bos_id": 1, "eos_id": 2}
    manifest = {"version": 1, "source": "s", "dtype": "<u2", "tokenizer": tokenizer, "seed": 0, "heldout": 0}
    manifest |= {"text_files": [], "splits": {"train": split}}
    manifest["xxh3"] = manifest_checksum(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    os._exit(0)


def _plans(ranks: int, n_tensors: int) -> list[SavePlan]:
    """What each rank of a fully sharded run saves: its rows of every weight and of both moments."""
    properties = TensorProperties(torch.float32)

    def item(name: str, rank: int) -> WriteItem:
        place, size = torch.Size([rank, 0]), torch.Size([1, 64])
        chunk = ChunkStorageMetadata(place, size)
        data = TensorWriteData(chunk, properties, torch.Size([ranks, 64]))
        return WriteItem(MetadataIndex(name, place), WriteItemType.SHARD, tensor_data=data)

    names = [
        f"{kind}.layers.{i}.weight" for i in range(n_tensors) for kind in ("model", "exp_avg", "exp_avg_sq")
    ]
    return [SavePlan([item(name, rank) for name in names], planner_data={}) for rank in range(ranks)]


def first_plan(folder: Path, ranks: int) -> Work:
    plans = _plans(ranks, 100)
    planner = Staging().planner()
    planner.set_up_planner({}, is_coordinator=True)
    return lambda: planner.create_global_plan(plans) and None


def later_plan(folder: Path, ranks: int) -> Work:
    staging = Staging()
    planner = staging.planner()
    planner.set_up_planner({}, is_coordinator=True)
    planner.create_global_plan(_plans(ranks, 100))
    unchanged = [SavePlan([], usable=False)] * ranks
    later = staging.planner()
    return lambda: later.create_global_plan(unchanged) and None


def metadata_of_a_checkpoint(folder: Path, ranks: int) -> Work:
    planner = Staging().planner()
    planner.set_up_planner({}, is_coordinator=True)
    _, metadata = planner.create_global_plan(_plans(ranks, 100))
    metadata.storage_data = {
        MetadataIndex(name, chunk.offsets): _StorageInfo(f"__{chunk.offsets[0]}_0.distcp", 0, 100)
        for name, entry in metadata.state_dict_metadata.items()
        for chunk in getattr(entry, "chunks", ())
    }
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    del planner, metadata
    return lambda: print(len(read_metadata(folder).storage_data), file=sys.stderr)


class _Tokenizer:
    bos_id, eos_id = 1, 2


def reduce_stage(folder: Path, n: int) -> Work:
    """n text files of 20 documents, as many shards: merge their lists and gather every shard.

    A shard opens the merged lists, one of FAN_IN files, at most FAN_IN. Here FAN_IN is 16, so that 256 files
    reach that bound; at its 128, they are 16,384.
    """
    sorted_lists.FAN_IN = stages.FAN_IN = 16
    dtype, rng = np.dtype("<u2"), np.random.default_rng(0)
    paths = tuple(folder / f"{i}.parquet" for i in range(n))
    plan = stages.Plan(_Tokenizer(), folder, paths, dtype, 0, 0.0, {"train": n, "heldout": 1})  # pyright: ignore[reportArgumentType]  # only its ids are read
    plan.encoded.mkdir()
    plan.store.mkdir()
    for file in range(n):
        for split in stages.SPLITS:
            entries = np.zeros(20 if split == "train" else 0, sorted_lists.ENTRY)
            entries["key"] = np.sort(rng.integers(0, 2**63, len(entries)).astype(np.uint64) * 2)
            entries["tokens"], entries["file"], entries["row"] = 500, file, np.arange(len(entries))
            tokens = (np.zeros(500, dtype) for _ in entries)
            sorted_lists.write(plan.encoded, f"{file:06d}-{split}", [(entries, tokens)])

    def work() -> dict:
        opened = [0]
        sys.addaudithook(lambda event, _: event == "open" and opened.__setitem__(0, opened[0] + 1))
        before = _bytes_read()
        for bundle in range(plan.n_bundles):
            stages.merge_bundle(plan, bundle)
        for item in range(n):
            stages.write_shard(plan, [("train", shard) for shard in range(n)], item)
        return {"opens": opened[0], "bytes read": _bytes_read() - before}

    return work


def status_line(folder: Path, n: int) -> Work:
    """One status of n reading tasks. The engine makes them so rarely that they take 2 % of the time."""
    recipe = Recipe(lambda path: [], lambda record: None)  # pyright: ignore[reportArgumentType]  # neither is called
    tasks = tuple((Slice(folder, 1),) for _ in range(n))
    plan = TextPlan(recipe, tasks, {}, folder, 1.0)
    (folder / "live").mkdir()
    for task in range(n):
        plan.live(task).write_text("[1, 1]")
    status = preparing._reading(plan, list(range(n)), Progress("scale"))
    return lambda: status()


ROWS: dict[str, tuple[Callable[[Path, int], Work], str, int, int]] = {
    "start: metrics.jsonl": (metrics_lines, "lines", 25_000, 250_000),
    "start: newest checkpoint": (many_checkpoints, "checkpoints", 1000, 2500),
    "start: a store's manifest": (shards_of_a_store, "shards", 5000, 250_000),
    "start: a checkpoint's metadata": (metadata_of_a_checkpoint, "ranks", 64, 512),
    "save: the first plan on rank 0": (first_plan, "ranks", 64, 512),
    "save: every later plan": (later_plan, "ranks", 64, 512),
    "prepare: merge and write shards": (reduce_stage, "text files", 300, 600),
    "prepare: a status line": (status_line, "tasks", 5000, 40_000),
}


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])  # rchar: by read(), cached or not


def measure(make: Callable[[Path, int], Work], n: int) -> dict[str, float]:
    """Seconds and bytes of one size, in a child: its memory is its own."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        with tempfile.TemporaryDirectory(prefix="scale-") as folder, open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            work = make(Path(folder), n)
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
            before, begin = _peak(), time.process_time()
            facts = work() or {}
            facts |= {"seconds": time.process_time() - begin, "bytes": max(0, _peak() - before)}
        os.write(send, json.dumps(facts).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"{make.__name__}, {n}: failed (status {status})")
    return json.loads(text)


def _peak() -> int:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def law(values: list[float], least: float) -> str:
    """The exponent from n to 4n; a dash where what is measured is too small to tell."""
    if values[-1] < least:
        return "–"
    return f"{math.log(values[-1] / max(values[0], 1e-9)) / math.log(4):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the sizes of the largest run planned for")
    parser.add_argument("--only", help="part of a row's name")
    arguments = parser.parse_args()
    print("| what | sizes | CPU seconds | time ~ n^ | memory, MB | memory ~ n^ | besides |")
    print("|---|---|---|---|---|---|---|")
    failed = []
    for name, (make, unit, small, large) in ROWS.items():
        if arguments.only and arguments.only not in name:
            continue
        n = large if arguments.full else small
        sizes = [n, 2 * n, 4 * n]
        found = [measure(make, size) for size in sizes]
        seconds, peaks = [one["seconds"] for one in found], [one["bytes"] for one in found]
        other = {key: [one[key] for one in found] for key in found[0] if key not in ("seconds", "bytes")}
        besides = "; ".join(f"{key} {values[-1]:,} (n^{law(values, 1)})" for key, values in other.items())
        laws = law(seconds, 0.05), law(peaks, 20e6)
        print(
            f"| {name} | {', '.join(f'{size:,}' for size in sizes)} {unit} "
            f"| {', '.join(f'{one:.2f}' for one in seconds)} | {laws[0]} "
            f"| {', '.join(f'{one / 1e6:,.0f}' for one in peaks)} | {laws[1]} | {besides} |",
            flush=True,
        )
        steep = any(
            one != "–" and float(one) > GOAL_LAW for one in (laws[0], *(law(v, 1) for v in other.values()))
        )
        if steep or seconds[-1] > GOAL_SECONDS or peaks[-1] > GOAL_BYTES:
            failed.append(name)
    print(f"\nbeyond the goals (60 s, 1 GiB, n·log n): {', '.join(failed) or 'nothing'}")


if __name__ == "__main__":
    main()
