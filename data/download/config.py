"""The keys of `download=true`: which of the publisher's files to fetch, from where, and to where."""

import re
from dataclasses import dataclass, field

RECIPES = ("books", "c4", "stackexchange", "wikipedia")  # their publishers have stable public URLs


@dataclass
class DumpsConfig:
    """`dumps.…` of `relama prepare … download=true`."""

    folder: str = "dumps"  # download=true: the files are kept in <folder>/<source>
    only: list[str] = field(
        default_factory=list
    )  # download=true: names that begin with one of these (slwiki)
    files: int | None = None  # download=true: at most this many files; null: all
    mirror: str | None = None  # download=true: a mirror's address; null: the publisher's

    def __post_init__(self) -> None:
        if self.files is not None and self.files < 1:
            raise ValueError(f"dumps.files={self.files}: expected at least 1, or null for all")
        if self.mirror is not None and not re.match(r"https?://[^/@\s]+", self.mirror):
            raise ValueError(f"dumps.mirror={self.mirror}: expected an address such as https://HOST/PATH")
        if not self.folder or "://" in self.folder:
            raise ValueError(f"dumps.folder={self.folder}: expected a local folder")
