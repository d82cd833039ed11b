"""Checks and renders a token store's manifest.

The checksum reveals damage, but anyone can compute it, so the content is checked too.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

PIECE = 10_000  # most entries of a list that are rendered at once
LARGEST = 1 << 60  # the largest number allowed, so that the sum of a few fits into 64 bits


def manifest_problem(manifest: dict) -> str | None:
    """Why no store can be opened with this manifest, in a few words; None if one can."""
    try:
        _object(manifest, source=_text, dtype=_dtype, text_files=_list, splits=_dict, tokenizer=_dict)
        _object(manifest["tokenizer"], fingerprint=_text, vocab_size=_positive)
        for file in manifest["text_files"]:
            _text(file, "text_files")
        for split in manifest["splits"].values():
            _object(split, tokens=_count, documents=_count, bytes=_count, shards=_list)
            for shard in split["shards"]:
                _object(shard, **_SHARD)
            for unit in ("tokens", "documents"):
                total = sum(shard[unit] for shard in split["shards"])
                if total != split[unit]:
                    return f"its shards have {total:,} {unit}, not {split[unit]:,}"
    except ValueError as error:
        return str(error)
    return None


def json_in_pieces(value: Any) -> Iterator[str]:
    """`json.dumps(value, sort_keys=True)` in pieces: in one, 10⁶ shards would take a quarter of a GiB."""
    if isinstance(value, dict) and value:
        for place, key in enumerate(sorted(value)):
            yield f"{', ' if place else '{'}{json.dumps(key)}: "
            yield from json_in_pieces(value[key])
        yield "}"
    elif isinstance(value, list) and value:
        for begin in range(0, len(value), PIECE):
            yield ", " if begin else "["
            yield json.dumps(value[begin : begin + PIECE], sort_keys=True)[1:-1]
        yield "]"
    else:
        yield json.dumps(value)


def _object(value: object, **checks: Callable[[object, str], None]) -> None:
    _dict(value, "an entry")
    for key, check in checks.items():
        if key not in value:  # pyright: ignore[reportOperatorIssue]  # just checked
            raise ValueError(f"no {key}")
        check(value[key], key)  # pyright: ignore[reportIndexIssue]  # the same


def _must(is_so: bool, value: object, name: str) -> None:
    if not is_so:
        raise ValueError(f"{name} is {str(value)[:40]!r}")


def _text(value: object, name: str) -> None:
    _must(isinstance(value, str), value, name)


def _list(value: object, name: str) -> None:
    _must(isinstance(value, list), value, name)


def _dict(value: object, name: str) -> None:
    _must(isinstance(value, dict), value, name)


def _count(value: object, name: str) -> None:
    _must(isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST, value, name)


def _positive(value: object, name: str) -> None:
    _count(value, name)
    _must(value != 0, value, name)


def _dtype(value: object, name: str) -> None:
    try:
        kind = np.dtype(value) if isinstance(value, str) else None
    except TypeError:
        kind = None
    _must(kind is not None and kind.kind in "iu" and kind.itemsize > 1, value, name)


_SHARD = dict.fromkeys(("file", "documents_file", "xxh3", "documents_xxh3"), _text)
_SHARD |= dict.fromkeys(("tokens", "documents"), _count)
