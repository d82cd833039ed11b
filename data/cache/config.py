"""The keys of the cache for tokens and weights read from buckets."""

import os
from dataclasses import dataclass
from pathlib import Path

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
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(os.environ.get("RELAMA_CACHE") or Path(base, "relama"))

    @property
    def bytes(self) -> int:
        return int(self.gib * GIB)
