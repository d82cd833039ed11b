"""Bounds on how much of an input is read, which every reader keeps, whatever a file claims about itself.

`relama prepare` sets them (`record_bytes`, `max_expansion`) for the tasks it runs; readers look them up where
they read. Whatever exceeds a bound is quarantined with its location, and reading continues after it.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from configs.sizes import binary

FREE_BYTES = 1 << 30  # any file may unpack to this much
_BYTES_A_VALUE = 16  # fewest bytes of JSON per value, on average; Python takes about 100 to hold one
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # the last may not end


@dataclass(frozen=True)
class Limits:
    """The bounds of one preparation."""

    record_bytes: int = 64 << 20  # of one record, unpacked
    max_expansion: float = 100.0  # how many times its size a file may unpack to, beyond FREE_BYTES


DEFAULT = Limits()


class TooLarge(ValueError):
    """A record or a file exceeds a bound."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


_LIMITS: ContextVar[Limits] = ContextVar("limits", default=DEFAULT)


@contextmanager
def within(limits: Limits) -> Iterator[None]:
    """Use these limits in the block."""
    token = _LIMITS.set(limits)
    try:
        yield
    finally:
        _LIMITS.reset(token)


def record_bytes(at_most: int | None = None) -> int:
    """The largest record, in bytes; `at_most` is the format's own bound."""
    limit = _LIMITS.get().record_bytes
    return limit if at_most is None else min(limit, at_most)


def read_whole(file: _Readable, at_most: int | None = None) -> bytes:
    """All the bytes of a file that is one record. Raises TooLarge."""
    limit = record_bytes(at_most)
    content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(f"a record above {binary(limit)}")
    return content


def check_json(content: bytes) -> None:
    """Raises TooLarge for JSON with so many values that they would take far more memory than its bytes."""
    limit = record_bytes() // _BYTES_A_VALUE
    if len(content) < 2 * limit:  # a value takes at least two bytes
        return
    if _n_structure(content) > limit and _n_structure(_STRING.sub(b"", content)) > limit:
        raise TooLarge(f"JSON of more than {limit:,} values")


def _n_structure(content: bytes) -> int:
    return sum(content.count(sign) for sign in (b",", b":", b"[", b"{"))


def largest_expansion(packed: int) -> int:
    """How many bytes a file of `packed` bytes may unpack to."""
    return max(FREE_BYTES, int(_LIMITS.get().max_expansion * packed))


class Expansion:
    """Counts the bytes a file unpacks to. `add` raises TooLarge beyond the bound."""

    def __init__(self, packed: int) -> None:
        self._limit = largest_expansion(packed)
        self._unpacked = 0

    def add(self, size: int) -> None:
        self._unpacked += size
        if self._unpacked > self._limit:
            raise TooLarge(
                f"unpacks to more than {binary(self._limit)}; if that is right, raise max_expansion"
            )


class Counted(io.RawIOBase):
    """A stream of unpacked bytes, counted while they are read. Raises TooLarge."""

    def __init__(self, raw: io.RawIOBase, packed: int) -> None:
        self._raw, self._expansion = raw, Expansion(packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer, /) -> int:  # pyright: ignore[reportMissingParameterType]  (a writable buffer)
        size = self._raw.readinto(buffer) or 0
        self._expansion.add(size)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()
