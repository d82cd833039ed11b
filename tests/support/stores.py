"""Token stores of given tokens, without text or a recipe."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data.tokens import sums
from data.tokens.store import DOCUMENT, TOKENIZERS, VERSION, TokenStore, checksum, manifest_checksum


def write_store(
    folder: Path, source: str, splits: Mapping[str, Sequence[np.ndarray]], tokenizer: bytes, vocab_size: int
) -> TokenStore:
    """A store that has, for each array of a split's tokens, a shard of one document; with block checksums."""
    folder.mkdir(parents=True)
    (folder / TOKENIZERS[0]).write_bytes(tokenizer)
    fingerprint = hashlib.sha256(tokenizer).hexdigest()
    manifest = {
        "version": VERSION,
        "source": source,
        "dtype": "<u2",
        "tokenizer": {"fingerprint": fingerprint, "vocab_size": vocab_size, "bos_id": 1, "eos_id": 2},
        "text_files": ["text.parquet"],  # which nobody opens
        "splits": {split: _write_split(folder, split, shards) for split, shards in splits.items()},
    }
    manifest["xxh3"] = manifest_checksum(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return TokenStore.open(folder)


def _write_split(folder: Path, split: str, shards: Sequence[np.ndarray]) -> dict:
    written = []
    for number, tokens in enumerate(shards):
        path, table = folder / f"{split}-{number:05d}.bin", folder / f"{split}-{number:05d}.docs"
        tokens.astype("<u2").tofile(path)
        np.array([(len(tokens), 0, 0)], DOCUMENT).tofile(table)
        sums.add(path, checksum(path))
        names = {"file": path.name, "documents_file": table.name}
        counts = {"tokens": len(tokens), "documents": 1, "bytes": 0}
        written.append(names | counts | {"xxh3": checksum(path), "documents_xxh3": checksum(table)})
    total = sum(map(len, shards))
    return {"tokens": total, "documents": len(written), "bytes": 0, "shards": written}
