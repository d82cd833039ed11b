"""Makes a token store from cleaned text: encodes it once, shuffles by a hash, writes shard by shard.

The stages run in bounded memory (`data/tokens/stages.py`); the store depends on the documents and the
settings alone, not on the number of processes. A share `heldout` of the documents, chosen by a hash of their
URL (or of their text, if they have none), forms a separate split.
"""

import json
import math
import shutil
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import xxhash

from configs.existence import exists, is_dir
from configs.sizes import decimal
from data import engine, folders, remote
from data.documents import read_row, text_files
from data.engine import EngineConfig
from data.errors import DataError
from data.progress import Progress
from data.tokens import sorted_lists, sums
from data.tokens.heldout import TOO_LITTLE, Apart, choose, place_of, selects_none_or_all
from data.tokens.stages import SPLITS, Plan, encode_file, merge_bundle, text_bytes, write_shard
from data.tokens.store import VERSION, manifest_checksum, tokenizer_files
from data.tokens.tokenizer import Tokenizer

SHARD_BYTES = 1 << 30  # about how much text a shard holds; writing one takes twice its tokens in memory


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
    """Make the store of `text_folder` in `output`, complete or not at all; return its manifest.

    Resumes interrupted work. Raises DataError if the text cannot be read or a shard is incomplete.
    """
    files = tuple(text_files(text_folder))
    sizes = [text_bytes(path) for path in files]
    stamps = [[path.name, *remote.stamp(path)] for path in files]
    settings = {"tokenizer": tokenizer.fingerprint, "seed": seed, "heldout": heldout}
    plan = Plan(
        tokenizer=tokenizer,
        folder=_begun(output, settings | {"layout": 2, "shard_bytes": shard_bytes, "text": stamps}),
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
    progress.say(f"tokenizing with {tokenizer.backend_note}")
    _encode(plan, sizes, on, output.parent / "logs", progress)
    plan = _with_something_held_out(plan, progress)
    _merge(plan, on, output.parent / "logs", progress)
    _write_shards(plan, on, output.parent / "logs", progress)
    shards = _verified_shards(plan)
    for name, file in tokenizer_files(tokenizer.path).items():
        with folders.replacing(plan.store / name) as temporary:
            shutil.copyfile(file, temporary)
    manifest = _manifest(plan, source, text_folder, output, shards)
    folders.write_whole(plan.store / "manifest.json", json.dumps(manifest, indent=1))
    folders.commit(plan.store, output)
    shutil.rmtree(work_folder(output))  # only now, because a killed build resumes from it until the commit
    train = manifest["splits"]["train"]
    progress.say(
        f"{train['tokens']:,} tokens in {train['documents']:,} document{'s' * (train['documents'] != 1)} "
        f"({train['bytes'] / max(1, train['tokens']):.2f} bytes per token), "
        f"{manifest['splits']['heldout']['tokens']:,} tokens held out"
    )
    return manifest


def work_folder(output: Path) -> Path:
    """The folder where the store `output` is built."""
    return output.with_name(output.name + ".work")


def _begun(output: Path, settings: dict) -> Path:
    """The work folder, named by a hash of these settings; deletes the folders of other settings.

    So a process left over from an earlier attempt cannot write into a store with other settings.
    """
    work = work_folder(output)
    own = work / xxhash.xxh3_64_hexdigest(json.dumps(settings, sort_keys=True).encode())
    shutil.rmtree(output.with_name(output.name + ".tmp"), ignore_errors=True)  # an earlier version's
    for other in work.iterdir() if is_dir(work) else ():
        if other != own:
            shutil.rmtree(other)
    for name in ("encoded", "store"):
        (own / name).mkdir(parents=True, exist_ok=True)
    return own


def _encode(plan: Plan, sizes: list[int], on: EngineConfig, logs: Path, progress: Progress) -> None:
    todo = [file for file in range(len(plan.files)) if not plan.is_encoded(file)]
    for file in todo:  # a marker with damaged files must not count as progress
        plan.encoded_mark(file).unlink(missing_ok=True)
    before, started = sum(sizes) - sum(sizes[file] for file in todo), time.monotonic()

    def encoding() -> None:
        done = before + sum(sizes[file] for file in todo if exists(plan.encoded_mark(file)))
        rate = (done - before) / (time.monotonic() - started)
        speed = f" ({decimal(rate)}/s)" if done > before else ""  # known once the first file is done
        progress.show(f"{decimal(done)} of {decimal(sum(sizes))} of text tokenized{speed}")

    engine.run(on, "encode", partial(encode_file, plan), todo, logs, encoding)


def _with_something_held_out(plan: Plan, progress: Progress) -> Plan:
    """The plan, with one document or its end held out if the share selects none, or all; prints which."""
    marks = [json.loads(plan.encoded_mark(file).read_text()) for file in range(len(plan.files))]
    chosen = next((Apart(**mark["apart"]) for mark in marks if mark["apart"]), None)  # by an earlier attempt
    total, n_documents, n_heldout = (sum(m[key] for m in marks) for key in ("bytes", "documents", "heldout"))
    if chosen is None:
        if not selects_none_or_all(n_heldout, n_documents, plan.heldout):
            return plan
        lowest = [(*mark["lowest"], file) for file, mark in enumerate(marks) if mark["lowest"]]
        if lowest and (total >= TOO_LITTLE or n_heldout):
            _, row, size, file = min(lowest)
            chosen = choose(file, row, size, total, n_documents, plan.heldout)
        if chosen is None:
            progress.say(f"held out: nothing, because {total:,} bytes of text are too little")
            return plan
    plan = replace(plan, apart=chosen)
    document = read_row(plan.files[chosen.file], chosen.row)
    part = "" if chosen.end_bytes is None else f"about the last {chosen.end_bytes:,} bytes of "
    selects = "everything" if place_of(document.url, document.text) < plan.heldout * 2**64 else "nothing"
    progress.say(
        f"held out: {part}{document.id} ({document.file}), because heldout={plan.heldout:g} selects {selects}"
    )
    for file, mark in enumerate(marks):  # again, those that the choice changes
        if not mark["apart"] and (mark["heldout"] or file == chosen.file):
            encode_file(plan, file)
    return plan


def _merge(plan: Plan, on: EngineConfig, logs: Path, progress: Progress) -> None:
    """Merge the sorted lists of many text files into a few."""
    todo = [bundle for bundle in range(plan.n_bundles) if not plan.is_merged(bundle)]

    def merging() -> None:
        progress.show(f"{sum(map(plan.is_merged, todo))} of {len(todo)} bundles of text files merged")

    engine.run(on, "merge", partial(merge_bundle, plan), todo, logs, merging)
    for file in range(len(plan.files)) if plan.n_bundles else ():
        for split in SPLITS:
            sorted_lists.remove(plan.encoded, f"{file:06d}-{split}")


def _write_shards(plan: Plan, on: EngineConfig, logs: Path, progress: Progress) -> None:
    jobs = _jobs(plan)
    todo = [item for item, job in enumerate(jobs) if not plan.is_written(*job)]
    for item in todo:
        plan.shard_mark(*jobs[item]).unlink(missing_ok=True)

    def writing() -> None:
        progress.show(f"{sum(exists(plan.shard_mark(*job)) for job in jobs)} of {len(jobs)} shards written")

    engine.run(on, "shards", partial(write_shard, plan, jobs), todo, logs, writing)


def _jobs(plan: Plan) -> list[tuple[str, int]]:
    return [(split, shard) for split in SPLITS for shard in range(plan.shards[split])]


def _verified_shards(plan: Plan) -> dict[str, dict]:
    """The shards by name. Raises DataError if a file, document or token is missing."""
    jobs = _jobs(plan)
    made = [json.loads(plan.shard_mark(*job).read_text()) for job in jobs]
    shards = {entry["file"]: entry for entry in made if entry is not None}
    encoded = [json.loads(plan.encoded_mark(file).read_text()) for file in range(len(plan.files))]
    counts = [
        (unit, sum(one[unit] for one in encoded), sum(one[unit] for one in shards.values()))
        for unit in ("documents", "tokens")
    ]
    wrong = [f"{ours:,} of {all_:,} {unit}" for unit, all_, ours in counts if ours != all_]
    wrong += [f"{split}-{shard:05d} incomplete" for split, shard in jobs if not plan.is_written(split, shard)]
    if wrong:
        raise DataError(
            f"{plan.folder}: the shards hold {', '.join(wrong)}; delete this folder and run the same command "
            "again"
        )
    for entry in shards.values():  # an earlier version wrote shards without sums
        sums.add(plan.store / entry["file"], entry["xxh3"])
    names = {entry[key] for entry in shards.values() for key in ("file", "documents_file")}
    names |= {sums.name_for(entry["file"]) for entry in shards.values()}
    for stray in {*plan.store.iterdir()} - {plan.store / name for name in names}:
        stray.unlink()
    return shards


def _manifest(plan: Plan, source: str, text_folder: Path, output: Path, shards: dict[str, dict]) -> dict:
    splits = {}
    for split in SPLITS:
        own = [shards[name] for name in sorted(shards) if name.startswith(split)]
        sums = {key: sum(shard[key] for shard in own) for key in ("tokens", "documents", "bytes")}
        splits[split] = {**sums, "shards": own}
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
    if plan.apart:
        manifest["apart"] = asdict(plan.apart)  # held out because the share selects no document, or all
    return {**manifest, "xxh3": manifest_checksum(manifest)}
