"""The keys of the cache for tokens and weights read from buckets."""

import os
from dataclasses import dataclass
from pathlib import Path

from data.errors import DataError

GIB = 1 << 30


@dataclass
class CacheConfig:
    """Where tokens and weights from a bucket are kept on this machine."""

    path: str | None = None  # a folder on a local disk; null: $RELAMA_CACHE, or relama in ~/.cache
    gib: float = 32.0  # the space that all jobs' tokens may take together

    def __post_init__(self) -> None:
        if not 0 < self.gib < float("inf"):
            raise ValueError(f"cache.gib={self.gib}: expected above 0 (GiB)")
        if self.path is not None and "://" in self.path:
            raise ValueError(f"cache.path={self.path}: expected a folder on a local disk")

    @property
    def folder(self) -> Path:
        if self.path is not None:
            return Path(os.path.expanduser(self.path))
        if named := os.environ.get("RELAMA_CACHE"):
            return Path(named)
        if (own := user_cache()) is None:
            raise DataError(
                "cache.path=null: this user has no home folder; give cache.path=FOLDER, or set HOME"
            )
        return own

    @property
    def bytes(self) -> int:
        return int(self.gib * GIB)


def user_cache() -> Path | None:
    """Relama's folder in the user's cache; None for a user without a home folder, as in some containers."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return None if base.startswith("~") else Path(base, "relama")
