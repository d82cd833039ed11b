"""Checks an order read from a file before it is used, because anyone may have written the file. Pure."""

from typing import Any

LARGEST = 1 << 60  # the largest number allowed, so that the sum of a few fits into 64 bits
LARGEST_BLOCK = 1 << 20  # samples; a block is drawn as a whole
_KEYS = {"start", "block", "first", "n_sequences", "seq_len"}  # a segment's; "without" is optional


def check_order(state: object) -> None:
    """Raises a ValueError that names the faulty part, if `state` is not what `Order.to_json` gives."""
    known = _of(dict, state, "order")
    _number(known.get("seed"), "seed", -LARGEST)
    _pairs(known.get("skipped"), "skipped")
    segments = _of(list, known.get("segments"), "segments")
    if not segments:
        raise ValueError("no segments")
    before = -1
    for segment in segments:
        _check_segment(_of(dict, segment, "segment"))
        if not before < segment["start"] or (before < 0) != (segment["start"] == 0):
            raise ValueError(f"a segment starts at {segment['start']!r}")
        before = segment["start"]


def _check_segment(segment: dict) -> None:
    if wrong := ({*segment} - {"without"}) ^ _KEYS:
        raise ValueError(f"a segment must have {', '.join(sorted(_KEYS))}: {min(wrong)}")
    _number(segment["start"], "start")
    _number(segment["seq_len"], "seq_len", 1)
    block = _numbers(segment["block"], "block", 1)
    if not 0 < sum(block.values()) <= LARGEST_BLOCK:
        raise ValueError(f"a block of {sum(block.values()):,} samples")
    for name, least in (("first", 0), ("n_sequences", 1)):
        if missing := {*block} - {*_numbers(segment[name], name, least)}:
            raise ValueError(f"{name} lacks {min(missing)}")
    for source, ranges in _of(dict, segment.get("without", {}), "without").items():
        _pairs(ranges, f"without.{source}")


def _numbers(value: object, name: str, least: int) -> dict[str, int]:
    found = _of(dict, value, name)
    for key, number in found.items():
        _number(number, f"{name}.{key}", least)
    return found


def _pairs(value: object, name: str) -> None:
    for pair in _of(list, value, name):
        low, high = _two(pair, name)
        if _number(low, name) > _number(high, name):
            raise ValueError(f"{name}: from {low} to {high}")


def _two(pair: object, name: str) -> list:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueError(f"{name}: {str(pair)[:40]!r} is not a range")
    return pair


def _number(value: object, name: str, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST:
        raise ValueError(f"{name} is {str(value)[:40]!r}")
    return value


def _of(kind: type, value: object, name: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {str(value)[:40]!r}")
    return value
