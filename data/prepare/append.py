"""`relama append corpora=OLD more=NEW output=FOLDER`: the next version of prepared sources.

In: two folders of sources that share a tokenizer. Out: FOLDER. A source in both gets OLD's training shards
followed by NEW's; a source in only one is a link to its folder. OLD's tokens keep their numbers, so a branch
of a run on OLD may continue with FOLDER (data/phases/grown.py checks this). The held-out text stays OLD's, so
that losses are comparable.
"""

import json
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from configs import terminal
from configs.errors import reason
from configs.load import entry, load
from data import folders
from data.errors import DataError
from data.mixture import sources_in
from data.remote import is_remote
from data.tokens import sums
from data.tokens.store import (
    DOCUMENT,
    TokenStore,
    checksum,
    manifest_checksum,
    read_manifest,
    tokenizer_files,
    tokenizer_in,
)

SUMMED = ("tokens", "documents", "bytes")


@dataclass
class AppendConfig:
    """Folders of prepared sources, as `relama prepare` makes them."""

    more: str  # what to append
    output: str  # the new version's folder
    corpora: str = "corpora"  # the version to append to; it is not changed, and must be kept

    def __post_init__(self) -> None:
        for key in ("more", "output", "corpora"):
            if is_remote(getattr(self, key)):
                raise ValueError(
                    f"{key}={getattr(self, key)}: expected a local folder; append there, and copy the result "
                    "with the storage's own tool, each manifest.json last"
                )
        if Path(self.more).resolve() == Path(self.corpora).resolve():
            raise ValueError(f"more={self.more}: the same folder as corpora=; expected the sources to append")


def append(corpora: Path, more: Path, output: Path) -> Iterator[str]:
    """Make the new version; yields a line for each source. If it raises DataError, nothing has been made."""
    old, new = (sources_in(str(folder)) for folder in (corpora, more))
    for key, folder, found in (("corpora", corpora, old), ("more", more, new)):
        if not found:
            raise DataError(f"{key}={folder}: no token store in it; expected a folder of prepared sources")
    try:
        with folders.filling(output) as aside:
            if output.exists():
                raise DataError(f"output={output}: exists already; choose another folder")
            yield from _fill(aside, corpora, more, old, new)
            folders.commit_once(aside, output)
    except OSError as error:
        raise DataError(
            f"output={output}: cannot be written ({reason(error)}); nothing was appended"
        ) from None


def _fill(
    aside: Path, corpora: Path, more: Path, old: Collection[str], new: Collection[str]
) -> Iterator[str]:
    for source in sorted({*old, *new}):
        folder = (corpora if source in old else more) / source
        if source in old and source in new:
            before, after = TokenStore.open(folder / "tokens"), TokenStore.open(more / source / "tokens")
            _append(before, after, aside / source / "tokens")
            yield f"{source}: {before.n_tokens:,} tokens, then {after.n_tokens:,} more"
        else:
            (aside / source).symlink_to(os.path.relpath(folder.resolve(), aside.resolve()))
            yield f"{source}: {TokenStore.open(folder / 'tokens').n_tokens:,} tokens, those of {folder}"
    if (corpora / "sample").is_dir():  # or data=sample would make its stores there again
        shutil.copytree(corpora / "sample", aside / "sample", dirs_exist_ok=True)


def _append(before: TokenStore, after: TokenStore, goal: Path) -> None:
    """Make a store at `goal` with the training shards of `before`, then those of `after`."""
    manifest, added = read_manifest(before.folder), read_manifest(after.folder)
    _refuse_unlike(before, after, manifest, added)
    goal.mkdir(parents=True)
    shards = manifest["splits"]["train"]["shards"]
    for part in [*shards, *manifest["splits"]["heldout"]["shards"]]:
        for name in (part["file"], part["documents_file"], sums.name_for(part["file"])):
            _link(before.folder / name, goal / name)
    for name, path in tokenizer_files(tokenizer_in(before.folder)).items():
        shutil.copyfile(path, goal / name)
    shards = shards + [
        _added(after.folder, part, goal, number, len(manifest["text_files"]))
        for number, part in enumerate(added["splits"]["train"]["shards"], len(shards))
    ]
    totals = {key: sum(part[key] for part in shards) for key in SUMMED}
    texts = [os.path.relpath(path, goal.resolve()) for path in before.text_files + after.text_files]
    manifest |= {
        "text_files": texts,
        "splits": {**manifest["splits"], "train": {**totals, "shards": shards}},
        "appended": [*manifest.get("appended", [before.fingerprint]), after.fingerprint],
    }
    manifest["xxh3"] = manifest_checksum(manifest)
    sums.add_all(goal, manifest)
    folders.write_whole(goal / "manifest.json", json.dumps(manifest, indent=1))


def _refuse_unlike(before: TokenStore, after: TokenStore, manifest: dict, added: dict) -> None:
    """Raise DataError unless `after` may follow `before`."""
    if (before.tokenizer_fingerprint, before.dtype) != (after.tokenizer_fingerprint, after.dtype):
        raise DataError(
            f"{after.folder}: made with a different tokenizer than {before.folder}; prepare it with "
            f"tokenizer={tokenizer_in(before.folder)}"
        )
    if manifest["heldout"] != added["heldout"]:
        raise DataError(
            f"{after.folder}: prepared with heldout={added['heldout']}, and {before.folder} with "
            f"{manifest['heldout']}, so a document could be held out and trained on; give both the same"
        )
    if set(before.contents) & set(after.contents):
        raise DataError(f"{after.folder}: {before.folder} already has its tokens; nothing to append")


def _added(store: Path, part: dict, goal: Path, number: int, offset: int) -> dict:
    """A shard's manifest entry after linking it under its new number; `offset` text files precede its own."""
    name, documents = f"train-{number:05d}.bin", f"train-{number:05d}.docs"
    _link(store / part["file"], goal / name)
    _link(store / sums.name_for(part["file"]), goal / sums.name_for(name))
    table = np.fromfile(store / part["documents_file"], DOCUMENT)
    table["file"] += offset
    table.tofile(goal / documents)
    return part | {"file": name, "documents_file": documents, "documents_xxh3": checksum(goal / documents)}


def _link(source: Path, goal: Path) -> None:
    if source.exists():  # stores written by an earlier version have no .sums
        folders.link(source, goal)


def run(argv: list[str]) -> None:
    config = load("append", AppendConfig, argv)
    output = Path(config.output)
    for line in append(Path(config.corpora), Path(config.more), output):
        terminal.write(line)
    print(f"next: relama branch run=RUN at=STEP to=NEW corpora={output}")


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(DataError,))
